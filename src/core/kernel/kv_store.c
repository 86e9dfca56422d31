/* kv_store.c: keys and values into the forms that attention reads, and back.
 *
 *     type   16 keys of dk numbers (a panel)                                            a value of dv numbers
 *     f32    [dk][16] f32                                                               f32 [dv]
 *     f16    [dk][16] f16                                                               f16 [dv]
 *     q8_0   f16 d[dk/32][16]; i8 [dk][16]: d q                                         dv/32 x { f16 d; i8 [32] }
 *     q4_0   f16 d[dk/32][16]; nibbles [dk/32][16][16], byte j of a key:                dv/32 x { f16 d; 16 bytes: elements j, j+16 }
 *            elements j (low) and j+16 (high) of its 32: d (q - 8)
 *
 * Quantized forms go by 32 numbers of one key or value, so that a token is written once and never again: what a row gets does not
 * depend on how the prompt was cut. Codes are those of the weight formats of the same names. Left out: scales by channel, which
 * would be kinder to keys but need tokens to wait for their neighbours. */
#include "core/kernel/kernel.h"
#include <math.h>
#include <string.h>

#define KV_BLOCK 32

const char *kv_type_name(enum kv_type type)
{
    static const char *const names[] = { "f32", "f16", "q8_0", "q4_0" };
    return type < sizeof names / sizeof *names ? names[type] : NULL;
}

bool kv_type_find(const char *name, enum kv_type *out)
{
    for (int t = 0; kv_type_name((enum kv_type)t); t++)
        if (!strcmp(kv_type_name((enum kv_type)t), name)) {
            *out = (enum kv_type)t;
            return true;
        }
    return false;
}

bool kv_type_fits(enum kv_type type, size_t dim) { return type < KV_Q8 || dim % KV_BLOCK == 0; }

size_t kv_key_bytes(enum kv_type type, size_t keys, size_t dk)
{
    const size_t panels = (keys + PANEL_ROWS - 1) / PANEL_ROWS;
    switch (type) {
    case KV_F32: return panels * PANEL_ROWS * dk * 4;
    case KV_F16: return panels * PANEL_ROWS * dk * 2;
    case KV_Q8: return panels * 17 * dk;
    case KV_Q4: return panels * 9 * dk;
    }
    return 0;
}

size_t kv_value_bytes(enum kv_type type, size_t values, size_t dv)
{
    switch (type) {
    case KV_F32: return values * dv * 4;
    case KV_F16: return values * dv * 2;
    case KV_Q8: return values * (dv / KV_BLOCK) * 34;
    case KV_Q4: return values * (dv / KV_BLOCK) * 18;
    }
    return 0;
}

/* 32 numbers: d in f16 and codes -127..127 (q8_0) or 0..15 (q4_0). Not finite: d says so. */
static uint16_t kv_codes(enum kv_type type, const float *x, int8_t *q)
{
    float most = 0, peak = 0;
    for (int j = 0; j < KV_BLOCK; j++) {
        if (!(fabsf(x[j]) <= most))
            most = fabsf(x[j]), peak = x[j];
        if (isnan(x[j]))
            return half_put(NAN);
    }
    const float d = type == KV_Q8 ? most / 127.0f : peak / -8.0f, id = fabsf(d) > 1e-30f && isfinite(d) ? 1.0f / d : 0.0f;
    for (int j = 0; j < KV_BLOCK; j++) {
        const float v = x[j] * id;
        const int code = type == KV_Q8 ? (int)(v < 0 ? v - 0.5f : v + 0.5f) : (int)(v + 8.5f);
        q[j] = (int8_t)(type == KV_Q4 && code > 15 ? 15 : code);
    }
    return half_put(d);
}

static float kv_decode(enum kv_type type, uint16_t d, int q) { return half_get(d) * (float)(type == KV_Q8 ? q : q - 8); }

/* ---- keys: lane l of its panel ---- */

static void kv_store_key_blocks(enum kv_type type, uint8_t *panel, size_t l, const float *key, size_t dk)
{
    uint8_t *codes = panel + dk;
    for (size_t b = 0; b < dk / KV_BLOCK; b++) {
        int8_t q[KV_BLOCK];
        half_store(panel + 2 * (16 * b + l), kv_codes(type, key + KV_BLOCK * b, q));
        for (size_t j = 0; type == KV_Q8 && j < KV_BLOCK; j++)
            codes[16 * (KV_BLOCK * b + j) + l] = (uint8_t)q[j];
        for (size_t j = 0; type == KV_Q4 && j < 16; j++)
            codes[16 * (16 * b + j) + l] = (uint8_t)(q[j] | q[j + 16] << 4);
    }
}

