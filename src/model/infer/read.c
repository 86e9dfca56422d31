/* read.c: extractive reading: which span of a passage answers a question, or none (Devlin et al. 2018, §4.2 and 4.3).
 *
 *     [start] prefix question [end] passage [end]  ->  encoder with an adapter  ->  h [rows, dim]
 *     s, e = h·Sᵀ + b                 a start and an end logit for every row
 *     span = max over i <= j < i + MOST of s_i + e_j, rows of the passage     minus s_0 + e_0, the "not here" of the first row
 *     present = h_0·P + c             log-odds that the passage answers at all
 *
 * Both readings of "not here" are trained (learn/train/reading.c); they make different mistakes, so both are given. The encoder is the
 * store's own embedder: what is trained beside it is a few hundred kilobytes, in a GGUF file of its own:
 *
 *     general.type "adapter"   adapter.type "lora"   adapter.lora.alpha   sooth.reader.rank   sooth.reader.targets
 *     NAME.lora_a, NAME.lora_b ...   reader.span.weight/.bias   reader.present.weight/.bias
 *
 * Left out: answers in several places, and passages longer than the encoder (their end is not read: passages are short). */
#include <math.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "model/arch/arch.h"
#include "model/file/file.h"
#include "model/infer/handle.h"
#include "model/infer/reader.h"
#include "model/token/token.h"

enum { MOST = 40, PACK = 1024 }; /* tokens of a span; rows of a run */

/* ---- a reader ---- */

static void heads_init(struct sooth_reader *r, size_t dim)
{
    float *at = r->memory;
    struct weight *w[] = { &r->heads.span, &r->heads.span_bias, &r->heads.present, &r->heads.present_bias };
    static const char *const names[] = { "reader.span.weight", "reader.span.bias", "reader.present.weight", "reader.present.bias" };
    size_t shape[][2] = { { 2, dim }, { 1, 2 }, { 1, dim }, { 1, 1 } };
    for (size_t i = 0; i < 4; i++) {
        w[i]->name = names[i];
        qmat_init(&w[i]->q, qtype_by_id(TYPE_F32), shape[i][0], shape[i][1], at);
        at += shape[i][0] * shape[i][1];
    }
}

enum sooth_status reader_new(struct sooth_model *encoder, const struct adapt_options *options, struct sooth_reader **out,
                             struct sooth_error *err)
{
    *out = NULL;
    if (!encoder->arch || arch_info(encoder->arch)->decoder)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "model '%s' is no encoder: it cannot read", encoder->info.path);
    size_t dim = arch_info(encoder->arch)->dim;
    struct sooth_reader *r = mem_calloc(1, sizeof *r);
    if (!r)
        return err_nomem(err);
    r->model = encoder;
    r->rank = (uint32_t)options->rank;
    r->alpha = (float)options->alpha;
    r->targets = mem_strdup(options->targets);
    r->memory = mem_calloc(3 * dim + 3, sizeof *r->memory);
    enum sooth_status status = r->memory && r->targets ? adapt_new(encoder->arch, options, &r->adapt, err) : err_nomem(err);
    if (status != SOOTH_OK) {
        sooth_reader_close(r);
        return status;
    }
    heads_init(r, dim);
    *out = r;
    return SOOTH_OK;
}

void sooth_reader_close(struct sooth_reader *r)
{
    if (!r)
        return;
    adapt_free(r->adapt);
    mem_free(r->targets);
    mem_free(r->memory);
    mem_free(r);
}

size_t reader_weights(const struct sooth_reader *r) { return adapt_trained(r->adapt) + 4; }

const struct weight *reader_weight(const struct sooth_reader *r, size_t i)
{
    const struct weight *const heads[] = { &r->heads.span, &r->heads.span_bias, &r->heads.present, &r->heads.present_bias };
    size_t n = adapt_trained(r->adapt);
    return i < n ? adapt_weight(r->adapt, i) : heads[i - n];
}

static enum sooth_status weight_read(const struct tensor_file *f, const struct weight *w, struct sooth_error *err)
{
    const struct file_tensor *t = tensor_file_find(f, w->name);
    const struct qtype *type = t ? qtype_by_id(t->type) : NULL;
    if (!t)
        return err_set(err, SOOTH_ERR_FORMAT, "reader '%s' has no '%s'", tensor_file_path(f), w->name);
    if (t->dims[0] != w->q.cols || t->dims[1] != w->q.rows || t->dims[2] != 1 || t->dims[3] != 1 || !type)
        return err_set(err, SOOTH_ERR_FORMAT, "reader '%s': '%s' does not fit this encoder", tensor_file_path(f), w->name);
    if (qtype_check(type, t->data, w->q.rows * w->q.cols) != SIZE_MAX)
        return err_set(err, SOOTH_ERR_FORMAT, "reader '%s': '%s' holds what is no number", tensor_file_path(f), w->name);
    struct qmat source;
    qmat_init(&source, type, w->q.rows, w->q.cols, t->data);
    for (size_t i = 0; i < w->q.rows; i++)
        qmat_row(&source, i, (float *)w->q.data + i * w->q.cols);
    return SOOTH_OK;
}

