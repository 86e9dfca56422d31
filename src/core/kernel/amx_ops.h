/* amx_ops.h: integer panels with AMX tiles: 16 rows of x by 16 outputs by a block of 32 columns in one instruction.
 *
 * A panel is unpacked once per call to signed bytes (its offset taken off) and f32 scales; then for every 16 rows
 *
 *     C[16 rows, 16 lanes] = A[16 rows, 32 bytes] · B[8 groups, 16 lanes x 4 bytes]        tdpbssd, exact in int32
 *     acc[row] = fma(d · d_x[row], C[row], acc[row])  (+ fma(m, s_x[row], acc[row]))       16 accumulators of 16 lanes
 *
 * which is the same arithmetic as panel_ops.h in the same order, so the bits are the same. The tile of the next block is
 * on its way while the last one is scaled. Rows fewer than AMX_LEAST go to the vector kernels, which are then faster. */
#ifndef KERNEL_AMX_OPS_H
#define KERNEL_AMX_OPS_H
#include "core/kernel/panel_ops.h"
#if defined(__AMX_INT8__)

#define AMX_LEAST 5   /* rows from which a tile, even half empty, wins */
#define AMX_BLOCKS 64 /* blocks unpacked at a time */

struct amx_config {
    uint8_t palette, start_row, zero[14];
    uint16_t bytes[16];
    uint8_t rows[16];
};

#ifndef AMX_AHEAD
#define AMX_AHEAD 2   /* blocks whose sums are on their way while one is scaled */
#endif

/* One panel, or a stretch of it, in signed bytes. */
struct amx_panel {
    _Alignas(64) int8_t q[AMX_BLOCKS][8][64];
    _Alignas(64) float d[AMX_BLOCKS][LANES], m[AMX_BLOCKS][LANES];
    _Alignas(64) float s[AMX_BLOCKS][2][LANES], t[AMX_BLOCKS][2][LANES]; /* kinds with two scales only */
};

/* Tiles 0 and 1: sums. 2: rows of x. 3: weights. Kinds with two scales a block have tiles half a block deep. */
LANE_INLINE void amx_start(const enum panel_kind kind)
{
    struct amx_config c = { .palette = 1 };
    const bool half = panel_halves(kind);
    c.rows[0] = c.rows[1] = c.rows[2] = c.rows[4] = 16;
    c.bytes[0] = c.bytes[1] = c.bytes[3] = c.bytes[5] = 64;
    c.bytes[2] = c.bytes[4] = half ? 16 : 32;
    c.rows[3] = c.rows[5] = half ? 4 : 8;
    _tile_loadconfig(&c);
}

/* Blocks [b0, b1) of the panel; w is where block b0 starts (K kinds: a multiple of 8). Returns where b1 starts. */
LANE_INLINE const uint8_t *amx_unpack(const enum panel_kind kind, const uint8_t *w, size_t blocks, struct amx_panel *p)
{
    struct panel_scales s = panel_no_scales();
    const vi offset = vi_set((int32_t)((uint32_t)panel_offset(kind) * 0x01010101u));
    for (size_t b = 0; b < blocks; b++) {
        w += panel_read_scales(kind, w, b, &s);
        vf_store(p->d[b], s.d);
        if (panel_has_min(kind) || kind == PANEL_K2)
            vf_store(p->m[b], s.m);
        for (int h = 0; panel_halves(kind) && h < 2; h++) {
            vf_store(p->s[b][h], s.s[h]);
            vf_store(p->t[b][h], s.t[h]);
        }
        LANE_UNROLL
        for (int k = 0; k < 4; k++) {
            vi lo, hi;
            panel_unpack(kind, w, k, &lo, &hi);
            vi_store(p->q[b][k], _mm512_sub_epi8(lo, offset));
            vi_store(p->q[b][k + 4], _mm512_sub_epi8(hi, offset));
        }
        w += panel_quant_bytes(kind);
    }
    return w;
}

/* Sums of one block into c. The tile numbers must be written out. */
#define AMX_SUMS(c_tile, x_tile, w_tile, x, w, c) \
    do { \
        _tile_zero(c_tile); \
        _tile_loadd(x_tile, x, PANEL_BLOCK); \
        _tile_loadd(w_tile, w, 64); \
        _tile_dpbssd(c_tile, x_tile, w_tile); \
        _tile_stored(c_tile, c, 64); \
    } while (0)

/* With two scales: sums of the two halves, c and c + 256. */
LANE_INLINE void amx_issue(const enum panel_kind kind, const struct amx_panel *p, size_t b, const struct act_tile *x,
                           int32_t *c)
{
    if (panel_halves(kind)) {
        AMX_SUMS(0, 2, 3, x[b].q[0], p->q[b][0], c);
        AMX_SUMS(1, 4, 5, x[b].q[0] + 16, p->q[b][4], c + 256);
    } else if (b & 1) {
        AMX_SUMS(0, 2, 3, x[b].q[0], p->q[b][0], c);
    } else {
        AMX_SUMS(1, 4, 5, x[b].q[0], p->q[b][0], c);
    }
}

