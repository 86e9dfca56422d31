/* tune_reader.c: an encoder learns to read: rows of question, passage and answer (reading.c) to OUT/reader.gguf.
 *
 *     rows in a seeded order -> batches -> loss and gradient -> clip -> AdamW -> ...         OUT/train.jsonl: an object a step
 *
 * What is trained are LoRA matrices on the encoder's upper layers and the reader's two heads; the encoder itself stays what the store's
 * vectors were made with. Beside the encoder as NAME-reader.gguf the result is found by `ask`.
 * Left out: going on after a kill (a run takes minutes); the reader is written at the end, and when the run is stopped. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/fsio.h"
#include "core/base/rng.h"
#include "learn/train/optimizer.h"
#include "learn/train/reading.h"
#include "learn/train/settings.h"
#include "learn/train/trainlog.h"
#include "model/arch/arch.h"

enum { BATCH = 16, BATCH_MOST = 1024, RANK = 16 };
#define WARMUP 0.05 /* share of the steps, where nothing is said */

struct lesson {
    const struct sooth_tune_options *o;
    const struct sooth_train_events *events;
    enum run_products products;
    const struct schedule_row *schedule;
    struct learner_options how;
    struct sooth_reader *reader;
    struct reading_set train, valid;
    struct grads *grads;
    struct optimizer optimizer;
    struct run *run, *eval;
    struct trainlog log;
    uint32_t *order;
    size_t batch;
    uint64_t total, per_epoch;
    double rate;
    struct reading_score score;
};

/* What is said for generators, or not built for readers, is refused and not passed over. */
static enum sooth_status settings_read(struct lesson *l, struct sooth_error *err)
{
    const struct sooth_tune_options *o = l->o;
    const struct sooth_train_settings *t = &o->train;
    const struct { const char *name; bool given; } foreign[] = {
        { "variant", o->variant }, { "rslora", o->rslora }, { "dropout", o->dropout > 0 }, { "tokens", o->tokens }, { "width", o->width },
        { "train-on", o->train_on }, { "layout", o->layout }, { "pack", o->pack }, { "lenient", o->lenient }, { "pivot", o->pivot > 0 }, { "topic", o->topic },
        { "probe", o->probe }, { "seq", t->seq }, { "optimizer", t->optimizer }, { "skip-outlier", t->outlier > 0 }, { "accumulate", t->accumulate > 1 },
        { "save-every", t->save_every }, { "keep", t->keep }, { "patience", t->patience }, { "resume", t->resume } };
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (foreign[i].given)
            return err_set(err, SOOTH_ERR_UNSUPPORTED, "an encoder is taught to read without '%s'", foreign[i].name);
    if (o->method && strcmp(o->method, "lora") != 0)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "encoders are taught by 'lora', not by '%.40s'", o->method);
    if (t->batch > BATCH_MOST)
        return err_set(err, SOOTH_ERR_ARG, "a batch of %zu rows is too large: %d at most", t->batch, BATCH_MOST);
    l->schedule = schedule_row_find(t->schedule ? t->schedule : "linear");
    if (!l->schedule)
        return err_set(err, SOOTH_ERR_ARG, "there is no schedule '%.40s'", t->schedule);
    settings_learner(t, &l->how);
    return SOOTH_OK;
}

static enum sooth_status part_load(struct lesson *l, const char *name, bool must, struct reading_set *s, struct sooth_error *err)
{
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/%s.jsonl", l->o->data, name);
    enum sooth_status status = path.failed ? err_nomem(err) : must || file_exists(buf_str(&path)) ? reading_set_load(s, buf_str(&path), err) : SOOTH_OK;
    buf_release(&path);
    return status;
}

static enum sooth_status rows_load(struct lesson *l, struct sooth_error *err)
{
    enum sooth_status status;
    if (file_is_dir(l->o->data)) {
        status = part_load(l, "train", true, &l->train, err);
        if (!status && !l->o->valid)
            status = part_load(l, "valid", false, &l->valid, err);
    } else {
        status = reading_set_load(&l->train, l->o->data, err);
    }
    if (!status && l->o->valid)
        status = reading_set_load(&l->valid, l->o->valid, err);
    if (!status && !l->train.rows.count)
        status = err_set(err, SOOTH_ERR_FORMAT, "'%s' has no rows", l->o->data);
    return status;
}

/* The upper two thirds: what the lower layers make of words serves every task. */
static void targets_default(const struct arch_info *info, struct buf *out)
{
    for (size_t i = info->layers / 3; i < info->layers; i++)
        buf_printf(out, "%sblk.%zu.*", out->len ? "," : "", i);
}

