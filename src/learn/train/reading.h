/* reading.h: what teaches a reader (model/infer/read.c): rows, their loss, and how well it reads. */
#ifndef TRAIN_READING_H
#define TRAIN_READING_H
#include "core/base/arena.h"
#include "core/base/json.h"
#include "core/base/vec.h"
#include "core/tensor/tensor.h"
#include "model/infer/infer.h"
#include "sooth/train.h"

/* A question and a passage; the answer is bytes [start, end) of it, or start == end: it is not there. */
struct reading_row {
    const char *question, *passage;
    size_t start, end;
};
struct reading_set {
    struct arena arena;
    VEC(struct reading_row) rows;
};
void reading_set_init(struct reading_set *s);
void reading_set_release(struct reading_set *s);
/* JSON Lines:  {"question", "passage", "answer": text or null, "start": its byte in the passage; absent: its first place}. */
enum sooth_status reading_set_load(struct reading_set *s, const char *path, struct sooth_error *err);

/* Rows of one forward with the rows their answers stand in. */
struct reading_batch {
    struct reader_rows rows;
    VEC(uint32_t) from, to;       /* [pairs] first and last row of the answer, counted from the pair's first; 0, 0: not there */
    VEC(float) span, present;     /* what op_weigh multiplies by: the loss's own gradient */
};
void reading_batch_release(struct reading_batch *b);
enum sooth_status reading_batch_fill(struct reading_batch *b, const struct sooth_reader *r, const struct reading_row *const *rows, size_t n,
                                     struct sooth_error *err);
/* Mean loss of a batch; with `train` its gradient is added to the run's grads. */
enum sooth_status reading_loss(struct reading_batch *b, const struct sooth_reader *r, struct run *run, bool train, double *loss,
                               struct sooth_error *err);

/* How well a set is read. */
struct reading_score {
    double loss, exact, f1;    /* over rows with an answer: the same bytes; overlap of bytes */
    double separation;         /* chance that a row with an answer is judged likelier to have one than a row without */
};
enum sooth_status reading_measure(const struct sooth_reader *r, struct run *run, const struct reading_set *s, struct reading_score *out,
                                  struct sooth_error *err);

/* tune_reader.c: sooth_tune of an encoder. */
enum sooth_status tune_reader(const struct sooth_tune_options *o, const struct sooth_train_events *events, struct sooth_model *encoder,
                              enum run_products products, struct sooth_train_result *out, struct sooth_error *err);
#endif
