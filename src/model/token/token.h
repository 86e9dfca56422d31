/* token.h: front door of the token room: text to ids, ids to text, and chat templates.
 *
 * A tokenizer is built once from a token_source (from GGUF metadata, from a tokenizer.json, or from arrays), checked
 * in full, and never changes: any number of threads may use it. Text comes in as typed segments. Only a
 * SEG_CONTROL segment (template text) can produce a control token; in a SEG_TEXT segment (what a user, a tool or
 * a document wrote) "<|im_start|>" is eleven characters like any others. */
#ifndef TOKEN_H
#define TOKEN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/json.h"
#include "model/file/file.h"
#include "sooth/error.h"

/* ---- where a vocabulary comes from ---- */

struct token_str {
    const char *text; /* not NUL-terminated */
    size_t len;
};

/* Piece types, numbered as in GGUF's tokenizer.ggml.token_type. */
enum token_type {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_USER = 4,   /* user-defined: cut out of any text before merging */
    TOKEN_UNUSED = 5,
    TOKEN_BYTE = 6    /* "<0x0A>" */
};

enum { TOKEN_STRIP_LEFT = 1, TOKEN_STRIP_RIGHT = 2 };

enum token_choice { TOKEN_UNSAID = 0, TOKEN_NO, TOKEN_YES }; /* what a file may leave unsaid */

/* Everything borrowed: tokenizer_new copies what it keeps. token_source_init gives "nothing said". */
struct token_source {
    const char *model;                 /* "gpt2", "llama", "bert", "t5" (GGUF's names); the row's name also works */
    const char *pre;                   /* rules of the first cut, such as "smollm"; NULL = the file does not say */
    size_t n;                          /* vocabulary size, 1 .. 2^24 */
    const struct token_str *pieces;    /* [n] */
    const float *scores;               /* [n_scores] or NULL */
    size_t n_scores;
    const int32_t *types;              /* [n_types] enum token_type, or NULL = all TOKEN_NORMAL */
    size_t n_types;
    const unsigned char *strips;       /* [n] TOKEN_STRIP_LEFT, _RIGHT: blanks around an added token that belong to it; NULL = none */
    const struct token_str *merges;    /* [n_merges] "left right", by rank */
    size_t n_merges;
    int64_t bos, eos, unk, sep, pad, cls, mask, eot, eom; /* ids, -1 = none */
    enum token_choice add_bos, add_eos, add_space_prefix, remove_extra_whitespaces;
    struct token_str charsmap;         /* SentencePiece's precompiled_charsmap, or empty */
    const uint32_t *replaced;          /* or, one by one: [n_replaced] rising code points */
    const struct token_str *replacements; /* [n_replaced] what by, perhaps nothing */
    size_t n_replaced;
    bool hash_marks;                   /* WordPiece: "##" before what goes on (tokenizer.json), not U+2581 before what begins (GGUF) */
    bool whole_first;                  /* BPE: a first cut that is a piece as it stands is not merged (also a rule's own) */
    enum token_choice compose;         /* BPE: text is brought to NFC first; unsaid = as the rules have it */
    bool keep_case;                    /* WordPiece: a cased vocabulary */
    const char *chat_template;         /* or NULL */
};
void token_source_init(struct token_source *s);

struct tokenizer;
/* Checks everything (lengths equal, ids inside the vocabulary, pieces at most 64 KiB, byte pieces well formed, known rules)
 * and builds. An unknown `pre` is SOOTH_ERR_UNSUPPORTED; a missing one is a warning (token_warning). */
enum sooth_status tokenizer_new(const struct token_source *s, struct tokenizer **out, struct sooth_error *err);
/* From a model file of any container: the facts under tokenizer.*, or the tokenizer.json beside the weights.
 * SOOTH_ERR_NOTFOUND where there is neither. */
