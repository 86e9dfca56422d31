/* tune.c: fine-tuning from names to files: model, rows, method, plan, loop, result.
 *
 *     open model -> read rows -> make examples -> attach the method -> plan (and probe) -> fit -> write the adapter */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/fsio.h"
#include "core/base/hash.h"
#include "learn/train/settings.h"
#include "learn/train/reading.h"
#include "learn/train/train.h"
#include "learn/train/tune.h"
#include "model/infer/infer.h"
#include "model/token/token.h"
#include "sooth/train.h"

enum { SEQ = 1024 };

struct tune {
    const struct sooth_tune_options *o;
    const struct tune_loss *with;
    const struct sooth_train_events *events;
    struct sooth_model *model;
    struct infer_parts parts;
    struct example_options how;
    struct examples train, valid, test, probe;
    struct units units;
    struct adapt *adapt;
    struct learner *learner;
    struct loop_options loop;
    struct buf facts;
    enum run_products products;
    struct sooth_train_plan plan;
    double started;
};

void sooth_tune_options_init(struct sooth_tune_options *o)
{
    memset(o, 0, sizeof *o);
    o->train.preview = 3;
}

/* ---- settings ---- */

/* Learning rates that are a good first try: few and fresh numbers bear much, the model's own little. */
static double rate_of(const char *method)
{
    static const struct { const char *method; double rate; } rates[] = {
        {"full", 2e-5}, {"prompt", 1e-2}, {"ptuning", 1e-3}, {"ptuning2", 1e-2}, {"prefix", 1e-3}, {"adapter", 5e-4}};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        if (strcmp(rates[i].method, method) == 0)
            return rates[i].rate;
    return 2e-4;
}

static enum sooth_status prepare(struct tune *t, struct sooth_error *err)
{
    static const char *const on[] = {"answer", "all", "last", "turns"}, *const layouts[] = {"auto", "chat", "plain", "notes"};
    const struct sooth_tune_options *o = t->o;
    int a, b;
    enum sooth_status status = settings_word(o->train_on, on, 4, "what is trained", &a, err);
    if (!status)
        status = settings_word(o->layout, layouts, 4, "the layout", &b, err);
    if (status)
        return status;
    size_t context = arch_info(t->parts.arch)->context, seq = o->train.seq ? o->train.seq : SEQ;
    if (o->train.seq > context)
        return err_set(err, SOOTH_ERR_ARG, "the model reads %zu tokens at most, not %zu", context, o->train.seq);
    t->how = (struct example_options){.on = (enum train_on)a, .layout = (enum layout)b, .most = seq < context ? seq : context, .pivot = o->pivot, .topic = o->topic};
    if (t->how.most < 2)
        return err_set(err, SOOTH_ERR_ARG, "an example needs at least 2 tokens");
    return settings_loop(&o->train, rate_of(o->method ? o->method : "lora"), &t->loop, err);
}

/* ---- data ---- */

static enum sooth_status rows_make(struct tune *t, struct samples *s, struct examples *out, struct sooth_error *err)
{
    enum sooth_status status = examples_make(out, t->model, s, &t->how, t->o->lenient, err);
    samples_release(s);
    samples_init(s);
    return status;
}

static enum sooth_status part(struct tune *t, struct samples *s, const char *name, bool must, struct examples *out, struct sooth_error *err)
{
    enum sooth_status status = samples_load_part(s, t->o->data, name, err);
    if (status == SOOTH_ERR_NOTFOUND && !must)
        return SOOTH_OK;
    return status ? status : rows_make(t, s, out, err);
}

static enum sooth_status data(struct tune *t, struct sooth_error *err)
{
    struct samples s;
    enum sooth_status status;
    samples_init(&s);
    if (file_is_dir(t->o->data)) {
        status = part(t, &s, "train", true, &t->train, err);
        if (!status && !t->o->valid)
            status = part(t, &s, "valid", false, &t->valid, err);
        if (!status)
            status = part(t, &s, "test", false, &t->test, err);
    } else {
        status = samples_load(&s, t->o->data, err);
        if (!status)
            status = rows_make(t, &s, &t->train, err);
    }
    if (!status && t->o->valid) {
        status = samples_load(&s, t->o->valid, err);
        if (!status)
            status = rows_make(t, &s, &t->valid, err);
    }
    if (!status && t->o->probe) {
        status = samples_load(&s, t->o->probe, err);
        if (!status)
            status = rows_make(t, &s, &t->probe, err);
    }
    samples_release(&s);
    if (!status && !units_make(&t->units, &t->train, t->o->pack, t->how.most, t->o->train.seed))
        status = err_nomem(err);
    return status;
}

/* ---- method ---- */