static void kv_load_key_blocks(enum kv_type type, const uint8_t *panel, size_t l, float *key, size_t dk)
{
    const uint8_t *codes = panel + dk;
    for (size_t i = 0; i < dk; i++) {
        const size_t b = i / KV_BLOCK, j = i % KV_BLOCK;
        const int q = type == KV_Q8 ? (int8_t)codes[16 * i + l] : codes[16 * (16 * b + j % 16) + l] >> (j < 16 ? 0 : 4) & 15;
        key[i] = kv_decode(type, half_load(panel + 2 * (16 * b + l)), q);
    }
}

void kv_store_key(enum kv_type type, void *k, size_t i, const float *key, size_t dk)
{
    const size_t at = i / PANEL_ROWS * PANEL_ROWS * dk + i % PANEL_ROWS;
    if (type >= KV_Q8) {
        kv_store_key_blocks(type, (uint8_t *)k + kv_key_bytes(type, i / PANEL_ROWS * PANEL_ROWS, dk), i % PANEL_ROWS, key, dk);
        return;
    }
    if (type == KV_F32) {
        for (size_t j = 0; j < dk; j++)
            ((float *)k)[at + j * PANEL_ROWS] = key[j];
        return;
    }
    for (size_t j = 0; j < dk; j += PANEL_ROWS) {
        uint16_t t[PANEL_ROWS];
        const size_t n = dk - j < PANEL_ROWS ? dk - j : PANEL_ROWS;
        kernel_get()->f32_to_f16(t, key + j, n);
        for (size_t l = 0; l < n; l++)
            ((uint16_t *)k)[at + (j + l) * PANEL_ROWS] = t[l];
    }
}

void kv_load_key(enum kv_type type, const void *k, size_t i, float *key, size_t dk)
{
    const size_t at = i / PANEL_ROWS * PANEL_ROWS * dk + i % PANEL_ROWS;
    if (type >= KV_Q8) {
        kv_load_key_blocks(type, (const uint8_t *)k + kv_key_bytes(type, i / PANEL_ROWS * PANEL_ROWS, dk), i % PANEL_ROWS, key, dk);
        return;
    }
    for (size_t j = 0; j < dk; j++)
        key[j] = type == KV_F32 ? ((const float *)k)[at + j * PANEL_ROWS]
                                : half_get(((const uint16_t *)k)[at + j * PANEL_ROWS]);
}

/* ---- values ---- */

void kv_store_value(enum kv_type type, void *v, size_t ldv, size_t i, const float *value, size_t dv)
{
    if (type == KV_F32)
        memcpy((float *)v + i * ldv, value, dv * sizeof *value);
    else if (type == KV_F16)
        kernel_get()->f32_to_f16((uint16_t *)v + i * ldv, value, dv);
    for (size_t b = 0; type >= KV_Q8 && b < dv / KV_BLOCK; b++) {
        uint8_t *block = (uint8_t *)v + kv_value_bytes(type, i, ldv) + b * (type == KV_Q8 ? 34 : 18);
        int8_t q[KV_BLOCK];
        half_store(block, kv_codes(type, value + KV_BLOCK * b, q));
        if (type == KV_Q8)
            memcpy(block + 2, q, KV_BLOCK);
        for (int j = 0; type == KV_Q4 && j < 16; j++)
            block[2 + j] = (uint8_t)(q[j] | q[j + 16] << 4);
    }
}

void kv_load_value(enum kv_type type, const void *v, size_t ldv, size_t i, float *value, size_t dv)
{
    const uint8_t *blocks = (const uint8_t *)v + kv_value_bytes(type, i, ldv);
    if (type == KV_F32)
        memcpy(value, (const float *)v + i * ldv, dv * sizeof *value);
    else if (type == KV_F16)
        kernel_get()->f16_to_f32(value, (const uint16_t *)v + i * ldv, dv);
    for (size_t j = 0; type >= KV_Q8 && j < dv; j++) {
        const uint8_t *block = blocks + j / KV_BLOCK * (type == KV_Q8 ? 34 : 18);
        const size_t e = j % KV_BLOCK;
        value[j] = kv_decode(type, half_load(block), type == KV_Q8 ? (int8_t)block[2 + e] : block[2 + e % 16] >> (e < 16 ? 0 : 4) & 15);
    }
}
