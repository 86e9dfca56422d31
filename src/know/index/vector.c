/* vector.c: how a vector is kept, what its similarity to a question is, and the exact search over
 * all of them.
 *
 * Stored twice: an 8-bit code x ~ scale * q, scale = max|x| / 127, which the scan reads (a quarter
 * of the memory traffic of f32), and IEEE half precision, which decides among the few hundred best
 * of the scan:
 *
 *     [scale f32][code int8 * dim][half u16 * dim]
 *
 * The code's error for a unit vector of 384 numbers is about 0.002 in the cosine, so that a margin
 * of a few hundred candidates makes the first pass exact in practice (the tests compare with brute
 * force).
 *
 * One similarity whatever the metric, falling as distance grows: cosine, dot: a.b; l2: 1 - |a-b|^2
 * / 2, which for unit vectors is the cosine; l1: 1 - |a-b|_1 / sqrt(2 dim), since |a-b|_1 <=
 * sqrt(dim) |a-b|_2.
 *
 * Large stores find the candidates through an index file instead (nearby.c); their halves decide
 * all the same. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/kernel/kernel.h"
#include "know/index/storedb.h"

enum {
    RESCORE_MIN = 256,
    RESCORE_EACH = 8
}; /* the best max(256, 8 k) of the scan are scored from their halves */

bool metric_parse(const char *name, enum metric *out)
{
    static const char *const names[] = {"cosine", "dot", "l2", "l1"};
    for (int i = 0; i < 4; i++)
        if (!name || strcmp(name, names[i]) == 0) {
            *out = (enum metric)i;
            return true;
        }
    return false;
}

