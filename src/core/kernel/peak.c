/* peak.c: peaks by instruction and by memory. On processors other than x86 only reading is measured. */
#include "core/kernel/peak.h"
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/cpu.h"
#include "core/base/pool.h"
#include "core/kernel/kernel.h"

#if defined(__x86_64__)
/* Twelve independent chains, in assembler so that nothing but the instruction is timed; the best of many short runs:
 * other programs on the core only ever make it slower. The registers start at zero: what they held
 * might be numbers so small that the processor takes a detour for each. */
#define PEAK_LOOP(name, instruction, reg, ops) \
    static double name(void) \
    { \
        double best = 0; \
        for (int k = 0; k < 400; k++) { \
            long n = 20000; \
            const double t0 = clock_seconds(); \
            __asm__ volatile(".irp r,0,1,2,3,4,5,6,7,8,9,10,11\nvxorps %%xmm\\r,%%xmm\\r,%%xmm\\r\n.endr\n" \
                             "1:\n.irp r,0,1,2,3,4,5,6,7,8,9,10,11\n" instruction " %%" reg "\\r,%%" reg "\\r,%%" reg "\\r\n.endr\n" \
                             "dec %0\njnz 1b\n" \
                             : "+r"(n) \
                             : \
                             : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
                               "xmm11", "cc"); \
            const double rate = 12.0 * 20000 * ops / (clock_seconds() - t0); \
            best = rate > best ? rate : best; \
        } \
        return best; \
    }
PEAK_LOOP(peak_f32, "vfmadd231ps", "zmm", 32)
PEAK_LOOP(peak_f32_256, "vfmadd231ps", "ymm", 16)
PEAK_LOOP(peak_i8, "vpdpbusd", "zmm", 128)
PEAK_LOOP(peak_bf16, "vdpbf16ps", "zmm", 64)

/* Four independent tile products; nothing is loaded. */
static double peak_tiles(void)
{
    _Alignas(64) uint8_t config[64] = { [0] = 1 };
    double best = 0;
    for (int i = 0; i < 8; i++) {
        config[16 + 2 * i] = 64;
        config[48 + i] = 16;
    }
    for (int k = 0; k < 400; k++) {
        long n = 2000;
        const double t0 = clock_seconds();
        __asm__ volatile("ldtilecfg %1\n1:\n"
                         "tdpbf16ps %%tmm6,%%tmm4,%%tmm0\ntdpbf16ps %%tmm7,%%tmm4,%%tmm1\n"
                         "tdpbf16ps %%tmm6,%%tmm5,%%tmm2\ntdpbf16ps %%tmm7,%%tmm5,%%tmm3\n"
                         "dec %0\njnz 1b\ntilerelease\n"
                         : "+r"(n)
                         : "m"(config)
                         : "cc");
        const double rate = 4.0 * 2000 * 16384 / (clock_seconds() - t0);
        best = rate > best ? rate : best;
    }
    return best;
}
#endif

void peaks_measure(struct peaks *out)
{
    *out = (struct peaks){0};
#if defined(__x86_64__)
    const struct cpu *c = cpu_get();
    out->f32 = c->level == CPU_AVX512 ? peak_f32() : c->level == CPU_AVX2 ? peak_f32_256() : 0;
    out->i8 = c->vnni ? peak_i8() : 0;
    out->bf16 = c->level == CPU_AVX512 && c->bf16 ? peak_bf16() : 0;
    out->tile = c->amx_bf16 ? peak_tiles() : 0;
#endif
}

enum { STREAM_TILES = 64 };
struct stream {
    const float *p;
    float out[STREAM_TILES];
    size_t n;
};

static void stream_tile(void *ctx, size_t tile, unsigned worker)
{
    struct stream *s = ctx;
    s->out[tile] = kernel_get()->sum(s->p + tile * s->n, s->n);
}

double peak_read(struct pool *pool)
{
    const size_t bytes = (size_t)256 << 20;
    float *p = mem_aligned((size_t)2 << 20, bytes);
    struct stream s = {p, {0}, bytes / 4 / STREAM_TILES};
    double best = 0;
    if (!p)
        return 0;
    madvise(p, bytes, MADV_HUGEPAGE);
    memset(p, 1, bytes);
    for (int i = 0; i < 12; i++) {
        const double t0 = clock_seconds();
        pool_run(pool, STREAM_TILES, stream_tile, &s);
        best = fmax(best, (double)bytes / (clock_seconds() - t0));
    }
    mem_free(p);
    return best;
}
