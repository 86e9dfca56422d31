/* kbase.h: what the files of this folder share about an open knowledge base and a file on its way
 * in. */
#ifndef RETRIEVE_KBASE_H
#define RETRIEVE_KBASE_H
#include "core/base/map.h"
#include "core/base/vec.h"
#include "know/retrieve/retrieve.h"

struct sooth_kb {
    struct store *store;
    struct embedder *embedder; /* NULL until needed */
    struct sooth_reader *reader; /* beside the embedder; NULL until asked for, or when there is none */
    bool reader_sought;
    char *wanted;              /* the embedder asked for, or NULL */
    enum metric metric;
    bool metric_asked;
    size_t chunk_tokens; /* asked for; 0 = the embedder's own good size */
    const char *split;   /* asked for, a name of the table of splitters; NULL = the store's */
    unsigned threads;
};

/* The embedder, made the store's if it has none yet. For writers. */
enum sooth_status kb_embedder_claim(struct sooth_kb *kb, const struct embedder **out,
                                    struct sooth_error *err);
enum sooth_status kb_embedder_write(struct sooth_kb *kb, const struct embedder *e, bool replace,
                                    struct sooth_error *err);
size_t kb_overlap(size_t tokens);

/* --- kb_walk.c --- */
struct walk_file {
    char *path;    /* as given, or found below what was given */
    char *doc;     /* identity */
    char *problem; /* why it cannot be read; NULL = go on */
    bool named;    /* given by name, not found in a directory: tried whatever its name */
};
struct walk {
    VEC(struct walk_file) files;
};
/* Collects files. named: the user gave these paths, so what is missing is listed with its problem and
 * files of any kind are tried; else they were found. */
enum sooth_status walk_paths(const char *const *paths, size_t n, bool named,
                             const struct sooth_add_options *o, const char *kb_dir,
                             struct walk *out, struct sooth_error *err);
void walk_release(struct walk *w);
/* Absolute, without ".", ".." and double slashes; links are followed as far as they exist. Caller
 * frees. */
char *walk_identity(const char *path);

/* --- kb_add.c --- */
enum sooth_status kb_add_paths(struct sooth_kb *kb, const char *const *paths, size_t n, bool named,
                               const struct sooth_add_options *options,
                               struct sooth_add_totals *totals, struct sooth_error *err);

/* --- kb_ingest.c: one file from bytes to rows --- */
struct intake {
    const char *file, *doc; /* borrowed */
    char hash[65];
    size_t source_bytes;
    bool same; /* the store has these very bytes already */
    bool skipped;
    struct document parsed;
    enum sooth_status status; /* of reading and parsing */
    struct sooth_error why;
    struct chunks chunks;
    unsigned char *vectors; /* [chunks.count, vector_packed]; NULL before */
    bool *ready;            /* [chunks.count] has its vector */
    size_t missing;         /* passages still to embed */
    size_t embedded;
    double started;
    bool heap;                 /* a file inside a file: owns itself and its names */
    char *own_file, *own_doc;
};
/* Cuts, and finds the vectors the store has already. */
enum sooth_status intake_prepare(struct sooth_kb *kb, const struct embedder *e, struct intake *in,
                                 struct sooth_error *err);
/* Embeds what is missing in all of them together. progress may be NULL. */
enum sooth_status intake_embed(const struct embedder *e, struct intake *const *in, size_t n,
                               sooth_add_progress_fn *progress, void *user,
                               struct sooth_error *err);
enum sooth_status intake_store(struct sooth_kb *kb, struct intake *in, const struct sooth_tag *tags,
                               size_t n_tags, const char *parse, bool force,
                               struct store_put *result, struct sooth_error *err);
void intake_release(struct intake *in);
/* --- kb_inner.c: files inside files --- */
struct inner {
    VEC(struct intake *) items;
};
void intake_free(struct intake *in); /* intake_release, and the intake itself where it is `heap` */
/* The members of a parsed file as intakes of their own; those the store has are marked `same`. */
enum sooth_status inner_take(struct sooth_kb *kb, struct intake *outer, const char *parse_key,
                             struct inner *out, struct sooth_error *err);
void inner_release(struct inner *list, size_t from); /* frees the intakes from that one on */
/* Forgets what is stored below a file: all, or what is not in the list. */
enum sooth_status inner_forget_all(struct sooth_kb *kb, const char *doc, struct sooth_error *err);
enum sooth_status inner_forget_stale(struct sooth_kb *kb, const struct intake *outer,
                                     const struct inner *list, struct sooth_error *err);
/* The user's tags, then what the file says of itself under other keys. *out: caller frees (the array
 * only). */
bool tags_merge(const struct document *d, const struct sooth_tag *tags, size_t n,
                struct sooth_tag **out, size_t *count);
/* What the file said of itself, from its stored tags, into d->meta. */
bool meta_recall(struct arena *a, const char *stored, struct document *d);
enum sooth_status kb_reembed(struct sooth_kb *kb, const struct embedder *e,
                             struct sooth_error *err);
#endif
