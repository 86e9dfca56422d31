/* training.h: what the verbs that train share: options of a run, the plan, the steps, the end. */
#ifndef CLI_TRAINING_H
#define CLI_TRAINING_H
#include "cli.h"
#include "sooth/train.h"

struct training_args {
    const char *out, *schedule, *optimizer, *compute;
    int64_t seq, steps, batch, accumulate, eval_every, save_every, keep, patience, preview;
    double epochs, rate, floor, warmup, decay, clip, outlier;
    bool checkpointing, resume, dry_run;
};

#define TRAINING_OPTIONS(s) \
    OPT_TEXT(s, training.out, "out", 'o', "DIR", "where the result goes"), \
    OPT_INT(s, training.seq, "seq", 0, "N", "tokens of an example at most", 2, 1e7), \
    OPT_REAL(s, training.epochs, "epochs", 'e', "X", "times through the data (default 1)", 0, 1e6), \
    OPT_INT(s, training.steps, "steps", 's', "N", "steps instead of epochs", 1, 1e12), \
    OPT_REAL(s, training.rate, "lr", 0, "X", "learning rate (default: one that suits the method)", 0, 1e3), \
    OPT_REAL(s, training.floor, "lr-floor", 0, "X", "share of it that is left at the end", 0, 1), \
    OPT_REAL(s, training.warmup, "warmup", 0, "X", "steps of rising rate; below 1: share of all steps", 0, 1e12), \
    OPT_TEXT(s, training.schedule, "schedule", 0, "cosine|linear|constant", "how the rate falls"), \
    OPT_TEXT(s, training.optimizer, "optimizer", 0, "NAME", "default adamw; 'sooth list optimizer' shows them"), \
    OPT_REAL(s, training.decay, "decay", 0, "X", "weight decay of matrices", 0, 10), \
    OPT_REAL(s, training.clip, "clip", 0, "X", "longest gradient (default 1; negative: none)", -1, 1e9), \
    OPT_REAL(s, training.outlier, "skip-outlier", 0, "X", "skip steps whose loss lies X deviations over the latest ones", 0, 1e6), \
    OPT_INT(s, training.batch, "batch", 'b', "N", "rows a forward (default 4)", 1, 1e6), \
    OPT_INT(s, training.accumulate, "accumulate", 0, "N", "forwards a step (default 1)", 1, 1e6), \
    OPT_TEXT(s, training.compute, "compute", 0, "auto|int8|bf16|f32", "arithmetic of products (default: forward as served, gradients in bf16 where that is fast)"), \
    OPT_FLAG(s, training.checkpointing, "checkpointing", 0, "keep only the inputs of layers: less memory, slower by a forward"), \
    OPT_INT(s, training.eval_every, "eval-every", 0, "N", "steps between validations (default: before and after)", 1, 1e12), \
    OPT_INT(s, training.save_every, "save-every", 0, "N", "steps between checkpoints (default: at the end)", 1, 1e12), \
    OPT_INT(s, training.keep, "keep", 0, "N", "checkpoints that stay (default 3)", 1, 256), \
    OPT_INT(s, training.patience, "patience", 0, "N", "stop after so many validations without a better loss", 1, 1e6), \
    OPT_INT(s, training.preview, "preview", 0, "N", "rows shown by --dry-run (default 3)", 0, 1000), \
    OPT_FLAG(s, training.resume, "resume", 0, "go on with the newest checkpoint in --out"), \
    OPT_FLAG(s, training.dry_run, "dry-run", 0, "show what would be trained, with memory and time, and stop")

/* What is tuned, how, and on what: of tune and distill. */
struct tuning_args {
    const char *model, *data, *valid, *probe, *method, *variant, *targets, *train_on, *layout;
    int64_t rank, tokens, width;
    double alpha, dropout;
    bool rslora, pack, lenient;
};

#define TUNING_OPTIONS(s) \
    OPT_TEXT(s, tuning.model, "model", 'm', "MODEL", "the model to start from"), \
    OPT_TEXT(s, tuning.data, "data", 'd', "PATH", "rows: a .jsonl or .json file, a text file, or a directory with train, valid and test"), \
    OPT_TEXT(s, tuning.valid, "valid", 0, "FILE", "rows for validation (default: the directory's own)"), \
    OPT_TEXT(s, tuning.probe, "probe", 0, "FILE", "rows or text whose loss tells what is forgotten"), \
    OPT_TEXT(s, tuning.method, "method", 0, "NAME", "how (default lora); 'sooth list method' shows them"), \
    OPT_TEXT(s, tuning.variant, "variant", 0, "NAME", "kind of a method that comes in several"), \
    OPT_TEXT(s, tuning.targets, "targets", 0, "NAMES", "what is adapted: attn_q,attn_v, q_proj, all-linear, a pattern over names"), \
    OPT_INT(s, tuning.rank, "rank", 'r', "N", "rank of a low-rank method (default 8)", 1, 65536), \
    OPT_REAL(s, tuning.alpha, "alpha", 0, "X", "strength: what is learnt is scaled by alpha / rank (default twice the rank)", 0, 1e6), \
    OPT_FLAG(s, tuning.rslora, "rslora", 0, "scale by alpha / sqrt(rank)"), \
    OPT_REAL(s, tuning.dropout, "dropout", 0, "X", "share of the adapter's inputs dropped in training", 0, 0.99), \
    OPT_INT(s, tuning.tokens, "tokens", 0, "N", "virtual tokens of prompts and prefixes (default 16)", 1, 65536), \
    OPT_INT(s, tuning.width, "width", 0, "N", "inner width of bottlenecks and encoders", 1, 65536), \
    OPT_TEXT(s, tuning.train_on, "train-on", 0, "answer|all|last|turns", "answers; every token; the last answer; each answer as a row of its own"), \
    OPT_TEXT(s, tuning.layout, "layout", 0, "auto|chat|plain|notes", "chat template, prompt and answer joined, or joined by the start token"), \
    OPT_FLAG(s, tuning.pack, "pack", 0, "several short examples share a row of --seq tokens; none sees another"), \
    OPT_FLAG(s, tuning.lenient, "lenient", 0, "pass over rows that leave nothing to train, however many")

void tuning_fill(const struct tuning_args *a, struct sooth_tune_options *o); /* after sooth_tune_options_init */

/* Shows a run while it goes; user of the events. */
struct training {
    const struct common_args *common;
    const struct training_args *args;
    struct progress progress;
    bool running;
};
/* Settings and events of a run. The training must outlive it. Catches Ctrl-C: a run saves first. */
void training_begin(struct training *t, const struct common_args *common, const struct training_args *args, struct sooth_train_settings *settings,
                    struct sooth_train_events *events);
/* Says how it ended; an exit status. */
int training_end(struct training *t, enum sooth_status status, const struct sooth_train_result *result, const struct sooth_error *err);

#endif
