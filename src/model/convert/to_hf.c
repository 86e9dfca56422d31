/* to_hf.c: a GGUF (or E5S1) model as a Hugging Face directory with f32 weights.
 *
 *     DIR/model.safetensors     every weight, dequantized, under its Hugging Face name
 *     DIR/config.json           hyperparameters
 *     DIR/tokenizer.json, tokenizer_config.json    where the tokenizer has a form there (vocab_hf.c
 * says so if not) DIR/1_Pooling/config.json                    encoders
 *
 * The changes of to_gguf.c are undone. All weights are in memory while they are written: four bytes
 * a parameter. */
#include <stdio.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "model/arch/arch.h"
#include "model/convert/convert.h"

static const struct hf_fact {
    const char *gguf, *hf, *brief; /* brief: GPT-2's name for it, NULL: it has none */
    bool real;
} hf_facts[] = {
    {"block_count", "num_hidden_layers", "n_layer", false},
    {"embedding_length", "hidden_size", "n_embd", false},
    {"feed_forward_length", "intermediate_size", "n_inner", false},
    {"attention.head_count", "num_attention_heads", "n_head", false},
    {"attention.head_count_kv", "num_key_value_heads", NULL, false},
    {"attention.key_length", "head_dim", NULL, false},
    {"attention.sliding_window", "sliding_window", NULL, false},
    {"token_type_count", "type_vocab_size", NULL, false},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", NULL, true},
    {"attention.layer_norm_epsilon", "layer_norm_eps", "layer_norm_epsilon", true},
    {"residual_scale", "residual_scale", NULL, true},
};

static enum sooth_status hf_write(const char *dir, const char *name, const struct buf *text,
                                  struct sooth_error *err)
{
    struct buf path = BUF_INIT;
    enum sooth_status status = SOOTH_OK;
    if (text->failed || !buf_printf(&path, "%s/%s", dir, name))
        status = err_nomem(err);
    if (status == SOOTH_OK)
        status = file_write_atomic(path.data, text->data, text->len, err);
    buf_release(&path);
    return status;
}

static void hf_put_ids(struct json_writer *w, const struct tensor_file *f)
{
    static const char *const ids[][2] = {{"tokenizer.ggml.bos_token_id", "bos_token_id"},
                                         {"tokenizer.ggml.eos_token_id", "eos_token_id"},
                                         {"tokenizer.ggml.padding_token_id", "pad_token_id"}};
    for (size_t i = 0; i < 3; i++)
        if (tensor_file_value(f, ids[i][0]))
            jsonw_key(w, ids[i][1]), jsonw_int(w, tensor_file_int(f, ids[i][0], 0));
}

static void hf_put_facts(struct json_writer *w, const struct tensor_file *f, bool brief)
{
    const char *prefix = tensor_file_string(f, "general.architecture", "");
    for (size_t i = 0; i < sizeof hf_facts / sizeof *hf_facts; i++) {
        const struct hf_fact *h = &hf_facts[i];
        char key[128];
        snprintf(key, sizeof key, "%.60s.%s", prefix, h->gguf);
        if (!tensor_file_value(f, key) || (brief && !h->brief))
            continue;
        jsonw_key(w, brief ? h->brief : h->hf);
        if (h->real)
            jsonw_double(w, tensor_file_float(f, key, 0), 9);
        else
            jsonw_int(w, tensor_file_int(f, key, 0));
    }
}

/* Which layers have a window; nothing where none has. */
static void hf_put_windows(struct json_writer *w, const struct arch_model *m)
{
    const size_t layers = arch_info(m)->layers;
    bool any = false;
    for (size_t i = 0; i < layers; i++)
        any |= arch_layer_window(m, i) > 0;
    if (!any)
        return;
    jsonw_key(w, "layer_types");
    jsonw_array(w);
    for (size_t i = 0; i < layers; i++)
        jsonw_string(w, arch_layer_window(m, i) ? "sliding_attention" : "full_attention");
    jsonw_end_array(w);
}

/* Names of the classes that a head tells apart; LABEL_i where the file names none. */
static void hf_put_classes(struct json_writer *w, const struct tensor_file *f, size_t labels)
{
    char key[128];
    size_t n = 0;
    snprintf(key, sizeof key, "%.60s.classifier.output_labels", tensor_file_string(f, "general.architecture", ""));
    const struct file_string *names = tensor_file_strings(f, key, &n);
    if (!labels)
        return;
    jsonw_key(w, "id2label");
    jsonw_object(w);
    for (size_t i = 0; i < labels; i++) {
        char text[32];
        snprintf(text, sizeof text, "%zu", i);
        jsonw_key(w, text);
        snprintf(text, sizeof text, "LABEL_%zu", i);
        if (i < n)
            jsonw_stringn(w, names[i].text, names[i].len);
        else
            jsonw_string(w, text);
    }
    jsonw_end_object(w);
}

