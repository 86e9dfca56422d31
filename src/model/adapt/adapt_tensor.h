/* adapt_tensor.h: an adapter's weights as files have them; private to this folder.
 *
 * A method lists its weights once for each layout: name in the file, and how the file's numbers lie compared with
 * memory. Writing and reading walk the same list, so what one does the other undoes. */
#ifndef ADAPT_ADAPT_TENSOR_H
#define ADAPT_ADAPT_TENSOR_H
#include "core/base/buf.h"
#include "core/base/json.h"
#include "model/adapt/adapt_method.h"
#include "model/file/file.h"

enum adapt_layout { LAYOUT_PEFT, LAYOUT_HUB, LAYOUT_MLX, LAYOUT_GGUF };

struct adapt_tensor {
    struct weight *w;      /* in memory: [rows, cols] */
    const char *name;      /* in the file; several weights that share one are slices of its columns */
    bool vector;
    bool turned;           /* the file has columns and rows exchanged */
    size_t at, wide;       /* slice: first column, and columns of the whole; 0, 0: all */
    /* Rotary pairs (i, i + d/2) of each head in one place are neighbours (2i, 2i + 1) in the other; 0 heads: same order. */
    size_t heads;
    bool columns;          /* the heads lie along the columns */
    bool halves;           /* the file has the halves */
    float plus;            /* memory = file + plus */
    double times;          /* file = memory · times; 0 counts 1 */
};
struct adapt_tensors {
    VEC(struct adapt_tensor) list;
    struct arena arena;    /* names */
    enum adapt_layout layout;
};
void tensors_init(struct adapt_tensors *t, enum adapt_layout layout);
void tensors_release(struct adapt_tensors *t);
/* Adds one that lies in the file as in memory; NULL when out of memory. */
struct adapt_tensor *tensors_add(struct adapt_tensors *t, struct weight *w, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Heads whose order differs between the file and this model in memory, along rows or columns of a tensor that goes with `on`. */
void tensors_pair(struct adapt_tensors *t, struct adapt_tensor *e, const struct adapt *a, const struct arch_weight *on, bool columns);
/* The list of a's method in a layout. SOOTH_ERR_UNSUPPORTED where the layout has no form for it. */
enum sooth_status tensors_list(struct adapt_tensors *t, const struct adapt *a, struct sooth_error *err);

/* ---- writing: tensors in memory, as file_tensor ---- */
struct adapt_image {
    VEC(struct file_tensor) list;
    struct arena arena;
};
enum sooth_status image_make(struct adapt_image *i, const struct adapt_tensors *t, struct sooth_error *err);
void image_release(struct adapt_image *i);

/* ---- reading ---- */
/* A tensor's name without the beginnings that differ from program to program ("base_model.model.model."). */
const char *tensor_bare_name(const char *name);
/* Fills every weight of the list from f, whose tensors must be exactly those (but for `spare`, which may say of a name that it is
 * left out knowingly). */
typedef bool tensors_spare(const char *name);
enum sooth_status tensors_read(const struct adapt_tensors *t, const struct tensor_file *f, tensors_spare *spare, struct sooth_error *err);

/* What a reader has found out about an adapter before it is attached. */
struct adapt_found {
    struct arena arena;
    struct adapt_options o;
    struct buf targets, ranks, alphas;
    char base[65];           /* fingerprint of the model it was trained on; "" when the file does not say */
    const struct json *meta; /* our own notes beside it, or NULL */
};
/* The module (or GGUF) name is one of the model's: appends it to targets with its rank, and alpha unless negative. */
enum sooth_status found_site(struct adapt_found *f, const struct arch_model *m, const char *module, size_t rank, double alpha,
                             struct sooth_error *err);

/* One way of keeping an adapter in files. */
struct adapt_format {
    const char *name;
    enum adapt_layout layout;
    /* Is this it? config: the directory's adapter_config.json, or NULL for a single file. */
    bool (*is)(const struct tensor_file *f, const struct json *config);
    enum sooth_status (*find)(struct adapt_found *out, const struct arch_model *m, const struct tensor_file *f, const struct json *config,
                              struct sooth_error *err);
    tensors_spare *spare;
};
extern const struct adapt_format adapt_format_peft, adapt_format_hub, adapt_format_mlx, adapt_format_gguf;

/* adapt_peft.c, adapt_hub.c: the configuration's text. */
enum sooth_status peft_config(const struct adapt *a, struct buf *out, struct sooth_error *err);
enum sooth_status hub_config(const struct adapt *a, struct buf *out, struct sooth_error *err);
/* adapt_meta.c: our own notes: method, kind, options, fingerprint of the base. */
enum sooth_status meta_write(const struct adapt *a, struct buf *out, struct sooth_error *err);
void meta_take(struct adapt_found *f, const struct json *meta);
/* adapt_gguf.c */
enum sooth_status adapt_write_gguf(const struct adapt *a, const char *path, struct sooth_error *err);
double gguf_alpha(const struct adapt *a);  /* the one alpha a GGUF file can state; what differs is folded into B */

/* A JSON object of one pair a line, keys in the order they are put. */
struct pretty {
    struct buf *out;
    bool any;
};
struct json_writer pretty_key(struct pretty *p, const char *key); /* write one value with it */
void pretty_end(struct pretty *p);
#endif
