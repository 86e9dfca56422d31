/* tune.h: fine-tuning with another loss. */
#ifndef TRAIN_TUNE_H
#define TRAIN_TUNE_H
#include "learn/train/loop.h"
#include "sooth/train.h"

struct tune_loss {
    /* Once the student is open and before anything is trained; may be NULL. */
    enum sooth_status (*open)(void *user, const struct sooth_model *student, struct sooth_error *err);
    loop_loss *loss;
    void *user;
};
/* with NULL: the plain loss. */
enum sooth_status tune_with(const struct sooth_tune_options *o, const struct tune_loss *with, const struct sooth_train_events *events,
                            struct sooth_train_result *out, struct sooth_error *err);
#endif