LANE_INLINE void amx_scale(const enum panel_kind kind, const struct amx_panel *p, size_t b, const int32_t *c,
                           const struct act_tile *x, vf *acc)
{
    const vf d = vf_load(p->d[b]), m = vf_load(p->m[b]), s0 = vf_load(p->s[b][0]), s1 = vf_load(p->s[b][1]);
    const vf t[2] = { vf_load(p->t[b][0]), vf_load(p->t[b][1]) };
    LANE_UNROLL
    for (int r = 0; r < 16; r++) {
        vf sum = vf_from_int(vi_load(c + 16 * r));
        if (panel_halves(kind))
            sum = vf_fma(sum, s0, vf_mul(vf_from_int(vi_load(c + 256 + 16 * r)), s1));
        acc[r] = vf_fma(vf_mul(d, vf_set(x[b].d[r])), sum, acc[r]);
        if (panel_has_min(kind))
            acc[r] = vf_fma(m, vf_set(x[b].s[r]), acc[r]);
        if (kind == PANEL_K2)
            acc[r] = panel_half_mins(m, t, x[b].d[r], x[b].sum[r], x[b].half[r], acc[r]);
    }
}

/* A tile of rows (those in [from, to) are wanted) by one stretch of a panel; goes on from y when add. */
LANE_INLINE void amx_rows(const enum panel_kind kind, const struct amx_panel *p, size_t blocks, const struct act_tile *x,
                          float *y, size_t ldy, size_t from, size_t to, size_t last, bool add)
{
    _Alignas(64) int32_t c[AMX_AHEAD + 1][512];
    vf acc[16];
    LANE_UNROLL
    for (int r = 0; r < 16; r++)
        acc[r] = add && (size_t)r >= from && (size_t)r < to ? vf_loadn(y + (size_t)r * ldy, last) : vf_zero();
    for (size_t b = 0; b < AMX_AHEAD && b < blocks; b++)
        amx_issue(kind, p, b, x, c[b]);
    size_t slot = 0;
    for (size_t b = 0; b < blocks; b++) {
        if (b + AMX_AHEAD < blocks)
            amx_issue(kind, p, b + AMX_AHEAD, x, c[slot >= 1 ? slot - 1 : AMX_AHEAD]);
        amx_scale(kind, p, b, c[slot], x, acc);
        slot = slot == AMX_AHEAD ? 0 : slot + 1;
    }
    LANE_UNROLL
    for (int r = 0; r < 16; r++)
        if ((size_t)r >= from && (size_t)r < to)
            vf_storen(y + (size_t)r * ldy, acc[r], last);
}

/* Rows [i0, i1) by tiles of 16 rows of x; the tiles at both ends may be partly wanted. */
LANE_INLINE void amx_mul(const enum panel_kind kind, const struct panel_view *v, size_t p0, size_t p1, const struct act *act,
                         size_t i0, size_t i1, float *y, size_t ldy)
{
    const size_t nb = act->cols / PANEL_BLOCK, some = i1 % 16, end = some && some < AMX_LEAST && i1 - some >= i0 ? i1 - some : i1;
    struct amx_panel unpacked;
    if (i1 - i0 < AMX_LEAST) {
        panel_mul(kind, v, p0, p1, act, i0, i1, y, ldy);
        return;
    }
    amx_start(kind);
    for (size_t p = p0; p < p1; p++) {
        const uint8_t *w = (const uint8_t *)v->panels + p * v->panel_bytes;
        const size_t outputs = v->rows - p * LANES, last = outputs < LANES ? outputs : LANES;
        for (size_t b = 0; b < nb; b += AMX_BLOCKS) {
            const size_t blocks = nb - b < AMX_BLOCKS ? nb - b : AMX_BLOCKS;
            w = amx_unpack(kind, w, blocks, &unpacked);
            for (size_t i = i0 / 16 * 16; i < end; i += 16)
                amx_rows(kind, &unpacked, blocks, act->tiles + i / 16 * nb + b, y + i * ldy + p * LANES, ldy,
                         i < i0 ? i0 - i : 0, end - i, last, b > 0);
        }
    }
    _tile_release();
    if (end < i1)
        panel_mul(kind, v, p0, p1, act, end, i1, y, ldy);
}

/* ---- bf16 pairs ----
 *
 * A block of 32 x 32 outputs in four tiles while k goes by 32: two tiles of A and two of B feed four products.
 *
 *            B 6   B 7
 *     A 4    C 0   C 1          C tiles at the right edge, where fewer than 16 columns exist, pass through a buffer.
 *     A 5    C 2   C 3 */

/* Tiles of the upper rows (0, 1, 4) have r0 rows, of the lower ones r1. */
LANE_INLINE void amx_pair_start(size_t r0, size_t r1)
{
    struct amx_config c = { .palette = 1 };
    const size_t rows[8] = { r0, r0, r1, r1, r0, r1, 16, 16 };
    for (int i = 0; i < 8; i++) {
        c.rows[i] = (uint8_t)rows[i];
        c.bytes[i] = rows[i] ? 64 : 0;
    }
    _tile_loadconfig(&c);
}

