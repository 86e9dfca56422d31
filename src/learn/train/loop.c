/* loop.c: see loop.h. */
#include "learn/train/loop.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/fsio.h"
#include "learn/train/trainlog.h"

enum { BAD_MOST = 10, OUTLIER_LEAST = 16 };

struct loop {
    struct learner *l;
    const struct examples *train, *valid;
    struct units *units;
    const struct loop_options *o;
    struct train_state state;
    struct trainlog log;
    struct minibatch batch;
    struct loop_result *result;
    uint64_t total, per_epoch;
};

void loop_options_init(struct loop_options *o)
{
    *o = (struct loop_options){.epochs = 1, .rate = 1e-4, .schedule = schedule_row_find("cosine"), .batch = 4, .accumulate = 1, .keep = 3};
}

static uint64_t steps_an_epoch(const struct loop_options *o, size_t units)
{
    size_t step = o->batch * o->accumulate;
    return (units + step - 1) / step;
}

uint64_t loop_total(const struct loop_options *o, size_t units)
{
    return o->steps ? o->steps : (uint64_t)ceil(o->epochs * (double)steps_an_epoch(o, units));
}

enum sooth_status loop_plain(void *user, struct learner *l, const struct minibatch *b, bool train, uint64_t draw, double *loss, struct sooth_error *err)
{
    return learner_nll(l, b, train, draw, loss, err);
}

static loop_loss *loss_of(const struct loop_options *o)
{
    return o->loss ? o->loss : loop_plain;
}

enum sooth_status loop_evaluate(struct learner *l, const struct examples *e, size_t batch, loop_loss *loss, void *user, double *mean, struct sooth_error *err)
{
    struct minibatch b;
    enum sooth_status status = SOOTH_OK;
    double sum = 0;
    size_t count = 0;
    learner_batch(l, &b);
    for (size_t i = 0; i < e->list.count && !status; i += batch) {
        double part = 0;
        minibatch_clear(&b);
        for (size_t j = i; j < i + batch && j < e->list.count && !status; j++)
            if (!minibatch_add(&b, &e->list.items[j], 1))
                status = err_nomem(err);
        if (!status)
            status = (loss ? loss : loop_plain)(user, l, &b, false, 0, &part, err);
        sum += part;
        count += b.trained;
    }
    minibatch_release(&b);
    *mean = count ? sum / (double)count : NAN;
    return status;
}

/* ---- a step ---- */

/* Units [first, first + n) of the epoch that hold this step's micro-batch m. */
static size_t micro(const struct loop *f, uint64_t step, size_t m, size_t *first)
{
    size_t at = (size_t)(step % f->per_epoch) * f->o->batch * f->o->accumulate + m * f->o->batch, all = units_count(f->units);
    *first = at;
    return at >= all ? 0 : all - at < f->o->batch ? all - at : f->o->batch;
}

static size_t unit_trained(const struct loop *f, size_t unit)
{
    size_t n = 0;
    for (size_t i = f->units->first.items[unit]; i < f->units->first.items[unit + 1]; i++)
        n += f->train->list.items[f->units->member.items[i]].trained;
    return n;
}

static size_t step_trained(const struct loop *f, uint64_t step)
{
    size_t n = 0, first;
    for (size_t m = 0; m < f->o->accumulate; m++)
        for (size_t i = 0, count = micro(f, step, m, &first); i < count; i++)
            n += unit_trained(f, units_at(f->units, step / f->per_epoch, first + i));
    return n;
}

static bool micro_batch(struct loop *f, uint64_t step, size_t m, float weight)
{
    size_t first, count = micro(f, step, m, &first);
    minibatch_clear(&f->batch);
    for (size_t i = 0; i < count; i++) {
        size_t unit = units_at(f->units, step / f->per_epoch, first + i);
        for (size_t j = f->units->first.items[unit]; j < f->units->first.items[unit + 1]; j++)
            if (!minibatch_add(&f->batch, &f->train->list.items[f->units->member.items[j]], weight))
                return false;
    }
    return true;
}

static bool is_outlier(const struct loop *f, double loss)
{
    uint64_t n = f->state.n_losses < CHECKPOINT_LOSSES ? f->state.n_losses : CHECKPOINT_LOSSES;
    double sum = 0, squares = 0;
    if (!(f->o->outlier > 0) || n < OUTLIER_LEAST)
        return false;
    for (uint64_t i = 0; i < n; i++) {
        sum += f->state.losses[i];
        squares += f->state.losses[i] * f->state.losses[i];
    }
    double mean = sum / (double)n, deviation = sqrt(fmax(squares / (double)n - mean * mean, 0));
    return deviation > 0 && loss > mean + f->o->outlier * deviation;
}