static enum sooth_status attach(struct tune *t, struct sooth_error *err)
{
    const struct sooth_tune_options *o = t->o;
    struct adapt_options a = {.method = o->method, .variant = o->variant, .targets = o->targets, .rank = o->rank, .alpha = o->alpha, .rslora = o->rslora,
                              .dropout = o->dropout, .tokens = o->tokens, .width = o->width, .seed = o->train.seed, .pool = t->parts.pool};
    struct learner_options l;
    settings_learner(&o->train, &l);
    l.products = t->products;
    enum sooth_status status = adapt_new(t->parts.arch, &a, &t->adapt, err);
    if (!status && o->train.out && !o->train.dry_run)
        status = dir_make(o->train.out, err);
    return status ? status : learner_new(t->parts.arch, t->adapt, t->parts.pool, &l, &t->learner, err);
}

static uint64_t examples_hash(const struct examples *e)
{
    uint64_t h = e->list.count;
    for (size_t i = 0; i < e->list.count; i++)
        h = hash64(e->list.items[i].train, e->list.items[i].n, hash64(e->list.items[i].ids, e->list.items[i].n * sizeof(int32_t), h));
    return h;
}

static enum sooth_status facts(struct tune *t, struct sooth_error *err)
{
    buf_printf(&t->facts, "model=%s\nmethod=%s\ntrained=%" PRIu64 "\n", sooth_model_fingerprint(t->model), adapt_method_of(t->adapt), adapt_parameters(t->adapt));
    buf_printf(&t->facts, "data=%016" PRIx64 "\nvalid=%016" PRIx64 "\nseq=%zu\npack=%d\n", examples_hash(&t->train), examples_hash(&t->valid), t->how.most, t->o->pack);
    buf_printf(&t->facts, "compute=%s\n", t->o->train.compute ? t->o->train.compute : "auto");
    buf_printf(&t->facts, "batch=%zu\naccumulate=%zu\nseed=%" PRIu64 "\n", t->loop.batch, t->loop.accumulate, t->o->train.seed);
    t->loop.facts = buf_str(&t->facts);
    return t->facts.failed ? err_nomem(err) : SOOTH_OK;
}

/* ---- plan ---- */

static struct sooth_train_row preview_row(struct arena *a, const struct tokenizer *tok, const struct example *x)
{
    struct sooth_train_row row = {.row = x->row};
    struct sooth_train_piece *pieces = arena_array(a, x->n + 1, sizeof *pieces);
    row.pieces = pieces;
    for (size_t i = 0; pieces && i < x->n;) {
        struct token_decoder d;
        struct buf text = BUF_INIT;
        size_t from = i;
        token_decoder_init(&d, tok);
        d.with_control = true;
        d.started = from > 0;
        for (; i < x->n && x->train[i] == x->train[from]; i++)
            token_decoder_add(&d, x->ids[i], &text);
        token_decoder_flush(&d, &text);
        pieces[row.n++] = (struct sooth_train_piece){arena_strdup(a, buf_str(&text)), x->train[from]};
        if (!pieces[row.n - 1].text)
            row.n--;
        buf_release(&text);
    }
    return row;
}

static enum sooth_status loss(void *user, struct learner *l, const struct minibatch *b, bool train, uint64_t draw, double *value, struct sooth_error *err)
{
    struct tune *t = user;
    return t->with ? t->with->loss(t->with->user, l, b, train, draw, value, err) : learner_nll(l, b, train, draw, value, err);
}

static enum sooth_status plan(struct tune *t, bool *go, struct sooth_error *err)
{
    struct arena a;
    size_t show = t->o->train.preview < t->train.list.count ? t->o->train.preview : t->train.list.count;
    enum sooth_status status = SOOTH_OK;
    status = settings_plan(t->learner, &t->train, &t->valid, &t->units, &t->loop, &t->plan, err);
    t->loop.warmup = settings_warmup(&t->o->train, t->plan.steps);
    *go = true;
    if (status)
        return status;
    arena_init(&a, (size_t)256 << 20);
    struct sooth_train_row *rows = arena_array(&a, show + 1, sizeof *rows);
    for (size_t i = 0; rows && i < show; i++)
        rows[i] = preview_row(&a, t->parts.tokenizer, &t->train.list.items[i]);
    t->plan.preview = rows;
    t->plan.n_preview = rows ? show : 0;
    if (t->o->train.dry_run)
        status = settings_probe(t->learner, &t->train, &t->valid, &t->units, &t->loop, loss, t, &t->plan, err);
    if (!status && t->events && t->events->on_plan)
        *go = t->events->on_plan(t->events->user, &t->plan);
    t->plan.preview = NULL;
    arena_release(&a);
    return status;
}

/* ---- run ---- */

static bool told(void *user, const struct loop_step *s)
{
    return settings_told(((struct tune *)user)->events, s);
}

/* The adapter, ready to be worn, into the result and into every checkpoint. */
static enum sooth_status result_save(void *user, const char *dir, struct sooth_error *err)
{
    return adapt_save(((struct tune *)user)->adapt, dir, err);
}

