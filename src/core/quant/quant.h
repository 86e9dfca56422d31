/* quant.h: number formats of weights, and the matrix that every `linear` multiplies with.
 *
 * Two things live here. A `qtype` is a row of the table of formats: how a block of weights is laid out in a file,
 * and how to go from and to f32. A `qmat` is one weight matrix [rows, cols] in such a format: it borrows the bytes of
 * the file and, once packed, owns the same numbers in the order the processor wants them (core/kernel/panel.h):
 * panels of 16 output rows, so that a SIMD lane is an output and no sum ever runs across lanes.
 *
 * The promise: one output number is always computed by the same operations in the same order. For packed
 * matrices the bits of y[i, :] depend on x[i, :] and the weights alone: not on n, on the other rows, on the number of
 * threads, or on the instruction set. Prompt, decode and batched decode therefore agree to the bit.
 *
 * How a quantized product goes: x is quantized by row in blocks of 32 to int8 with an f32 scale; products inside a
 * block are summed exactly in int32; across blocks, one fused multiply-add per block into the lane's f32
 * accumulator, blocks in order. F32, F16 and BF16 weights use f32 arithmetic, one fused multiply-add per column, in order.
 * With QMAT_BF16 both sides are rounded to bf16 and summed in f32 (core/kernel/pair_ops.h; level bf16 has its own bits).
 *
 * Thread use: tables are constant; a packed qmat is read-only and may be shared. */
#ifndef QUANT_QUANT_H
#define QUANT_QUANT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/pool.h"
#include "sooth/error.h"

/* ---- formats ---- */

struct qtype {
    const char *name;   /* "f32", "q4_1", ... lower case */
    uint32_t id;        /* number in GGUF files; QTYPE_NF4 and up: not in GGUF */
    uint32_t block;     /* weights in a block */
    uint32_t bytes;     /* bytes of a block */
    /* n is a multiple of block. Source and destination need no alignment beyond 1. */
    void (*dequant)(const void *src, float *dst, size_t n);
    /* src must be finite (quant_find_bad): a block with a NaN has no defined code. */
    void (*quantize)(const float *src, void *dst, size_t n);
    /* Offset of the first block among n weights with a NaN or infinite scale (or value), or SIZE_MAX. */
    size_t (*check)(const void *src, size_t n);
    /* Writes 16 rows of the format (rows beyond `rows` are zero) into one panel; stride is bytes from row to row. */
    void (*pack)(const void *src, size_t stride, size_t rows, size_t cols, void *panel);
    uint8_t panel;      /* enum panel_kind of core/kernel/panel.h */
    /* One row of n, where errors in column c cost importance[c] > 0. NULL: importance changes nothing in this format. */
    void (*weigh)(const float *src, const float *importance, void *dst, size_t n);
};

#define QTYPE_NF4 1100u

const struct qtype *qtype_by_id(uint32_t id);        /* NULL if unknown */
const struct qtype *qtype_by_name(const char *name); /* NULL if unknown; case does not matter */
const struct qtype *qtype_at(size_t i);              /* NULL past the last row */

/* One row to blocks; importance (one number a column, or NULL) is used where the format can. */
void qtype_quantize_row(const struct qtype *t, const float *row, const float *importance, void *dst, size_t n);
/* Bytes of `rows` rows of `cols` weights. False on overflow or when cols is not a multiple of the block. */
bool qtype_bytes(const struct qtype *t, uint64_t rows, uint64_t cols, size_t *bytes);

/* Index of the first NaN or infinity in x, or n. */
size_t quant_find_bad(const float *x, size_t n);
/* Index of the first weight whose block has a NaN or infinite scale, or SIZE_MAX. n is a multiple of the block. */
size_t qtype_check(const struct qtype *t, const void *data, size_t n);

/* ---- matrices ---- */

enum qmat_compute {
    QMAT_NATIVE, /* the numbers of the file, in the arithmetic described above */
    QMAT_INT8,   /* repack F32, F16 or BF16 as Q8_0: about 4 times faster, relative error about 0.5 % a weight */
    QMAT_BF16    /* any format as bf16 pairs, 2 bytes a weight: products of bf16 numbers with f32 sums */
};

