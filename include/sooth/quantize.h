/* sooth/quantize.h: make a model smaller, and say what it cost.
 *
 * The source is any model that sooth_convert reads; the result is one GGUF file. Every run reads the result back before it
 * gets its name. A model that generates text is compared with its source on a text: divergence and perplexity of the result.
 *
 * Ownership: everything in options is borrowed for the call. Thread use: any number of calls at once. */
#ifndef SOOTH_QUANTIZE_H
#define SOOTH_QUANTIZE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sooth/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* what: "importance", "sensitivity", "writing", "measuring", ... */
typedef void sooth_quantize_note(void *user, const char *what, size_t done, size_t total);

/* Names for options, with a line on each; NULL past the last. note may not be NULL. */
const char *sooth_quantize_type(size_t i, const char **note);
const char *sooth_quantize_method(size_t i, const char **note);

struct sooth_quantize_options {
    const char *type;        /* a number format or a mixture (sooth_quantize_type); NULL: bytes decides */
    uint64_t bytes;          /* at most so many bytes in the file: a format for each matrix, chosen by measuring; 0 = off */
    const char *method;      /* how codes are chosen: sooth_quantize_method; NULL: "nearest" */
    const char *text;        /* calibration: gives importance. NULL: none is used */
    size_t text_len;
    const char *measure;     /* what the result is measured on; NULL: text, or a page that is built in */
    size_t measure_len;
    const char *importance;  /* read from this file (llama.cpp's imatrix as GGUF) instead of from text */
    const char *save_importance; /* and written to this one */
    size_t context;          /* tokens a window; 0 = 512 */
    size_t chunks;           /* windows of calibration and of measuring at most; 0 = 16 */
    bool no_measure;         /* leave the comparison out */
    unsigned threads;        /* 0 = the cores this process is granted */
    sooth_quantize_note *note; /* may be NULL */
    void *user;
};

struct sooth_quantize_count { const char *type; size_t tensors; uint64_t bytes; };
struct sooth_quantize_result {
    uint64_t source_bytes, bytes;       /* of the files */
    struct sooth_quantize_count types[24]; /* of the result, those that occur, largest first */
    size_t n_types;
    bool measured;                      /* an encoder is not */
    struct sooth_divergence divergence; /* of the result from its source */
};

/* in: a name as for sooth_model_find. SOOTH_ERR_ARG: options that do not go together; SOOTH_ERR_LIMIT: bytes that no choice
 * meets. result may be NULL. */
enum sooth_status sooth_quantize(const char *in, const char *out, const struct sooth_quantize_options *options,
                                 struct sooth_quantize_result *result, struct sooth_error *err);

#ifdef __cplusplus
}
#endif
#endif
