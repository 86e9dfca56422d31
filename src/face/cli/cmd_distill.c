/* cmd_distill.c: `sooth distill`: a small model learns from a bigger one. */
#include "training.h"

extern const struct verb_row verb_distill;

struct distill_args {
    struct common_args common;
    struct training_args training;
    struct tuning_args tuning;
    const char *teacher;
    double temperature, share;
};

static const struct option_row distill_options[] = {
    OPT_TEXT(distill_args, teacher, "teacher", 0, "MODEL", "the model to learn from; its vocabulary must be the student's"),
    OPT_REAL(distill_args, temperature, "temperature", 0, "X", "softens both distributions (default 2)", 0.01, 100),
    OPT_REAL(distill_args, share, "share", 0, "X", "of the teacher in the loss; the rows' own answers have the rest (default 0.9)", 0, 1),
    TUNING_OPTIONS(distill_args),
    TRAINING_OPTIONS(distill_args),
};

static int distill_run(void *p)
{
    const struct distill_args *a = p;
    struct sooth_distill_options o;
    struct training training;
    struct sooth_train_events events;
    struct sooth_train_result result;
    struct sooth_error err = { 0 };
    if (a->common.rest.count)
        return cli_usage(&verb_distill, "distill takes options only, not '%s'", a->common.rest.items[0]);
    if (!a->teacher || !a->tuning.model || !a->tuning.data || (!a->training.out && !a->training.dry_run))
        return cli_usage(&verb_distill, "distill wants --teacher, --model, --data and --out");
    sooth_distill_options_init(&o);
    tuning_fill(&a->tuning, &o.tune);
    o.teacher = a->teacher, o.temperature = a->temperature, o.share = a->share;
    training_begin(&training, &a->common, &a->training, &o.tune.train, &events);
    enum sooth_status status = sooth_distill(&o, &events, &result, &err);
    return training_end(&training, status, &result, &err);
}

const struct verb_row verb_distill = {
    .name = "distill", .group = "learning", .usage = "--teacher MODEL --model MODEL --data PATH --out DIR", .summary = "let a small model learn from a bigger one",
    .about = "As tune, but at each trained token the student learns the teacher's whole distribution and not only the word that was\n"
             "written: share · T² · KL(teacher, student) + (1 - share) · loss of the rows' answers.",
    .examples = "  sooth distill --teacher big.gguf --model small.gguf --data rows.jsonl --out taught --method full --lr 1e-4\n",
    .options = distill_options, .n_options = sizeof distill_options / sizeof distill_options[0],
    .args_size = sizeof(struct distill_args), .run = distill_run,
};
