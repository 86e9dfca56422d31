/* sooth/train.h: teach a model: fine-tuning with any method of adaptation, pre-training from nothing, distillation.
 *
 *     struct sooth_tune_options o;
 *     sooth_tune_options_init(&o);
 *     o.model = "smollm2", o.data = "rows.jsonl", o.train.out = "my-adapter";
 *     sooth_tune(&o, NULL, &result, &err);
 *
 * OUT then holds the adapter, train.jsonl (an object a step), TensorBoard events and checkpoint-N directories. A run that was
 * stopped or killed goes on with `resume` and ends with the same bits as one that was not.
 *
 * Ownership: strings in options are borrowed for the call; what callbacks are shown lives for the callback only.
 * Thread use: a call belongs to one thread; callbacks come from that thread. */
#ifndef SOOTH_TRAIN_H
#define SOOTH_TRAIN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sooth/error.h"
#include "sooth/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a run goes, whatever is learnt. All zero is a good start. */
struct sooth_train_settings {
    const char *out;         /* directory for the result; may be NULL in a dry run */
    unsigned threads;        /* 0 = granted cores */
    size_t seq;              /* tokens of an example at most; 0 = 1024, never more than the model's context */
    double epochs;           /* 0 = 1; not used when steps is given */
    uint64_t steps;
    double rate;             /* learning rate; 0 = the method's own */
    double floor;            /* share of it at the end of the schedule */
    double warmup;           /* steps, or below 1 a share of all steps */
    const char *schedule;    /* "cosine" (NULL), "linear", "constant" */
    const char *optimizer;   /* "adamw" (NULL); sooth_train_list("optimizer", ...) */
    double decay, clip;      /* weight decay; longest gradient (0 = 1, negative = none) */
    double outlier;          /* standard deviations of the loss that cost a step; 0 = none */
    size_t batch, accumulate;/* units a forward, forwards a step; 0 = 4 and 1 */
    /* Arithmetic, all with f32 sums. "auto" (NULL): the forward as the model is served, gradients in bf16 where the processor is fast
     * at it, else in f32; "int8" the same with unquantized weights in 8 bits; "bf16": everything; "f32": everything. */
    const char *compute;
    bool checkpointing;      /* layers keep their input only: less memory, one more forward */
    uint64_t eval_every, save_every; /* steps; 0 = at the end (and evaluation before the first) */
    size_t keep;             /* checkpoints that stay; 0 = 3 */
    uint64_t patience;       /* evaluations without a better loss until the run ends; 0 = off */
    uint64_t seed;
    bool resume, dry_run;
    size_t preview;          /* rows shown in the plan */
};

struct sooth_tune_options {
    struct sooth_train_settings train;
    const char *model;       /* a name for sooth_model_open */
    const char *data;        /* a file of rows (JSON Lines, a JSON array, .txt), or a directory with train, valid and test */
    const char *valid;       /* rows for validation; NULL = the directory's own, if any */
    const char *method;      /* NULL = "lora"; sooth_train_list("method", ...) */
    const char *variant;     /* of methods that come in several kinds; NULL = the first */
    const char *targets;     /* words with commas: roles, module names, patterns; NULL = the method's own */
    size_t rank;             /* 0 = 8 */
    double alpha;            /* 0 = twice the rank */
    bool rslora;             /* alpha divided by the root of the rank */
    double dropout;          /* [0, 1) */
    size_t tokens;           /* virtual tokens; 0 = 16 */
    size_t width;            /* inside of bottlenecks and encoders; 0 = the method's own */

    const char *train_on;    /* "answer" (NULL), "all", "last", "turns" */
    const char *layout;      /* "auto" (NULL), "chat", "plain", "notes" */
    bool pack;               /* fill units of `seq` tokens with several examples; each still sees only itself */
    bool lenient;            /* rows that leave nothing to train are passed over, however many */
    double pivot;            /* text rows: share of each sentence that is not trained; 0 = off */
    bool topic;              /* text rows with a title: "title: " before each sentence */
    const char *probe;       /* rows or text whose loss is measured before and after: what is forgotten; NULL = none */
};
void sooth_tune_options_init(struct sooth_tune_options *o); /* all zero, preview 3 */

/* Neighbouring tokens of a row that are all trained, or all not. */
struct sooth_train_piece { const char *text; bool trained; };
struct sooth_train_row { size_t row; const struct sooth_train_piece *pieces; size_t n; };

