/* cpu.c: instruction sets by CPUID and XGETBV; cores by affinity mask and cgroup quota.
 *
 * A CPUID bit says that the processor can; the XCR0 register says that the kernel saves those
 * registers when it switches threads. Both are needed. AMX tiles want a third thing, a permission
 * asked of the kernel.
 *
 * A container's quota is written in its control group: "cpu.max" (version 2) or "cpu.cfs_quota_us"
 * over "cpu.cfs_period_us" (version 1). Every group up to the root may have its own; the smallest
 * counts. A quota of 1.5 cores grants one thread: a second one would be stopped half of every
 * period while the first waits. */
#include "core/base/cpu.h"
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/buf.h"
#include "core/base/fsio.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { XCR0_AVX = 0x6, XCR0_AVX512 = 0xE6, XCR0_AMX = 0x60000 };

static bool amx_permitted(void)
{
    enum { REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 }; /* arch_prctl of Linux 5.16 */
    return syscall(SYS_arch_prctl, REQ_XCOMP_PERM, XTILEDATA) == 0;
}

static void detect(struct cpu *c)
{
    unsigned a, b, cx, d, a1, b1, c1, d1, lo, hi;
    bool os_avx512;
    if (!__get_cpuid(1, &a, &b, &cx, &d) || !(cx >> 27 & 1)) /* OSXSAVE */
        return;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    if ((lo & XCR0_AVX) != XCR0_AVX || !(cx >> 28 & 1) || !(cx >> 12 & 1) || !(cx >> 29 & 1))
        return;                                                     /* AVX, FMA, F16C */
    if (!__get_cpuid_count(7, 0, &a, &b, &cx, &d) || !(b >> 5 & 1)) /* AVX2 */
        return;
    if (!__get_cpuid_count(7, 1, &a1, &b1, &c1, &d1))
        a1 = 0;
    c->level = CPU_AVX2;
    c->avx_vnni = a1 >> 4 & 1;
    os_avx512 = (lo & XCR0_AVX512) == XCR0_AVX512;
    if (!os_avx512 || !(b >> 16 & 1) || !(b >> 17 & 1) || !(b >> 30 & 1) || !(b >> 31 & 1))
        return; /* F, DQ, BW, VL */
    c->level = CPU_AVX512;
    c->vnni = cx >> 11 & 1;
    c->bf16 = a1 >> 5 & 1;
    if ((d >> 24 & 1) && (lo & XCR0_AMX) == XCR0_AMX && amx_permitted()) {
        c->amx_int8 = d >> 25 & 1;
        c->amx_bf16 = d >> 22 & 1;
    }
}
#else
static void detect(struct cpu *c)
{
    (void)c;
}
#endif

static struct cpu found;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void detect_masked(void)
{
    const char *mask = getenv("SOOTH_CPU");
    enum cpu_level top = !mask                   ? CPU_AVX512
                         : !strcmp(mask, "c")    ? CPU_C
                         : !strcmp(mask, "avx2") ? CPU_AVX2
                                                 : CPU_AVX512;
    if (top > CPU_C) /* with everything masked, not even the permission is asked for */
        detect(&found);
    if (found.level <= top)
        return;
    found.level = top;
    found.vnni = found.bf16 = found.amx_int8 = found.amx_bf16 = false;
}

const struct cpu *cpu_get(void)
{
    pthread_once(&once, detect_masked);
    return &found;
}

/* Reads a small file of a pseudo file system; "" when it is not there. */
static const char *slurp(struct buf *b, const char *root, const char *dir, const char *name)
{
    struct buf path = BUF_INIT;
    buf_clear(b);
    if (buf_printf(&path, "%s%s/%s", root, dir, name))
        file_read(buf_str(&path), 1 << 20, b, NULL);
    buf_release(&path);
    return buf_str(b);
}

