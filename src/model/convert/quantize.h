/* quantize.h: what the files of quantization share; private to this room.
 *
 *     plan of a GGUF copy (to_gguf.c)
 *       -> which tensors may be quantized (recipe.c: quant_list)
 *       -> what their columns matter (importance.c: an observer on `linear`)
 *       -> a number format for each (recipe.c: a fixed table; budget.c: measured under a byte budget)
 *       -> how the codes are chosen (rows of quantizers: nearest, gptq, awq, ...)
 *       -> written, read back, compared (to_gguf.c), measured against the source (quantize.c) */
#ifndef CONVERT_QUANTIZE_H
#define CONVERT_QUANTIZE_H
#include "core/base/vec.h"
#include "core/quant/quant.h"
#include "model/convert/convert.h"
#include "model/infer/infer.h"
#include "sooth/quantize.h"

struct arch_model;
struct weight;

/* A matrix of the plan that may be quantized. */
struct quant_tensor {
    struct convert_tensor *to;
    const struct weight *weight;  /* of the loaded source; NULL when that was not needed */
    char role[32];                /* "attn_v", "ffn_down", "token_embd", "output" */
    int layer;                    /* -1 outside the blocks */
    size_t rows, cols;
    const struct qtype *type;     /* chosen; starts as the source's own */
    const float *importance;      /* [cols]; NULL: not known */
};
typedef VEC(struct quant_tensor) quant_tensors;

/* The calibration text and the model it is read by. */
struct quant_source {
    const struct tensor_file *file;
    struct arch_model *arch;      /* packed; NULL: not loaded */
    struct pool *pool;
    int32_t *ids;                 /* windows of `context` tokens */
    size_t context, windows;
    int32_t start;                /* start token of a window; -1: none */
    sooth_quantize_note *note;
    void *user;
};
/* Tells what is going on, and how far it is. */
void quant_note(const struct quant_source *s, const char *what, size_t done, size_t total);
struct run_options;
/* One window through all layers, for what observers see of it. */
enum sooth_status quant_forward(const struct quant_source *s, const struct run_options *o, size_t window, struct sooth_error *err);

/* ---- recipe.c ---- */

/* A number format for everything, or a table of exceptions under a name such as "q4_k_m". */
struct recipe;
const struct recipe *recipe_find(const char *name); /* NULL: unknown. A number format's own name is a recipe too */
const char *recipe_name_at(size_t i, const char **note);
int recipe_file_type(const struct recipe *r);       /* GGUF's general.file_type; -1: none fits */
/* Fills the list with the plan's matrices that quantizers touch. */
enum sooth_status quant_list(struct convert_plan *p, quant_tensors *list, struct sooth_error *err);
/* Sets each type, shapes considered. heads_per_kv of the model; 1 when not known. */
void recipe_apply(const struct recipe *r, quant_tensors *list, size_t heads_per_kv);
/* type, or what stands in for it where rows of `cols` are no multiple of its block. */
const struct qtype *quant_fitting(const struct qtype *type, size_t cols);
uint64_t quant_bytes(const struct quant_tensor *t, const struct qtype *type);

/* ---- importance.c ---- */

struct importance;
struct importance *importance_new(void);
void importance_free(struct importance *im);
/* Reads the calibration windows and sums squared inputs of every product. */
enum sooth_status importance_gather(struct importance *im, const struct quant_source *s, struct sooth_error *err);
/* llama.cpp's importance matrix as a GGUF file. */
enum sooth_status importance_read(struct importance *im, const char *path, struct sooth_error *err);
enum sooth_status importance_write(const struct importance *im, const char *path, const char *data_set, size_t chunks, size_t context,
                                   struct sooth_error *err);
/* Points each tensor at its importance; SOOTH_ERR_FORMAT when widths differ. Tensors without one keep NULL. */
enum sooth_status importance_apply(const struct importance *im, quant_tensors *list, struct sooth_error *err);

/* ---- budget.c ---- */

/* Chooses types so that the file's tensors take at most `bytes` in all and the measured divergence is least. */
enum sooth_status budget_choose(const struct quant_source *s, struct convert_plan *p, quant_tensors *list, uint64_t bytes,
                                size_t heads_per_kv, struct sooth_error *err);

/* ---- quantizers: rows of a table, one file each ---- */

struct quantizer {
    const char *name, *note;
    bool needs_text;      /* cannot do without calibration */
    const char *type;     /* the one format it writes; NULL: any */
    /* After types are chosen: fills ready bytes, scales, importance of the plan's tensors. Memory lives in the plan's arena. NULL:
     * the formats' own quantizers do it all. */
    enum sooth_status (*prepare)(const struct quant_source *s, struct convert_plan *p, quant_tensors *list, struct sooth_error *err);
};
const struct quantizer *quantizer_find(const char *name); /* NULL: unknown */
const struct quantizer *quantizer_at(size_t i);           /* NULL past the last */

/* sample_text.c: a page of English and Chinese for measuring when there is no other text. */
extern const char quant_sample_text[];
#endif
