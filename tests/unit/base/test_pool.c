/* test_pool.c: the thread pool under stress, and how many threads the machine grants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ftw.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/cpu.h"
#include "core/base/fsio.h"
#include "core/base/pool.h"

struct job {
    unsigned char *hits; /* per tile; plain, so the thread sanitizer sees two threads on one tile */
    atomic_uint *busy;   /* per worker: worker numbers are exclusive */
};

static void hit(void *ctx, size_t tile, unsigned worker)
{
    struct job *j = ctx;
    if (atomic_fetch_add(&j->busy[worker], 1))
        abort();
    j->hits[tile]++;
    atomic_fetch_sub(&j->busy[worker], 1);
}

static void check_pool(unsigned threads, unsigned jobs)
{
    enum { MOST = 300 };
    unsigned char hits[MOST];
    atomic_uint busy[100] = {0};
    struct job j = {.hits = hits, .busy = busy};
    struct pool *p = pool_new(threads);
    assert_non_null(p);
    assert_int_equal(pool_threads(p), threads);
    for (unsigned n = 0; n < jobs; n++) {
        size_t tiles = n * 7919u % MOST;
        memset(hits, 0, sizeof hits);
        pool_run(p, tiles, hit, &j);
        for (size_t i = 0; i < MOST; i++)
            if (hits[i] != (i < tiles))
                fail_msg("job %u, tile %zu ran %d times", n, i, hits[i]);
    }
    pool_free(p);
}

static void test_every_tile_once(void **state)
{
    static const unsigned threads[] = {1, 2, 3, 4, 9};
    uint64_t live = mem_live();
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
        check_pool(threads[i], 3000);
    assert_int_equal(mem_live(), live);
}

static void test_no_pool_runs_here(void **state)
{
    unsigned char hits[5] = {0};
    atomic_uint busy[1] = {0};
    struct job j = {.hits = hits, .busy = busy};
    pool_run(NULL, 5, hit, &j);
    assert_memory_equal(hits, "\1\1\1\1\1", 5);
    assert_int_equal(pool_threads(NULL), 1);
    pool_free(NULL);
}

/* Workers that have gone to sleep come back. */
static void test_after_a_pause(void **state)
{
    unsigned char hits[40];
    atomic_uint busy[4] = {0};
    struct job j = {.hits = hits, .busy = busy};
    struct pool *p = pool_new(4);
    for (int i = 0; i < 20; i++) {
        memset(hits, 0, sizeof hits);
        usleep(2000);
        pool_run(p, 40, hit, &j);
        for (int t = 0; t < 40; t++)
            assert_int_equal(hits[t], 1);
    }
    pool_free(p);
}

struct caller {
    struct pool *pool;
    unsigned char hits[64];
    atomic_uint busy[4];
    bool ok;
};

static void *calls(void *arg)
{
    struct caller *c = arg;
    struct job j = {.hits = c->hits, .busy = c->busy};
    c->ok = true;
    for (int n = 0; n < 1000; n++) {
        memset(c->hits, 0, sizeof c->hits);
        pool_run(c->pool, 64, hit, &j);
        for (int i = 0; i < 64; i++)
            c->ok = c->ok && c->hits[i] == 1;
    }
    return NULL;
}

