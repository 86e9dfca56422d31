/* reader.h: what reading and the training of readers share. */
#ifndef INFER_READER_H
#define INFER_READER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/vec.h"
#include "core/tensor/tensor.h"
#include "model/adapt/adapt.h"
#include "sooth/model.h"

struct tensor_file;

/* The two heads over an encoder's rows. */
struct reader_heads {
    struct weight span, span_bias;       /* [2, dim], [1, 2]: start and end of the answer, of every row */
    struct weight present, present_bias; /* [1, dim], [1, 1]: of the first row */
};

struct sooth_reader {
    struct sooth_model *model;
    struct adapt *adapt;
    struct reader_heads heads;
    float *memory; /* of the heads */
    char *targets; /* how the adapter was made: the file says it again */
    uint32_t rank;
    float alpha;
};

/* A reader that knows nothing yet: heads of zeros, and the adapter as it starts. */
enum sooth_status reader_new(struct sooth_model *encoder, const struct adapt_options *options, struct sooth_reader **out,
                             struct sooth_error *err);
enum sooth_status reader_save(const struct sooth_reader *r, const char *path, struct sooth_error *err);
/* Everything of a reader that is trained. */
size_t reader_weights(const struct sooth_reader *r);
const struct weight *reader_weight(const struct sooth_reader *r, size_t i);

/* Questions and passages as rows:  [start] question [end] passage [end], one sequence a pair. */
struct reader_pair {
    size_t first, n;          /* rows of the pair */
    size_t passage, count;    /* rows of the passage's tokens, from the pair's first */
    struct { uint32_t start, end; } *span; /* [count] bytes of the passage; owned */
};
struct reader_rows {
    VEC(int32_t) token;
    VEC(uint32_t) pos;
    VEC(uint32_t) seq;
    VEC(uint8_t) type;
    VEC(struct reader_pair) pairs;
};
/* A passage that is too long loses its end. */
enum sooth_status reader_rows_add(const struct sooth_reader *r, struct reader_rows *rows, const char *question, size_t question_len,
                                  const char *passage, size_t passage_len, struct sooth_error *err);
struct rows reader_rows_of(const struct reader_rows *rows); /* borrowed */
void reader_rows_clear(struct reader_rows *rows);
void reader_rows_release(struct reader_rows *rows);

/* One forward inside run_begin and run_end: span logits [rows, 2] and present logits [pairs, 1]. */
void reader_forward(const struct sooth_reader *r, const struct reader_rows *rows, struct run *run, struct mat **span, struct mat **present);
#endif
