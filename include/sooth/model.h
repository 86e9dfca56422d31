/* sooth/model.h: open a model, generate with it, embed with it, count and score with it.
 *
 * A model is a GGUF file, a Hugging Face directory (safetensors, config.json, tokenizer.json), an E5S1 file, or
 * any OpenAI-compatible server named by its URL ("http://host:port/v1"): the calls are the same.
 *
 * Ownership: strings in options are borrowed for the call; results are released by their _release function and
 * are empty after a failure. Thread use: a struct sooth_model is immutable after opening and may serve several
 * threads at once; a struct sooth_session belongs to one thread at a time. */
#ifndef SOOTH_MODEL_H
#define SOOTH_MODEL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sooth/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sooth_model;
struct sooth_session;

struct sooth_model_options {
    unsigned threads;       /* 0 = the cores this process is granted */
    const char *compute;    /* how weights are multiplied: NULL or "auto"; "f32" and "int8" (unquantized weights only: quantized
                             * ones are always multiplied in 8 bits); "bf16" (all weights, 2 bytes each) */
    bool file_form;         /* weights stay as the file has them: no memory for a second form, slow for a few tokens at a time (training) */
    size_t context;         /* tokens a session may hold; 0 = the model's own length, at most 8192 */
    const char *cache;      /* how sessions keep keys and values: NULL or "f32", "f16", "q8_0", "q4_0" (50, 27, 14 % of f32's memory) */
    const char *api_model;  /* remote: the server's name for the model; NULL = the first of /v1/models */
    const char *api_key;    /* remote: NULL = environment SOOTH_API_KEY */
    double api_timeout;     /* remote: seconds for a whole request; 0 = 120 */
    bool vocab_only;        /* read the tokenizer and the facts only: nothing can be run */
};

enum sooth_model_kind {
    SOOTH_MODEL_DECODER, /* generates */
    SOOTH_MODEL_ENCODER, /* embeds */
    SOOTH_MODEL_REMOTE   /* a server; does what the server does */
};

struct sooth_model_info {
    enum sooth_model_kind kind;
    const char *path, *name, *format;  /* format: "gguf", "safetensors", "e5s1", "http" */
    const char *arch;                  /* "llama", "gemma3", "bert", "xlm-roberta", ... */
    const char *tokenizer, *pretokenizer, *pooling;
    const char *weights;               /* commonest number format by bytes, such as "q4_1" */
    const char *compute;               /* how they are multiplied: "native" (the file's own numbers), "int8", "bf16"; "" = not loaded */
    uint64_t parameters, file_bytes, memory_bytes;
    size_t layers, dim, heads, kv_heads, head_dim, ff, vocab, context;
    const char *const *classes;        /* what a classifier's head tells apart; "" where its files do not name it */
    size_t n_classes;                  /* 0 = no such head; 1 = a cross-encoder */
    bool has_template, add_bos;
    const char *const *warnings;       /* such as a missing pre-tokenizer name */
    size_t n_warnings;
};

/* Finds the file or directory that a short name means: an existing path as it stands; else NAME, NAME.gguf under
 * $SOOTH_MODELS, $SOOTH_HOME/models (default ~/.local/share/sooth/models), ./models, and models/ beside or one
 * level above the program. Writes at most size bytes to out. A URL is returned unchanged. */
enum sooth_status sooth_model_find(const char *name, char *out, size_t size, struct sooth_error *err);

/* name as for sooth_model_find; options may be NULL. *out is NULL on failure. */
enum sooth_status sooth_model_open(const char *name, const struct sooth_model_options *options, struct sooth_model **out,
                                   struct sooth_error *err);
void sooth_model_close(struct sooth_model *model); /* NULL is fine; close sessions first */
const struct sooth_model_info *sooth_model_info(const struct sooth_model *model); /* lives as long as the model */

/* --- tokens ------------------------------------------------------------------------------------------------ */

struct sooth_tokens {
    int32_t *ids;
    size_t count;
};
/* special: text may name control tokens (only for trusted template text); otherwise "<|im_start|>" is plain text.
 * bos: add what the model's own rule adds. Remote models: SOOTH_ERR_UNSUPPORTED. */
