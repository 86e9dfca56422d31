/* settings.h: from the public settings of a run to the loop and the learner. */
#ifndef TRAIN_SETTINGS_H
#define TRAIN_SETTINGS_H
#include "learn/train/loop.h"
#include "sooth/train.h"

/* rate: where the settings name none. */
enum sooth_status settings_loop(const struct sooth_train_settings *s, double rate, struct loop_options *out, struct sooth_error *err);
void settings_learner(const struct sooth_train_settings *s, struct learner_options *out);
/* What `compute` means for opening the model, and for the runs over it. */
enum sooth_status settings_compute(const struct sooth_train_settings *s, struct sooth_model_options *model, enum run_products *products,
                                   struct sooth_error *err);
/* Steps of warm-up, once the number of all is known. */
uint64_t settings_warmup(const struct sooth_train_settings *s, uint64_t total);
/* The index of a word in a list; 0 for NULL. SOOTH_ERR_ARG names what it should be. */
enum sooth_status settings_word(const char *given, const char *const *words, size_t n, const char *what, int *out, struct sooth_error *err);
bool settings_told(const struct sooth_train_events *events, const struct loop_step *s);
void settings_result(const struct loop_result *r, struct sooth_train_result *out);
extern const struct sooth_train_result settings_nothing; /* a result before anything was measured */

/* Measures one step over the largest batch: fills memory_bytes and seconds of the plan, whose steps are known. */
enum sooth_status settings_probe(struct learner *l, const struct examples *train, const struct examples *valid, struct units *units,
                                 const struct loop_options *o, loop_loss *loss, void *user, struct sooth_train_plan *plan, struct sooth_error *err);
/* Counts of the plan from the sets. */
enum sooth_status settings_plan(const struct learner *l, const struct examples *train, const struct examples *valid, const struct units *units,
                                const struct loop_options *o, struct sooth_train_plan *plan, struct sooth_error *err);
#endif
