/* training.c: see training.h. */
#include "training.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- the plan ---- */

static void preview_print(const struct sooth_train_row *r)
{
    bool color = cli_color(stdout);
    printf("--- row %zu\n", r->row);
    for (size_t i = 0; i < r->n; i++) {
        fputs(color ? (r->pieces[i].trained ? "\033[32m" : "\033[2m") : r->pieces[i].trained ? "[[" : "", stdout);
        cli_safe(stdout, r->pieces[i].text, strlen(r->pieces[i].text));
        fputs(color ? "\033[0m" : r->pieces[i].trained ? "]]" : "", stdout);
    }
    putchar('\n');
}

static void warnings_say(const struct common_args *c, const struct sooth_train_plan *p)
{
    static const char *const texts[] = {
        "%zu prompts were too long and lost their beginning (--seq)", "%zu answers were too long and lost their end (--seq)", "%zu rows leave nothing to train and were dropped",
        "%zu conversations became one row a turn: the template rewrites earlier turns", "%zu rows occur more than once", "%zu validation rows are also trained on"};
    const size_t counts[] = {p->cut, p->cut_answers, p->dropped, p->split, p->duplicates, p->shared};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i]) {
            char line[160];
            snprintf(line, sizeof line, texts[i], counts[i]);
            cli_say(c, "warning: %s", line);
        }
}

static void plan_json(const struct sooth_train_plan *p)
{
    const struct { const char *key; uint64_t v; } numbers[] = {
        {"rows", p->rows}, {"examples", p->examples}, {"units", p->units}, {"trained_tokens", p->trained_tokens}, {"masked_tokens", p->masked_tokens},
        {"valid_rows", p->valid_rows}, {"valid_tokens", p->valid_tokens}, {"cut_prompts", p->cut}, {"cut_answers", p->cut_answers}, {"dropped", p->dropped}, {"split", p->split},
        {"duplicates", p->duplicates}, {"valid_rows_trained", p->shared}, {"steps", p->steps}, {"steps_an_epoch", p->steps_an_epoch},
        {"parameters", p->parameters}, {"trained_parameters", p->trained_parameters}, {"memory_bytes", p->memory_bytes}};
    struct buf line = BUF_INIT;
    struct json_writer w;
    jsonw_init(&w, &line);
    jsonw_object(&w);
    jsonw_key(&w, "method"), jsonw_string(&w, p->method);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        jsonw_key(&w, numbers[i].key), jsonw_int(&w, (int64_t)numbers[i].v);
    jsonw_key(&w, "learning_rate"), jsonw_double(&w, p->rate, 9);
    jsonw_key(&w, "seconds"), jsonw_double(&w, p->seconds, 4);
    jsonw_end_object(&w);
    cli_json_line(&line);
    buf_release(&line);
}

static void duration(double s, char out[32])
{
    if (s < 90)
        snprintf(out, 32, "%.0f s", s);
    else if (s < 5400)
        snprintf(out, 32, "%.0f min", s / 60);
    else
        snprintf(out, 32, "%.1f h", s / 3600);
}

static void plan_print(const struct training *t, const struct sooth_train_plan *p)
{
    const struct common_args *c = t->common;
    char time[32];
    if (t->args->dry_run && c->json) {
        plan_json(p);
        return;
    }
    for (size_t i = 0; t->args->dry_run && i < p->n_preview; i++)
        preview_print(&p->preview[i]);
    cli_say(c, "%s on %s (%s): %" PRIu64 " of %" PRIu64 " parameters (%.2f %%) in %zu matrices", p->method, p->arch, p->weights, p->trained_parameters, p->parameters,
            100.0 * (double)p->trained_parameters / (double)p->parameters, p->trained_matrices);
    cli_say(c, "%zu rows: %zu trained and %zu masked tokens; %" PRIu64 " steps (%" PRIu64 " an epoch), learning rate %g", p->rows, p->trained_tokens, p->masked_tokens,
            p->steps, p->steps_an_epoch, p->rate);
    if (p->valid_rows)
        cli_say(c, "%zu validation rows, %zu trained tokens", p->valid_rows, p->valid_tokens);
    warnings_say(c, p);
    if (p->memory_bytes) {
        duration(p->seconds, time);
        cli_say(c, "memory %.0f MB, time about %s", (double)p->memory_bytes / 1e6, time);
    }
}

/* ---- events ---- */

static bool on_plan(void *user, const struct sooth_train_plan *plan)
{
    struct training *t = user;
    plan_print(t, plan);
    if (t->args->dry_run || cli_interrupted())
        return false;
    progress_begin(&t->progress, t->common, "training");
    t->running = true;
    return true;
}