enum sooth_status sooth_tokenize(const struct sooth_model *model, const char *text, size_t len, bool bos, bool special,
                                 struct sooth_tokens *out, struct sooth_error *err);
/* The model's pair form: [CLS] a [SEP] b [SEP] and its kin. */
enum sooth_status sooth_tokenize_pair(const struct sooth_model *model, const char *a, size_t a_len, const char *b, size_t b_len,
                                      struct sooth_tokens *out, struct sooth_error *err);
void sooth_tokens_release(struct sooth_tokens *tokens);
/* The text of ids, valid UTF-8, NUL-terminated, owned by the caller (free with sooth_free). NULL when out of memory. */
char *sooth_detokenize(const struct sooth_model *model, const int32_t *ids, size_t count);
/* Tokens of text without any added ones; an estimate (bytes / 3) for remote models. */
size_t sooth_count_tokens(const struct sooth_model *model, const char *text, size_t len);
void sooth_free(void *p);

/* --- generation -------------------------------------------------------------------------------------------- */

struct sooth_message {
    const char *role;    /* "system", "user", "assistant", "tool" */
    const char *content; /* always plain text: control tokens inside it are not recognised */
};

/* What is to be continued: one of the three forms. */
struct sooth_prompt {
    const struct sooth_message *messages; /* a chat, by the model's own template */
    size_t n_messages;
    const char *text;                     /* a text as it stands (plain), with BOS by the model's rule */
    size_t len;
    const int32_t *ids;                   /* tokens, nothing added */
    size_t n_ids;
};

struct sooth_sampling {
    double temperature;     /* 0 = greedy */
    int top_k;              /* 0 = off */
    double top_p;           /* 1 = off */
    double min_p;           /* 0 = off */
    double repeat_penalty;  /* 1 = off; over the last repeat_last tokens */
    int repeat_last;        /* default 64 */
    uint64_t seed;          /* same seed, same model, same prompt: same text */
};

/* The next piece of text, always whole UTF-8 characters, never a byte of a stop string. False stops. */
typedef bool sooth_text_fn(void *user, const char *text, size_t len);
/* Tells prompt progress; may be NULL. */
typedef void sooth_progress_fn(void *user, size_t done, size_t total);

/* What may be written: a grammar (GBNF, the notation of llama.cpp) or a JSON schema, compiled. Immutable: it may serve any
 * number of generations at once, on any model; free it when the last has begun. What a schema says and cannot be
 * enforced is SOOTH_ERR_UNSUPPORTED, naming the keyword; SOOTH_ERR_ARG: not a grammar, or no text satisfies it. */
struct sooth_grammar;
enum sooth_status sooth_grammar_gbnf(const char *text, size_t len, struct sooth_grammar **out, struct sooth_error *err);
enum sooth_status sooth_grammar_schema(const char *json, size_t len, struct sooth_grammar **out, struct sooth_error *err);
void sooth_grammar_free(struct sooth_grammar *grammar); /* NULL is fine */
bool sooth_grammar_accepts(const struct sooth_grammar *grammar, const char *text, size_t len);

struct sooth_generate_options {
    struct sooth_sampling sampling;
    size_t max_tokens;          /* 0 = until the end token or the context is full */
    const char *const *stop;    /* stop strings; not part of the text */
    size_t n_stop;
    unsigned logprobs;          /* > 0: keep log-probabilities, and this many alternatives (at most 20) */
    size_t prompt_batch;        /* tokens a forward while reading the prompt; 0 = 512; never changes the result */
    /* How a token is chosen, "NAME" or "NAME:param=number,...": rows of sooth_list("strategy"). NULL = "sample". */
    const char *strategy;
    const struct sooth_prompt *without; /* "cad": the same prompt without its context */
    struct sooth_model *amateur;        /* "contrast": a weaker model of the same vocabulary */
    const struct sooth_grammar *grammar; /* the text is one of its texts, or the beginning of one when it ends early; NULL: any */
    /* Guessing ahead, so that the weights are read once for several tokens; never changes the result. */
    bool lookup;                /* that what followed once follows again */
    struct sooth_model *draft;  /* what a small model of the same vocabulary would say; outlives the session */
    /* A full context forgets the older half of what was generated and goes on (max_tokens must then be set); a prompt
     * that is too long loses its oldest turns, or the beginning of its text. n_dropped tells. Off: an error, or the end. */
    bool context_shift;
    sooth_text_fn *on_text;
    sooth_progress_fn *on_prompt;
    void *user;
};
void sooth_generate_options_init(struct sooth_generate_options *options); /* greedy, 512 tokens, nothing else */

