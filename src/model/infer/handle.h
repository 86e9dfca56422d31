/* handle.h: a model as opened, for the files of this room. */
#ifndef INFER_HANDLE_H
#define INFER_HANDLE_H
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include "core/base/arena.h"
#include "core/base/pool.h"
#include "core/kernel/kernel.h"
#include "model/token/token.h"
#include "sooth/model.h"

struct arch_model;
struct embed_item;
struct remote;
struct tensor_file;
struct token_trie;

struct sooth_model {
    struct sooth_model_info info;
    struct arena arena;    /* strings of info and of the prefixes */
    struct remote *remote; /* a server; then all below but the prefixes is NULL */
    struct tensor_file *file;
    struct tokenizer *tokenizer; /* never NULL for a local model */
    struct template *template;   /* the model's own chat template; NULL: none, or not understood */
    struct arch_model *arch;     /* NULL: opened for its vocabulary only */
    struct pool *pool;
    enum kv_type cache_type; /* how sessions keep keys and values */
    size_t context_most; /* what the model allows; info.context is what a session gets */
    size_t embed_limit;  /* tokens of a text, specials and prefix counted */
    const char *query_prefix, *passage_prefix;
    double load_seconds;
    pthread_mutex_t lock; /* guards the fingerprint and the trie */
    struct token_trie *trie; /* of the vocabulary, for grammars; NULL until one needs it */
    char fingerprint[65]; /* "" until asked for */
};

static inline size_t model_context_most(const struct sooth_model *m)
{
    return m->context_most;
}

/* chat.c: messages to tokens by the model's template; start token at most once. */
enum sooth_status chat_tokenize(const struct sooth_model *m, const struct sooth_message *messages,
                                size_t n, struct sooth_tokens *out, struct sooth_error *err);
/* wear.c: the public adapters, put on a batch. */
struct infer_batch;
enum sooth_status wear_adapters(struct sooth_model *model, struct infer_batch *b, struct sooth_adapter *const *list, size_t n,
                                struct sooth_error *err);
/* prompt_tokens.c: a prompt in any form to tokens. room: 0, or the most tokens it may have: then the oldest turns (never the
 * system's, never the last) or the oldest tokens of a text are left out, and counted. */
struct prompt {
    struct sooth_tokens tokens;
    size_t n_dropped;  /* tokens left out */
    bool named_turns;  /* a chat without a template: names mark the turns */
};
enum sooth_status prompt_tokens(const struct sooth_model *m, const struct sooth_prompt *p, size_t room, struct prompt *out,
                                struct sooth_error *err);
/* prepare.c: one text to an encoder's tokens. Fills ids, spans, n, front, back, cut of item; on
 * failure it is untouched. */
enum sooth_status embed_tokenize(const struct sooth_model *m, enum sooth_embed_kind kind,
                                 const char *text, size_t len, bool spans, struct embed_item *item,
                                 struct sooth_error *err);
/* Two texts as a pair; the longer one is cut where both are over the limit. Fills ids, n, second, cut. */
enum sooth_status embed_tokenize_pair(const struct sooth_model *m, const char *a, size_t a_len,
                                      const char *b, size_t b_len, struct embed_item *item,
                                      struct sooth_error *err);
/* facts.c: fills info and the embedding facts from the open file. */
enum sooth_status model_read_facts(struct sooth_model *m, const struct sooth_model_options *options,
                                   struct sooth_error *err);
#endif
