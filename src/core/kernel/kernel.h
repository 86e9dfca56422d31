/* kernel.h: number crunching on raw pointers: one table of functions per instruction set, one chooser.
 *
 * Every level (c, avx2, avx512, vnni) is compiled from the same source, written on 16-wide lanes (lane.h) with every
 * fused multiply-add spelled out and every reduction in a stated order. So all levels give the same bits, and the plain
 * C level is the specification of the others. Level amx is vnni with integer panels and pairs on tiles: other source, same
 * bits. Level bf16 is vnni with VDPBF16PS; gemm_pairs there has another order of sums (pair_ops.h), all else the same bits.
 *
 * Reductions over n numbers: element i goes to lane i mod 64 of four 16-lane accumulators, added as
 * ((a0+a1)+(a2+a3)), then the 16 lanes by halves: 8+8, 4+4, 2+2, 1+1.
 *
 * Unless said otherwise pointers need only their type's alignment, n may be 0, and y may be the same as x but
 * not partly overlap it. NaN goes in, NaN comes out. Thread use: everything here is pure. */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/kernel/half.h"
#include "core/kernel/panel.h"

/* Packed weights as a kernel sees them. */
struct panel_view {
    const void *panels;
    size_t panel_bytes; /* of one */
    size_t rows, cols;
};

enum kv_type { KV_F32, KV_F16, KV_Q8, KV_Q4 }; /* the last two in blocks of 32 with a scale (kv_store.c) */
#define ATTEND_MAX_DIM 512 /* head size, keys or values */
#define ATTEND_TILE 64     /* keys are visited in tiles of 64, counted from cache index 0 */

/* One query vector (one head of one token) against the keys lo <= i < hi of a cache; lo < hi. */
struct attend_query {
    const float *q;  /* [dk] */
    float *out;      /* [dv]; read by attend_back */
    uint32_t lo, hi;
    float *stat;     /* [2], peak of the scores and 1 / the sum of weights, for attend_back; or NULL */
    const float *grad_out; /* attend_back only: [dv] */
    float *grad_q;         /* the same: added to, [dk]; or NULL */
};

/* Streaming attention (online softmax; Milakov & Gimelshein 2018, Dao et al. 2022): out = softmax(scale q Kᵀ) V without
 * ever holding more than one tile of scores. What a query gets depends on q, lo, hi and the cache only: not on which
 * other queries share the call, nor on how the cache was filled. Queries of the heads that share a key-value head go in
 * one call. Keys are stored in panels of 16: key i, dimension j at k[(i/16)·16·dk + j·16 + i%16] (kv_store_key); values
 * in rows: v[i·ldv + j]. Storage for keys is a multiple of 16 keys; slots beyond hi may hold anything. */
struct attend {
    const struct attend_query *queries;
    size_t count;
    const void *k, *v;
    size_t ldv;          /* elements from value to value */
    enum kv_type type;
    size_t dk, dv;       /* <= ATTEND_MAX_DIM */
    float scale;
    float softcap;       /* scores become cap·tanh(score/cap); 0 = off */
};

/* Gradients of `attend` for the queries of one key-value head, in any order but the same for the same sums: adds to grad_q of
 * each query and to grad_k, grad_v. Keys and values come in panels of 16 as kv_store_key makes them (f32), keys in rows too;
 * out, stat and grad_out of each query are filled. */
struct attend_back {
    const struct attend_query *queries;
    size_t count;
    const float *k, *v, *k_rows;
    float *grad_k, *grad_v; /* [keys, dk], [keys, dv], rows without gaps; or NULL */
    size_t dk, dv;
    float scale, softcap;
};
#define ATTEND_BACK_QUERIES 48 /* taken together */

struct kernel {
    const char *name; /* "c", "avx2", "avx512", "vnni", "bf16", "amx" */
    bool pairs_fast;  /* gemm_pairs is faster than gemm */
    bool tiles;       /* and runs on tiles: for many rows faster than integer panels, too */