enum sooth_finish { SOOTH_FINISH_STOP, SOOTH_FINISH_LENGTH, SOOTH_FINISH_CANCELLED };

struct sooth_logprob { int32_t id; float logprob; };
struct sooth_generation {
    char *text;                 /* NUL-terminated UTF-8 */
    size_t len;
    enum sooth_finish finish;
    int32_t *ids;               /* generated tokens, without the end token; NULL for remote */
    float *logprobs;            /* [n_tokens] of the chosen tokens, raw distribution; NULL unless asked */
    struct sooth_logprob *top;  /* [n_tokens * n_top]; NULL unless asked */
    size_t n_tokens, n_top, n_prompt, n_reused; /* n_reused: prompt tokens found in the session's cache */
    size_t n_dropped;           /* tokens left out by context_shift */
    size_t n_guessed, n_right;  /* tokens guessed ahead, and how many of them were right */
    double prompt_seconds, seconds;
};
void sooth_generation_release(struct sooth_generation *g);

/* What was trained on top of a model: a directory (PEFT, AdapterHub, MLX) or a GGUF adapter, opened for one model, which must outlive it.
 * scale multiplies what it adds; 1 is as trained. Immutable: several sessions may wear it at once; close it after them. */
struct sooth_adapter;
enum sooth_status sooth_adapter_open(struct sooth_model *model, const char *path, double scale, struct sooth_adapter **out, struct sooth_error *err);
void sooth_adapter_close(struct sooth_adapter *adapter); /* NULL is fine */

/* A session holds the KV cache. A prompt that starts like what the cache holds is only read from there on. */
enum sooth_status sooth_session_new(struct sooth_model *model, struct sooth_session **out, struct sooth_error *err);
void sooth_session_free(struct sooth_session *session);
/* From the next generation on with these adapters together, n = 0: with none. What was read with others is not reused. */
enum sooth_status sooth_session_wear(struct sooth_session *session, struct sooth_adapter *const *adapters, size_t n, struct sooth_error *err);
struct sooth_model *sooth_session_model(const struct sooth_session *session); /* the one it was made from */

enum sooth_status sooth_generate(struct sooth_session *session, const struct sooth_prompt *prompt,
                                 const struct sooth_generate_options *options, struct sooth_generation *out, struct sooth_error *err);
/* The model's own chat template, then generation. A prompt that leaves no room for one token in the context is
 * SOOTH_ERR_LIMIT with both counts; nothing is cut in silence. */
enum sooth_status sooth_chat(struct sooth_session *session, const struct sooth_message *messages, size_t n,
                             const struct sooth_generate_options *options, struct sooth_generation *out, struct sooth_error *err);
/* No template: the text as it stands (plain), with BOS by the model's rule. */
enum sooth_status sooth_complete(struct sooth_session *session, const char *text, size_t len,
                                 const struct sooth_generate_options *options, struct sooth_generation *out, struct sooth_error *err);
/* Renders messages with the Jinja text given, or with the model's own when jinja is NULL. Caller frees with sooth_free. */
enum sooth_status sooth_render(const struct sooth_model *model, const char *jinja, const struct sooth_message *messages, size_t n,
                               bool add_generation_prompt, char **out, struct sooth_error *err);
/* The same for a whole request as JSON: a list of messages with whatever members the template knows (tool_calls, reasoning_content, typed content), or
 * an object with such a list under "messages", perhaps "tools" and "add_generation_prompt" (true where unsaid); what else it holds
 * (enable_thinking, documents) are variables of the template. text and tokens may be NULL. Of the tokens only those that the template itself
 * wrote can be control tokens; bos: the start token by the model's own rule, unless the template wrote it. */