static enum sooth_status hf_config(const struct tensor_file *f, const struct arch_model *m,
                                   const char *name, const char *dir, struct sooth_error *err)
{
    const struct arch_info *info = arch_info(m);
    const struct arch_hf *a = arch_hf_of(name, NULL);
    const size_t positions = info->context + (strcmp(name, "xlmr") == 0 ? 2 : 0);
    struct buf text = BUF_INIT;
    struct json_writer w;
    bool tied = true, biased = false;
    for (size_t i = 0; i < arch_weights(m); i++) {
        tied = tied && strcmp(arch_weight_at(m, i)->role, "output") != 0;
        biased = biased || strcmp(arch_weight_at(m, i)->role, "attn_q_bias") == 0;
    }
    jsonw_init(&w, &text);
    jsonw_object(&w);
    jsonw_key(&w, "architectures"), jsonw_array(&w);
    jsonw_string(&w, info->labels && a->class_headed ? a->class_headed : a->class);
    jsonw_end_array(&w);
    jsonw_key(&w, "model_type"), jsonw_string(&w, a->model_type);
    jsonw_key(&w, a->act_key), jsonw_string(&w, a->act);
    hf_put_facts(&w, f, a->short_names);
    jsonw_key(&w, "vocab_size"), jsonw_int(&w, (int64_t)info->vocab);
    jsonw_key(&w, a->short_names ? "n_positions" : "max_position_embeddings"), jsonw_int(&w, (int64_t)positions);
    if (info->decoder)
        jsonw_key(&w, "tie_word_embeddings"), jsonw_bool(&w, tied);
    if (info->decoder && biased) /* else Llama's biases would be left unread there */
        jsonw_key(&w, "attention_bias"), jsonw_bool(&w, true);
    if (a->query_scalar)
        jsonw_key(&w, "query_pre_attn_scalar"), jsonw_double(&w, arch_query_scalar(m), 9);
    hf_put_windows(&w, m);
    hf_put_classes(&w, f, info->labels);
    rope_to_hf(m, &w);
    hf_put_ids(&w, f);
    jsonw_key(&w, "torch_dtype"), jsonw_string(&w, "float32");
    jsonw_end_object(&w);
    enum sooth_status status = hf_write(dir, "config.json", &text, err);
    buf_release(&text);
    return status;
}

static enum sooth_status hf_sentences(const struct tensor_file *f, const struct arch_info *info,
                                      const char *dir, struct sooth_error *err)
{
    static const char *const modes[] = {NULL, "pooling_mode_mean_tokens", "pooling_mode_cls_token",
                                        "pooling_mode_lasttoken"};
    struct buf text = BUF_INIT, path = BUF_INIT;
    struct json_writer w;
    if (info->pool == ARCH_POOL_NONE)
        return SOOTH_OK;
    jsonw_init(&w, &text);
    jsonw_object(&w);
    jsonw_key(&w, "word_embedding_dimension"), jsonw_int(&w, (int64_t)info->dim);
    for (size_t i = 1; i < 4; i++)
        jsonw_key(&w, modes[i]), jsonw_bool(&w, i == (size_t)info->pool);
    jsonw_end_object(&w);
    enum sooth_status status = buf_printf(&path, "%s/1_Pooling", dir) ? dir_make(path.data, err)
                                                                      : err_nomem(err);
    if (status == SOOTH_OK)
        status = hf_write(path.data, "config.json", &text, err);
    uint64_t limit = tensor_file_uint(f, "sooth.embed.max_tokens", 0);
    buf_clear(&text);
    if (status == SOOTH_OK && limit) {
        buf_printf(&text, "{\"max_seq_length\":%llu,\"do_lower_case\":false}",
                   (unsigned long long)limit);
        status = hf_write(dir, "sentence_bert_config.json", &text, err);
    }
    buf_release(&path);
    buf_release(&text);
    return status;
}