    /* reductions */
    float (*dot)(const float *a, const float *b, size_t n);
    float (*sum)(const float *x, size_t n);
    float (*sum_squares)(const float *x, size_t n);
    float (*max)(const float *x, size_t n);                 /* -INFINITY for n = 0 */
    int32_t (*dot_i8)(const int8_t *a, const int8_t *b, size_t n); /* exact; n < 2^17 */
    /* out[i] = dot of q with row i of base (ld elements from row to row), i < rows */
    void (*dot_rows)(const float *q, const float *base, size_t ld, size_t rows, size_t n, float *out);
    void (*dot_rows_i8)(const int8_t *q, const int8_t *base, size_t ld, size_t rows, size_t n, int32_t *out);
    /* the same for the rows named: out[i] = q . row rows[i] */
    void (*dot_some_i8)(const int8_t *q, const int8_t *base, size_t ld, const uint32_t *rows, size_t count, size_t n, int32_t *out);

    /* element by element */
    void (*add)(float *y, const float *a, const float *b, size_t n);   /* a + b */
    void (*add_rows)(float *y, size_t ldy, const float *b, size_t rows, size_t n); /* b [n] to each of some rows */
    void (*mul)(float *y, const float *a, const float *b, size_t n);   /* a · b */
    void (*scale)(float *y, const float *x, float s, size_t n);        /* s x */
    void (*axpy)(float *y, float a, const float *x, size_t n);         /* y + a x, fused */
    void (*exp)(float *y, const float *x, size_t n);                   /* within 2 ulp; 0 below -87.3 */
    void (*exp_from)(float *y, const float *x, float top, size_t n);   /* exp(x - top) */
    void (*tanh)(float *y, const float *x, size_t n);
    void (*silu)(float *y, const float *x, size_t n);                  /* x / (1 + exp(-x)) */
    void (*gelu)(float *y, const float *x, size_t n);                  /* x/2 (1 + erf(x/√2)) */
    void (*gelu_tanh)(float *y, const float *x, size_t n);             /* x/2 (1 + tanh(√(2/π)(x + 0.044715 x³))) */
    void (*silu_mul)(float *y, const float *gate, const float *up, size_t n);      /* silu(gate) · up */
    void (*gelu_tanh_mul)(float *y, const float *gate, const float *up, size_t n); /* gelu_tanh(gate) · up */
    void (*softcap)(float *y, const float *x, float cap, size_t n);    /* cap · tanh(x/cap) */
    void (*mul_add)(float *y, const float *a, const float *b, size_t n); /* y + a · b, fused */
    void (*silu_slope)(float *y, const float *x, size_t n);            /* derivatives of the above, at x */
    void (*gelu_slope)(float *y, const float *x, size_t n);
    void (*gelu_tanh_slope)(float *y, const float *x, size_t n);

    /* rows */
    void (*rmsnorm)(float *y, const float *x, const float *w, size_t n, float eps);  /* x/rms(x) · w; w NULL = 1 */
    void (*layernorm)(float *y, const float *x, const float *w, const float *b, size_t n, float eps);
    /* dx = (add ? dx : 0) + gradient through a LayerNorm (layer) or RMSNorm of x with weights w, dy coming in; dx may be NULL.
     * stat [2]: the row's mean (0 for RMS) and inverse deviation. */
    void (*norm_back)(float *dx, const float *dy, const float *x, const float *w, size_t n, float eps, bool layer, bool add, float *stat);
    void (*softmax)(float *y, const float *x, size_t n);
    /* Rotates n/2 pairs: (x[i], x[i+n/2]) when halves, else (x[2i], x[2i+1]); cos and sin have n/2 entries. */
    void (*rope)(float *x, const float *cos, const float *sin, size_t n, bool halves);