enum sooth_status sooth_render_json(const struct sooth_model *model, const char *jinja, const char *json, size_t len, bool bos, char **text,
                                    struct sooth_tokens *tokens, struct sooth_error *err);
/* Log-probability of each token of `text` after `prompt` (both plain). out: [count of tokens of text], caller frees. */
enum sooth_status sooth_score(struct sooth_session *session, const char *prompt, size_t prompt_len, const char *text, size_t len,
                              float **out, size_t *count, struct sooth_error *err);

/* --- many at once ------------------------------------------------------------------------------------------ */

/* Several requests that share every forward: each step takes one token of each that is generating and a piece of each
 * prompt that is still being read. What a request gets does not depend on its neighbours, to the bit.
 *
 *     sooth_batch_start(b, &prompt, &options, &slot, err)       // whenever a slot is free
 *     while (sooth_batch_active(b) && sooth_batch_step(b, err) == SOOTH_OK)
 *         for (slot = 0; slot < slots; slot++)
 *             if (sooth_batch_done(b, slot))
 *                 sooth_batch_finish(b, slot, &generation, err)
 *
 * A prompt that begins like what any slot has read is only read from there on. Thread use: one batch, one thread at a
 * time; several batches may share a model. */
struct sooth_batch;
/* context: tokens a slot may hold; 0 = as the model was opened. The model must be a local one that generates. */
enum sooth_status sooth_batch_new(struct sooth_model *model, size_t slots, size_t context, struct sooth_batch **out, struct sooth_error *err);
void sooth_batch_free(struct sooth_batch *batch);
/* For all slots; SOOTH_ERR_BUSY while one is in use. */
enum sooth_status sooth_batch_wear(struct sooth_batch *batch, struct sooth_adapter *const *adapters, size_t n, struct sooth_error *err);
/* Takes the free slot that helps most; SOOTH_ERR_BUSY when none is free. The prompt is read at once; the callbacks and
 * models of options are borrowed until sooth_batch_finish. */
enum sooth_status sooth_batch_start(struct sooth_batch *batch, const struct sooth_prompt *prompt, const struct sooth_generate_options *options,
                                    size_t *slot, struct sooth_error *err);
/* A failure ends every active request; what one request alone did wrong is told by its sooth_batch_finish. */
enum sooth_status sooth_batch_step(struct sooth_batch *batch, struct sooth_error *err);
size_t sooth_batch_active(const struct sooth_batch *batch);               /* requests started and not yet done */
bool sooth_batch_done(const struct sooth_batch *batch, size_t slot);      /* to be collected */
void sooth_batch_cancel(struct sooth_batch *batch, size_t slot);          /* finish then gives what there is, as CANCELLED */
enum sooth_status sooth_batch_finish(struct sooth_batch *batch, size_t slot, struct sooth_generation *out, struct sooth_error *err);

struct sooth_perplexity {
    double value, error; /* exp of the mean negative log-likelihood, and its standard error */
    size_t tokens, chunks;
};
/* Disjoint windows of `context` tokens (0 = 512), each second half scored; at most `chunks` windows (0 = all).
 * on_chunk, if not NULL, is told (user, done, total). */
enum sooth_status sooth_perplexity(struct sooth_model *model, const char *text, size_t len, size_t context, size_t chunks,
                                   sooth_progress_fn *on_chunk, void *user, struct sooth_perplexity *out, struct sooth_error *err);

/* How far `model` is from the model it was made of, in its guesses of the next token: the same windows read by both.
 * KL(source || model) = Σ p (log p - log q) in nats a token; SOOTH_ERR_ARG where the two do not share a vocabulary. */
struct sooth_divergence {
    double kl, error;                /* mean and its standard error */
    double median, most_99, largest; /* of single tokens: half, 99 % of them below */
    double same_top;                 /* share of tokens where both think the same one likeliest */
    double perplexity, perplexity_error, source_perplexity;
    size_t tokens, chunks;
};
enum sooth_status sooth_divergence_measure(struct sooth_model *model, struct sooth_model *source, const char *text, size_t len,
                                           size_t context, size_t chunks, sooth_progress_fn *on_chunk, void *user,
                                           struct sooth_divergence *out, struct sooth_error *err);