struct qmat {
    const struct qtype *type;
    size_t rows, cols;      /* outputs, inputs */
    const void *data;       /* file form, borrowed: must outlive the matrix; row-major */
    void *panels;           /* packed form; NULL until packed */
    bool own;               /* panels are this matrix's own memory, not part of a space */
    size_t panel_bytes;     /* of one panel */
    uint8_t kind;           /* enum panel_kind of the packed form */
};

/* No allocation. cols must be a multiple of type->block, and data hold qtype_bytes(type, rows, cols). */
void qmat_init(struct qmat *m, const struct qtype *type, size_t rows, size_t cols, const void *data);
void qmat_release(struct qmat *m); /* frees the packed form; a released matrix may be packed again */

/* Makes the packed form. SOOTH_ERR_NOMEM, or SOOTH_OK at once if already packed. */
enum sooth_status qmat_pack(struct qmat *m, struct pool *pool, enum qmat_compute compute, struct sooth_error *err);
/* Memory for the packed forms of many matrices at once, in huge pages where the system has them: reading a model that is
 * larger than the caches is 1.6 times faster than from small pages. Lives as long as the matrices packed into it. */
struct qmat_space { char *base; size_t size, used; };
enum sooth_status qmat_space_init(struct qmat_space *s, size_t bytes, struct sooth_error *err);
void qmat_space_release(struct qmat_space *s);
/* Bytes that packing will take in a space; SIZE_MAX if that is no number. */
size_t qmat_packed_bytes(const struct qmat *m, enum qmat_compute compute);
/* As qmat_pack, into the space while it has room; SOOTH_ERR_LIMIT when it has not. */
enum sooth_status qmat_pack_in(struct qmat *m, struct pool *pool, enum qmat_compute compute, struct qmat_space *space,
                               struct sooth_error *err);

/* Tells the system that the source pages are not needed for now. Only for data inside a read-only FILE MAPPING
 * (anonymous memory would be erased); later reads of data still work, from the file. */
void qmat_drop_source(const struct qmat *m);

/* dst[cols] = row i, dequantized from the file form. i < rows. */
void qmat_row(const struct qmat *m, size_t i, float *dst);

/* Rows [from, from + count) of m as a matrix that borrows everything; from is a multiple of 16. Not to be released. */
struct qmat qmat_slice(const struct qmat *m, size_t from, size_t count);

struct qmat_job {
    const struct qmat *w;
    float *y;          /* [n, w->rows] */
    size_t ldy;        /* floats from row to row of y, >= w->rows */
    const float *bias; /* [w->rows], added last; or NULL */
    bool bf16;         /* a matrix that is not packed: bf16 products with f32 sums instead of f32 */
};

/* Scratch bytes for qmat_mul over n rows (64-byte aligned memory). */
size_t qmat_scratch(const struct qmat_job *jobs, size_t count, size_t n);
/* y = x Wᵀ (+ bias) for each job: all jobs share the input x [n, cols] and so share its quantization and one
 * pool run (q, k, v; gate, up). A matrix that is not packed is dequantized on the way, slab by slab (training weights;
 * reference). y must not overlap x. */
void qmat_mul(struct pool *pool, const struct qmat_job *jobs, size_t count, const float *x, size_t ldx, size_t n,
              void *scratch);

/* ---- gradients: qmat_back.c ---- */

/* Scratch bytes of the two products below, for a matrix of rows x cols. */
size_t qmat_back_scratch(size_t rows, size_t cols, size_t n, bool bf16);
/* dx [n, cols] = (add ? dx : 0) + dy [n, rows] · W, in f32, or in bf16 with f32 sums. Reads the file form, slab by slab. */
void qmat_mul_t(struct pool *pool, const struct qmat *w, float *dx, size_t lddx, const float *dy, size_t lddy, size_t n,
                bool add, bool bf16, void *scratch);
/* dw [rows, cols] += dyᵀ · x over n rows: the gradient of an f32 weight. */
void qmat_add_outer(struct pool *pool, float *dw, size_t rows, size_t cols, const float *dy, size_t lddy, const float *x,
                    size_t ldx, size_t n, bool bf16, void *scratch);
#endif
