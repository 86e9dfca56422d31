/* tune.c: fine-tuning from names to files: model, rows, method, plan, loop, result.
 *
 *     open model -> read rows -> make examples -> attach the method -> plan (and probe) -> fit -> write the adapter */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/fsio.h"
#include "core/base/hash.h"
#include "learn/train/train.h"
#include "model/infer/infer.h"
#include "model/token/token.h"
#include "sooth/train.h"

enum { SEQ = 1024, BATCH = 4, KEEP = 3 };

struct tune {
    const struct sooth_tune_options *o;
    const struct sooth_train_events *events;
    struct sooth_model *model;
    struct infer_parts parts;
    struct example_options how;
    struct examples train, valid, test;
    struct units units;
    struct adapt *adapt;
    struct learner *learner;
    struct loop_options fit;
    struct buf facts;
    struct sooth_train_plan plan;
    double started;
};

void sooth_tune_options_init(struct sooth_tune_options *o)
{
    memset(o, 0, sizeof *o);
    o->preview = 3;
}

/* ---- words ---- */

static enum sooth_status word(const char *given, const char *const *words, size_t n, const char *what, int *out, struct sooth_error *err)
{
    struct buf all = BUF_INIT;
    *out = 0;
    if (!given)
        return SOOTH_OK;
    for (size_t i = 0; i < n; i++)
        if (strcmp(given, words[i]) == 0)
            return *out = (int)i, SOOTH_OK;
    for (size_t i = 0; i < n; i++)
        buf_printf(&all, "%s%s", i ? ", " : "", words[i]);
    err_set(err, SOOTH_ERR_ARG, "%s must be one of %s, not '%.40s'", what, buf_str(&all), given);
    buf_release(&all);
    return SOOTH_ERR_ARG;
}

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

static enum sooth_status settings(struct tune *t, struct sooth_error *err)
{
    static const char *const on[] = {"answer", "all", "last", "turns"}, *const layouts[] = {"auto", "chat", "plain", "notes"};
    const struct sooth_tune_options *o = t->o;
    int a, b;
    enum sooth_status status = word(o->train_on, on, 4, "what is trained", &a, err);
    if (!status)
        status = word(o->layout, layouts, 4, "the layout", &b, err);
    if (status)
        return status;
    size_t context = arch_info(t->parts.arch)->context, seq = o->seq ? o->seq : SEQ;
    if (o->seq > context)
        return err_set(err, SOOTH_ERR_ARG, "the model reads %zu tokens at most, not %zu", context, o->seq);
    t->how = (struct example_options){.on = (enum train_on)a, .layout = (enum layout)b, .most = seq < context ? seq : context, .pivot = o->pivot, .topic = o->topic};
    if (t->how.most < 2)
        return err_set(err, SOOTH_ERR_ARG, "an example needs at least 2 tokens");
    loop_options_init(&t->fit);
    t->fit.epochs = o->epochs > 0 ? o->epochs : 1;
    t->fit.steps = o->steps;
    t->fit.rate = o->rate > 0 ? o->rate : rate_of(o->method ? o->method : "lora");
    t->fit.floor = o->floor;
    t->fit.schedule = schedule_row_find(o->schedule ? o->schedule : "cosine");
    t->fit.batch = o->batch ? o->batch : BATCH;
    t->fit.accumulate = o->accumulate ? o->accumulate : 1;
    t->fit.eval_every = o->eval_every;
    t->fit.save_every = o->save_every;
    t->fit.keep = o->keep ? o->keep : KEEP;
    t->fit.patience = o->patience;
    t->fit.outlier = o->outlier;
    t->fit.seed = o->seed;
    t->fit.out = o->out;
    t->fit.resume = o->resume;
    if (!t->fit.schedule)
        return err_set(err, SOOTH_ERR_ARG, "there is no schedule '%.40s'", o->schedule);
    return SOOTH_OK;
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
    samples_release(&s);
    if (!status && !units_make(&t->units, &t->train, t->o->pack, t->how.most, t->o->seed))
        status = err_nomem(err);
    return status;
}

