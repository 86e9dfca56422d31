/* to_gguf.c: any readable model as one GGUF file.
 *
 * E5S1 and GGUF are copied fact by fact and tensor by tensor: their view is GGUF's already. A
 * Hugging Face directory differs in names and in how some weights lie (the architecture's own list tells
 * both: rotated rows, norms less 1, turned matrices), in XLM-R's positions (GGUF leaves out the two that are
 * never used), in the words for rotary positions (rope_words.c), and in keeping its tokenizer in
 * JSON. Numbers keep their format, but vectors become F32 as GGUF readers expect. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "model/arch/arch.h"
#include "model/convert/convert.h"
#include "model/convert/darts.h"
#include "model/token/token.h"

/* E5S1's list of replacements, in GGUF's form. */
static enum sooth_status gguf_charsmap(const struct tensor_file *f, struct convert_plan *p,
                                       struct sooth_error *err)
{
    struct buf made = BUF_INIT;
    size_t n = 0, m = 0;
    const uint32_t *from = tensor_file_uints(f, "tokenizer.sooth.normalizer.from", &n);
    const struct file_string *to = tensor_file_strings(f, "tokenizer.sooth.normalizer.to", &m);
    if (!from || !to || n != m)
        return SOOTH_OK;
    enum sooth_status status = darts_build(from, to, n, &made, err);
    if (status == SOOTH_OK) {
        void *copy = arena_array(&p->arena, made.len, 1);
        struct file_value v = {.key = "tokenizer.ggml.precompiled_charsmap",
                               .type = VALUE_ARRAY,
                               .item = VALUE_U8,
                               .count = made.len,
                               .items = copy};
        if (copy)
            memcpy(copy, made.data, made.len);
        status = copy && plan_put(p, &v) ? SOOTH_OK : err_nomem(err);
    }
    buf_release(&made);
    return status;
}

static enum sooth_status gguf_copy(const struct tensor_file *f, struct convert_plan *p,
                                   struct sooth_error *err)
{
    enum sooth_status status = gguf_charsmap(f, p, err);
    for (size_t i = 0; i < tensor_file_values(f) && status == SOOTH_OK; i++) {
        const struct file_value *v = tensor_file_value_at(f, i);
        if (strncmp(v->key, "tokenizer.sooth.normalizer.", 27) != 0 &&
            strncmp(v->key, "split.", 6) != 0 && !plan_put(p, v)) /* the copy is in one file */
            status = err_nomem(err);
    }
    for (size_t i = 0; i < tensor_file_count(f) && status == SOOTH_OK; i++)
        status =
            plan_tensor(p, tensor_file_at(f, i)->name, tensor_file_at(f, i), CONVERT_SAME, 0, err);
    return status;
}

static enum sooth_status gguf_weight(const struct arch_info *info, const struct arch_weight *w,
                                     struct convert_plan *p, struct sooth_error *err)
{
    static const enum convert_change changes[] = {[ARCH_SAME] = CONVERT_SAME,
                                                  [ARCH_PLUS_ONE] = CONVERT_PLUS_ONE,
                                                  [ARCH_PAIRS] = CONVERT_PAIR,
                                                  [ARCH_TRANSPOSED] = CONVERT_TURN};
    const struct file_tensor *from = w->from;
    size_t heads = strncmp(w->role, "attn_q", 6) == 0 ? info->heads : info->kv_heads;
    enum sooth_status status = plan_tensor(p, w->weight->name, from, changes[w->change], heads, err);
    if (status == SOOTH_OK && strcmp(w->role, "position_embd") == 0 && from->dims[1] > info->context)
        plan_move_rows(p, from->dims[1] - info->context, 0);
    return status;
}

/* Facts about the model that GGUF has otherwise, or not at all. */
static bool gguf_skips(const char *name, bool windows)
{
    return strcmp(name, "tie_word_embeddings") == 0 || /* an absent output matrix says it */
           strncmp(name, "rope.", 5) == 0 ||           /* rope_words.c */
           (strcmp(name, "attention.sliding_window") == 0 && !windows);
}

