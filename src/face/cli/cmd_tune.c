/* cmd_tune.c: `sooth tune`: fine-tune a model on rows of examples. */
#include "training.h"

extern const struct verb_row verb_tune;

struct tune_args {
    struct common_args common;
    struct training_args training;
    const char *model, *data, *valid, *method, *variant, *targets, *train_on, *layout;
    int64_t rank, tokens, width;
    double alpha, dropout;
    bool rslora, pack, lenient;
};

static const struct option_row tune_options[] = {
    OPT_TEXT(tune_args, model, "model", 'm', "MODEL", "the model to start from"),
    OPT_TEXT(tune_args, data, "data", 'd', "PATH", "rows: a .jsonl or .json file, a text file, or a directory with train, valid and test"),
    OPT_TEXT(tune_args, valid, "valid", 0, "FILE", "rows for validation (default: the directory's own)"),
    OPT_TEXT(tune_args, method, "method", 0, "NAME", "how (default lora); 'sooth list method' shows them"),
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
    OPT_FLAG(tune_args, pack, "pack", 0, "several short examples share a row of --seq tokens; none sees another"),
    OPT_FLAG(tune_args, lenient, "lenient", 0, "pass over rows that leave nothing to train, however many"),
    TRAINING_OPTIONS(tune_args),
};

static int tune_run(void *p)
{
    const struct tune_args *a = p;
    struct sooth_tune_options o;
    struct training training;
    struct sooth_train_events events;
    struct sooth_train_result result;
    struct sooth_error err = { 0 };
    if (a->common.rest.count)
        return cli_usage(&verb_tune, "tune takes options only, not '%s'", a->common.rest.items[0]);
    if (!a->model || !a->data || (!a->training.out && !a->training.dry_run))
        return cli_usage(&verb_tune, "tune wants --model, --data and --out");
    sooth_tune_options_init(&o);
    o.model = a->model, o.data = a->data, o.valid = a->valid, o.method = a->method, o.variant = a->variant, o.targets = a->targets;
    o.train_on = a->train_on, o.layout = a->layout, o.rank = (size_t)a->rank, o.tokens = (size_t)a->tokens, o.width = (size_t)a->width;
    o.alpha = a->alpha, o.dropout = a->dropout, o.rslora = a->rslora, o.pack = a->pack, o.lenient = a->lenient;
    training_begin(&training, &a->common, &a->training, &o.train, &events);
    enum sooth_status status = sooth_tune(&o, &events, &result, &err);
    return training_end(&training, status, &result, &err);
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
