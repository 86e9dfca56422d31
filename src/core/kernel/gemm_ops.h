/* gemm_ops.h: f32 matrix product on register tiles; B may be stored as f32, f16 or bf16.
 *
 * A tile of R rows by C panels of 16 columns lives in R·C accumulators while k runs: R broadcasts and C loads feed R·C
 * fused multiply-adds. Every element of the result is one chain over k in order, so tile shapes, chunks of k (the
 * accumulators pass through C exactly) and the caller's split of m and n change nothing in the result.
 * Chunks of k keep the C panels of B in the first-level cache while all rows of A go by. */
#ifndef KERNEL_GEMM_OPS_H
#define KERNEL_GEMM_OPS_H
#include <stdbool.h>
#include "core/kernel/lane.h"

enum gemm_form { GEMM_F32, GEMM_F16, GEMM_BF16 };
struct gemm_b {
    const void *data;
    size_t k, panel; /* strides in elements, from k to k+1 and from 16 columns to the next */
};

#if defined(__AVX512F__)
#define GEMM_ROWS 6
#define GEMM_WIDE 4
#elif defined(__AVX2__)
#define GEMM_ROWS 6
#define GEMM_WIDE 1
#else
#define GEMM_ROWS 2
#define GEMM_WIDE 1
#endif
#define GEMM_CHUNK 160

LANE_INLINE vf gemm_load(enum gemm_form form, const void *b, size_t at)
{
    if (form == GEMM_F16)
        return vf_load_f16((const uint16_t *)b + at);
    if (form == GEMM_BF16)
        return vf_load_bf16((const uint16_t *)b + at);
    return vf_load((const float *)b + at);
}

LANE_INLINE vf gemm_load_part(enum gemm_form form, const void *b, size_t at, size_t n)
{
    if (form == GEMM_F32)
        return vf_loadn((const float *)b + at, n);
    uint16_t t[LANES] = { 0 };
    memcpy(t, (const uint16_t *)b + at, n * sizeof *t);
    return gemm_load(form, t, 0);
}

/* `last` < 16 (then cols is 1): only so many columns exist in memory. */
LANE_INLINE void gemm_tile(const enum gemm_form form, const int rows, const int cols, const bool part, size_t k,
                           const float *a, size_t a_row, size_t a_k, struct gemm_b b, float *c, size_t ldc, size_t last,
                           bool add)
{
    vf s[GEMM_ROWS][GEMM_WIDE];
    LANE_UNROLL
    for (int i = 0; i < rows; i++) {
        LANE_UNROLL
        for (int j = 0; j < cols; j++)
            s[i][j] = !add ? vf_zero() : part ? vf_loadn(c + i * ldc, last) : vf_load(c + i * ldc + j * LANES);
    }
    for (size_t l = 0; l < k; l++) {
        vf w[GEMM_WIDE];
        LANE_UNROLL
        for (int j = 0; j < cols; j++) {
            w[j] = part ? gemm_load_part(form, b.data, l * b.k, last) : gemm_load(form, b.data, l * b.k + j * b.panel);
        }
        LANE_UNROLL
        for (int i = 0; i < rows; i++) {
            const vf x = vf_set(a[i * a_row + l * a_k]);
            LANE_UNROLL
            for (int j = 0; j < cols; j++)
                s[i][j] = vf_fma(x, w[j], s[i][j]);
        }
    }
    LANE_UNROLL
    for (int i = 0; i < rows; i++) {
        LANE_UNROLL
        for (int j = 0; j < cols; j++) {
            if (part)
                vf_storen(c + i * ldc, s[i][j], last);
            else
                vf_store(c + i * ldc + j * LANES, s[i][j]);
        }
    }
}

#define GEMM_CASE(r) \
    case r: gemm_tile(form, r, cols, part, k, a, a_row, a_k, b, c, ldc, last, add); break;
LANE_INLINE void gemm_rows(const enum gemm_form form, size_t rows, const int cols, const bool part, size_t k,
                           const float *a, size_t a_row, size_t a_k, struct gemm_b b, float *c, size_t ldc, size_t last,
                           bool add)
{
    switch (rows) {
    GEMM_CASE(1)
    GEMM_CASE(2)
#if GEMM_ROWS == 6
    GEMM_CASE(3)
    GEMM_CASE(4)
    GEMM_CASE(5)
    GEMM_CASE(6)
#endif
    }
}

LANE_INLINE void gemm_form_run(const enum gemm_form form, size_t m, size_t n, size_t k, const float *a, size_t a_row,
                               size_t a_k, struct gemm_b b, float *c, size_t ldc, bool add)
{
    const size_t size = form == GEMM_F32 ? 4 : 2;
    const size_t blocks = (m + GEMM_ROWS - 1) / GEMM_ROWS;
    const size_t chunk = m > 2 * GEMM_ROWS ? GEMM_CHUNK : k;
    for (size_t j = 0; j < n;) {
        const bool wide = n - j >= GEMM_WIDE * LANES, part = n - j < LANES;
        const char *at = (const char *)b.data + j / LANES * b.panel * size;
        size_t l = 0;
        do {
            const size_t kc = k - l < chunk ? k - l : chunk;
            const struct gemm_b bl = { at + l * b.k * size, b.k, b.panel };
            for (size_t r = 0, i = 0; r < blocks; r++) {
                const size_t rows = (m - i + blocks - r - 1) / (blocks - r);
                const float *al = a + i * a_row + l * a_k;
                float *cl = c + i * ldc + j;
                if (part)
                    gemm_rows(form, rows, 1, true, kc, al, a_row, a_k, bl, cl, ldc, n - j, add || l);
                else if (wide)
                    gemm_rows(form, rows, GEMM_WIDE, false, kc, al, a_row, a_k, bl, cl, ldc, 0, add || l);
                else
                    gemm_rows(form, rows, 1, false, kc, al, a_row, a_k, bl, cl, ldc, 0, add || l);
                i += rows;
            }
            l += chunk;
        } while (l < k);
        j += wide ? GEMM_WIDE * LANES : LANES;
    }
}

static void gemm_f32(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_k, const float *b, size_t b_k,
                     size_t b_panel, float *c, size_t ldc, bool add)
{
    gemm_form_run(GEMM_F32, m, n, k, a, a_row, a_k, (struct gemm_b){ b, b_k, b_panel }, c, ldc, add);
}
static void gemm_f16(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_k, const uint16_t *b,
                     size_t b_k, size_t b_panel, float *c, size_t ldc, bool add)
{
    gemm_form_run(GEMM_F16, m, n, k, a, a_row, a_k, (struct gemm_b){ b, b_k, b_panel }, c, ldc, add);
}
static void gemm_bf16(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_k, const uint16_t *b,
                      size_t b_k, size_t b_panel, float *c, size_t ldc, bool add)
{
    gemm_form_run(GEMM_BF16, m, n, k, a, a_row, a_k, (struct gemm_b){ b, b_k, b_panel }, c, ldc, add);
}
#endif