    /* formats of single numbers; f32 to f16 and bf16 round to nearest even */
    void (*f16_to_f32)(float *y, const uint16_t *x, size_t n);
    void (*f32_to_f16)(uint16_t *y, const float *x, size_t n);
    void (*bf16_to_f32)(float *y, const uint16_t *x, size_t n);
    void (*f32_to_bf16)(uint16_t *y, const float *x, size_t n);

    /* matrices */
    /* C[m, n] = (add ? C : 0) + A[m, k] B[k, n], each element one fused multiply-add per k, in order.
     * A(i,l) = a[i·a_row + l·a_k]; B(l,j) = b[(j/16)·b_panel + l·b_k + j%16]: b_panel = 16 is a plain row-major B. */
    void (*gemm)(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_k, const float *b, size_t b_k,
                 size_t b_panel, float *c, size_t ldc, bool add);
    /* C[m, n] = (add ? C : 0) + A B in bf16 with f32 sums, in blocks of 32 k in order (pair_ops.h). k is a multiple of 32.
     * A has rows of bf16, lda apart; B has panels of 16 columns, `panel` numbers apart. Padding must be zero. */
    void (*gemm_pairs)(size_t m, size_t n, size_t k, const uint16_t *a, size_t lda, const uint16_t *b, size_t panel, float *c,
                       size_t ldc, bool add);
    /* What it reads, made from f32; k (cols) is padded with zeros to a multiple of 32, n to one of 16.
     *   pair_rows         x [rows, cols]  to rows                     pair_rows_turned  x [k, n]  to rows [n, k]
     *   pair_pack         x [k, n]        to panels                   pair_pack_turned  x [n, k]  to panels, k the sum */
    void (*pair_rows)(const float *x, size_t ldx, size_t rows, size_t cols, uint16_t *y, size_t ldy);
    void (*pair_rows_turned)(const float *x, size_t ldx, size_t k, size_t n, uint16_t *y, size_t ldy);
    void (*pair_pack)(const float *x, size_t ldx, size_t k, size_t n, uint16_t *y, size_t panel);
    void (*pair_pack_turned)(const float *x, size_t ldx, size_t n, size_t k, uint16_t *y, size_t panel);
    /* One row of n numbers (a multiple of 32) into row `row` of n/32 tiles. */
    void (*act_quantize)(const float *x, size_t n, struct act_tile *tiles, size_t row);
    /* y[i, 16·p0 .. ] = x[i] Wᵀ for panels p0 <= p < p1 and rows i0 <= i < i1 of x. f32 kinds read x, others act. */
    void (*panel_mul[PANEL_KINDS])(const struct panel_view *w, size_t p0, size_t p1, const float *x, size_t ldx,
                                   const struct act *act, size_t i0, size_t i1, float *y, size_t ldy);

    void (*attend)(const struct attend *a);
    void (*attend_back)(const struct attend_back *b);
};

const struct kernel *kernel_get(void);      /* the fastest this machine allows (cpu_get, so SOOTH_CPU masks it) */
const struct kernel *kernel_at(size_t i);   /* all levels this machine can run, "c" first; NULL past the last */

const char *kv_type_name(enum kv_type type); /* "f32", "f16", "q8_0", "q4_0"; NULL past the last */
bool kv_type_find(const char *name, enum kv_type *out);
bool kv_type_fits(enum kv_type type, size_t dim); /* heads of dim numbers can be stored so */
/* Bytes of `keys` keys of dk numbers in panels of 16, and of values; writing and reading key or value i. */
size_t kv_key_bytes(enum kv_type type, size_t keys, size_t dk);
size_t kv_value_bytes(enum kv_type type, size_t values, size_t dv);
void kv_store_key(enum kv_type type, void *k, size_t i, const float *key, size_t dk);
void kv_load_key(enum kv_type type, const void *k, size_t i, float *key, size_t dk);
void kv_store_value(enum kv_type type, void *v, size_t ldv, size_t i, const float *value, size_t dv);
void kv_load_value(enum kv_type type, const void *v, size_t ldv, size_t i, float *value, size_t dv);
#endif