static enum sooth_status hf_plan(const struct tensor_file *f, const struct arch_model *m,
                                 const char *name, struct convert_plan *p, struct sooth_error *err)
{
    static const enum convert_change changes[] = {[ARCH_SAME] = CONVERT_SAME,
                                                  [ARCH_PLUS_ONE] = CONVERT_MINUS_ONE,
                                                  [ARCH_PAIRS] = CONVERT_HALVE,
                                                  [ARCH_TRANSPOSED] = CONVERT_TURN};
    const struct arch_info *info = arch_info(m);
    for (size_t i = 0; i < arch_weights(m); i++) {
        const struct arch_weight *w = arch_weight_at(m, i);
        const struct file_tensor *from = w->from;
        size_t heads = strncmp(w->role, "attn_q", 6) == 0 ? info->heads : info->kv_heads;
        char hf[192];
        enum sooth_status status =
            plan_tensor(p, arch_hf_name(name, w, hf), from, changes[w->change], heads, err);
        if (status != SOOTH_OK)
            return status;
        if (strcmp(name, "xlmr") == 0 && strcmp(w->role, "position_embd") == 0)
            plan_move_rows(p, 0, 2);
        struct convert_tensor *t = &p->tensors.items[p->tensors.count - 1];
        t->type = TYPE_F32;
        tensor_type_size(tensor_type_find(TYPE_F32), t->ndim, t->dims, &t->bytes);
    }
    return SOOTH_OK;
}

/* All weights made, written, read back and compared. */
static enum sooth_status hf_weights(const struct convert_plan *p, const char *dir,
                                    struct sooth_error *err)
{
    size_t n = p->tensors.count;
    struct file_tensor *made = mem_calloc(n ? n : 1, sizeof *made);
    struct buf path = BUF_INIT;
    struct tensor_file *back = NULL;
    enum sooth_status status =
        made && buf_printf(&path, "%s/model.safetensors", dir) ? SOOTH_OK : err_nomem(err);
    for (size_t i = 0; i < n && status == SOOTH_OK; i++) {
        const struct convert_tensor *t = &p->tensors.items[i];
        struct buf bytes = BUF_INIT;
        const void *at;
        status = plan_bytes(t, NULL, &bytes, &at, err);
        made[i] = (struct file_tensor){
            .name = t->name, .type = t->type, .ndim = t->ndim, .bytes = t->bytes};
        memcpy(made[i].dims, t->dims, sizeof t->dims);
        if (status == SOOTH_OK && !(made[i].data = mem_dup(at, t->bytes)))
            status = err_nomem(err);
        buf_release(&bytes);
    }
    struct file_value format = {.key = "format", .type = VALUE_STRING, .s = {"pt", 2}};
    if (status == SOOTH_OK)
        status = safetensors_write(path.data, made, n, &format, 1, err);
    if (status == SOOTH_OK)
        status = tensor_file_open(path.data, NULL, &back, err);
    for (size_t i = 0; i < n && status == SOOTH_OK; i++) {
        const struct file_tensor *got = tensor_file_find(back, made[i].name);
        if (!got || got->bytes != made[i].bytes || memcmp(got->data, made[i].data, got->bytes) != 0)
            status = err_set(err, SOOTH_ERR_IO,
                             "what was written to '%s' does not read back the same", path.data);
    }
    tensor_file_close(back);
    for (size_t i = 0; made && i < n; i++)
        mem_free((void *)made[i].data);
    mem_free(made);
    buf_release(&path);
    return status;
}

enum sooth_status convert_to_hf(const struct tensor_file *f, const char *dir,
                                struct sooth_error *err)
{
    struct arch_options options = {.no_pack = true};
    struct arch_model *m;
    struct convert_plan p;
    enum sooth_status status = arch_load(f, &options, &m, err);
    if (status != SOOTH_OK)
        return status;
    plan_init(&p);
    const char *name = arch_info(m)->arch;
    if (strcmp(name, "bert") == 0 &&
        strcmp(tensor_file_string(f, "tokenizer.ggml.model", ""), "t5") == 0)
        name = "xlmr"; /* GGUF calls both bert */
    if (strcmp(tensor_file_format(f), "safetensors") == 0)
        status = err_set(err, SOOTH_ERR_ARG, "'%s' is a safetensors directory already",
                         tensor_file_path(f));
    if (status == SOOTH_OK)
        status = hf_plan(f, m, name, &p, err);
    if (status == SOOTH_OK)
        status = dir_make(dir, err);
    if (status == SOOTH_OK)
        status = hf_weights(&p, dir, err);
    if (status == SOOTH_OK)
        status = hf_config(f, m, name, dir, err);
    if (status == SOOTH_OK)
        status = hf_sentences(f, arch_info(m), dir, err);
    if (status == SOOTH_OK)
        status = vocab_to_hf(f, dir, err);
    plan_release(&p);
    arch_free(m);
    return status;
}
