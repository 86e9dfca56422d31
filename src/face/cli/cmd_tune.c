/* cmd_tune.c: `sooth tune`: fine-tune a model on rows of examples. */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "cli.h"
#include "core/base/clock.h"
#include "sooth/train.h"

extern const struct verb_row verb_tune;

struct tune_args {
    struct common_args common;
    const char *model, *data, *valid, *out, *method, *variant, *targets, *train_on, *layout, *schedule, *optimizer;
    int64_t rank, tokens, width, seq, steps, batch, accumulate, eval_every, save_every, keep, patience, preview;
    double alpha, dropout, epochs, rate, floor, warmup, decay, clip, outlier;
    bool rslora, pack, lenient, checkpointing, resume, dry_run;
};

static const struct option_row tune_options[] = {
    OPT_TEXT(tune_args, model, "model", 'm', "MODEL", "the model to start from"),
    OPT_TEXT(tune_args, data, "data", 'd', "PATH", "rows: a .jsonl or .json file, a text file, or a directory with train, valid and test"),
    OPT_TEXT(tune_args, valid, "valid", 0, "FILE", "rows for validation (default: the directory's own)"),
    OPT_TEXT(tune_args, out, "out", 'o', "DIR", "where the result goes"),
    OPT_TEXT(tune_args, method, "method", 0, "NAME", "how (default lora); 'sooth list methods' shows them"),
    OPT_TEXT(tune_args, variant, "variant", 0, "NAME", "kind of a method that comes in several"),
    OPT_TEXT(tune_args, targets, "targets", 0, "NAMES", "what is adapted: attn_q,attn_v, q_proj, all-linear, a pattern over names"),
    OPT_INT(tune_args, rank, "rank", 'r', "N", "rank of a low-rank method (default 8)", 1, 65536),
    OPT_REAL(tune_args, alpha, "alpha", 0, "X", "strength: what is learnt is scaled by alpha / rank (default twice the rank)", 0, 1e6),
    OPT_FLAG(tune_args, rslora, "rslora", 0, "scale by alpha / sqrt(rank)"),
    OPT_REAL(tune_args, dropout, "dropout", 0, "X", "share of the adapter's inputs dropped in training", 0, 0.99),
    OPT_INT(tune_args, tokens, "tokens", 0, "N", "virtual tokens of prompts and prefixes (default 16)", 1, 65536),
    OPT_INT(tune_args, width, "width", 0, "N", "inner width of bottlenecks and encoders", 1, 65536),
    OPT_TEXT(tune_args, train_on, "train-on", 0, "answer|all|last|turns", "answers; every token; the last answer; each answer as a row of its own"),
    OPT_TEXT(tune_args, layout, "layout", 0, "auto|chat|plain|notes", "chat template, prompt and answer joined, or joined by the start token"),
    OPT_INT(tune_args, seq, "seq", 0, "N", "tokens of an example at most (default 1024)", 2, 1e7),
    OPT_FLAG(tune_args, pack, "pack", 0, "several short examples share a row of --seq tokens; none sees another"),
    OPT_FLAG(tune_args, lenient, "lenient", 0, "pass over rows that leave nothing to train, however many"),
    OPT_REAL(tune_args, epochs, "epochs", 'e', "X", "times through the rows (default 1)", 0, 1e6),
    OPT_INT(tune_args, steps, "steps", 's', "N", "steps instead of epochs", 1, 1e12),
    OPT_REAL(tune_args, rate, "lr", 0, "X", "learning rate (default: the method's own; 2e-4 for lora)", 0, 1e3),
    OPT_REAL(tune_args, floor, "lr-floor", 0, "X", "share of it that is left at the end", 0, 1),
    OPT_REAL(tune_args, warmup, "warmup", 0, "X", "steps of rising rate; below 1: share of all steps", 0, 1e12),
    OPT_TEXT(tune_args, schedule, "schedule", 0, "cosine|linear|constant", "how the rate falls"),
    OPT_TEXT(tune_args, optimizer, "optimizer", 0, "NAME", "default adamw; 'sooth list optimizers' shows them"),
    OPT_REAL(tune_args, decay, "decay", 0, "X", "weight decay of matrices", 0, 10),
    OPT_REAL(tune_args, clip, "clip", 0, "X", "longest gradient (default 1; negative: none)", -1, 1e9),
    OPT_REAL(tune_args, outlier, "skip-outlier", 0, "X", "skip steps whose loss lies X deviations over the latest ones", 0, 1e6),
    OPT_INT(tune_args, batch, "batch", 'b', "N", "rows a forward (default 4)", 1, 1e6),
    OPT_INT(tune_args, accumulate, "accumulate", 0, "N", "forwards a step (default 1)", 1, 1e6),
    OPT_FLAG(tune_args, checkpointing, "checkpointing", 0, "keep only the inputs of layers: less memory, slower by a forward"),
    OPT_INT(tune_args, eval_every, "eval-every", 0, "N", "steps between validations (default: before and after)", 1, 1e12),
    OPT_INT(tune_args, save_every, "save-every", 0, "N", "steps between checkpoints (default: at the end)", 1, 1e12),
    OPT_INT(tune_args, keep, "keep", 0, "N", "checkpoints that stay (default 3)", 1, 256),
    OPT_INT(tune_args, patience, "patience", 0, "N", "stop after so many validations without a better loss", 1, 1e6),
    OPT_INT(tune_args, preview, "preview", 0, "N", "rows shown by --dry-run (default 3)", 0, 1000),
    OPT_FLAG(tune_args, resume, "resume", 0, "go on with the newest checkpoint in --out"),
    OPT_FLAG(tune_args, dry_run, "dry-run", 0, "show what would be trained, with memory and time, and stop"),
};