static enum sooth_status step_take(struct loop *f, struct trainlog_line *line, struct sooth_error *err)
{
    uint64_t step = f->state.step;
    size_t trained = step_trained(f, step);
    enum sooth_status status = SOOTH_OK;
    bool taken = false;
    learner_clear(f->l);
    line->loss = 0;
    for (size_t m = 0; m < f->o->accumulate && !status; m++) {
        double part;
        if (!micro_batch(f, step, m, (float)(1 / (double)trained)))
            status = err_nomem(err);
        if (!status && f->batch.trained)
            status = loss_of(f->o)(f->o->user, f->l, &f->batch, true, step * f->o->accumulate + m + 1, &part, err);
        else
            part = 0;
        line->loss += part;
        f->state.tokens += f->batch.token.count;
    }
    line->rate = f->o->rate * schedule_factor(f->o->schedule, step, f->total, f->o->warmup, f->o->floor);
    line->grad_norm = NAN;
    bool finite = isfinite(line->loss);
    if (!status && finite && !is_outlier(f, line->loss)) {
        status = learner_step(f->l, line->rate, &line->grad_norm, &taken, err);
        f->state.applied = f->l->steps;
        finite = taken;
    }
    line->skipped = !taken;
    f->state.bad = finite ? 0 : f->state.bad + 1;
    if (taken)
        f->state.losses[f->state.n_losses++ % CHECKPOINT_LOSSES] = line->loss;
    f->result->skipped += !taken;
    f->state.step++;
    if (!status && f->state.bad >= BAD_MOST) {
        err_set(err, SOOTH_ERR_FORMAT, "loss or gradient was not finite in %d steps one after another, up to step %llu", BAD_MOST, (unsigned long long)f->state.step);
        status = err_hint(err, "a smaller --lr, or --clip, may help");
    }
    return status;
}

/* ---- the run ---- */

static enum sooth_status save(struct loop *f, struct sooth_error *err)
{
    if (!f->o->out)
        return SOOTH_OK;
    trainlog_sync(&f->log);
    return checkpoint_save(f->o->out, f->l, &f->state, f->o->facts ? f->o->facts : "", f->o->extra, f->o->user, f->o->keep, err);
}

static enum sooth_status evaluate(struct loop *f, double *out, struct sooth_error *err)
{
    *out = NAN;
    if (!f->valid || !f->valid->list.count)
        return SOOTH_OK;
    enum sooth_status status = loop_evaluate(f->l, f->valid, f->o->batch, f->o->loss, f->o->user, out, err);
    f->state.waited = *out < f->state.best ? 0 : f->state.waited + 1;
    f->state.best = *out < f->state.best ? *out : f->state.best;
    f->result->eval_after = *out;
    return status;
}

static enum sooth_status log_line(struct loop *f, struct trainlog_line *line, struct sooth_error *err)
{
    line->step = f->state.step;
    line->tokens = f->state.tokens;
    line->epoch = (double)f->state.step / (double)f->per_epoch;
    return f->o->out ? trainlog_add(&f->log, line, err) : SOOTH_OK;
}

static bool tell(struct loop *f, const struct trainlog_line *line, bool saved)
{
    struct loop_step s = {.step = line->step, .total = f->total, .epoch = line->epoch, .loss = line->loss, .grad_norm = line->grad_norm, .rate = line->rate,
                         .eval_loss = line->eval_loss, .tokens = line->tokens, .skipped = line->skipped, .saved = saved};
    return !f->o->told || f->o->told(f->o->user, &s);
}

/* Before the first step: what the model can do untrained. */
static enum sooth_status begin(struct loop *f, struct sooth_error *err)
{
    struct trainlog_line line = {.loss = NAN, .grad_norm = NAN, .rate = NAN};
    enum sooth_status status = evaluate(f, &line.eval_loss, err);
    f->state.waited = 0;
    f->result->eval_before = line.eval_loss;
    if (!status && !isnan(line.eval_loss))
        status = log_line(f, &line, err);
    if (!status && !isnan(line.eval_loss) && !tell(f, &line, false))
        f->result->end = LOOP_STOPPED;
    return status;
}