enum sooth_status tokenizer_from_file(const struct tensor_file *f, struct tokenizer **out, struct sooth_error *err);
/* Hugging Face's tokenizer.json, with tokenizer_config.json (may be NULL, 0) for special tokens and template. A
 * normaliser, pre-tokenizer or model outside what is known here is SOOTH_ERR_UNSUPPORTED, naming it. */
enum sooth_status tokenizer_from_json(const char *text, size_t len, const char *config, size_t config_len,
                                      struct tokenizer **out, struct sooth_error *err);
void tokenizer_free(struct tokenizer *t); /* NULL is fine */

/* ---- facts ---- */

const char *token_kind(const struct tokenizer *t);  /* "bpe", "spm", "wordpiece", "unigram" */
const char *token_rules(const struct tokenizer *t); /* the `pre` name in force; "" where the kind has none */
size_t token_vocab_size(const struct tokenizer *t);
size_t token_warnings(const struct tokenizer *t);
const char *token_warning(const struct tokenizer *t, size_t i); /* i < token_warnings: one line for a person */
const char *token_template(const struct tokenizer *t);          /* the model's own chat template text, or NULL */
/* Ids of special tokens, -1 = none. */
enum token_role { ROLE_BOS, ROLE_EOS, ROLE_UNK, ROLE_SEP, ROLE_PAD, ROLE_CLS, ROLE_MASK, ROLE_EOT, ROLE_EOM, ROLE_COUNT };
int32_t token_special(const struct tokenizer *t, enum token_role role);
bool token_adds_bos(const struct tokenizer *t); /* the rule TOKEN_ADD_SPECIAL follows */
bool token_adds_eos(const struct tokenizer *t);
bool token_adds_space(const struct tokenizer *t); /* a blank before the text, as SentencePiece's older vocabularies want it */
bool token_is_end(const struct tokenizer *t, int32_t id);     /* eos, eot, eom or a known end-of-turn token */
bool token_is_control(const struct tokenizer *t, int32_t id); /* also true for ids outside the vocabulary */
unsigned token_strips(const struct tokenizer *t, int32_t id); /* TOKEN_STRIP_LEFT, TOKEN_STRIP_RIGHT */
/* The piece as stored in the vocabulary (byte-mapped, U+2581 and all); an id outside gives an empty string. */
struct token_str token_piece(const struct tokenizer *t, int32_t id);
int32_t token_find(const struct tokenizer *t, const char *piece, size_t len); /* exact stored piece, or -1 */

/* ---- text to ids ---- */

enum token_segment_kind { SEG_CONTROL, SEG_TEXT };
struct token_segment {
    enum token_segment_kind kind;
    const char *text; /* any bytes; invalid UTF-8 never fails */
    size_t len;
};

/* Growing lists; start zeroed, free with vec_free. */
struct token_ids { int32_t *items; size_t count, cap; bool failed; };
struct token_span { size_t start, end; }; /* bytes in the segments' texts laid end to end; empty for added tokens */
struct token_spans { struct token_span *items; size_t count, cap; bool failed; };

enum {
    TOKEN_ADD_SPECIAL = 1 /* BOS, EOS, CLS, SEP by the model's own rule; a BOS already there is not doubled */
};
/* Appends to ids and, where spans is not NULL, one span per id. Linear in the input (times a logarithm for one
 * unbroken run). Inputs over 64 MiB are SOOTH_ERR_LIMIT. On failure both lists are as before. */
enum sooth_status token_encode(const struct tokenizer *t, const struct token_segment *segments, size_t n,
                               unsigned flags, struct token_ids *ids, struct token_spans *spans,
                               struct sooth_error *err);
/* One plain text. */
enum sooth_status token_encode_text(const struct tokenizer *t, const char *text, size_t len, unsigned flags,
                                    struct token_ids *ids, struct sooth_error *err);
/* Two texts for an encoder: [CLS] a [SEP] b [SEP], or <s> a </s></s> b </s>. Where that is more than `most` tokens (0 = any
 * number) the longer text loses its end first, as the reference does it. SOOTH_ERR_UNSUPPORTED where the vocabulary
 * has no separator. */
