/* reading.c: teaching an encoder to point at an answer (Devlin et al. 2018, §4.3; Rajpurkar et al. 2018 for "not here").
 *
 *     rows of a pair that may be pointed at:   C = { first row } ∪ rows of the passage
 *     L = −log softmax_C(s)[i] − log softmax_C(e)[j] − log σ(±p)
 *
 * s, e are start and end logits, p the "present" logit; i, j the rows of the answer's first and last token, the first row where there is
 * none; + where there is one. The three terms weigh alike. Their gradients are written down at once,
 *
 *     dL/ds_k = softmax_C(s)_k − [k = i]         dL/dp = σ(p) − y
 *
 * and flow on through op_weigh. What a reader becomes depends on the rows without an answer more than on those with one: passages about
 * the very thing asked about that do not say it. Left out: several answers to a question (give several rows). */
#include "learn/train/reading.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/fsio.h"

enum { BATCH = 16, FILE_MOST = 1 << 30 };

/* ---- rows ---- */

void reading_set_init(struct reading_set *s)
{
    memset(s, 0, sizeof *s);
    arena_init(&s->arena, (size_t)4 << 30);
}

void reading_set_release(struct reading_set *s)
{
    arena_release(&s->arena);
    vec_free(&s->rows);
}

static enum sooth_status row_read(struct reading_set *s, const struct json *row, struct sooth_error *err)
{
    const char *question = json_string(row, "question", NULL), *passage = json_string(row, "passage", NULL), *text = json_string(row, "answer", NULL);
    const struct json *answer = json_get(row, "answer"), *start = json_get(row, "start");
    if (!question || !passage || (answer && !text && answer->type != JSON_NULL))
        return err_set(err, SOOTH_ERR_FORMAT, "a row has strings 'question' and 'passage', and 'answer': text or null");
    struct reading_row r = { .question = arena_strdup(&s->arena, question), .passage = arena_strdup(&s->arena, passage) };
    if (!r.question || !r.passage)
        return err_nomem(err);
    if (text && *text) {
        const char *at = strstr(passage, text);
        double byte = start ? json_number(row, "start", -1) : at ? (double)(at - passage) : -1;
        if (!(byte >= 0 && byte <= (double)strlen(passage)) || strncmp(passage + (size_t)byte, text, strlen(text)) != 0)
            return err_set(err, SOOTH_ERR_FORMAT, "the answer '%.60s' is not in the passage%s", text, start ? " where 'start' says" : "");
        r.start = (size_t)byte;
        r.end = r.start + strlen(text);
    }
    return vec_push(&s->rows, r) ? SOOTH_OK : err_nomem(err);
}

enum sooth_status reading_set_load(struct reading_set *s, const char *path, struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    enum sooth_status status = file_read(path, FILE_MOST, &text, err);
    size_t line = 0;
    for (char *at = text.data, *end = at ? at + text.len : at; !status && at < end; at++) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        line++;
        if (stop > at + strspn(at, " \t\r")) {
            struct arena a;
            arena_init(&a, (size_t)64 << 20);
            const struct json *row = json_parse(&a, at, (size_t)(stop - at), JSON_UNIQUE_KEYS, NULL, err);
            status = row ? row_read(s, row, err) : SOOTH_ERR_FORMAT;
            if (status)
                err_prefix(err, "'%s' line %zu", path, line);
            arena_release(&a);
        }
        at = stop;
    }
    buf_release(&text);
    return status;
}

/* ---- loss ---- */

void reading_batch_release(struct reading_batch *b)
{
    reader_rows_release(&b->rows);
    vec_free(&b->from);
    vec_free(&b->to);
    vec_free(&b->span);
    vec_free(&b->present);
}

/* First and last row of the answer. An answer behind what was read is not there. */
static bool target_add(struct reading_batch *b, const struct reading_row *row)
{
    const struct reader_pair *p = &b->rows.pairs.items[b->rows.pairs.count - 1];
    uint32_t from = 0, to = 0;
    for (size_t i = 0; i < p->count && row->end > row->start; i++)
        if (p->span[i].end > row->start && p->span[i].start < row->end) {
            to = (uint32_t)(p->passage + i);
            from = from ? from : to;
        }
    return vec_push(&b->from, from) && vec_push(&b->to, to);
}

enum sooth_status reading_batch_fill(struct reading_batch *b, const struct sooth_reader *r, const struct reading_row *const *rows, size_t n,
                                     struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    reader_rows_clear(&b->rows);
    b->from.count = b->to.count = 0;
    for (size_t i = 0; i < n && !status; i++) {
        const struct reading_row *x = rows[i];
        status = reader_rows_add(r, &b->rows, x->question, strlen(x->question), x->passage, strlen(x->passage), err);
        if (!status && !target_add(b, x))
            status = err_nomem(err);
    }
    return status;
}