/* --- embeddings -------------------------------------------------------------------------------------------- */

enum sooth_embed_kind { SOOTH_EMBED_QUERY, SOOTH_EMBED_PASSAGE, SOOTH_EMBED_RAW }; /* RAW: no prefix */

size_t sooth_embed_dim(const struct sooth_model *model);
size_t sooth_embed_limit(const struct sooth_model *model);   /* tokens a text may have, prefix and specials counted */
const char *sooth_embed_prefix(const struct sooth_model *model, enum sooth_embed_kind kind); /* "" when none */
/* A hash of weights, tokenizer and pooling: 64 hex digits. Stores remember it. Remote: of URL and model name.
 * "" when memory or a read failed just now. */
const char *sooth_model_fingerprint(const struct sooth_model *model);
/* Unit vectors [n, dim], pooled as the model's files say. Texts over the limit are cut and counted in *cut
 * (may be NULL). Batches of any size give the same bits as single texts. */
enum sooth_status sooth_embed(struct sooth_model *model, enum sooth_embed_kind kind, const char *const *texts, const size_t *lens, size_t n,
                              float *out, size_t *cut, struct sooth_error *err);

/* Late interaction: one unit vector a token (specials and prefix left out). */
struct sooth_token_vectors {
    float *vectors;       /* [count, dim] */
    size_t count, dim;
    uint32_t *start, *end; /* byte span of each token in the text */
};
enum sooth_status sooth_embed_tokens(struct sooth_model *model, enum sooth_embed_kind kind, const char *text, size_t len,
                                     struct sooth_token_vectors *out, struct sooth_error *err);
void sooth_token_vectors_release(struct sooth_token_vectors *v);
/* One score a passage [n]. A cross-encoder (n_classes 1): the sigmoid of its head over query and passage read together. Any other encoder:
 * the mean over query tokens of the best cosine with any passage token. A classifier of several classes: SOOTH_ERR_UNSUPPORTED. */
enum sooth_status sooth_rerank(struct sooth_model *model, const char *query, size_t query_len, const char *const *passages,
                               const size_t *lens, size_t n, float *scores, struct sooth_error *err);

/* A reader points at the words of a passage that answer a question, in whichever language either is: an encoder with a small trained
 * part of its own, in a file that fits that encoder only. The encoder must outlive it. *out is NULL on failure. */
struct sooth_reader;
enum sooth_status sooth_reader_open(struct sooth_model *encoder, const char *path, struct sooth_reader **out, struct sooth_error *err);
void sooth_reader_close(struct sooth_reader *reader); /* NULL is fine */
struct sooth_reading {
    size_t start, end; /* bytes of the passage; start == end when it has no words */
    float span;        /* log-odds of these words against there being no answer */
    float present;     /* log-odds that the passage answers at all, judged as a whole */
};
/* out: [n]. lens may be NULL. The end of a passage beyond the encoder's length is not read. */
enum sooth_status sooth_read(const struct sooth_reader *reader, const char *question, size_t question_len, const char *const *passages,
                             const size_t *lens, size_t n, struct sooth_reading *out, struct sooth_error *err);

/* Texts a, or pairs a, b (b not NULL); lengths may be NULL for NUL-terminated texts. */
struct sooth_pairs {
    const char *const *a;
    const size_t *a_lens;
    const char *const *b;
    const size_t *b_lens;
    size_t n;
};
/* What a classifier's head says of each, before any softmax or sigmoid: scores [n, n_classes]. A pair over the limit loses the end of its
 * longer text and is counted in *cut (may be NULL). SOOTH_ERR_UNSUPPORTED where the model has no such head. */
enum sooth_status sooth_classify(struct sooth_model *model, const struct sooth_pairs *pairs, float *scores, size_t *cut,
                                 struct sooth_error *err);

/* --- fetching ---------------------------------------------------------------------------------------------- */