/* The quota written in one group's directory, in cores. */
static double group_quota(const char *root, const char *dir, struct buf *b)
{
    double quota, period;
    if (sscanf(slurp(b, root, dir, "cpu.max"), "%lf %lf", &quota, &period) == 2)
        return quota > 0 && period > 0 ? quota / period : INFINITY;
    if (sscanf(slurp(b, root, dir, "cpu.cfs_quota_us"), "%lf", &quota) != 1 || quota <= 0)
        return INFINITY;
    if (sscanf(slurp(b, root, dir, "cpu.cfs_period_us"), "%lf", &period) != 1 || period <= 0)
        return INFINITY;
    return quota / period;
}

/* True when the comma-separated list has the word. */
static bool list_has(const char *list, size_t len, const char *word)
{
    size_t n = strlen(word);
    for (const char *end = list + len; list < end; list++) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        const char *stop = comma ? comma : end;
        if ((size_t)(stop - list) == n && !memcmp(list, word, n))
            return true;
        list = stop;
    }
    return false;
}

/* Our group in the hierarchy that rules the processor: version 2 ("0::/path") or version 1
 * ("4:cpu,cpuacct:/path"). The path is copied into out. */
static bool own_group(const char *text, bool v2, char *out, size_t size)
{
    for (const char *line = text; *line;) {
        const char *end = strchrnul(line, '\n');
        const char *list = memchr(line, ':', (size_t)(end - line));
        const char *path = list ? memchr(list + 1, ':', (size_t)(end - list - 1)) : NULL;
        if (path) {
            size_t listed = (size_t)(path - list - 1), n = (size_t)(end - path - 1);
            if ((v2 ? !listed : list_has(list + 1, listed, "cpu")) && n < size) {
                memcpy(out, path + 1, n);
                out[n] = 0;
                return true;
            }
        }
        line = *end ? end + 1 : end;
    }
    return false;
}

/* Where that hierarchy is mounted, and which group of it the mount shows as its top.
 * A line: 36 35 98:0 /top /mnt rw,noatime shared:1 - type source options */
static bool group_mount(const char *text, bool v2, char top[1024], char mount[1024])
{
    for (const char *line = text; *line;) {
        const char *end = strchrnul(line, '\n');
        const char *dash = strstr(line, " - ");
        char type[32], options[256];
        if (dash && dash < end && sscanf(dash, " - %31s %*s %255s", type, options) == 2 &&
            sscanf(line, "%*s %*s %*s %1023s %1023s", top, mount) == 2 &&
            (v2 ? !strcmp(type, "cgroup2")
                : !strcmp(type, "cgroup") && list_has(options, strlen(options), "cpu")))
            return true;
        line = *end ? end + 1 : end;
    }
    return false;
}

static double hierarchy_quota(const char *root, bool v2)
{
    char group[1024], top[1024], mount[1024], dir[2200];
    double least = INFINITY;
    size_t shown;
    struct buf b = BUF_INIT;
    if (!own_group(slurp(&b, root, "/proc/self", "cgroup"), v2, group, sizeof group) ||
        !group_mount(slurp(&b, root, "/proc/self", "mountinfo"), v2, top, mount)) {
        buf_release(&b);
        return INFINITY;
    }
    /* The mount may show only our subtree: then its top is cut from the front of our path. */
    shown = strcmp(top, "/") && !strncmp(group, top, strlen(top)) ? strlen(top) : 0;
    snprintf(dir, sizeof dir, "%s%s", mount, group + shown);
    for (;;) {
        double quota = group_quota(root, dir, &b);
        char *slash = strrchr(dir, '/');
        least = quota < least ? quota : least;
        if (!slash || (size_t)(slash - dir) < strlen(mount))
            break;
        *slash = 0;
    }
    buf_release(&b);
    return least;
}

double cpu_quota(const char *root)
{
    return fmin(hierarchy_quota(root, true), hierarchy_quota(root, false));
}

unsigned cpu_cores(unsigned allowed, double quota)
{
    unsigned whole = quota < allowed ? (unsigned)quota : allowed;
    return whole ? whole : 1;
}

unsigned cpu_granted(void)
{
    enum { CPUS = 8192 };
    cpu_set_t set[CPUS / CPU_SETSIZE];
    unsigned allowed = 1;
    if (!sched_getaffinity(0, sizeof set, set))
        allowed = (unsigned)CPU_COUNT_S(sizeof set, set);
    return cpu_cores(allowed, cpu_quota(""));
}