/* Cross-entropy of one column of a pair's logits [n, 2] against row `gold`; its gradient over `share` is written to c. */
static double column_loss(const struct reader_pair *p, const float *logits, float *c, int column, uint32_t gold, float share)
{
    double most = logits[column], sum = 0;
    for (size_t i = p->passage; i < p->passage + p->count; i++)
        most = fmax(most, logits[2 * i + column]);
    for (size_t i = 0; i < p->passage + p->count; i = i ? i + 1 : p->passage)
        sum += exp(logits[2 * i + column] - most);
    for (size_t i = 0; i < p->passage + p->count; i = i ? i + 1 : p->passage)
        c[2 * i + column] = share * (float)(exp(logits[2 * i + column] - most) / sum - (i == gold));
    return log(sum) + most - logits[2 * gold + column];
}

static double batch_loss(struct reading_batch *b, const float *span, const float *present)
{
    double loss = 0;
    size_t n = b->rows.pairs.count;
    memset(b->span.items, 0, b->span.count * sizeof *b->span.items);
    for (size_t i = 0; i < n; i++) {
        const struct reader_pair *p = &b->rows.pairs.items[i];
        float share = 1 / (float)n, *c = b->span.items + 2 * p->first;
        double y = b->to.items[i] > 0, z = present[i];
        loss += column_loss(p, span + 2 * p->first, c, 0, b->from.items[i], share) + column_loss(p, span + 2 * p->first, c, 1, b->to.items[i], share);
        loss += fmax(z, 0) - z * y + log1p(exp(-fabs(z)));
        b->present.items[i] = share * (float)(1 / (1 + exp(-z)) - y);
    }
    return loss / (double)n;
}

static bool room_make(struct reading_batch *b)
{
    while (b->span.count < 2 * b->rows.token.count)
        if (!vec_push(&b->span, 0))
            return false;
    while (b->present.count < b->rows.pairs.count)
        if (!vec_push(&b->present, 0))
            return false;
    b->span.count = 2 * b->rows.token.count;
    b->present.count = b->rows.pairs.count;
    return true;
}

enum sooth_status reading_loss(struct reading_batch *b, const struct sooth_reader *r, struct run *run, bool train, double *loss,
                               struct sooth_error *err)
{
    struct mat *span, *present, *sum = NULL;
    struct rows rows = reader_rows_of(&b->rows);
    if (!room_make(b))
        return err_nomem(err);
    run_begin(run, &rows);
    reader_forward(r, &b->rows, run, &span, &present);
    *loss = span && present ? batch_loss(b, span->v, present->v) : NAN;
    if (train)
        sum = op_add(run, op_weigh(run, b->span.items, span), op_weigh(run, b->present.items, present));
    enum sooth_status status = run_end(run, err);
    if (!status && train && isfinite(*loss))
        status = run_backward(run, sum, 1, err);
    return status;
}

/* ---- how well ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Chance that one of yes[n] is above one of no[m], a tie counting half. Sorts both. */
static double separation(double *yes, size_t n, double *no, size_t m)
{
    size_t below = 0, upto = 0;
    double sum = 0;
    qsort(yes, n, sizeof *yes, by_value);
    qsort(no, m, sizeof *no, by_value);
    for (size_t i = 0; i < n; i++) {
        while (below < m && no[below] < yes[i])
            below++;
        for (upto = upto < below ? below : upto; upto < m && no[upto] <= yes[i];)
            upto++;
        sum += (double)below + 0.5 * (double)(upto - below);
    }
    return n && m ? sum / ((double)n * (double)m) : NAN;
}

enum sooth_status reading_measure(const struct sooth_reader *r, struct run *run, const struct reading_set *s, struct reading_score *out,
                                  struct sooth_error *err)
{
    size_t n = s->rows.count, yes = 0, no = 0, batches = 0;
    double *value = mem_array(2 * n + 1, sizeof *value), exact = 0, f1 = 0, total = 0;
    struct reading_batch b = { 0 };
    enum sooth_status status = value ? SOOTH_OK : err_nomem(err);
    for (size_t at = 0; at < n && !status; at += BATCH) {
        const struct reading_row *rows[BATCH];
        size_t count = n - at < BATCH ? n - at : BATCH;
        double loss;
        for (size_t i = 0; i < count; i++)
            rows[i] = &s->rows.items[at + i];
        status = reading_batch_fill(&b, r, rows, count, err);
        if (!status)
            status = reading_loss(&b, r, run, false, &loss, err);
        if (status)
            break;
        total += loss * (double)count;
        batches += count;
        for (size_t i = 0; i < count; i++) {
            const struct reading_row *x = rows[i];
            struct sooth_reading got;
            status = sooth_read(r, x->question, strlen(x->question), &x->passage, NULL, 1, &got, err);
            if (status)
                break;
            double lo = (double)(got.start > x->start ? got.start : x->start), hi = (double)(got.end < x->end ? got.end : x->end);
            if (x->end > x->start) {
                exact += got.start == x->start && got.end == x->end;
                f1 += hi > lo ? 2 * (hi - lo) / (double)(x->end - x->start + got.end - got.start) : 0;
                value[yes++] = got.span + got.present;
            } else {
                value[n + no++] = got.span + got.present;
            }
        }
    }
    *out = (struct reading_score){ total / (double)batches, exact / (double)yes, f1 / (double)yes, 0 };
    out->separation = status ? NAN : separation(value, yes, value + n, no);
    reading_batch_release(&b);
    mem_free(value);
    return status;
}
