/* settings.c: see settings.h. */
#include "learn/train/settings.h"
#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/kernel/kernel.h"

enum { BATCH = 4, KEEP = 3 };

const struct sooth_train_result settings_nothing = {.loss = NAN, .eval_before = NAN, .eval_after = NAN, .test_loss = NAN, .bits_per_byte = NAN, .accuracy = NAN, .probe_before = NAN, .probe_after = NAN};

enum sooth_status settings_word(const char *given, const char *const *words, size_t n, const char *what, int *out, struct sooth_error *err)
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

enum sooth_status settings_loop(const struct sooth_train_settings *s, double rate, struct loop_options *out, struct sooth_error *err)
{
    loop_options_init(out);
    out->epochs = s->epochs > 0 ? s->epochs : 1;
    out->steps = s->steps;
    out->rate = s->rate > 0 ? s->rate : rate;
    out->floor = s->floor;
    out->schedule = schedule_row_find(s->schedule ? s->schedule : "cosine");
    out->batch = s->batch ? s->batch : BATCH;
    out->accumulate = s->accumulate ? s->accumulate : 1;
    out->eval_every = s->eval_every;
    out->save_every = s->save_every;
    out->keep = s->keep ? s->keep : KEEP;
    out->patience = s->patience;
    out->outlier = s->outlier;
    out->seed = s->seed;
    out->out = s->out;
    out->resume = s->resume;
    return out->schedule ? SOOTH_OK : err_set(err, SOOTH_ERR_ARG, "there is no schedule '%.40s'", s->schedule);
}

void settings_learner(const struct sooth_train_settings *s, struct learner_options *out)
{
    learner_options_init(out);
    out->optimizer = s->optimizer;
    out->decay = s->decay;
    out->clip = s->clip < 0 ? 0 : s->clip > 0 ? s->clip : 1;
    out->checkpoint = s->checkpointing;
    out->page_dir = s->out;
}

enum sooth_status settings_compute(const struct sooth_train_settings *s, struct sooth_model_options *model, enum run_products *products,
                                   struct sooth_error *err)
{
    static const char *const words[] = {"auto", "int8", "bf16", "f32"};
    enum { AUTO, INT8, BF16, F32 };
    int word;
    enum sooth_status status = settings_word(s->compute, words, sizeof words / sizeof *words, "compute", &word, err);
    model->compute = word == INT8 ? "int8" : NULL;
    model->file_form = word == BF16 || word == F32;
    *products = word == BF16 ? PRODUCTS_BF16 : word != F32 && kernel_get()->pairs_fast ? PRODUCTS_BF16_BACK : PRODUCTS_F32;
    return status;
}

uint64_t settings_warmup(const struct sooth_train_settings *s, uint64_t total)
{
    return s->warmup < 1 ? (uint64_t)(s->warmup * (double)total) : (uint64_t)s->warmup;
}

bool settings_told(const struct sooth_train_events *events, const struct loop_step *s)
{
    struct sooth_train_step step = {.step = s->step, .total = s->total, .epoch = s->epoch, .loss = s->loss, .grad_norm = s->grad_norm, .rate = s->rate,
                                    .eval_loss = s->eval_loss, .tokens = s->tokens, .skipped = s->skipped, .saved = s->saved};
    return !events || !events->on_step || events->on_step(events->user, &step);
}

void settings_result(const struct loop_result *r, struct sooth_train_result *out)
{
    out->step = r->step;
    out->total = r->total;
    out->resumed_at = r->resumed_at;
    out->skipped = r->skipped;
    out->loss = r->loss;
    out->eval_before = r->eval_before;
    out->eval_after = r->eval_after;
    out->stopped = r->end == LOOP_STOPPED;
}

enum sooth_status settings_plan(const struct learner *l, const struct examples *train, const struct examples *valid, const struct units *units,
                                const struct loop_options *o, struct sooth_train_plan *plan, struct sooth_error *err)
{
    const struct arch_info *info = arch_info(l->model);
    size_t a_step = o->batch * o->accumulate;
    *plan = (struct sooth_train_plan){
        .method = adapt_method_of(l->adapt), .arch = info->arch, .weights = info->type ? info->type->name : "", .parameters = info->parameters,
        .trained_parameters = adapt_parameters(l->adapt), .trained_matrices = adapt_trained(l->adapt), .rows = train->rows, .examples = train->list.count,
        .units = units_count(units), .trained_tokens = train->trained, .masked_tokens = train->tokens - train->trained, .cut = train->cut,
        .cut_answers = train->cut_answers, .dropped = train->dropped, .split = train->split, .valid_rows = valid->rows, .valid_tokens = valid->trained,
        .steps = loop_total(o, units_count(units)), .steps_an_epoch = (units_count(units) + a_step - 1) / a_step, .rate = o->rate};
    return examples_repeated(train, valid, &plan->duplicates, &plan->shared) ? SOOTH_OK : err_nomem(err);
}

/* The step has a learning rate of zero. What memory it takes is what the run will take. */
enum sooth_status settings_probe(struct learner *l, const struct examples *train, const struct examples *valid, struct units *units,
                                 const struct loop_options *o, loop_loss *loss, void *user, struct sooth_train_plan *plan, struct sooth_error *err)
{
    struct minibatch b = {0};
    struct rusage use;
    double value, norm, start = clock_seconds(), step_seconds, eval_seconds;
    bool taken;
    enum sooth_status status = loop_largest(l, train, units, o, &b, err);
    learner_clear(l);
    if (!status)
        status = loss(user, l, &b, true, 1, &value, err);
    if (!status)
        status = learner_step(l, 0, &norm, &taken, err);
    step_seconds = clock_seconds() - start;
    if (!status)
        status = loss(user, l, &b, false, 0, &value, err);
    eval_seconds = clock_seconds() - start - step_seconds;
    double rows = b.token.count ? (double)b.token.count : 1, share = (double)plan->steps / (double)(plan->steps_an_epoch ? plan->steps_an_epoch : 1);
    double evals = valid->list.count ? 2 + (o->eval_every ? (double)(plan->steps / o->eval_every) : 0) : 0;
    plan->seconds = (double)train->tokens * share * step_seconds / rows + (double)valid->tokens * evals * eval_seconds / rows;
    getrusage(RUSAGE_SELF, &use);
    plan->memory_bytes = (uint64_t)use.ru_maxrss * 1024;
    minibatch_release(&b);
    return status;
}