/* Facts of the directory, under GGUF's name of the architecture. */
static enum sooth_status gguf_facts(const struct tensor_file *f, const struct arch_model *m,
                                    struct convert_plan *p, struct sooth_error *err)
{
    const char *arch = tensor_file_string(f, "general.architecture", ""),
               *name = arch_gguf_name(m);
    size_t prefix = strlen(arch);
    bool windows = false;
    for (size_t i = 0; i < arch_info(m)->layers; i++)
        windows |= arch_layer_window(m, i) > 0;
    for (size_t i = 0; i < tensor_file_values(f); i++) {
        struct file_value v = *tensor_file_value_at(f, i);
        struct buf key = BUF_INIT;
        if (strcmp(v.key, "format") == 0) /* a mark of safetensors files */
            continue;
        if (strncmp(v.key, arch, prefix) == 0 && v.key[prefix] == '.') {
            const char *fact = v.key + prefix + 1;
            if (gguf_skips(fact, windows))
                continue;
            if (strcmp(fact, "context_length") == 0)
                v.u = arch_info(m)->context;
            v.key = buf_printf(&key, "%s.%s", name, fact) ? arena_strdup(&p->arena, key.data) : NULL;
            buf_release(&key);
        }
        if (!v.key || !plan_put(p, &v))
            return err_nomem(err);
    }
    struct buf key = BUF_INIT; /* other readers have no usual epsilon */
    const char *copy = buf_printf(&key, "%s.%s", name, arch_eps_key(m)) ? arena_strdup(&p->arena, key.data) : NULL;
    bool ok = copy && plan_put(p, &(struct file_value){.key = copy, .type = VALUE_F32, .f = (double)arch_info(m)->eps});
    buf_release(&key);
    return ok && plan_string(p, "general.architecture", name, strlen(name)) ? SOOTH_OK : err_nomem(err);
}

/* The last part of a path as the model's name. */
static bool gguf_name(const struct tensor_file *f, struct convert_plan *p)
{
    const char *path = tensor_file_path(f), *end = path + strlen(path);
    while (end > path + 1 && end[-1] == '/')
        end--;
    const char *from = end;
    while (from > path && from[-1] != '/')
        from--;
    return plan_string(p, "general.name", from, (size_t)(end - from));
}

static enum sooth_status gguf_tokenizer(const struct tensor_file *f, struct convert_plan *p,
                                        struct sooth_error *err)
{
    struct tokenizer *t;
    enum sooth_status status = tokenizer_from_file(f, &t, err);
    if (status != SOOTH_OK)
        return status;
    status = vocab_to_gguf(f, p, err);
    const char *pre = token_rules(t), *template = token_template(t);
    if (status == SOOTH_OK &&
        (!plan_bool(p, "tokenizer.ggml.add_bos_token", token_adds_bos(t)) ||
         !plan_bool(p, "tokenizer.ggml.add_eos_token", token_adds_eos(t)) ||
         (strcmp(token_kind(t), "spm") == 0 &&
          !plan_bool(p, "tokenizer.ggml.add_space_prefix", token_adds_space(t))) ||
         (pre && pre[0] && !plan_string(p, "tokenizer.ggml.pre", pre, strlen(pre))) ||
         (template && !plan_string(p, "tokenizer.chat_template", template, strlen(template)))))
        status = err_nomem(err);
    tokenizer_free(t);
    return status;
}

/* The sentence configuration's limit has no key in GGUF: kept under our own. */
static enum sooth_status gguf_limit(const struct tensor_file *f, struct convert_plan *p,
                                    struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct sooth_error why = {0};
    enum sooth_status status = tensor_file_part(f, "sentence_bert_config.json", &text, &why);
    const struct json *j =
        status == SOOTH_OK ? json_parse(&arena, buf_str(&text), text.len, 0, NULL, &why) : NULL;
    int64_t limit = json_int(j, "max_seq_length", 0);
    if (!j && status != SOOTH_ERR_NOTFOUND && err)
        *err = why;
    status = status == SOOTH_ERR_NOTFOUND ? SOOTH_OK : j ? SOOTH_OK : why.status;
    if (limit > 0 && limit <= UINT32_MAX &&
        !plan_uint(p, "sooth.embed.max_tokens", (uint64_t)limit))
        status = err_nomem(err);
    arena_release(&arena);
    buf_release(&text);
    return status;
}

static enum sooth_status gguf_from_hf(const struct tensor_file *f, struct convert_plan *p,
                                      struct sooth_error *err)
{
    struct arch_options options = {.no_pack = true};
    struct arch_model *m;
    enum sooth_status status = arch_load(f, &options, &m, err); /* checks every name and shape */
    if (status != SOOTH_OK)
        return status;
    status = arch_gguf_check(m, err);
    if (status == SOOTH_OK)
        status = gguf_facts(f, m, p, err);
    if (status == SOOTH_OK)
        status = rope_to_gguf(m, p, err);
    if (status == SOOTH_OK && !gguf_name(f, p))
        status = err_nomem(err);
    if (status == SOOTH_OK)
        status = gguf_limit(f, p, err);
    if (status == SOOTH_OK)
        status = gguf_tokenizer(f, p, err);
    for (size_t i = 0; i < arch_weights(m) && status == SOOTH_OK; i++)
        status = gguf_weight(arch_info(m), arch_weight_at(m, i), p, err);
    arch_free(m);
    return status;
}

