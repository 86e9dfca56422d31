/* sooth/adapter.h: adapters as files: from one form to another, and into a model.
 *
 * An adapter is a directory of PEFT, AdapterHub or MLX, or a GGUF adapter file. Strings are borrowed for the call. */
#ifndef SOOTH_ADAPTER_H
#define SOOTH_ADAPTER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sooth/error.h"
#include "sooth/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rewrites an adapter of `model` as GGUF (out ends in ".gguf") or as a directory (PEFT's form; AdapterHub's for bottlenecks). The
 * result is opened again and compared before it takes its name. any_base: even if it was trained on another model. */
enum sooth_status sooth_adapter_convert(const char *adapter, const char *model, const char *out, bool any_base, struct sooth_error *err);

struct sooth_merge_options {
    const char *model;            /* the base: a file, directory or short name */
    const char *const *adapters;  /* each PATH or PATH:SCALE */
    size_t n_adapters;
    const char *type;             /* number format of the matrices; NULL or "same": each keeps its own */
    const char *text;             /* what the cost is measured on; NULL: a short text of our own */
    size_t text_len;
    double max_kl;                /* above this mean divergence the file is not kept; 0 = no limit */
    bool any_base;
    unsigned threads;             /* 0 = the cores this process is granted */
    sooth_progress_fn *on_tensor; /* may be NULL */
    void *user;
};

struct sooth_merge {
    size_t changed;               /* tensors that are not the base's */
    bool untied;                  /* the output matrix has become one of its own */
    uint64_t bytes;               /* of the file */
    const char *type;             /* commonest format in it */
    /* Measured after writing, over `tokens` predictions; all 0 for an encoder. */
    size_t tokens;
    double perplexity_base, perplexity_adapter, perplexity_merged;
    double kl, kl_max;            /* nats from adapter-on-base to merged: mean and worst token */
    double same_choice;           /* share of tokens whose likeliest follower is the same */
};
/* Writes the base with the adapters worked into its weights as one GGUF file, reads it back, and compares it with the
 * adapters worn by the base. Methods that are no change of weights (prompts, prefixes, bottlenecks) are
 * SOOTH_ERR_UNSUPPORTED. On failure, or above max_kl (SOOTH_ERR_LIMIT), there is no file; *out is filled in then too. */
enum sooth_status sooth_merge(const struct sooth_merge_options *o, const char *path, struct sooth_merge *out, struct sooth_error *err);

#ifdef __cplusplus
}
#endif
#endif