static void step_json(const struct sooth_train_step *s)
{
    struct buf line = BUF_INIT;
    struct json_writer w;
    jsonw_init(&w, &line);
    jsonw_object(&w);
    jsonw_key(&w, "step"), jsonw_int(&w, (int64_t)s->step);
    if (!isnan(s->loss))
        jsonw_key(&w, "loss"), jsonw_double(&w, s->loss, 7), jsonw_key(&w, "learning_rate"), jsonw_double(&w, s->rate, 7);
    if (!isnan(s->grad_norm))
        jsonw_key(&w, "grad_norm"), jsonw_double(&w, s->grad_norm, 7);
    if (!isnan(s->eval_loss))
        jsonw_key(&w, "eval_loss"), jsonw_double(&w, s->eval_loss, 7);
    jsonw_key(&w, "num_tokens"), jsonw_int(&w, (int64_t)s->tokens);
    jsonw_end_object(&w);
    cli_json_line(&line);
    buf_release(&line);
}

static bool on_step(void *user, const struct sooth_train_step *s)
{
    struct training *t = user;
    const struct common_args *c = t->common;
    progress_set(&t->progress, s->step, s->total);
    if (c->json)
        step_json(s);
    else if (!isnan(s->eval_loss) && isnan(s->loss))
        cli_say(c, "before: validation loss %.4f", s->eval_loss);
    else if (!isnan(s->eval_loss))
        cli_say(c, "step %" PRIu64 " of %" PRIu64 ": loss %.4f, validation loss %.4f", s->step, s->total, s->loss, s->eval_loss);
    else if (s->step == 1 || s->step == s->total || s->step % 10 == 0)
        cli_say(c, "step %" PRIu64 " of %" PRIu64 ": loss %.4f%s", s->step, s->total, s->loss, s->skipped ? " (skipped)" : "");
    return !cli_interrupted();
}

void training_begin(struct training *t, const struct common_args *common, const struct training_args *a, struct sooth_train_settings *s,
                    struct sooth_train_events *events)
{
    *t = (struct training){ .common = common, .args = a };
    *events = (struct sooth_train_events){ .on_plan = on_plan, .on_step = on_step, .user = t };
    s->out = a->out, s->schedule = a->schedule, s->optimizer = a->optimizer, s->compute = a->compute;
    s->threads = (unsigned)common->threads, s->seed = (uint64_t)common->seed;
    s->seq = (size_t)a->seq, s->steps = (uint64_t)a->steps, s->batch = (size_t)a->batch, s->accumulate = (size_t)a->accumulate;
    s->eval_every = (uint64_t)a->eval_every, s->save_every = (uint64_t)a->save_every, s->keep = (size_t)a->keep, s->patience = (uint64_t)a->patience;
    s->epochs = a->epochs, s->rate = a->rate, s->floor = a->floor, s->warmup = a->warmup, s->decay = a->decay, s->clip = a->clip, s->outlier = a->outlier;
    s->checkpointing = a->checkpointing, s->resume = a->resume, s->dry_run = a->dry_run;
    if (a->preview)
        s->preview = (size_t)a->preview;
    cli_catch_interrupt();
}

int training_end(struct training *t, enum sooth_status status, const struct sooth_train_result *r, const struct sooth_error *err)
{
    const struct common_args *c = t->common;
    if (t->running)
        progress_end(&t->progress);
    if (status != SOOTH_OK)
        return cli_fail(err);
    if (t->args->dry_run)
        return EXIT_DONE;
    if (r->resumed_at && r->resumed_at == r->step)
        cli_say(c, "nothing left to do: step %" PRIu64 " of %" PRIu64 " was the last", r->step, r->total);
    if (r->stopped)
        cli_say(c, "stopped at step %" PRIu64 " of %" PRIu64 ", saved; --resume goes on", r->step, r->total);
    if (!isnan(r->test_loss))
        cli_say(c, "test loss %.4f", r->test_loss);
    if (!isnan(r->bits_per_byte))
        cli_say(c, "%.4f bits per byte of the validation text", r->bits_per_byte);
    cli_say(c, "%.0f s; the result is in '%s'", r->seconds, t->args->out);
    return EXIT_DONE;
}

void tuning_fill(const struct tuning_args *a, struct sooth_tune_options *o)
{
    o->model = a->model, o->data = a->data, o->valid = a->valid, o->probe = a->probe, o->method = a->method, o->variant = a->variant, o->targets = a->targets;
    o->train_on = a->train_on, o->layout = a->layout, o->rank = (size_t)a->rank, o->tokens = (size_t)a->tokens, o->width = (size_t)a->width;
    o->alpha = a->alpha, o->dropout = a->dropout, o->rslora = a->rslora, o->pack = a->pack, o->lenient = a->lenient;
}