/* ---- method ---- */

static enum sooth_status attach(struct tune *t, struct sooth_error *err)
{
    const struct sooth_tune_options *o = t->o;
    struct adapt_options a = {.method = o->method, .variant = o->variant, .targets = o->targets, .rank = o->rank, .alpha = o->alpha, .rslora = o->rslora,
                              .dropout = o->dropout, .tokens = o->tokens, .width = o->width, .seed = o->seed, .pool = t->parts.pool};
    struct learner_options l;
    learner_options_init(&l);
    l.optimizer = o->optimizer;
    l.decay = o->decay;
    l.clip = o->clip < 0 ? 0 : o->clip > 0 ? o->clip : 1;
    l.checkpoint = o->checkpointing;
    l.page_dir = o->out;
    enum sooth_status status = adapt_new(t->parts.arch, &a, &t->adapt, err);
    if (!status && o->out && !o->dry_run)
        status = dir_make(o->out, err);
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
    buf_printf(&t->facts, "batch=%zu\naccumulate=%zu\nseed=%" PRIu64 "\n", t->fit.batch, t->fit.accumulate, t->o->seed);
    t->fit.facts = buf_str(&t->facts);
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

/* One step with a learning rate of zero over the largest micro-batch, and the same without recording: what memory it takes is
 * what the run will take, and how long it takes foretells the run. */
static enum sooth_status probe(struct tune *t, struct sooth_error *err)
{
    struct minibatch b = {0};
    struct rusage use;
    double loss, norm, start = clock_seconds(), step_seconds, eval_seconds;
    bool taken;
    enum sooth_status status = loop_largest(t->learner, &t->train, &t->units, &t->fit, &b, err);
    learner_clear(t->learner);
    if (!status)
        status = learner_nll(t->learner, &b, true, 1, &loss, err);
    if (!status)
        status = learner_step(t->learner, 0, &norm, &taken, err);
    step_seconds = clock_seconds() - start;
    if (!status)
        status = learner_nll(t->learner, &b, false, 0, &loss, err);
    eval_seconds = clock_seconds() - start - step_seconds;
    double rows = b.token.count ? (double)b.token.count : 1, share = (double)t->plan.steps / (double)(t->plan.steps_an_epoch ? t->plan.steps_an_epoch : 1);
    double evals = t->valid.list.count ? 2 + (t->fit.eval_every ? (double)(t->plan.steps / t->fit.eval_every) : 0) : 0;
    t->plan.seconds = (double)t->train.tokens * share * step_seconds / rows + (double)t->valid.tokens * evals * eval_seconds / rows;
    getrusage(RUSAGE_SELF, &use);
    t->plan.memory_bytes = (uint64_t)use.ru_maxrss * 1024;
    minibatch_release(&b);
    return status;
}

static enum sooth_status plan(struct tune *t, bool *go, struct sooth_error *err)
{
    const struct arch_info *info = arch_info(t->parts.arch);
    struct arena a;
    size_t show = t->o->preview < t->train.list.count ? t->o->preview : t->train.list.count;
    enum sooth_status status = SOOTH_OK;
    t->plan = (struct sooth_train_plan){
        .method = adapt_method_of(t->adapt), .arch = info->arch, .weights = info->type ? info->type->name : "", .parameters = info->parameters,
        .trained_parameters = adapt_parameters(t->adapt), .trained_matrices = adapt_trained(t->adapt), .rows = t->train.rows, .examples = t->train.list.count,
        .units = units_count(&t->units), .trained_tokens = t->train.trained, .masked_tokens = t->train.tokens - t->train.trained, .cut = t->train.cut,
        .cut_answers = t->train.cut_answers, .dropped = t->train.dropped, .split = t->train.split, .valid_rows = t->valid.rows, .valid_tokens = t->valid.trained,
        .steps = loop_total(&t->fit, units_count(&t->units)), .rate = t->fit.rate};
    size_t a_step = t->fit.batch * t->fit.accumulate;
    t->plan.steps_an_epoch = (t->plan.units + a_step - 1) / a_step;
    t->fit.warmup = t->o->warmup < 1 ? (uint64_t)(t->o->warmup * (double)t->plan.steps) : (uint64_t)t->o->warmup;
    *go = true;
    if (!examples_repeated(&t->train, &t->valid, &t->plan.duplicates, &t->plan.shared))
        return err_nomem(err);
    arena_init(&a, (size_t)256 << 20);
    struct sooth_train_row *rows = arena_array(&a, show + 1, sizeof *rows);
    for (size_t i = 0; rows && i < show; i++)
        rows[i] = preview_row(&a, t->parts.tokenizer, &t->train.list.items[i]);
    t->plan.preview = rows;
    t->plan.n_preview = rows ? show : 0;
    if (t->o->dry_run)
        status = probe(t, err);
    if (!status && t->events && t->events->on_plan)
        *go = t->events->on_plan(t->events->user, &t->plan);
    t->plan.preview = NULL;
    arena_release(&a);
    return status;
}

/* ---- run ---- */

static bool told(void *user, const struct loop_step *s)
{
    struct tune *t = user;
    struct sooth_train_step step = {.step = s->step, .total = s->total, .epoch = s->epoch, .loss = s->loss, .grad_norm = s->grad_norm, .rate = s->rate,
                                    .eval_loss = s->eval_loss, .tokens = s->tokens, .skipped = s->skipped, .saved = s->saved};
    return !t->events || !t->events->on_step || t->events->on_step(t->events->user, &step);
}

static enum sooth_status fit(struct tune *t, struct sooth_train_result *out, struct sooth_error *err)
{
    struct loop_result r;
    t->fit.told = told;
    t->fit.user = t;
    enum sooth_status status = loop_run(t->learner, &t->train, &t->units, &t->valid, &t->fit, &r, err);
    if (status)
        return status;
    out->step = r.step;
    out->total = r.total;
    out->resumed_at = r.resumed_at;
    out->skipped = r.skipped;
    out->loss = r.loss;
    out->eval_before = r.eval_before;
    out->eval_after = r.eval_after;
    out->stopped = r.end == LOOP_STOPPED;
    if (t->test.list.count && !out->stopped)
        status = loop_evaluate(t->learner, &t->test, t->fit.batch, NULL, NULL, &out->test_loss, err);
    return status;
}

static enum sooth_status tune(struct tune *t, struct sooth_train_result *out, struct sooth_error *err)
{
    struct sooth_model_options model = {.threads = t->o->threads};
    bool go = true;
    if (!t->o->model || !t->o->data || (!t->o->out && !t->o->dry_run))
        return err_set(err, SOOTH_ERR_ARG, "tuning needs a model, data and a directory for the result");
    enum sooth_status status = sooth_model_open(t->o->model, &model, &t->model, err);
    if (status)
        return status;
    t->parts = infer_parts(t->model);
    if (!t->parts.arch || !arch_info(t->parts.arch)->decoder)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "'%s' is not a local model that generates text", t->o->model);
    status = settings(t, err);
    if (!status)
        status = data(t, err);
    if (!status)
        status = attach(t, err);
    if (!status)
        status = plan(t, &go, err);
    if (status || !go || t->o->dry_run)
        return status;
    status = facts(t, err);
    return status ? status : fit(t, out, err);
}

enum sooth_status sooth_tune(const struct sooth_tune_options *options, const struct sooth_train_events *events,
                             struct sooth_train_result *out, struct sooth_error *err)
{
    struct tune t = {.o = options, .events = events, .facts = BUF_INIT, .started = clock_seconds()};
    struct sooth_train_result result = {.loss = NAN, .eval_before = NAN, .eval_after = NAN, .test_loss = NAN};
    struct sooth_error own = {0};
    examples_init(&t.train);
    examples_init(&t.valid);
    examples_init(&t.test);
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
    buf_release(&t.facts);
    sooth_model_close(t.model);
    return status;
}