static enum sooth_status reader_make(struct lesson *l, struct sooth_model *encoder, struct sooth_error *err)
{
    struct buf targets = BUF_INIT;
    size_t rank = l->o->rank ? l->o->rank : RANK;
    if (l->o->targets)
        buf_puts(&targets, l->o->targets);
    else
        targets_default(arch_info(infer_parts(encoder).arch), &targets);
    struct adapt_options a = { .method = "lora", .targets = buf_str(&targets), .rank = rank, .alpha = l->o->alpha > 0 ? l->o->alpha : 2.0 * (double)rank,
                               .seed = l->o->train.seed, .pool = infer_parts(encoder).pool };
    enum sooth_status status = targets.failed ? err_nomem(err) : reader_new(encoder, &a, &l->reader, err);
    buf_release(&targets);
    return status;
}

static enum sooth_status learner_make(struct lesson *l, struct sooth_error *err)
{
    size_t n = reader_weights(l->reader);
    const struct weight **list = mem_array(n, sizeof *list);
    struct optimizer_item *items = mem_calloc(n, sizeof *items);
    enum sooth_status status = list && items ? SOOTH_OK : err_nomem(err);
    for (size_t i = 0; i < n && !status; i++)
        list[i] = reader_weight(l->reader, i);
    if (!status && !(l->grads = grads_new(list, n)))
        status = err_nomem(err);
    for (size_t i = 0; i < n && !status; i++)
        items[i] = (struct optimizer_item){ (float *)list[i]->q.data, grads_find(l->grads, list[i]), list[i]->q.rows * list[i]->q.cols, list[i]->q.rows > 1 };
    if (!status)
        status = optimizer_init(&l->optimizer, optimizer_row_find("adamw"), items, n, NULL, err);
    mem_free(list);
    mem_free(items);
    struct run_options record = { .pool = infer_parts(l->reader->model).pool, .grads = l->grads, .tape = true, .checkpoint = l->how.checkpoint,
                                  .products = l->products };
    struct run_options plain = { .pool = record.pool, .products = l->products };
    if (!status)
        status = adapt_apply(l->reader->adapt, &record, err);
    if (!status)
        status = adapt_apply(l->reader->adapt, &plain, err);
    if (!status && !((l->run = run_new(&record)) && (l->eval = run_new(&plain))))
        status = err_nomem(err);
    return status;
}

/* A fixed permutation of (seed, epoch). */
static void shuffle(struct lesson *l, uint64_t epoch)
{
    struct rng r;
    rng_seed(&r, l->o->train.seed * 0x9E3779B97F4A7C15u + epoch + 1);
    for (size_t i = 0; i < l->train.rows.count; i++)
        l->order[i] = (uint32_t)i;
    for (size_t i = l->train.rows.count; i > 1; i--) {
        size_t j = (size_t)rng_below(&r, i);
        uint32_t t = l->order[i - 1];
        l->order[i - 1] = l->order[j];
        l->order[j] = t;
    }
}

static enum sooth_status step(struct lesson *l, uint64_t s, struct reading_batch *b, struct trainlog_line *line, struct sooth_error *err)
{
    const struct reading_row *rows[BATCH_MOST];
    size_t first = (size_t)(s % l->per_epoch) * l->batch, n = l->train.rows.count - first < l->batch ? l->train.rows.count - first : l->batch;
    if (s % l->per_epoch == 0)
        shuffle(l, s / l->per_epoch);
    for (size_t i = 0; i < n; i++)
        rows[i] = &l->train.rows.items[l->order[first + i]];
    uint64_t warmup = l->o->train.warmup > 0 ? settings_warmup(&l->o->train, l->total) : (uint64_t)(WARMUP * (double)l->total);
    line->rate = l->rate * schedule_factor(l->schedule, s, l->total, warmup, l->o->train.floor);
    grads_clear(l->grads);
    enum sooth_status status = reading_batch_fill(b, l->reader, rows, n, err);
    if (!status)
        status = reading_loss(b, l->reader, l->run, true, &line->loss, err);
    if (status)
        return status;
    line->grad_norm = optimizer_grad_norm(&l->optimizer);
    line->tokens += b->rows.token.count;
    line->skipped = !isfinite(line->loss) || !isfinite(line->grad_norm);
    if (line->skipped)
        return SOOTH_OK;
    const struct learner_options *how = &l->how;
    struct optimizer_step o = { .rate = line->rate, .scale = how->clip > 0 && line->grad_norm > how->clip ? how->clip / line->grad_norm : 1, .beta1 = how->beta1,
                                .beta2 = how->beta2, .epsilon = how->epsilon, .t = s + 1 };
    optimizer_apply(&l->optimizer, infer_parts(l->reader->model).pool, o, how->decay);
    return adapt_refresh(l->reader->adapt, err);
}