/* What is about to happen. */
struct sooth_train_plan {
    const char *method, *arch, *weights;
    uint64_t parameters, trained_parameters;
    size_t trained_matrices;
    size_t rows, examples, units;        /* read; made of them; what --batch counts */
    size_t trained_tokens, masked_tokens;
    size_t cut, cut_answers, dropped, split, duplicates; /* see the fields' words in the manual: prompts that lost their beginning, ... */
    size_t valid_rows, valid_tokens, shared; /* shared: validation examples that are in the training set too */
    uint64_t steps, steps_an_epoch;
    double rate;
    uint64_t memory_bytes;               /* dry run: measured by one step over the largest batch; else 0 */
    double seconds;                      /* dry run: of the whole run, from that step; else 0 */
    const struct sooth_train_row *preview;
    size_t n_preview;
};
struct sooth_train_step {
    uint64_t step, total;
    double epoch, loss, grad_norm, rate, eval_loss; /* NAN: not measured */
    uint64_t tokens;
    bool skipped, saved;
};
struct sooth_train_events {
    bool (*on_plan)(void *user, const struct sooth_train_plan *plan); /* false ends before the first step */
    bool (*on_step)(void *user, const struct sooth_train_step *step); /* false saves and stops */
    sooth_progress_fn *on_prepare;                                    /* rows made ready */
    void *user;
};
struct sooth_train_result {
    uint64_t step, total, resumed_at, skipped;
    double loss, eval_before, eval_after, test_loss; /* NAN: not measured */
    double bits_per_byte;                /* of the validation text, after pre-training; NAN */
    bool stopped;                        /* by a callback */
    double seconds;
    /* of tuning, for comparisons */
    uint64_t trained_parameters, memory_bytes; /* memory: activations, gradients, optimizer state at their peak, without the model */
    double step_seconds;                 /* mean */
    double accuracy;                     /* share of validation targets that are the likeliest token, after; NAN */
    double probe_before, probe_after;    /* NAN without a probe */
};
/* events and out may be NULL. */
enum sooth_status sooth_tune(const struct sooth_tune_options *options, const struct sooth_train_events *events,
                             struct sooth_train_result *out, struct sooth_error *err);

/* --- from a teacher ---------------------------------------------------------------------------------------- */

struct sooth_distill_options {
    struct sooth_tune_options tune; /* model: the student */
    const char *teacher;     /* a model with the same vocabulary */
    double temperature;      /* softens both distributions; 0 = 2 */
    double share;            /* of the teacher in the loss, the rows' own answers have the rest; 0 = 0.9 */
};
void sooth_distill_options_init(struct sooth_distill_options *o);
/* As sooth_tune, but the student learns what the teacher thinks likely at each trained token. Validation losses are those of the
 * rows' own answers. */
enum sooth_status sooth_distill(const struct sooth_distill_options *options, const struct sooth_train_events *events,
                                struct sooth_train_result *out, struct sooth_error *err);

/* --- from nothing ------------------------------------------------------------------------------------------ */

struct sooth_pretrain_options {
    struct sooth_train_settings train; /* rate 0 = 1e-3, decay 0 = 0.1, seq 0 = the model's context */
    const char *arch;        /* a row of sooth_list("arch", ...): "llama", "gpt2", "deepnorm", ... */
    const char *config;      /* a JSON file with config.json's keys; NULL = a small model */
    const char *const *data; /* texts: .txt, .md, rows with "text" (and "title"), or directories with train and valid */
    size_t n_data;
    const char *valid;       /* text for validation; NULL = the directory's own, else the last `holdout` of the data */
    double holdout;          /* share; 0 = 0.05 */
    size_t vocab;            /* pieces of the tokenizer; 0 = config's vocab_size, else 4096 */
    double pivot;            /* share of each sentence that is not trained; 0 = off */
    bool topic;              /* "title: " before each sentence of a row with a title */
};
void sooth_pretrain_options_init(struct sooth_pretrain_options *o);
/* Trains a byte-level BPE tokenizer on the data, makes a model of random numbers, trains all of them. OUT is a Hugging Face
 * directory that sooth_model_open takes. */
enum sooth_status sooth_pretrain(const struct sooth_pretrain_options *options, const struct sooth_train_events *events,
                                 struct sooth_train_result *out, struct sooth_error *err);

/* Names in the tables of this header: "method", "optimizer", "schedule", "row". NULL past the last. note: one line each. */
const char *sooth_train_list(const char *table, size_t i, const char **note);
const char *sooth_train_list_tables(size_t i);

#ifdef __cplusplus
}
#endif
#endif