/* Other readers of GGUF look for this number among the tokenizer's facts. */
static bool gguf_token_types(const struct tensor_file *f, struct convert_plan *p)
{
    char key[128];
    snprintf(key, sizeof key, "%.64s.token_type_count",
             tensor_file_string(f, "general.architecture", ""));
    uint64_t n = tensor_file_uint(f, key, 0);
    return !n || plan_uint(p, "tokenizer.ggml.token_type_count", n);
}

/* Everything that stands before the data. */
static void gguf_declare(const struct convert_plan *p, struct gguf_writer *w)
{
    for (size_t i = 0; i < p->facts.count; i++)
        gguf_put_value(w, &p->facts.items[i]);
    for (size_t i = 0; i < p->tensors.count; i++)
        gguf_put_tensor(w, p->tensors.items[i].name, p->tensors.items[i].type,
                        p->tensors.items[i].ndim, p->tensors.items[i].dims);
}

enum sooth_status convert_gguf_bytes(const struct convert_plan *p, uint64_t *bytes, struct sooth_error *err)
{
    struct gguf_writer *w = gguf_writer_new();
    *bytes = 0;
    if (!w)
        return err_nomem(err);
    gguf_declare(p, w);
    enum sooth_status status = gguf_writer_bytes(w, bytes, err);
    gguf_writer_free(w);
    return status;
}

static enum sooth_status gguf_write(struct convert_plan *p, struct pool *pool, const char *path,
                                    struct sooth_error *err)
{
    struct gguf_writer *w = gguf_writer_new();
    struct buf made = BUF_INIT;
    if (!w)
        return err_nomem(err);
    gguf_declare(p, w);
    enum sooth_status status = gguf_writer_open(w, path, err);
    for (size_t i = 0; i < p->tensors.count && status == SOOTH_OK; i++) {
        struct convert_tensor *t = &p->tensors.items[i];
        const void *bytes;
        status = plan_bytes(t, pool, &made, &bytes, err);
        if (status == SOOTH_OK) {
            t->hash = hash64(bytes, t->bytes, 0);
            status = gguf_writer_add(w, bytes, t->bytes, err);
        }
    }
    if (status == SOOTH_OK)
        status = gguf_writer_commit(w, err);
    buf_release(&made);
    gguf_writer_free(w);
    return status;
}

/* Opens what was written and compares it with what was meant. */
static enum sooth_status gguf_compare(const struct convert_plan *p, const char *path,
                                      struct sooth_error *err)
{
    struct tensor_file *f;
    enum sooth_status status = tensor_file_open(path, NULL, &f, err);
    if (status != SOOTH_OK)
        return status;
    bool same = tensor_file_count(f) == p->tensors.count;
    for (size_t i = 0; i < p->facts.count && same; i++)
        same = tensor_file_value(f, p->facts.items[i].key) != NULL;
    for (size_t i = 0; i < p->tensors.count && same; i++) {
        const struct convert_tensor *t = &p->tensors.items[i];
        const struct file_tensor *got = tensor_file_find(f, t->name);
        same = got && got->type == t->type && got->bytes == t->bytes &&
               memcmp(got->dims, t->dims, sizeof got->dims) == 0 &&
               hash64(got->data, t->bytes, 0) == t->hash;
    }
    if (!same)
        status = err_set(err, SOOTH_ERR_IO, "what was written to '%s' does not read back the same",
                         path);
    tensor_file_close(f);
    return status;
}

enum sooth_status convert_plan_gguf(const struct tensor_file *f, struct convert_plan *p,
                                    struct sooth_error *err)
{
    enum sooth_status status = strcmp(tensor_file_format(f), "safetensors") == 0
                                   ? gguf_from_hf(f, p, err)
                                   : gguf_copy(f, p, err);
    if (status == SOOTH_OK && !gguf_token_types(f, p))
        status = err_nomem(err);
    return status;
}

enum sooth_status convert_write_gguf(struct convert_plan *p, struct pool *pool, const char *out,
                                     struct sooth_error *err)
{
    struct buf part = BUF_INIT; /* it gets its name when it has been read back */
    enum sooth_status status = buf_printf(&part, "%s.unchecked", out) ? SOOTH_OK : err_nomem(err);
    if (status == SOOTH_OK)
        status = gguf_write(p, pool, part.data, err);
    if (status == SOOTH_OK) {
        status = gguf_compare(p, part.data, err);
        if (status == SOOTH_OK && rename(part.data, out) != 0)
            status = err_set(err, SOOTH_ERR_IO, "cannot rename to '%s'", out);
        if (status != SOOTH_OK)
            remove(part.data);
    }
    buf_release(&part);
    return status;
}

enum sooth_status convert_to_gguf(const struct tensor_file *f, const char *out,
                                  struct sooth_error *err)
{
    struct convert_plan p;
    plan_init(&p);
    enum sooth_status status = convert_plan_gguf(f, &p, err);
    if (status == SOOTH_OK)
        status = convert_write_gguf(&p, NULL, out, err);
    plan_release(&p);
    return status;
}
