/* convert.h: whole-model rewrites between containers. sooth_convert (sooth/model.h) is the way in
 * from above; what follows is shared by the files of this room. */
#ifndef CONVERT_CONVERT_H
#define CONVERT_CONVERT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/json.h"
#include "core/base/pool.h"
#include "core/base/vec.h"
#include "model/arch/arch.h"
#include "model/file/file.h"
#include "sooth/error.h"

/* What happens to a tensor's numbers on the way. The two containers disagree in five places. */
enum convert_change {
    CONVERT_SAME,
    CONVERT_PAIR,     /* rows of each head from halves (i, i + d/2) to neighbours (2i, 2i+1): GGUF's
                         llama rotates those */
    CONVERT_HALVE,    /* the way back */
    CONVERT_PLUS_ONE, /* gemma's norms: GGUF stores 1 + w */
    CONVERT_MINUS_ONE,
    CONVERT_TURN      /* rows become columns: GPT-2's directories hold [in, out] */
};

struct convert_tensor {
    const char *name; /* in the new file */
    const struct file_tensor *from;
    enum convert_change change;
    size_t heads;       /* of CONVERT_PAIR and CONVERT_HALVE */
    uint64_t skip_rows; /* rows left out in front (positions that GGUF does not count) */
    uint64_t zero_rows; /* or put in front */
    uint32_t type;      /* in the new file: from's, F32, or what it is quantized to */
    uint32_t ndim;
    uint64_t dims[TENSOR_DIMS];
    size_t bytes;
    /* Quantizing; all borrowed, NULL: none. Applied to the numbers before they are coded, rows in the order of from. */
    const float *importance;            /* [columns] what an error in each costs */
    const float *col_scale, *row_scale; /* factors */
    const void *ready;                  /* the new bytes, made elsewhere, rows in the order of from */
    uint64_t hash;                      /* of what was written, to compare with */
};

struct convert_plan {
    struct arena arena; /* names, facts */
    VEC(struct convert_tensor) tensors;
    VEC(struct file_value) facts;
};

/* plan.c */
void plan_init(struct convert_plan *p);
void plan_release(struct convert_plan *p);
bool plan_put(struct convert_plan *p, const struct file_value *v);
bool plan_uint(struct convert_plan *p, const char *key, uint64_t v);
bool plan_bool(struct convert_plan *p, const char *key, bool v);
void plan_drop(struct convert_plan *p, const char *key); /* the fact, if there is one */
bool plan_string(struct convert_plan *p, const char *key, const char *text, size_t len);
/* Sets dims, bytes from the source and the change; type is kept, vectors and changed numbers become
 * F32. */
enum sooth_status plan_tensor(struct convert_plan *p, const char *name,
                              const struct file_tensor *from, enum convert_change change,
                              size_t heads, struct sooth_error *err);
/* The tensor planned last (a matrix) loses its first `skip` rows, or gets `zero` rows of zeros in
 * front. */
void plan_move_rows(struct convert_plan *p, uint64_t skip, uint64_t zero);
/* The tensor shall be of another number format; one of two dimensions whose rows it divides. */
void plan_retype(struct convert_tensor *t, uint32_t type);
/* The new bytes of a tensor: from's own, or made in out. */
enum sooth_status plan_bytes(const struct convert_tensor *t, struct pool *pool, struct buf *out,
                             const void **bytes, struct sooth_error *err);

/* plan_turn.c: the same for CONVERT_TURN. */
enum sooth_status plan_turned(const struct convert_tensor *t, struct buf *out, const void **bytes,
                              struct sooth_error *err);

/* to_gguf.c, to_hf.c */
/* What a GGUF file of the same model holds: facts and tensors, none of them quantized yet. */
enum sooth_status convert_plan_gguf(const struct tensor_file *f, struct convert_plan *p,
                                    struct sooth_error *err);
/* Bytes of the file that the plan will make. */
enum sooth_status convert_gguf_bytes(const struct convert_plan *p, uint64_t *bytes, struct sooth_error *err);
/* Writes the plan, reads the file back and compares it, and only then gives it its name. */
enum sooth_status convert_write_gguf(struct convert_plan *p, struct pool *pool, const char *out,
                                     struct sooth_error *err);
enum sooth_status convert_to_gguf(const struct tensor_file *f, const char *out,
                                  struct sooth_error *err);
enum sooth_status convert_to_hf(const struct tensor_file *f, const char *dir,
                                struct sooth_error *err);
/* rope_words.c: what a model says of its rotary positions, as facts and tensors of GGUF, as members of config.json. */
enum sooth_status rope_to_gguf(const struct arch_model *m, struct convert_plan *p, struct sooth_error *err);
void rope_to_hf(const struct arch_model *m, struct json_writer *w);
/* vocab_gguf.c: facts of a GGUF tokenizer from tokenizer.json. */
enum sooth_status vocab_to_gguf(const struct tensor_file *f, struct convert_plan *p,
                                struct sooth_error *err);
/* vocab_hf.c: tokenizer.json, tokenizer_config.json from the facts of a GGUF file. */
enum sooth_status vocab_to_hf(const struct tensor_file *f, const char *dir,
                              struct sooth_error *err);
#endif
