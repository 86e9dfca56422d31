/* cmd_tune.c: `sooth tune`: fine-tune a model on rows of examples, with one method or several side by side. */
#include <math.h>
#include <string.h>
#include "training.h"

extern const struct verb_row verb_tune;

struct tune_args {
    struct common_args common;
    struct training_args training;
    struct tuning_args tuning;
    const char *compare;
};

static const struct option_row tune_options[] = {
    TUNING_OPTIONS(tune_args),
    OPT_TEXT(tune_args, compare, "compare", 0, "NAMES", "train with each of these methods (a,b,c) into --out/NAME, and print a table"),
    TRAINING_OPTIONS(tune_args),
};

static int tune_one(const struct tune_args *a, const char *method, const char *out, struct sooth_train_result *result)
{
    struct sooth_tune_options o;
    struct training_args args = a->training;
    struct training training;
    struct sooth_train_events events;
    struct sooth_error err = { 0 };
    args.out = out;
    sooth_tune_options_init(&o);
    tuning_fill(&a->tuning, &o);
    o.method = method;
    training_begin(&training, &a->common, &args, &o.train, &events);
    enum sooth_status status = sooth_tune(&o, &events, result, &err);
    return training_end(&training, status, result, &err);
}

/* ---- several methods ---- */

enum { METHODS = 32 };

static void number(double v, const char *format)
{
    if (isnan(v))
        printf(" %10s", "-");
    else
        printf(format, v);
}

static void compare_line(const struct tune_args *a, const char *method, const struct sooth_train_result *r)
{
    double forgotten = r->probe_after - r->probe_before;
    if (!a->common.json) {
        printf("%-10s %12llu %9.1f %9.3f", method, (unsigned long long)r->trained_parameters, (double)r->memory_bytes / 1e6, r->step_seconds);
        number(r->eval_before, " %10.4f"), number(r->eval_after, " %10.4f"), number(100 * r->accuracy, " %10.1f"), number(forgotten, " %10.4f");
        putchar('\n');
        fflush(stdout);
        return;
    }
    struct buf line = BUF_INIT;
    struct json_writer w;
    jsonw_init(&w, &line);
    jsonw_object(&w);
    jsonw_key(&w, "method"), jsonw_string(&w, method);
    jsonw_key(&w, "trained_parameters"), jsonw_int(&w, (int64_t)r->trained_parameters);
    jsonw_key(&w, "memory_bytes"), jsonw_int(&w, (int64_t)r->memory_bytes);
    const struct { const char *key; double v; } reals[] = {{"step_seconds", r->step_seconds}, {"eval_before", r->eval_before}, {"eval_after", r->eval_after},
                                                           {"accuracy", r->accuracy}, {"forgotten", forgotten}};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        jsonw_key(&w, reals[i].key), jsonw_double(&w, reals[i].v, 7);
    jsonw_end_object(&w);
    cli_json_line(&line);
    buf_release(&line);
}

static int compare(const struct tune_args *a)
{
    struct tune_args quiet = *a;
    char names[1024], *next = names;
    int status = EXIT_DONE;
    if (snprintf(names, sizeof names, "%s", a->compare) >= (int)sizeof names)
        return cli_usage(&verb_tune, "that is too many methods");
    quiet.common.json = false;
    if (!a->common.json)
        printf("%-10s %12s %9s %9s %10s %10s %10s %10s\n", "method", "parameters", "MB", "s/step", "before", "after", "right %", "forgotten");
    fflush(stdout);
    for (char *name; (name = strsep(&next, ",")) && status == EXIT_DONE && !cli_interrupted();) {
        struct sooth_train_result r;
        char out[4096];
        snprintf(out, sizeof out, "%s/%s", a->training.out, name);
        status = tune_one(&quiet, name, out, &r);
        if (status == EXIT_DONE)
            compare_line(a, name, &r);
    }
    return status;
}

static int tune_run(void *p)
{
    const struct tune_args *a = p;
    struct sooth_train_result result;
    if (a->common.rest.count)
        return cli_usage(&verb_tune, "tune takes options only, not '%s'", a->common.rest.items[0]);
    if (!a->tuning.model || !a->tuning.data || (!a->training.out && !a->training.dry_run))
        return cli_usage(&verb_tune, "tune wants --model, --data and --out");
    if (a->compare && (a->training.dry_run || a->tuning.method))
        return cli_usage(&verb_tune, "--compare stands for --method, and does not go with --dry-run");
    return a->compare ? compare(a) : tune_one(a, a->tuning.method, a->training.out, &result);
}

const struct verb_row verb_tune = {
    .name = "tune", .group = "learning", .usage = "--model MODEL --data PATH --out DIR", .summary = "teach a model with rows of examples",
    .about = "Rows are recognised by their keys: messages, ShareGPT, Alpaca, prompt and completion, question and answer, text. Answers are\n"
             "trained, prompts are not (--train-on). --dry-run shows the first rows with what is trained marked, and measures memory and\n"
             "time with one step. DIR then holds the adapter, train.jsonl (an object a step), TensorBoard events and checkpoints. Ctrl-C\n"
             "saves first; --resume goes on, with the same bits as if nothing had happened.\n"
             "--compare prints for each method: trained numbers, memory beside the model, seconds a step, validation loss before and after,\n"
             "share of validation tokens that are the likeliest, and by how much the loss on --probe rose.\n"
             "An encoder learns to read: rows of question, passage and answer (text of the passage, or null); DIR then holds reader.gguf.",
    .examples = "  sooth tune --model smollm2 --data rows.jsonl --out my-lora --dry-run\n"
                "  sooth tune --model smollm2 --data rows.jsonl --out my-lora --rank 8 --epochs 2\n"
                "  sooth tune --model smollm2 --data folder --out my-lora --eval-every 50 --save-every 50 --resume\n"
                "  sooth tune --model smollm2 --data folder --out try --compare lora,dora,prefix --steps 50 --probe text.txt\n",
    .options = tune_options, .n_options = sizeof tune_options / sizeof tune_options[0],
    .args_size = sizeof(struct tune_args), .run = tune_run,
};