enum sooth_status sooth_reader_open(struct sooth_model *encoder, const char *path, struct sooth_reader **out, struct sooth_error *err)
{
    struct tensor_file *f;
    *out = NULL;
    enum sooth_status status = tensor_file_open(path, NULL, &f, err);
    if (status != SOOTH_OK)
        return status;
    struct adapt_options o = {
        .method = "lora",
        .targets = tensor_file_string(f, "sooth.reader.targets", NULL),
        .rank = (size_t)tensor_file_uint(f, "sooth.reader.rank", 0),
        .alpha = tensor_file_float(f, "adapter.lora.alpha", 0),
    };
    if (!o.targets || !o.rank || o.rank > 1024 || !(o.alpha > 0))
        status = err_set(err, SOOTH_ERR_FORMAT, "'%s' is no reader", path);
    else
        status = reader_new(encoder, &o, out, err);
    for (size_t i = 0; status == SOOTH_OK && i < reader_weights(*out); i++)
        status = weight_read(f, reader_weight(*out, i), err);
    if (status == SOOTH_OK)
        status = adapt_refresh((*out)->adapt, err);
    if (status != SOOTH_OK) {
        sooth_reader_close(*out);
        *out = NULL;
    }
    tensor_file_close(f);
    return status;
}

/* Large matrices are kept in halves: the difference is far below what int8 activations cost. */
static uint32_t saved_type(const struct weight *w) { return w->q.rows > 1 && w->q.cols > 1 ? TYPE_F16 : TYPE_F32; }

static enum sooth_status weight_write(struct gguf_writer *g, const struct weight *w, struct sooth_error *err)
{
    const struct qtype *type = qtype_by_id(saved_type(w));
    size_t n = w->q.rows * w->q.cols;
    void *bytes = mem_array(n, type->bytes);
    if (!bytes)
        return err_nomem(err);
    type->quantize(w->q.data, bytes, n);
    enum sooth_status status = gguf_writer_add(g, bytes, n * type->bytes, err);
    mem_free(bytes);
    return status;
}

enum sooth_status reader_save(const struct sooth_reader *r, const char *path, struct sooth_error *err)
{
    struct gguf_writer *g = gguf_writer_new();
    if (!g)
        return err_nomem(err);
    gguf_put_string(g, "general.type", "adapter");
    gguf_put_string(g, "general.architecture", arch_info(r->model->arch)->arch);
    gguf_put_string(g, "adapter.type", "lora");
    gguf_put_float(g, "adapter.lora.alpha", r->alpha);
    gguf_put_uint(g, "sooth.reader.rank", r->rank);
    gguf_put_string(g, "sooth.reader.targets", r->targets);
    for (size_t i = 0; i < reader_weights(r); i++) {
        const struct weight *w = reader_weight(r, i);
        uint64_t dims[] = { w->q.cols, w->q.rows };
        gguf_put_tensor(g, w->name, saved_type(w), w->q.rows > 1 ? 2 : 1, dims);
    }
    enum sooth_status status = gguf_writer_open(g, path, err);
    for (size_t i = 0; status == SOOTH_OK && i < reader_weights(r); i++)
        status = weight_write(g, reader_weight(r, i), err);
    if (status == SOOTH_OK)
        status = gguf_writer_commit(g, err);
    gguf_writer_free(g);
    return status;
}

/* ---- pairs as rows ---- */

static bool pair_push(struct reader_rows *rows, const struct token_ids *ids, const struct token_pair *pair, bool typed, struct reader_pair *p)
{
    for (size_t i = 0; i < ids->count; i++)
        if (!vec_push(&rows->token, ids->items[i]) || !vec_push(&rows->pos, (uint32_t)i) ||
            !vec_push(&rows->seq, (uint32_t)rows->pairs.count) || !vec_push(&rows->type, typed && i >= pair->second))
            return false;
    return vec_push(&rows->pairs, *p);
}

enum sooth_status reader_rows_add(const struct sooth_reader *r, struct reader_rows *rows, const char *question, size_t question_len,
                                  const char *passage, size_t passage_len, struct sooth_error *err)
{
    const struct sooth_model *m = r->model;
    struct token_ids ids = { 0 }, own = { 0 };
    struct token_spans spans = { 0 };
    struct token_pair pair;
    struct token_segment segment = { SEG_TEXT, passage, passage_len };
    struct reader_pair p = { .first = rows->token.count };
    struct buf asked = BUF_INIT;
    buf_puts(&asked, sooth_embed_prefix(m, SOOTH_EMBED_QUERY));
    buf_add(&asked, question, question_len);
    enum sooth_status status = asked.failed ? err_nomem(err) : SOOTH_OK;
    if (status == SOOTH_OK)
        status = token_encode_pair(m->tokenizer, asked.data, asked.len, passage, passage_len, m->embed_limit, &ids, &pair, err);
    if (status == SOOTH_OK) /* once more, for the bytes of each token */
        status = token_encode(m->tokenizer, &segment, 1, 0, &own, &spans, err);
    if (status == SOOTH_OK) {
        p.n = ids.count;
        p.passage = pair.second;
        p.count = ids.count - pair.second - 1;
        if (p.count > own.count || memcmp(ids.items + pair.second, own.items, p.count * sizeof *own.items))
            status = err_set(err, SOOTH_ERR_INTERNAL, "the passage's tokens differ from those of the pair");
    }
    if (status == SOOTH_OK && !(p.span = mem_array(p.count + 1, sizeof *p.span)))
        status = err_nomem(err);
    for (size_t i = 0; status == SOOTH_OK && i < p.count; i++) {
        p.span[i].start = (uint32_t)spans.items[i].start;
        p.span[i].end = (uint32_t)spans.items[i].end;
    }
    if (status == SOOTH_OK && !pair_push(rows, &ids, &pair, pair.typed && arch_info(m->arch)->types > 1, &p)) {
        mem_free(p.span);
        status = err_nomem(err);
    }
    buf_release(&asked);
    vec_free(&ids);
    vec_free(&own);
    vec_free(&spans);
    return status;
}

