/* tensor_view.h: inside of an open model file, for the readers of this folder that fill it in. */
#ifndef FILE_TENSOR_VIEW_H
#define FILE_TENSOR_VIEW_H
#include "core/base/arena.h"
#include "core/base/map.h"
#include "core/base/vec.h"
#include "model/file/file.h"

struct tensor_file {
    const char *format;
    const char *path;
    const char *dir; /* NULL unless a Hugging Face directory */
    VEC(struct map_file) maps;
    struct arena arena; /* everything that is not mapped; its ceiling is the caller's */
    struct file_tensor *tensors;
    struct file_value *values;
    size_t tensor_count, tensor_cap, value_count, value_cap;
    struct map tensor_names, value_keys; /* to index */
    const struct json *config;
};

enum { VIEW_MAX_TENSORS = 1 << 18, VIEW_MAX_VALUES = 1 << 16, VIEW_MAX_NAME = 65536 };

/* Room for that many more of each; more than the ceilings is SOOTH_ERR_LIMIT. */
enum sooth_status view_reserve(struct tensor_file *f, uint64_t tensors, uint64_t values,
                               struct sooth_error *err);
/* The name is checked and copied; room must have been reserved. dims beyond ndim are set to 1. */
enum sooth_status view_add_tensor(struct tensor_file *f, const char *name, size_t len,
                                  const struct file_tensor *t, struct sooth_error *err);
enum sooth_status view_add_value(struct tensor_file *f, const char *key, size_t len,
                                 const struct file_value *v, struct sooth_error *err);
/* Facts made by translation; key is a C string. */
enum sooth_status view_put_uint(struct tensor_file *f, const char *key, uint64_t v,
                                struct sooth_error *err);
enum sooth_status view_put_float(struct tensor_file *f, const char *key, double v,
                                 struct sooth_error *err);
enum sooth_status view_put_bool(struct tensor_file *f, const char *key, bool v,
                                struct sooth_error *err);
enum sooth_status view_put_string(struct tensor_file *f, const char *key, const char *v,
                                  struct sooth_error *err);
/* SOOTH_ERR_LIMIT when the ceiling was met, SOOTH_ERR_NOMEM when memory is out. */
enum sooth_status view_nomem(const struct tensor_file *f, struct sooth_error *err);

size_t value_size(enum value_type t);         /* bytes of a number; 0 for strings and arrays */
const char *safetensors_dtype(uint32_t type); /* "F32"; NULL when the format has no name for it */

/* The readers. m stays owned by the view. */
enum sooth_status gguf_read(struct tensor_file *f, const struct map_file *m,
                            struct sooth_error *err);
enum sooth_status gguf_split_read(struct tensor_file *f,
                                  struct sooth_error *err); /* after gguf_read: the other parts */
enum sooth_status safetensors_read(struct tensor_file *f, const struct map_file *m,
                                   struct sooth_error *err);
enum sooth_status e5s1_read(struct tensor_file *f, const struct map_file *m,
                            struct sooth_error *err);
enum sooth_status hf_dir_read(struct tensor_file *f, struct sooth_error *err);
enum sooth_status hf_config_read(struct tensor_file *f,
                                 struct sooth_error *err); /* f->config into facts */
/* Are the tokenizer's arrays of one length and its ids inside it? */
enum sooth_status vocab_check(const struct tensor_file *f, struct sooth_error *err);
#endif