static void test_second_caller_waits(void **state)
{
    struct caller c[3] = {0};
    pthread_t t[3];
    struct pool *p = pool_new(3);
    for (int i = 0; i < 3; i++) {
        c[i].pool = p;
        assert_int_equal(pthread_create(&t[i], NULL, calls, &c[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], NULL);
        assert_true(c[i].ok);
    }
    pool_free(p);
}

static void fail_pool_allocations(void **state)
{
    uint64_t live = mem_live();
    for (uint64_t n = 1;; n++) {
        struct pool *p;
        mem_fail_at(n);
        p = pool_new(2);
        mem_fail_at(0);
        pool_free(p);
        assert_int_equal(mem_live(), live);
        if (p)
            break;
    }
}

static void spin_tile(void *ctx, size_t tile, unsigned worker)
{
    volatile double x = (double)tile;
    for (int i = 0; i < 20000; i++)
        x = x * 1.000001 + 1;
    ((double *)ctx)[tile] = x;
}

static double best_seconds(struct pool *p)
{
    double results[16], best = 1e9;
    for (int n = 0; n < 40; n++) {
        double start = clock_seconds(), took;
        for (int i = 0; i < 5; i++)
            pool_run(p, 16, spin_tile, results);
        took = clock_seconds() - start;
        best = took < best ? took : best;
    }
    return best;
}

static void lesson_serving_21_mask_of_one_core(void **state)
{
    cpu_set_t all, one;
    int first = 0;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(cpu_granted(), 1);
    sched_setaffinity(0, sizeof all, &all);
    if (CPU_COUNT(&all) > 1 && cpu_quota("") >= 2)
        assert_true(cpu_granted() > 1);
}

static void lesson_serving_21_forced_64_threads(void **state)
{
    struct pool *fair = pool_new(0), *forced = pool_new(64);
    double with_fair = best_seconds(fair), with_forced = best_seconds(forced);
    pool_free(fair);
    pool_free(forced);
    check_pool(64, 300);
    assert_true(with_forced < 3 * with_fair);
}

/* A machine made of files: proc/self/{cgroup,mountinfo} and the groups under sys/fs/cgroup. */
static char root[64];
static void put(const char *path, const char *text)
{
    char full[256], *slash;
    struct sooth_error e;
    snprintf(full, sizeof full, "%s/%s", root, path);
    slash = strrchr(full, '/');
    *slash = 0;
    assert_int_equal(dir_make(full, &e), SOOTH_OK);
    *slash = '/';
    assert_int_equal(file_write_atomic(full, text, strlen(text), &e), SOOTH_OK);
}

static void fresh_machine(const char *cgroup, const char *mounts)
{
    snprintf(root, sizeof root, "/tmp/sooth-test-XXXXXX");
    assert_non_null(mkdtemp(root));
    put("proc/self/cgroup", cgroup);
    put("proc/self/mountinfo", mounts);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    return remove(path);
}

static void remove_machine(void)
{
    assert_int_equal(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void lesson_serving_21_quota(void **state)
{
    static const char v2[] =
        "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    static const char v1[] =
        "31 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "33 24 0:28 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n";
    static const char nested[] =
        "33 24 0:28 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpuacct,cpu\n";
    fresh_machine("0::/user/job\n", v2);
    assert_true(isinf(cpu_quota(root)));
    put("sys/fs/cgroup/user/job/cpu.max", "max 100000\n");
    assert_true(isinf(cpu_quota(root)));
    put("sys/fs/cgroup/user/cpu.max", "150000 100000\n"); /* a parent's quota binds too */
    assert_true(cpu_quota(root) == 1.5);
    put("sys/fs/cgroup/user/job/cpu.max", "50000 100000\n");
    assert_true(cpu_quota(root) == 0.5);
    put("sys/fs/cgroup/user/job/cpu.max", "rubbish\n");
    assert_true(cpu_quota(root) == 1.5);
    remove_machine();

    fresh_machine("5:memory:/m\n4:cpu,cpuacct:/a/b\n0::/\n", v1);
    put("sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us", "100000\n");
    assert_true(isinf(cpu_quota(root)));
    put("sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "150000\n");
    assert_true(cpu_quota(root) == 1.5);
    remove_machine();

    fresh_machine("4:cpu,cpuacct:/docker/abc/inner\n",
                  nested); /* the mount's top is not the hierarchy's */
    put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_true(cpu_quota(root) == 3);
    put("sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us", "150000\n");
    put("sys/fs/cgroup/cpu/inner/cpu.cfs_period_us", "100000\n");
    assert_true(cpu_quota(root) == 1.5);
    assert_int_equal(cpu_cores(2, cpu_quota(root)), 1);
    assert_int_equal(cpu_cores(2, 0.5), 1);
    assert_int_equal(cpu_cores(8, INFINITY), 8);
    remove_machine();
}

static void test_cpu_levels_nest(void **state)
{
    const struct cpu *c = cpu_get();
    assert_ptr_equal(c, cpu_get());
    if (c->level < CPU_AVX512)
        assert_false(c->vnni || c->bf16 || c->amx_int8 || c->amx_bf16);
    if (c->level < CPU_AVX2)
        assert_false(c->avx_vnni);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_tile_once),
        cmocka_unit_test(test_no_pool_runs_here),
        cmocka_unit_test(test_after_a_pause),
        cmocka_unit_test(test_second_caller_waits),
        cmocka_unit_test(fail_pool_allocations),
        cmocka_unit_test(lesson_serving_21_mask_of_one_core),
        cmocka_unit_test(lesson_serving_21_forced_64_threads),
        cmocka_unit_test(lesson_serving_21_quota),
        cmocka_unit_test(test_cpu_levels_nest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
