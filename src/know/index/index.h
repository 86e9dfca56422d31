/* index.h: the store of a knowledge base and its indexes. The front door of this folder.
 *
 * One knowledge base is one directory with one SQLite database (docs/arch/store.md draws the
 * tables). A document is written in one transaction, so readers see all of it or nothing. What is
 * searched is held in a `snapshot`: one read transaction's view of all passages, reused until the
 * store changes.
 *
 * Thread use: one struct store belongs to one thread at a time; open several for several threads or
 * processes. */
#ifndef KNOW_INDEX_H
#define KNOW_INDEX_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/buf.h"
#include "know/index/segment.h"
#include "sooth/error.h"
#include "sooth/kb.h"

#define STORE_SCHEMA 1               /* in the database's user_version */
#define STORE_APPLICATION 0x736F7468 /* "soth", in its application_id */
#define STORE_BUSY_MS 30000          /* how long a writer waits for another */
#define CHUNK_HASH 16                /* bytes: the front of a SHA-256 */

/* Scripts whose vectors lie apart from one another in a multilingual embedder (align.c). */
enum script { SCRIPT_OTHER, SCRIPT_HAN, SCRIPTS };
enum script script_of(const char *text, size_t len);

struct store;

/* --- opening
 * -----------------------------------------------------------------------------------------------
 */

enum store_flags { STORE_READ_ONLY = 1, STORE_CREATE = 2 };
enum sooth_status store_open(const char *dir, unsigned flags, struct store **out,
                             struct sooth_error *err);
void store_close(struct store *s); /* NULL is fine */
void store_set_busy(struct store *s, int milliseconds);
const char *store_path(const struct store *s); /* of the directory */
uint64_t store_bytes(const struct store *s);   /* all its files */

/* What the vectors were made with. Strings belong to the store; NULL and 0 until an embedder is
 * set. */
struct store_embedder {
    const char *name, *fingerprint, *metric, *query_prefix, *passage_prefix;
    size_t dim, chunk_tokens;
    const float
        *centres; /* [SCRIPTS, dim]: the mean vector of questions in each script; NULL = unknown */
    const char *split; /* how documents are cut into passages; NULL = as the house does */
};
const struct store_embedder *store_embedder(const struct store *s);
/* Sets it when none is set. Another fingerprint or dimension than the one remembered is
 * SOOTH_ERR_ARG, unless `replace` (which is only for a transaction that also writes every document
 * again). Reads again what other processes may have set. */
enum sooth_status store_embedder_set(struct store *s, const struct store_embedder *e, bool replace,
                                     struct sooth_error *err);

/* Transactions. Writers wait for one another; all functions below that write open their own unless
 * inside one. */
enum sooth_status store_write_begin(struct store *s, struct sooth_error *err);
enum sooth_status store_read_begin(struct store *s,
                                   struct sooth_error *err); /* one view for several reads */
enum sooth_status store_end(struct store *s, bool commit, struct sooth_error *err);

/* --- writing
 * -----------------------------------------------------------------------------------------------
 */

struct store_page {
    size_t start, end;
    const char *label;
};
struct store_chunk {
    size_t start, end;   /* bytes of the document's text */
    uint32_t page;       /* where it starts; 0 = none */
    const char *heading; /* "A > B"; "" when none */
    size_t header_start,
        header_end;      /* the table header row that stands above it; equal when none */
    const char *context; /* exactly what was embedded and is indexed: store_context */
    size_t context_len;
    unsigned char hash[CHUNK_HASH]; /* of the context */
    const unsigned char *vector;    /* vector_pack's bytes */
};
struct store_document {
    const char *doc;  /* identity */
    const char *hash; /* SHA-256 of the source's bytes, hex */
    const char
        *parse; /* what else decides the text: encoding override and the like; "" when none */
    const char *title, *format, *encoding; /* may be NULL */
    const char *context_title; /* as it stands in the passages' contexts; NULL when it does not */
    const struct sooth_tag *tags;
    size_t n_tags;
    const char *text;
    size_t text_len, source_bytes;
    const struct store_page *pages;
    size_t n_pages;
    const void
        *blocks; /* the parser's blocks, packed by the caller, so that chunks can be cut anew */
    size_t blocks_len;
    const char *note; /* a warning to keep, or NULL */
};

/* The text that stands for a passage in vectors and full text: title and headings, header row, the
 * passage. */
bool store_context(const char *title, const char *heading, const char *header, size_t header_len,
                   const char *text, size_t len, struct buf *out);
void store_hash(const char *context, size_t len, unsigned char out[CHUNK_HASH]);

struct store_put {
    bool unchanged, updated;
};
/* Replaces the document of that identity in one transaction. Passages whose hash it had before keep
 * their id and vector. Finds out itself (unchanged) when another process has just written the very
 * same; `force` writes anyway. */