LANE_INLINE void amx_pair_block(const bool low, const bool right, size_t k, const uint16_t *a, size_t lda, const uint16_t *b,
                                size_t panel, float *c0, size_t ld0, float *c1, size_t ld1, bool add)
{
    const size_t step = lda * sizeof *a;
    const uint16_t *a1 = a + 16 * lda, *b1 = b + panel;
    if (add) {
        _tile_loadd(0, c0, ld0 * 4);
        if (right)
            _tile_loadd(1, c1, ld1 * 4);
        if (low)
            _tile_loadd(2, c0 + 16 * ld0, ld0 * 4);
        if (low && right)
            _tile_loadd(3, c1 + 16 * ld1, ld1 * 4);
    } else {
        _tile_zero(0);
        if (right)
            _tile_zero(1);
        if (low)
            _tile_zero(2);
        if (low && right)
            _tile_zero(3);
    }
    for (size_t l = 0; l < k; l += PAIR_DEPTH) {
        _tile_loadd(6, b + l * LANES, 64);
        _tile_loadd(4, a + l, step);
        _tile_dpbf16ps(0, 4, 6);
        if (right) {
            _tile_loadd(7, b1 + l * LANES, 64);
            _tile_dpbf16ps(1, 4, 7);
        }
        if (low) {
            _tile_loadd(5, a1 + l, step);
            _tile_dpbf16ps(2, 5, 6);
        }
        if (low && right)
            _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c0, ld0 * 4);
    if (right)
        _tile_stored(1, c1, ld1 * 4);
    if (low)
        _tile_stored(2, c0 + 16 * ld0, ld0 * 4);
    if (low && right)
        _tile_stored(3, c1 + 16 * ld1, ld1 * 4);
}

/* Columns [0, n), n <= 32, of `rows` rows; a right edge that is no whole tile goes through `edge`. */
LANE_INLINE void amx_pair_strip(size_t rows, size_t n, size_t k, const uint16_t *a, size_t lda, const uint16_t *b, size_t panel,
                                float *c, size_t ldc, bool add)
{
    _Alignas(64) float edge[32 * 16];
    const bool right = n > 16, low = rows > 16, part = n % 16 != 0;
    const size_t last = right ? 16 : 0, width = n - last;
    float *c0 = c, *c1 = c + 16;
    for (size_t i = 0; part && add && i < rows; i++)
        memcpy(edge + i * 16, c + i * ldc + last, width * sizeof *c);
    if (part && right)
        c1 = edge;
    else if (part)
        c0 = edge;
    const size_t ld0 = c0 == edge ? 16 : ldc, ld1 = c1 == edge ? 16 : ldc;
    if (low && right)
        amx_pair_block(true, true, k, a, lda, b, panel, c0, ld0, c1, ld1, add);
    else if (low)
        amx_pair_block(true, false, k, a, lda, b, panel, c0, ld0, c1, ld1, add);
    else if (right)
        amx_pair_block(false, true, k, a, lda, b, panel, c0, ld0, c1, ld1, add);
    else
        amx_pair_block(false, false, k, a, lda, b, panel, c0, ld0, c1, ld1, add);
    for (size_t i = 0; part && i < rows; i++)
        memcpy(c + i * ldc + last, edge + i * 16, width * sizeof *c);
}

static void amx_gemm_pairs(size_t m, size_t n, size_t k, const uint16_t *a, size_t lda, const uint16_t *b, size_t panel,
                           float *c, size_t ldc, bool add)
{
    const size_t whole = m / 32 * 32, rest = m - whole;
    if (whole)
        amx_pair_start(16, 16);
    for (size_t j = 0; whole && j < n; j += 32)
        for (size_t i = 0; i < whole; i += 32)
            amx_pair_strip(32, n - j < 32 ? n - j : 32, k, a + i * lda, lda, b + j / LANES * panel, panel, c + i * ldc + j,
                           ldc, add);
    if (rest)
        amx_pair_start(rest < 16 ? rest : 16, rest > 16 ? rest - 16 : 0);
    for (size_t j = 0; rest && j < n; j += 32)
        amx_pair_strip(rest, n - j < 32 ? n - j : 32, k, a + whole * lda, lda, b + j / LANES * panel, panel,
                       c + whole * ldc + j, ldc, add);
    if (m)
        _tile_release();
}

#define PANEL_INT(kind) \
    static void amx_mul_##kind(PANEL_ARGS) { amx_mul(PANEL_##kind, w, p0, p1, act, i0, i1, y, ldy); }
PANEL_INT(Q4)
PANEL_INT(Q4M)
PANEL_INT(Q5)
PANEL_INT(Q5M)
PANEL_INT(Q8)
PANEL_INT(NL4)
PANEL_INT(NF4)
PANEL_INT(MX4)
PANEL_INT(K2)
PANEL_INT(K3)
PANEL_INT(K4)
PANEL_INT(K5)
PANEL_INT(K6)
#endif
#endif
