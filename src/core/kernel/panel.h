/* panel.h: the packed forms of weights and of activations that the kernels read.
 *
 * A weight matrix [rows, cols] becomes ceil(rows/16) panels. A panel holds 16 rows, one for each of 16 lanes; all its
 * bytes are read front to back by one loop over columns. Rows beyond the end are zero. "lane r" below is row 16p + r.
 *
 * F32, F16, BF16: for each column, 16 numbers. PAIRS: bf16, for each two columns 16 pairs (pair_ops.h).
 *
 * Quantized kinds go by blocks of 32 columns. The quants are stored without sign, in groups of four columns, which is
 * what the 4-way byte product instructions (vpdpbusd and kin) eat: one 64-byte line = 16 lanes x 4 columns.
 *
 *   nibble lines   4 x 64 bytes. Line k, lane r, byte j: low nibble = column 4k+j, high nibble = column 16+4k+j.
 *   high bits (5)  1 x 64 bytes. Lane r, byte j: bit k = fifth bit of column 4k+j, bit 4+k of column 16+4k+j.
 *   high bits (6)  2 x 64 bytes. Line h, lane r, byte j: bits 2k, 2k+1 = bits 4, 5 of column 16h+4k+j.
 *   low bits (2)   2 x 64 bytes. Drawn like high bits (6), but bits 0 and 1: all there is of a 2-bit quant.
 *   byte lines     8 x 64 bytes. Line k, lane r, byte j = column 4k+j, plus 128.
 *
 *   kind    block of 32 columns x 16 rows                                   bytes    value of a quant q
 *   Q4      f16 d[16]; nibble lines                                           288    d (q - 8)
 *   Q4M     f16 d[16]; f16 m[16]; nibble lines                                320    d q + m
 *   Q5      f16 d[16]; high bits (5); nibble lines                            352    d (q - 16)
 *   Q5M     f16 d[16]; f16 m[16]; high bits (5); nibble lines                 384    d q + m
 *   Q8      f16 d[16]; byte lines                                             544    d (q - 128)
 *   NL4     f16 d[16]; nibble lines                                           288    d (panel_book_nl4[q] - 128)
 *   NF4     f16 d[16]; nibble lines                                           288    d (panel_book_nf4[q] - 128)
 *   MX4     u8 e[16]; nibble lines                                            272    2^(e-128) (panel_book_mx4[q] - 12)
 *   and for 256 columns, so that 4-bit and 6-bit scales stay exact:
 *   K2      f16 d[16]; f16 e[16]; 8 x { u8 st[2][16]; low bits (2) }          d s[h] q - e t[h], st = s + 16 t
 *   K3      f16 d[16]; 8 x { i8 s[2][16]; bits 2 of the quants, drawn like high bits (5); low bits (2) }     d s[h] (q - 4)
 *   K4      f16 d[16]; f16 e[16]; 8 x { u8 s[16]; u8 t[16]; nibble lines }                        d s q - e t
 *   K5      f16 d[16]; f16 e[16]; 8 x { u8 s[16]; u8 t[16]; high bits (5); nibble lines }         d s q - e t
 *   K6      f16 d[16]; 8 x { i8 s[2][16]; high bits (6); nibble lines }      d s[h] (q - 32), h = half of the 32 columns
 *
 * The books of NL4 and MX4 are the formats' own values. NF4's are real numbers: 112 times each, rounded, is within 0.4 % of a
 * block's largest weight (0.17 % rms), small beside the 9 % that the format itself rounds by; d is the block's peak over 112.
 *
 * Activations: each row of x in blocks of 32: x = d q with d = max|x| / 127 and q = round-half-even(x · 127/max|x|). They are
 * kept in tiles of 16 rows by one block, so that rows and blocks that are used together lie together whatever the width. */
#ifndef KERNEL_PANEL_H
#define KERNEL_PANEL_H
#include <stddef.h>
#include <stdint.h>

#define PANEL_ROWS 16
#define PANEL_BLOCK 32

enum panel_kind {
    PANEL_F32, PANEL_F16, PANEL_BF16, /* f32 arithmetic */
    PANEL_PAIRS,                      /* bf16 products, f32 sums */
    PANEL_Q4, PANEL_Q4M, PANEL_Q5, PANEL_Q5M, PANEL_Q8, PANEL_NL4, PANEL_NF4, PANEL_MX4,
    PANEL_K2, PANEL_K3, PANEL_K4, PANEL_K5, PANEL_K6,
    PANEL_KINDS
};

/* Codebooks: what a nibble stands for, with the offset that makes it unsigned. */
extern const uint8_t panel_book_nl4[16], panel_book_nf4[16], panel_book_mx4[16];

/* Bytes of a panel of `cols` columns: cols times per / unit. */
struct panel_size { uint16_t unit, bytes; };
extern const struct panel_size panel_sizes[PANEL_KINDS];
static inline size_t panel_bytes(enum panel_kind kind, size_t cols)
{
    return cols / panel_sizes[kind].unit * panel_sizes[kind].bytes;
}

struct act_tile {
    int8_t q[16][PANEL_BLOCK];
    float d[16];    /* scale; 0 for a block of zeros, NaN if any value is not finite */
    float s[16];    /* d · Σq, what a minimum is multiplied with */
    float sum[16];  /* Σq of the block, and of its columns 16..31: small integers, exact */
    float half[16];
};

/* Quantized rows: tiles [ceil(n/16)][cols/32], 64-byte aligned. Kernels read whole tiles: rows beyond n may hold anything.
 * Or, for PAIRS, rows of bf16 [n][cols]. */
struct act {
    const struct act_tile *tiles;
    size_t cols;
    const uint16_t *halves;
};
#endif