struct telling {
    const struct tune_args *args;
    struct progress progress;
    double started;
    bool running;
};

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

static void plan_print(const struct tune_args *a, const struct sooth_train_plan *p)
{
    const struct common_args *c = &a->common;
    char time[32];
    if (a->dry_run && c->json) {
        plan_json(p);
        return;
    }
    for (size_t i = 0; a->dry_run && i < p->n_preview; i++)
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
    struct telling *t = user;
    plan_print(t->args, plan);
    if (t->args->dry_run || cli_interrupted())
        return false;
    progress_begin(&t->progress, &t->args->common, "training");
    t->started = clock_seconds();
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
    struct telling *t = user;
    const struct common_args *c = &t->args->common;
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

static void result_say(const struct tune_args *a, const struct sooth_train_result *r)
{
    const struct common_args *c = &a->common;
    if (r->stopped)
        cli_say(c, "stopped at step %" PRIu64 " of %" PRIu64 ", saved; --resume goes on", r->step, r->total);
    if (!isnan(r->test_loss))
        cli_say(c, "test loss %.4f", r->test_loss);
    cli_say(c, "%.0f s; the result is in '%s'", r->seconds, a->out);
}

static void options_fill(const struct tune_args *a, struct sooth_tune_options *o)
{
    sooth_tune_options_init(o);
    o->model = a->model, o->data = a->data, o->valid = a->valid, o->out = a->out, o->method = a->method, o->variant = a->variant, o->targets = a->targets;
    o->train_on = a->train_on, o->layout = a->layout, o->schedule = a->schedule, o->optimizer = a->optimizer;
    o->threads = (unsigned)a->common.threads, o->seed = (uint64_t)a->common.seed;
    o->rank = (size_t)a->rank, o->tokens = (size_t)a->tokens, o->width = (size_t)a->width, o->seq = (size_t)a->seq, o->steps = (uint64_t)a->steps;
    o->batch = (size_t)a->batch, o->accumulate = (size_t)a->accumulate, o->eval_every = (uint64_t)a->eval_every, o->save_every = (uint64_t)a->save_every;
    o->keep = (size_t)a->keep, o->patience = (uint64_t)a->patience;
    o->alpha = a->alpha, o->dropout = a->dropout, o->epochs = a->epochs, o->rate = a->rate, o->floor = a->floor, o->warmup = a->warmup, o->decay = a->decay;
    o->clip = a->clip, o->outlier = a->outlier;
    o->rslora = a->rslora, o->pack = a->pack, o->lenient = a->lenient, o->checkpointing = a->checkpointing, o->resume = a->resume, o->dry_run = a->dry_run;
    if (a->preview)
        o->preview = (size_t)a->preview;
}

static int tune_run(void *p)
{
    const struct tune_args *a = p;
    struct sooth_tune_options options;
    struct telling telling = { .args = a };
    struct sooth_train_events events = { .on_plan = on_plan, .on_step = on_step, .user = &telling };
    struct sooth_train_result result;
    struct sooth_error err = { 0 };
    if (a->common.rest.count)
        return cli_usage(&verb_tune, "tune takes options only, not '%s'", a->common.rest.items[0]);
    if (!a->model || !a->data || (!a->out && !a->dry_run))
        return cli_usage(&verb_tune, "tune wants --model, --data and --out");
    options_fill(a, &options);
    cli_catch_interrupt();
    enum sooth_status status = sooth_tune(&options, &events, &result, &err);
    if (telling.running)
        progress_end(&telling.progress);
    if (status != SOOTH_OK)
        return cli_fail(&err);
    if (!a->dry_run)
        result_say(a, &result);
    return EXIT_DONE;
}

const struct verb_row verb_tune = {
    .name = "tune", .group = "learning", .usage = "--model MODEL --data PATH --out DIR", .summary = "teach a model with rows of examples",
    .about = "Rows are recognised by their keys: messages, ShareGPT, Alpaca, prompt and completion, question and answer, text. Answers are\n"
             "trained, prompts are not (--train-on). --dry-run shows the first rows with what is trained marked, and measures memory and\n"
             "time with one step. DIR then holds the adapter, train.jsonl (an object a step), TensorBoard events and checkpoints. Ctrl-C\n"
             "saves first; --resume goes on, with the same bits as if nothing had happened.",
    .examples = "  sooth tune --model smollm2 --data rows.jsonl --out my-lora --dry-run\n"
                "  sooth tune --model smollm2 --data rows.jsonl --out my-lora --rank 8 --epochs 2\n"
                "  sooth tune --model smollm2 --data folder --out my-lora --eval-every 50 --save-every 50 --resume\n",
    .options = tune_options, .n_options = sizeof tune_options / sizeof tune_options[0],
    .args_size = sizeof(struct tune_args), .run = tune_run,
};