enum sooth_status store_put(struct store *s, const struct store_document *d,
                            const struct store_chunk *chunks, size_t n, bool force,
                            struct store_put *result, struct sooth_error *err);
enum sooth_status store_set_tags(struct store *s, const char *doc, const struct sooth_tag *tags,
                                 size_t n, struct sooth_error *err);
/* SOOTH_ERR_NOTFOUND when there is none. */
enum sooth_status store_forget(struct store *s, const char *doc, struct sooth_error *err);
/* Brings the index files beside the database up to date, where they are worth it; tidy: even when
 * little is new, and without a trace of what was forgotten. A failure leaves the store as it was. */
enum sooth_status store_index_refresh(struct store *s, unsigned threads, bool tidy,
                                      struct sooth_error *err);
void store_index_from(struct store *s, size_t passages); /* tests: keep indexes from here on */
enum sooth_status store_compact(struct store *s, uint64_t *before, uint64_t *after,
                                struct sooth_error *err);
enum sooth_status store_check(struct store *s, sooth_line_fn *fn, void *user, size_t *problems,
                              struct sooth_error *err);

/* --- reading
 * -----------------------------------------------------------------------------------------------
 */

/* Strings live until the next call on the store. */
struct store_doc_info {
    int64_t id;
    const char *doc, *hash, *parse, *title, *format, *encoding, *tags, *added, *note,
        *context_title; /* tags: a JSON object */
    size_t pages, chunks, text_len, source_bytes;
};
enum sooth_status store_find(struct store *s, const char *doc, struct store_doc_info *out,
                             struct sooth_error *err);
typedef bool store_doc_fn(void *user, const struct store_doc_info *doc);
enum sooth_status store_docs(struct store *s, store_doc_fn *fn, void *user,
                             struct sooth_error *err);
/* Appends text[start, end) of the document with that id; the packed blocks; its pages as an array
 * the caller frees together with the labels (store_pages_free). */
enum sooth_status store_text(struct store *s, int64_t doc, size_t start, size_t end,
                             struct buf *out, struct sooth_error *err);
enum sooth_status store_blocks(struct store *s, int64_t doc, struct buf *out,
                               struct sooth_error *err);
enum sooth_status store_pages(struct store *s, int64_t doc, struct store_page **out, size_t *n,
                              struct sooth_error *err);
void store_pages_free(struct store_page *pages, size_t n);
/* The page that holds a byte of the text; 0 where there are none. *label (caller frees) is NULL
 * when none. */
enum sooth_status store_page_at(struct store *s, int64_t doc, size_t offset, size_t *page,
                                char **label, struct sooth_error *err);

struct store_passage { /* caller frees with store_passage_release */
    int64_t id, doc_id;
    char *doc, *title, *heading, *text;
    size_t start, end, header_start, header_end, page, seq;
    char *page_label;
};
enum sooth_status store_passage(struct store *s, int64_t chunk, struct store_passage *out,
                                struct sooth_error *err);
/* The passage that holds a byte of a document's text; 0 when none does. */
enum sooth_status store_chunk_at(struct store *s, int64_t doc, size_t offset, int64_t *chunk,
                                 struct sooth_error *err);
void store_passage_release(struct store_passage *p);
/* A vector of any passage with that hash: appended to out (vector_packed bytes). *found tells. */
enum sooth_status store_vector(struct store *s, const unsigned char hash[CHUNK_HASH],
                               struct buf *out, bool *found, struct sooth_error *err);

/* --- vectors
 * -----------------------------------------------------------------------------------------------
 */

enum metric { METRIC_COSINE, METRIC_DOT, METRIC_L2, METRIC_L1 };
bool metric_parse(const char *name, enum metric *out); /* NULL is cosine */
/* The one similarity of the house: it falls as distance grows. cosine and dot: the product; l2: 1 -
 * d*d/2, which for unit vectors is the cosine again; l1: 1 - d / sqrt(2 dim), 1 for equal vectors.
 */
double metric_similarity(enum metric m, const float *a, const float *b, size_t dim);

/* [scale f32][code int8 * dim][half f16 * dim], little-endian. False for NaN, infinite and all-zero
 * vectors. */
size_t vector_packed(size_t dim);
bool vector_pack(const float *v, size_t dim, unsigned char *out);

/* --- searching
 * --------------------------------------------------------------------------------------------- */