double metric_similarity(enum metric m, const float *a, const float *b, size_t dim)
{
    double sum = 0;
    if (m == METRIC_L2) {
        for (size_t i = 0; i < dim; i++)
            sum += (double)(a[i] - b[i]) * (a[i] - b[i]);
        return 1 - sum / 2;
    }
    if (m == METRIC_L1) {
        for (size_t i = 0; i < dim; i++)
            sum += fabs((double)a[i] - b[i]);
        return 1 - sum / sqrt(2.0 * (double)dim);
    }
    for (size_t i = 0; i < dim; i++)
        sum += (double)a[i] * b[i];
    if (m == METRIC_DOT)
        return sum;
    double aa = 0, bb = 0;
    for (size_t i = 0; i < dim; i++) {
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return aa > 0 && bb > 0 ? sum / sqrt(aa * bb) : 0;
}

size_t vector_packed(size_t dim)
{
    return 4 + 3 * dim;
}

float code_make(const float *v, size_t dim, int8_t *code)
{
    float most = 0;
    for (size_t i = 0; i < dim; i++)
        most = fmaxf(most, fabsf(v[i]));
    float scale = most / 127, inverse = most > 0 ? 127 / most : 0;
    for (size_t i = 0; i < dim; i++)
        code[i] = (int8_t)lrintf(v[i] * inverse);
    return scale;
}

bool vector_pack(const float *v, size_t dim, unsigned char *out)
{
    bool some = false;
    for (size_t i = 0; i < dim; i++) {
        if (!isfinite(v[i]) || fabsf(v[i]) > 60000.0f) /* the largest half is 65504 */
            return false;
        some |= v[i] != 0;
    }
    if (!some)
        return false;
    float scale = code_make(v, dim, (int8_t *)out + 4);
    memcpy(out, &scale, 4);
    uint16_t piece[64]; /* out is not aligned */
    for (size_t i = 0; i < dim; i += 64) {
        size_t n = dim - i < 64 ? dim - i : 64;
        kernel_get()->f32_to_f16(piece, v + i, n);
        memcpy(out + 4 + dim + 2 * i, piece, 2 * n);
    }
    return scale > 0;
}

/* --- the scan
 * ------------------------------------------------------------------------------------------------
 */

static float code_l1(const int8_t *code, float scale, const float *query, size_t dim)
{
    float sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += fabsf((float)code[i] * scale - query[i]);
    return sum;
}

static bool before(struct scored a, struct scored b)
{
    return a.score > b.score || (a.score == b.score && a.slot < b.slot);
}

/* A heap of the k best, the worst on top. */
static void heap_down(struct scored *h, size_t n, size_t i)
{
    for (;;) {
        size_t worst = i, l = 2 * i + 1, r = l + 1;
        if (l < n && before(h[worst], h[l]))
            worst = l;
        if (r < n && before(h[worst], h[r]))
            worst = r;
        if (worst == i)
            return;
        struct scored t = h[i];
        h[i] = h[worst];
        h[worst] = t;
        i = worst;
    }
}

static int by_score(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    return before(*x, *y) ? -1 : before(*y, *x);
}

void best_offer(struct scored *heap, size_t *n, size_t k, struct scored item)
{
    if (*n < k) {
        heap[(*n)++] = item;
        if (*n == k)
            for (size_t i = k / 2 + 1; i-- > 0;)
                heap_down(heap, k, i);
    } else if (before(item, heap[0])) {
        heap[0] = item;
        heap_down(heap, k, 0);
    }
}

void best_sort(struct scored *heap, size_t n)
{
    qsort(heap, n, sizeof *heap, by_score);
}

static double norm_of(const float *v, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += (double)v[i] * v[i];
    return sqrt(sum);
}

/* Ranks all allowed slots by their codes. */
static size_t scan(const struct snapshot *v, enum metric m, const float *query,
                   const unsigned char *allow, size_t k, struct scored *out, int8_t *query_code)
{
    size_t n = 0;
    float qs = code_make(query, v->dim, query_code);
    double qn = norm_of(query, v->dim);
    int32_t (*dot)(const int8_t *, const int8_t *, size_t) = kernel_get()->dot_i8;
    for (size_t i = 0; i < v->n; i++) {
        if ((allow && !allow[i]) || v->scale[i] <= 0)
            continue;
        const int8_t *code = v->code + i * v->dim;
        double s;
        if (m == METRIC_L1) {
            s = -code_l1(code, v->scale[i], query, v->dim);
        } else {
            s = (double)dot(query_code, code, v->dim) * qs * v->scale[i];
            if (m == METRIC_COSINE)
                s /= qn * v->norm[i];
            else if (m == METRIC_L2)
                s = 2 * s - (double)v->norm[i] * v->norm[i];
        }
        best_offer(out, &n, k, (struct scored){(uint32_t)i, s});
    }
    return n;
}

enum sooth_status half_read(struct store *s, int64_t chunk, size_t dim, float *out, bool *found,
                            struct sooth_error *err)
{
    enum sooth_status status = SOOTH_ERR_NOMEM;
    sqlite3_stmt *q = sql_bind(s, SQL_HALF_GET, err, "i", chunk);
    *found = false;
    if (!q)
        return err ? err->status : status;
    if (sql_row(s, q, &status, err)) {
        const unsigned char *p = sqlite3_column_blob(q, 0);
        if (p && (size_t)sqlite3_column_bytes(q, 0) == 2 * dim) {
            *found = true;
            uint16_t piece[64];
            for (size_t i = 0; i < dim; i += 64) {
                size_t n = dim - i < 64 ? dim - i : 64;
                memcpy(piece, p + 2 * i, 2 * n);
                kernel_get()->f16_to_f32(out + i, piece, n);
            }
        }
        sql_done(q);
    }
    return status;
}

enum sooth_status vector_scores(struct store *s, const struct snapshot *v, enum metric m,
                                const float *query, const uint32_t *slots, size_t n, double *scores,
                                struct sooth_error *err)
{
    float *full = mem_array(v->dim ? v->dim : 1, sizeof *full);
    enum sooth_status status = full ? SOOTH_OK : err_nomem(err);
    for (size_t i = 0; i < n && status == SOOTH_OK; i++) {
        bool found = false;
        status = half_read(s, v->chunk[slots[i]], v->dim, full, &found, err);
        scores[i] = found ? metric_similarity(m, query, full, v->dim) : (double)NAN;
    }
    mem_free(full);
    return status;
}

enum sooth_status vector_search(struct store *s, const struct snapshot *v, enum metric m,
                                const float *query, const unsigned char *allow, size_t k,
                                struct scored *out, size_t *found, struct sooth_error *err)
{
    *found = 0;
    if (v->n == 0 || k == 0 || v->dim == 0)
        return SOOTH_OK;
    size_t wide = k > v->n / RESCORE_EACH ? v->n : k * RESCORE_EACH;
    wide = wide < RESCORE_MIN ? RESCORE_MIN : wide;
    wide = wide > v->n ? v->n : wide;
    struct scored *heap = mem_array(wide, sizeof *heap);
    int8_t *code = mem_alloc(v->dim);
    uint32_t *slots = mem_array(wide, sizeof *slots);
    double *scores = mem_array(wide, sizeof *scores);
    enum sooth_status status = heap && code && slots && scores ? SOOTH_OK : err_nomem(err);
    if (status == SOOTH_OK) {
        size_t n = 0, kept = 0;
        if (v->indexed)
            status = nearby_search(s, v, m, query, false, allow, wide, heap, &n, err);
        else
            n = scan(v, m, query, allow, wide, heap, code);
        for (size_t i = 0; i < n; i++)
            slots[i] = heap[i].slot;
        if (status == SOOTH_OK)
            status = vector_scores(s, v, m, query, slots, n, scores, err);
        for (size_t i = 0; i < n && status == SOOTH_OK; i++)
            if (!isnan(scores[i]))
                heap[kept++] = (struct scored){slots[i], scores[i]};
        best_sort(heap, kept);
        *found = status == SOOTH_OK ? (kept < k ? kept : k) : 0;
        memcpy(out, heap, *found * sizeof *out);
    }
    mem_free(heap);
    mem_free(code);
    mem_free(slots);
    mem_free(scores);
    return status;
}

enum sooth_status vector_pairs(struct store *s, const struct snapshot *v, const uint32_t *slots, size_t n,
                               double *out, struct sooth_error *err)
{
    float *full = mem_calloc(n * v->dim + 1, sizeof *full);
    enum sooth_status status = full ? SOOTH_OK : err_nomem(err);
    for (size_t i = 0; i < n && status == SOOTH_OK; i++) {
        bool found;
        status = half_read(s, v->chunk[slots[i]], v->dim, full + i * v->dim, &found, err);
    }
    for (size_t i = 0; i < n && status == SOOTH_OK; i++)
        for (size_t j = 0; j < n; j++)
            out[i * n + j] =
                metric_similarity(METRIC_COSINE, full + i * v->dim, full + j * v->dim, v->dim);
    mem_free(full);
    return status;
}