struct rows reader_rows_of(const struct reader_rows *rows)
{
    return (struct rows){ .n = rows->token.count, .token = rows->token.items, .pos = rows->pos.items, .seq = rows->seq.items, .type = rows->type.items };
}

void reader_rows_clear(struct reader_rows *rows)
{
    for (size_t i = 0; i < rows->pairs.count; i++)
        mem_free(rows->pairs.items[i].span);
    rows->token.count = rows->pos.count = rows->seq.count = rows->type.count = rows->pairs.count = 0;
}

void reader_rows_release(struct reader_rows *rows)
{
    reader_rows_clear(rows);
    vec_free(&rows->token);
    vec_free(&rows->pos);
    vec_free(&rows->seq);
    vec_free(&rows->type);
    vec_free(&rows->pairs);
}

void reader_forward(const struct sooth_reader *r, const struct reader_rows *rows, struct run *run, struct mat **span, struct mat **present)
{
    struct mat *h = arch_hidden(r->model->arch, run);                         /* [rows, dim] */
    uint32_t first[PACK];
    size_t n = rows->pairs.count < PACK ? rows->pairs.count : PACK;
    for (size_t i = 0; i < n; i++)
        first[i] = (uint32_t)rows->pairs.items[i].first;
    *span = op_linear(run, &r->heads.span, &r->heads.span_bias, h);           /* [rows, 2] */
    *present = op_linear(run, &r->heads.present, &r->heads.present_bias, op_rows(run, first, n, h)); /* [pairs, 1] */
}

/* ---- reading ---- */

/* The best span of one pair's logits [n, 2]; ties go to the earlier and shorter one. */
static struct sooth_reading best_span(const struct reader_pair *p, const float *logits, float present)
{
    struct sooth_reading out = { .span = -INFINITY, .present = present };
    const float *l = logits + 2 * p->passage;
    float best = -INFINITY;
    for (size_t i = 0; i < p->count; i++)
        for (size_t j = i; j < p->count && j < i + MOST; j++)
            if (l[2 * i] + l[2 * j + 1] > best && p->span[j].end > p->span[i].start) {
                best = l[2 * i] + l[2 * j + 1];
                out.start = p->span[i].start;
                out.end = p->span[j].end;
            }
    out.span = best - (logits[0] + logits[1]);
    return out;
}

static enum sooth_status read_pack(const struct sooth_reader *r, struct run *run, const struct reader_rows *rows, struct sooth_reading *out,
                                   struct sooth_error *err)
{
    struct mat *span, *present;
    struct rows in = reader_rows_of(rows);
    run_begin(run, &in);
    reader_forward(r, rows, run, &span, &present);
    enum sooth_status status = run_end(run, err);
    for (size_t i = 0; status == SOOTH_OK && i < rows->pairs.count; i++) {
        const struct reader_pair *p = &rows->pairs.items[i];
        out[i] = best_span(p, span->v + 2 * p->first, present->v[i]);
    }
    return status;
}

enum sooth_status sooth_read(const struct sooth_reader *r, const char *question, size_t question_len, const char *const *passages,
                             const size_t *lens, size_t n, struct sooth_reading *out, struct sooth_error *err)
{
    struct run_options options = { .pool = r->model->pool };
    struct reader_rows rows = { 0 };
    enum sooth_status status = adapt_apply(r->adapt, &options, err);
    struct run *run = status == SOOTH_OK ? run_new(&options) : NULL;
    if (status == SOOTH_OK && !run)
        status = err_nomem(err);
    for (size_t i = 0, from = 0; status == SOOTH_OK && i < n; i++) {
        status = reader_rows_add(r, &rows, question, question_len, passages[i], lens ? lens[i] : strlen(passages[i]), err);
        if (status == SOOTH_OK && (i + 1 == n || rows.token.count > PACK / 2)) {
            status = read_pack(r, run, &rows, out + from, err);
            reader_rows_clear(&rows);
            from = i + 1;
        }
    }
    run_free(run);
    reader_rows_release(&rows);
    return status;
}