/* Share of the validation targets that the model would have chosen. */
static enum sooth_status accuracy(struct tune *t, double *out, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    struct minibatch b;
    size_t right = 0, all = 0;
    learner_batch(t->learner, &b);
    for (size_t i = 0; i < t->valid.list.count && !status; i++) {
        struct run *r = t->learner->eval;
        minibatch_clear(&b);
        if (!minibatch_add(&b, &t->valid.list.items[i], 1))
            status = err_nomem(err);
        struct rows rows = minibatch_rows(&b);
        run_begin(r, &rows);
        struct mat *y = arch_logits(t->parts.arch, r, arch_hidden(t->parts.arch, r));
        status = status ? status : run_end(r, err);
        for (size_t row = 0, at = 0; row < b.token.count && !status; row++) {
            if (!b.want.items[row])
                continue;
            const float *z = y->v + at++ * y->cols;
            size_t best = 0;
            for (size_t j = 1; j < y->cols; j++)
                best = z[j] > z[best] ? j : best;
            right += (int32_t)best == b.target.items[row];
            all++;
        }
    }
    minibatch_release(&b);
    *out = all ? (double)right / (double)all : NAN;
    return status;
}

static enum sooth_status probe(struct tune *t, double *out, struct sooth_error *err)
{
    return t->probe.list.count ? loop_evaluate(t->learner, &t->probe, t->loop.batch, NULL, NULL, out, err) : SOOTH_OK;
}

static void measured(const struct tune *t, struct sooth_train_result *out, double seconds)
{
    uint64_t steps = out->step - out->resumed_at;
    out->trained_parameters = adapt_parameters(t->adapt);
    out->memory_bytes = run_peak(t->learner->run) + t->learner->optimizer.bytes + 2 * sizeof(float) * out->trained_parameters;
    out->step_seconds = steps ? seconds / (double)steps : 0;
}

static enum sooth_status run(struct tune *t, struct sooth_train_result *out, struct sooth_error *err)
{
    struct loop_result r;
    t->loop.told = told;
    t->loop.extra = result_save;
    t->loop.loss = loss;
    t->loop.user = t;
    enum sooth_status status = probe(t, &out->probe_before, err);
    double start = clock_seconds();
    if (!status)
        status = loop_run(t->learner, &t->train, &t->units, &t->valid, &t->loop, &r, err);
    if (status)
        return status;
    settings_result(&r, out);
    measured(t, out, clock_seconds() - start);
    if (!out->stopped && t->test.list.count)
        status = loop_evaluate(t->learner, &t->test, t->loop.batch, NULL, NULL, &out->test_loss, err);
    if (!out->stopped && !status)
        status = probe(t, &out->probe_after, err);
    if (!out->stopped && !status)
        status = accuracy(t, &out->accuracy, err);
    return status;
}

static enum sooth_status tune(struct tune *t, struct sooth_train_result *out, struct sooth_error *err)
{
    struct sooth_model_options model = {.threads = t->o->train.threads};
    bool go = true;
    if (!t->o->model || !t->o->data || (!t->o->train.out && !t->o->train.dry_run))
        return err_set(err, SOOTH_ERR_ARG, "tuning needs a model, data and a directory for the result");
    enum sooth_status status = settings_compute(&t->o->train, &model, &t->products, err);
    if (!status)
        status = sooth_model_open(t->o->model, &model, &t->model, err);
    if (status)
        return status;
    t->parts = infer_parts(t->model);
    if (t->parts.arch && !arch_info(t->parts.arch)->decoder)
        return t->with ? err_set(err, SOOTH_ERR_UNSUPPORTED, "'%s' is an encoder: it cannot learn from a teacher that generates", t->o->model)
                       : tune_reader(t->o, t->events, t->model, t->products, out, err);
    if (!t->parts.arch)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "'%s' is not a local model that generates text", t->o->model);
    status = prepare(t, err);
    if (!status && t->with && t->with->open)
        status = t->with->open(t->with->user, t->model, err);
    if (!status)
        status = data(t, err);
    if (!status)
        status = attach(t, err);
    if (!status)
        status = plan(t, &go, err);
    if (status || !go || t->o->train.dry_run)
        return status;
    status = facts(t, err);
    return status ? status : run(t, out, err);
}

enum sooth_status tune_with(const struct sooth_tune_options *o, const struct tune_loss *with, const struct sooth_train_events *events,
                            struct sooth_train_result *out, struct sooth_error *err)
{
    struct tune t = {.o = o, .with = with, .events = events, .facts = BUF_INIT, .started = clock_seconds()};
    struct sooth_train_result result = settings_nothing;
    struct sooth_error own = {0};
    examples_init(&t.train);
    examples_init(&t.valid);
    examples_init(&t.test);
    examples_init(&t.probe);
    enum sooth_status status = tune(&t, &result, err ? err : &own);
    result.seconds = clock_seconds() - t.started;
    if (out)
        *out = result;
    learner_free(t.learner);
    adapt_free(t.adapt);
    units_release(&t.units);
    examples_release(&t.train);
    examples_release(&t.valid);
    examples_release(&t.test);
    examples_release(&t.probe);
    buf_release(&t.facts);
    sooth_model_close(t.model);
    return status;
}

enum sooth_status sooth_tune(const struct sooth_tune_options *options, const struct sooth_train_events *events,
                             struct sooth_train_result *out, struct sooth_error *err)
{
    return tune_with(options, NULL, events, out, err);
}