static bool due(uint64_t every, uint64_t step, uint64_t total)
{
    return step == total || (every && step % every == 0);
}

static enum sooth_status steps(struct loop *f, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    while (!status && f->state.step < f->total && f->result->end == LOOP_DONE) {
        struct trainlog_line line = {.eval_loss = NAN};
        status = step_take(f, &line, err);
        f->result->loss = line.loss;
        if (!status && due(f->o->eval_every, f->state.step, f->total))
            status = evaluate(f, &line.eval_loss, err);
        if (!status)
            status = log_line(f, &line, err);
        bool saved = due(f->o->save_every, f->state.step, f->total);
        if (!status && saved)
            status = save(f, err);
        if (!status && !tell(f, &line, saved))
            f->result->end = LOOP_STOPPED;
        if (f->o->patience && f->state.waited >= f->o->patience)
            f->result->end = LOOP_PATIENCE;
        if (!status && f->result->end != LOOP_DONE && !saved)
            status = save(f, err);
    }
    return status;
}

static enum sooth_status resume(struct loop *f, struct sooth_error *err)
{
    uint64_t step;
    char path[4096];
    if (!f->o->out)
        return SOOTH_OK;
    enum sooth_status status = dir_make(f->o->out, err);
    bool any = checkpoint_newest(f->o->out, &step);
    snprintf(path, sizeof path, "%s/train.jsonl", f->o->out);
    if (!status && !f->o->resume && (any || file_exists(path))) {
        err_set(err, SOOTH_ERR_ARG, "'%s' already holds a run", f->o->out);
        return err_hint(err, "'--resume' goes on with it; or name another directory");
    }
    if (!status && any)
        status = checkpoint_load(f->o->out, step, f->l, &f->state, f->o->facts ? f->o->facts : "", err);
    if (!status)
        status = trainlog_open(&f->log, f->o->out, f->state.step > 0, f->state.step, err);
    f->result->resumed_at = f->state.step;
    return status;
}

enum sooth_status loop_run(struct learner *l, const struct examples *train, struct units *units, const struct examples *valid,
                          const struct loop_options *o, struct loop_result *out, struct sooth_error *err)
{
    struct loop f = {.l = l, .train = train, .valid = valid, .units = units, .o = o, .log = {-1, -1}, .result = out};
    *out = (struct loop_result){.loss = NAN, .eval_before = NAN, .eval_after = NAN};
    if (!o->batch || !o->accumulate || !units_count(units))
        return err_set(err, SOOTH_ERR_ARG, "a step needs at least one row");
    f.per_epoch = steps_an_epoch(o, units_count(units));
    f.total = loop_total(o, units_count(units));
    f.state.best = INFINITY;
    learner_batch(l, &f.batch);
    enum sooth_status status = resume(&f, err);
    if (!status && f.state.step == 0)
        status = begin(&f, err);
    if (!status)
        status = steps(&f, err);
    if (!status && o->out && o->extra)
        status = o->extra(o->user, o->out, err);
    out->step = f.state.step;
    out->total = f.total;
    trainlog_close(&f.log);
    minibatch_release(&f.batch);
    return status;
}

enum sooth_status loop_largest(struct learner *l, const struct examples *train, struct units *units, const struct loop_options *o, struct minibatch *b, struct sooth_error *err)
{
    struct loop f = {.l = l, .train = train, .units = units, .o = o};
    uint64_t total = loop_total(o, units_count(units)), best = 0, most = 0;
    size_t best_m = 0;
    f.per_epoch = steps_an_epoch(o, units_count(units));
    learner_batch(l, &f.batch);
    for (uint64_t step = 0; step < total; step++)
        for (size_t m = 0; m < o->accumulate; m++) {
            size_t first, rows = 0, count = micro(&f, step, m, &first);
            for (size_t i = 0; i < count; i++) {
                size_t unit = units_at(units, step / f.per_epoch, first + i);
                for (size_t j = units->first.items[unit]; j < units->first.items[unit + 1]; j++)
                    rows += train->list.items[units->member.items[j]].n;
            }
            if (rows > most) {
                most = rows;
                best = step;
                best_m = m;
            }
        }
    bool ok = micro_batch(&f, best, best_m, 1);
    *b = f.batch;
    return ok ? SOOTH_OK : err_nomem(err);
}