/* Bytes here of the file's bytes (0: not told). False stops; what is here is kept and the next pull goes on from it. */
typedef bool sooth_pull_fn(void *user, const char *file, uint64_t done, uint64_t total);
struct sooth_pull_options {
    const char *out;      /* file, or folder (ending in '/', or there already); NULL: $SOOTH_MODELS, else models/ under $SOOTH_HOME */
    const char *sha256;   /* what the file must have; NULL: what is known here or the server tells */
    const char *endpoint; /* of hf: names; NULL = environment HF_ENDPOINT, else https://huggingface.co */
    sooth_pull_fn *on_bytes;
    void *user;
    double stall, backoff; /* seconds without a byte before an attempt is given up (30), before the first retry (0.5) */
};
struct sooth_pull_result {
    char path[4096];  /* the file, or the directory of a model in several files */
    uint64_t bytes;
    size_t files;
    char sha256[65];  /* of the last file; "" for a directory */
    bool checked;     /* every file had a sum to compare with */
    bool resumed;
};
/* "hf:owner/repo/file[@revision]", "hf:owner/repo" (all that a model directory needs), a URL, or a name that is known here.
 * The environment's HF_TOKEN goes to the endpoint alone. A file is at its place only when it is whole. */
enum sooth_status sooth_pull(const char *what, const struct sooth_pull_options *options, struct sooth_pull_result *out, struct sooth_error *err);

/* --- files ------------------------------------------------------------------------------------------------- */

/* Rewrites a model as GGUF (or, when out ends in '/' or names a directory, as a safetensors directory). */
enum sooth_status sooth_convert(const char *in, const char *out, struct sooth_error *err);

/* What a file is, tensor by tensor, without loading it. */
struct sooth_tensor_info { const char *name, *type; unsigned n_dims; uint64_t dims[4], bytes; };
typedef bool sooth_tensor_fn(void *user, const struct sooth_tensor_info *t);
enum sooth_status sooth_file_tensors(const char *path, sooth_tensor_fn *fn, void *user, struct sooth_error *err);
/* Its metadata as (key, value as text cut at 200 bytes). */
typedef bool sooth_meta_fn(void *user, const char *key, const char *value);
enum sooth_status sooth_file_meta(const char *path, sooth_meta_fn *fn, void *user, struct sooth_error *err);

/* --- tables ------------------------------------------------------------------------------------------------ */

/* Names in a table ("arch", "qtype", "tokenizer", "doc", "op", ...): NULL after the last. note: one line each. */
const char *sooth_list(const char *table, size_t i, const char **note);
const char *sooth_list_tables(size_t i);

/* --- measuring --------------------------------------------------------------------------------------------- */

struct sooth_bench {
    double prompt_rate, generate_rate; /* tokens a second */
    size_t prompt_tokens, generated;
    double load_seconds;               /* from the name to the loaded model */
    double first_token_seconds;        /* and on to the first token of a prompt of 16 */
    uint64_t peak_bytes;               /* most memory this process ever had */
    unsigned threads;
};
/* Reads `prompt` random tokens, then generates `generate` tokens, `repeat` times; medians, tokens a second. */
enum sooth_status sooth_bench_run(struct sooth_model *model, size_t prompt, size_t generate, unsigned repeat, struct sooth_bench *out, struct sooth_error *err);
/* Several texts at once, each behind `prompt` tokens: generated tokens a second of all together, the median of `repeat` rounds. */
enum sooth_status sooth_bench_streams(struct sooth_model *model, size_t streams, size_t prompt, size_t generate, unsigned repeat, double *rate,
                                      struct sooth_error *err);

/* Operations (a multiply-add is two) and bytes read a second on one core; 0: no such instruction. */
struct sooth_peaks { double f32, i8, bf16, tile, read; };
struct sooth_kernel_bench {
    const char *format, *level;
    bool same_bits;                             /* as plain C; else nothing below is measured */
    double one_row_bytes, one_row_share;        /* packed weights read a second; of peaks.read */
    double many_rows_ops, many_rows_share;      /* over 128 rows; of the peak of the format's arithmetic, 0: not known */
};
typedef void sooth_kernel_fn(void *user, const struct sooth_kernel_bench *row);
/* Every number format on every level of kernel that this machine runs; *out is filled before the first row is told. */
enum sooth_status sooth_bench_kernels(sooth_kernel_fn *fn, void *user, struct sooth_peaks *out, struct sooth_error *err);

const char *sooth_version(void);

#ifdef __cplusplus
}
#endif
#endif