static enum sooth_status save(const struct lesson *l, struct sooth_error *err)
{
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/reader.gguf", l->o->train.out);
    enum sooth_status status = path.failed ? err_nomem(err) : reader_save(l->reader, buf_str(&path), err);
    buf_release(&path);
    return status;
}

static enum sooth_status measure(struct lesson *l, struct trainlog_line *line, double *loss, struct sooth_error *err)
{
    if (!l->valid.rows.count)
        return SOOTH_OK;
    enum sooth_status status = reading_measure(l->reader, l->eval, &l->valid, &l->score, err);
    *loss = line->eval_loss = l->score.loss;
    line->reading = &l->score;
    return status;
}

/* False: it is not wanted so. */
static bool plan_told(const struct lesson *l)
{
    const struct arch_info *info = arch_info(infer_parts(l->reader->model).arch);
    struct sooth_train_plan p = { .method = "lora", .arch = info->arch, .weights = info->type ? info->type->name : "", .parameters = info->parameters,
                                  .trained_matrices = reader_weights(l->reader), .rows = l->train.rows.count, .examples = l->train.rows.count,
                                  .units = l->train.rows.count, .valid_rows = l->valid.rows.count, .steps = l->total, .steps_an_epoch = l->per_epoch, .rate = l->rate };
    for (size_t i = 0; i < p.trained_matrices; i++)
        p.trained_parameters += reader_weight(l->reader, i)->q.rows * reader_weight(l->reader, i)->q.cols;
    return (!l->events || !l->events->on_plan || l->events->on_plan(l->events->user, &p)) && !l->o->train.dry_run;
}

static enum sooth_status learn(struct lesson *l, struct sooth_train_result *out, struct sooth_error *err)
{
    struct reading_batch b = { 0 };
    struct trainlog_line line = { .loss = NAN, .grad_norm = NAN, .rate = NAN, .eval_loss = NAN };
    uint64_t every = l->o->train.eval_every ? l->o->train.eval_every : l->per_epoch;
    enum sooth_status status = measure(l, &line, &out->eval_before, err);
    if (!status)
        status = trainlog_add(&l->log, &line, err);
    for (uint64_t s = 0; s < l->total && !status && !out->stopped; s++) {
        status = step(l, s, &b, &line, err);
        line.step = out->step = s + 1;
        line.epoch = (double)(s + 1) / (double)l->per_epoch;
        line.eval_loss = NAN;
        line.reading = NULL;
        out->skipped += line.skipped;
        out->loss = line.loss;
        if (!status && ((s + 1) % every == 0 || s + 1 == l->total))
            status = measure(l, &line, &out->eval_after, err);
        if (!status)
            status = trainlog_add(&l->log, &line, err);
        struct sooth_train_step told = { line.step, l->total, line.epoch, line.loss, line.grad_norm, line.rate, line.eval_loss, line.tokens, line.skipped, false };
        out->stopped = !status && l->events && l->events->on_step && !l->events->on_step(l->events->user, &told);
    }
    reading_batch_release(&b);
    return status ? status : save(l, err);
}

enum sooth_status tune_reader(const struct sooth_tune_options *o, const struct sooth_train_events *events, struct sooth_model *encoder,
                              enum run_products products, struct sooth_train_result *out, struct sooth_error *err)
{
    struct lesson l = { .o = o, .events = events, .products = products, .batch = o->train.batch ? o->train.batch : BATCH, .rate = o->train.rate > 0 ? o->train.rate : 1e-3, .log = { -1, -1 } };
    reading_set_init(&l.train);
    reading_set_init(&l.valid);
    enum sooth_status status = settings_read(&l, err);
    if (!status)
        status = rows_load(&l, err);
    if (!status)
        status = reader_make(&l, encoder, err);
    if (!status)
        status = learner_make(&l, err);
    if (!status && !(l.order = mem_array(l.train.rows.count, sizeof *l.order)))
        status = err_nomem(err);
    l.per_epoch = (l.train.rows.count + l.batch - 1) / l.batch;
    l.total = out->total = o->train.steps ? o->train.steps : (uint64_t)ceil((o->train.epochs > 0 ? o->train.epochs : 3) * (double)l.per_epoch);
    if (!status && plan_told(&l)) {
        status = dir_make(o->train.out, err);
        if (!status)
            status = trainlog_open(&l.log, o->train.out, false, 0, err);
        if (!status)
            status = learn(&l, out, err);
        trainlog_close(&l.log);
    }
    run_free(l.run);
    run_free(l.eval);
    if (l.optimizer.row)
        optimizer_release(&l.optimizer);
    grads_free(l.grads);
    sooth_reader_close(l.reader);
    mem_free(l.order);
    reading_set_release(&l.train);
    reading_set_release(&l.valid);
    return status;
}