struct snapshot_doc {
    int64_t id;
    char *doc, *title, *format, *tags;
    size_t first, count; /* its slots */
};
struct snapshot { /* of one generation of the store */
    uint64_t generation;
    size_t n, n_docs, dim;
    int64_t *chunk;   /* [n] ids; slots are ordered by document, then by place in it */
    uint32_t *doc;    /* [n] index into docs */
    uint32_t *page;   /* [n] */
    uint32_t *length; /* [n] counted terms */
    double average;   /* mean of length */
    struct snapshot_doc *docs;
    bool indexed;    /* vectors are found through the index file; the next three are NULL then */
    int8_t *code;    /* [n, dim], loaded by the first vector search; NULL before */
    float *scale;    /* [n] */
    float *norm;     /* [n]: length of the vector as its code has it */
    uint8_t *script; /* [n] */
    float *mean; /* [SCRIPTS, dim]: of the vectors of each script, drawn towards 0 where they are
                    few */
    float *gain; /* [n]: 1 / length of the vector without its mean */
};
/* The current view; inside a read transaction it stays that of the transaction. Owned by the store
 * and valid until the next call of this function. */
enum sooth_status store_snapshot(struct store *s, bool vectors, const struct snapshot **out,
                                 struct sooth_error *err);

const struct snapshot_doc *snapshot_doc_by_id(const struct snapshot *v, int64_t id);

struct scored {
    uint32_t slot;
    double score;
};
struct posting {
    uint32_t slot, tf;
};
struct posting_list {
    struct posting *items;
    size_t count, cap;
    bool failed;
};
/* All passages with the term, of the file or of rows. */
enum sooth_status text_postings(struct store *s, const struct snapshot *v, uint64_t key,
                                struct posting_list *out, struct sooth_error *err);
/* Keeps the k best of what is offered (heap [k], *n so far), ties by slot; best_sort then puts the
 * best first. */
void best_offer(struct scored *heap, size_t *n, size_t k, struct scored item);
void best_sort(struct scored *heap, size_t n);
/* Cosines between the stored vectors of slots: out [n, n]; 0 where one is missing. */
enum sooth_status vector_pairs(struct store *s, const struct snapshot *v, const uint32_t *slots, size_t n,
                               double *out, struct sooth_error *err);
/* The ways to find near vectors, for listings; NULL past the last. */
const char *vector_index_at(size_t i, const char **about);
/* The best k of the slots whose allow byte is set (NULL = all), best first, ties by slot. Scores
 * are similarities: a scan over 8-bit codes, or the index file, picks a few hundred, their stored
 * halves decide. */
enum sooth_status vector_search(struct store *s, const struct snapshot *v, enum metric m,
                                const float *query, const unsigned char *allow, size_t k,
                                struct scored *out, size_t *found, struct sooth_error *err);
/* The same by aligned cosine: both sides without the mean of their script (align.c). query is a
 * question's vector, asked in `script`. Falls back on plain cosine where the store knows no
 * centres. */
enum sooth_status aligned_search(struct store *s, const struct snapshot *v, const float *query,
                                 enum script script, const unsigned char *allow, size_t k,
                                 struct scored *out, size_t *found, struct sooth_error *err);
/* The aligned cosine of given slots. */
enum sooth_status aligned_scores(struct store *s, const struct snapshot *v, const float *query,
                                 enum script script, const uint32_t *slots, size_t n,
                                 double *scores, struct sooth_error *err);
/* The similarity of given slots with the query; NAN where a vector is missing. */
/* The aligned cosine of n vectors that are not in the store, such as those of single sentences.
 * vectors: [n, dim], scripts: [n]. */
enum sooth_status aligned_vectors(struct store *s, const struct snapshot *v, const float *query,
                                  enum script script, const float *vectors,
                                  const enum script *scripts, size_t n, float *scores,
                                  struct sooth_error *err);
enum sooth_status vector_scores(struct store *s, const struct snapshot *v, enum metric m,
                                const float *query, const uint32_t *slots, size_t n, double *scores,
                                struct sooth_error *err);

struct bm25 { /* a row of bm25.c */
    const char *name;
    double k1, b, delta;
    double (*idf)(double docs, double with_term);
    double (*part)(const struct bm25 *p, double tf, double norm); /* of one term in one passage */
    double top; /* when part is top * tf / (tf + k1 norm); else 0 */
};
const struct bm25 *bm25_at(size_t i);            /* NULL past the last */
const struct bm25 *bm25_find(const char *name);  /* NULL name: lucene; NULL when there is none */
double bm25_norm(const struct bm25 *p, double length, double average);
/* BM25 over all terms of the text, which is never query syntax. *ceiling (may be NULL) gets the
 * score that no passage can exceed, so that score / ceiling is in [0, 1). */
enum sooth_status text_search(struct store *s, const struct snapshot *v, const struct bm25 *p,
                              const char *query, size_t len, const unsigned char *allow, size_t k,
                              struct scored *out, size_t *found, double *ceiling,
                              struct sooth_error *err);
#include "know/index/graphdb.h"
#include "know/index/tabledb.h"
#endif
