/* checkpoint.h: the whole state of a run on disk, so that a run that was killed at any moment goes on as if it had not been.
 *
 *     OUT/checkpoint-120/state.safetensors     weights and moments, bit for bit; progress in its metadata
 *     OUT/checkpoint-120/...                   what the caller writes beside it (the adapter, ready to be used)
 *
 * A checkpoint is written into a hidden directory, synced, and renamed: it is there whole or not at all. */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H
#include "learn/train/learner.h"

enum { CHECKPOINT_LOSSES = 64 };

struct train_state {
    uint64_t step;          /* steps done, skipped ones too; data position and schedule follow from it */
    uint64_t applied;       /* of those the optimizer took */
    uint64_t tokens;        /* rows that went through the model */
    uint64_t bad;           /* steps skipped in a row because numbers were not finite */
    uint64_t waited;        /* evaluations without a better loss */
    double best;            /* best evaluation loss; infinite before the first */
    double losses[CHECKPOINT_LOSSES]; /* of the latest steps taken, in turn */
    uint64_t n_losses;
};

/* Writes more files into a checkpoint's directory. */
typedef enum sooth_status checkpoint_extra(void *user, const char *dir, struct sooth_error *err);

/* facts: "name=value\n" lines of what must be the same when the run goes on. keep: newest checkpoints that stay; 0 = all. */
enum sooth_status checkpoint_save(const char *out, const struct learner *l, const struct train_state *s, const char *facts,
                                  checkpoint_extra *extra, void *user, size_t keep, struct sooth_error *err);
/* The number of the newest checkpoint under out; false when there is none. */
bool checkpoint_newest(const char *out, uint64_t *step);
/* Weights, moments and progress. SOOTH_ERR_ARG names the first fact that differs; a damaged file is SOOTH_ERR_FORMAT and changes
 * nothing. */
enum sooth_status checkpoint_load(const char *out, uint64_t step, struct learner *l, struct train_state *s, const char *facts,
                                  struct sooth_error *err);
/* The same from one file. */
enum sooth_status checkpoint_load_file(const char *path, struct learner *l, struct train_state *s, const char *facts, struct sooth_error *err);

#endif