struct token_pair {
    size_t second; /* index of b's first token */
    bool typed;    /* segment 1 begins there (BERT); else there are no segments */
    bool cut;
};
enum sooth_status token_encode_pair(const struct tokenizer *t, const char *a, size_t a_len, const char *b, size_t b_len, size_t most,
                                    struct token_ids *ids, struct token_pair *out, struct sooth_error *err);
/* Number of tokens of a plain text, nothing added; SIZE_MAX on failure (memory, limit). */
size_t token_count(const struct tokenizer *t, const char *text, size_t len);

/* The first cut of byte-level BPE by rules of that name ("gpt-2"): calls piece for each, in order, until it returns false.
 * False then, and for rules that are not known. What trains a vocabulary counts these. */
typedef bool token_cut_fn(void *user, const char *text, size_t from, size_t to);
bool token_cut(const char *rules, const char *text, size_t len, token_cut_fn *piece, void *user);
/* The printable character that stands for a byte in the pieces of byte-level BPE; UTF-8, NUL-terminated. */
void token_byte_text(unsigned char byte, char out[4]);

/* ---- ids to text ---- */

/* Streaming: what comes out is always valid UTF-8; at most 3 bytes of an unfinished character are held back; an
 * invalid byte becomes U+FFFD. Control tokens write nothing unless with_control. */
struct token_decoder {
    const struct tokenizer *tokenizer;
    bool with_control;
    bool started; /* the space that the tokenizer put before the text has been dealt with */
    unsigned held_len;
    char held[4];
};
void token_decoder_init(struct token_decoder *d, const struct tokenizer *t);
void token_decoder_add(struct token_decoder *d, int32_t id, struct buf *out); /* failure: out->failed */
void token_decoder_flush(struct token_decoder *d, struct buf *out);           /* the end: an unfinished character is U+FFFD */
/* Appends the bytes a token stands for inside a text, a leading blank included; they may end inside a character. Nothing for
 * a control token. */
void token_bytes(const struct tokenizer *t, int32_t id, struct buf *out);
/* All at once: add each, flush. */
void token_decode(const struct tokenizer *t, const int32_t *ids, size_t n, struct buf *out);

/* ---- chat templates ---- */

/* A sandboxed interpreter of the part of Jinja that chat templates use: no host access, and budgets (1,000,000 steps,
 * 8 MiB of output and as much again in strings, depth 200, ranges of 100,000). A template is immutable after parsing. */
struct template;
struct template_options {
    bool add_generation_prompt;
    const char *bos, *eos;      /* texts of bos_token and eos_token ("" or NULL = none); count as template text */
    int64_t now;                /* seconds since 1970, UTC, for strftime_now; -1 = the clock */
    const struct json *extra;   /* object of further variables (enable_thinking, documents, ...), or NULL; input text */
};
struct token_segments { struct token_segment *items; size_t count; }; /* in the arena given */

/* Errors name the line and the construct. text need not outlive the call. */
enum sooth_status template_parse(const char *text, size_t len, struct template **out, struct sooth_error *err);
/* messages: array of {role, content, ...}; tools: array or NULL. Strings of messages, tools and extra are input text
 * and stay so through every filter; all else is template text. SOOTH_ERR_ARG: the template itself refused
 * (raise_exception); SOOTH_ERR_LIMIT: a budget; SOOTH_ERR_UNSUPPORTED: a construct outside the subset. */
enum sooth_status template_render(const struct template *t, const struct json *messages, const struct json *tools,
                                  const struct template_options *o, struct arena *a,
                                  struct token_segments *out, struct sooth_error *err);
void template_free(struct template *t);
/* For models without a template: "System: ...", "User: ...", "Assistant: ..." in paragraphs. Static text. */
extern const char template_plain[];
/* Texts of a tokenizer's bos and eos, for template_options ("" where none); owned by the tokenizer. */
const char *token_bos_text(const struct tokenizer *t);
const char *token_eos_text(const struct tokenizer *t);
#endif
