/* adapt_peft.c: the directories of Hugging Face's PEFT.
 *
 *     adapter_config.json         keys sorted, one a line: peft_type, r, lora_alpha, target_modules, ...
 *     adapter_model.safetensors   base_model.model.<module>.lora_A.weight, ... or one tensor prompt_embeddings
 *
 * LoRA's scale is alpha / r, with use_rslora alpha / √r; rank_pattern and alpha_pattern override both for modules whose path ends with
 * the key (the keys are regular expressions; here plain paths, with dots perhaps escaped). Ranks are taken from the tensors. Written are
 * only keys that PEFT has known for long: older versions refuse the ones they do not know.
 *
 * "full" has no peft_type: its directory says FULL, which PEFT refuses, and holds whole weights by their names.
 * Left out: bias other than "none", modules_to_save, trainable_token_indices, layer_replication, several adapters in one directory. */
#include <stdio.h>
#include <string.h>
#include "core/base/error.h"
#include "model/adapt/adapt_tensor.h"

/* ---- writing ---- */

/* The fewest names that mean exactly the sites: a module's last name where all modules of that name are sites, else its path. */
static bool last_name_is_enough(const struct adapt *a, const struct adapt_site *s)
{
    const char *dot = strrchr(s->module, '.'), *last = dot ? dot + 1 : s->module;
    size_t have = 0, want = 0, n = strlen(last);
    for (size_t i = 0; i < arch_weights(a->model); i++) {
        const char *hf = arch_weight_at(a->model, i)->hf_name;
        size_t m = strlen(hf);
        if (m > n + 7 && strcmp(hf + m - 7, ".weight") == 0 && strncmp(hf + m - 7 - n, last, n) == 0 && hf[m - 8 - n] == '.')
            have++;
    }
    for (size_t i = 0; i < a->sites.count; i++) {
        dot = strrchr(a->sites.items[i].module, '.');
        want += strcmp(dot ? dot + 1 : a->sites.items[i].module, last) == 0;
    }
    return have == want;
}

static void targets_write(const struct adapt *a, struct json_writer *w)
{
    jsonw_array(w);
    for (size_t i = 0; i < a->sites.count; i++) {
        const struct adapt_site *s = &a->sites.items[i];
        bool last = last_name_is_enough(a, s), again = false;
        const char *dot = strrchr(s->module, '.'), *name = last && dot ? dot + 1 : s->module;
        for (size_t j = 0; j < i && last; j++) {
            const char *other = strrchr(a->sites.items[j].module, '.');
            again |= strcmp(other ? other + 1 : a->sites.items[j].module, name) == 0;
        }
        if (!again)
            jsonw_string(w, name);
    }
    jsonw_end_array(w);
}

static void lora_config(const struct adapt *a, struct pretty *p)
{
    struct json_writer w = pretty_key(p, "alpha_pattern");
    jsonw_object(&w);
    for (size_t i = 0; i < a->sites.count; i++)
        if (a->sites.items[i].alpha != a->o.alpha) {
            jsonw_key(&w, a->sites.items[i].module);
            jsonw_double(&w, a->sites.items[i].alpha, 17);
        }
    jsonw_end_object(&w);
    w = pretty_key(p, "auto_mapping");
    jsonw_null(&w);
    w = pretty_key(p, "base_model_name_or_path");
    jsonw_string(&w, a->o.base);
    w = pretty_key(p, "bias");
    jsonw_string(&w, "none");
    w = pretty_key(p, "fan_in_fan_out");
    jsonw_bool(&w, a->sites.count && a->sites.items[0].entry->change == ARCH_TRANSPOSED);
    w = pretty_key(p, "inference_mode");
    jsonw_bool(&w, true);
    w = pretty_key(p, "init_lora_weights");
    jsonw_bool(&w, true);
    w = pretty_key(p, "layers_pattern");
    jsonw_null(&w);
    w = pretty_key(p, "layers_to_transform");
    jsonw_null(&w);
    w = pretty_key(p, "lora_alpha");
    jsonw_double(&w, a->o.alpha, 17);
    w = pretty_key(p, "lora_dropout");
    jsonw_double(&w, a->o.dropout, 9);
    w = pretty_key(p, "modules_to_save");
    jsonw_null(&w);
    w = pretty_key(p, "peft_type");
    jsonw_string(&w, a->row->peft);
    w = pretty_key(p, "r");
    jsonw_int(&w, (int64_t)a->o.rank);
    w = pretty_key(p, "rank_pattern");
    jsonw_object(&w);
    for (size_t i = 0; i < a->sites.count; i++)
        if (a->sites.items[i].rank != a->o.rank) {
            jsonw_key(&w, a->sites.items[i].module);
            jsonw_int(&w, (int64_t)a->sites.items[i].rank);
        }
    jsonw_end_object(&w);
    w = pretty_key(p, "revision");
    jsonw_null(&w);
    w = pretty_key(p, "target_modules");
    targets_write(a, &w);
    w = pretty_key(p, "task_type");
    jsonw_string(&w, arch_info(a->model)->decoder ? "CAUSAL_LM" : "FEATURE_EXTRACTION");
    w = pretty_key(p, "use_dora");
    jsonw_bool(&w, strcmp(a->row->name, "dora") == 0);
    w = pretty_key(p, "use_rslora");
    jsonw_bool(&w, a->o.rslora);
}

/* Keys of the prompt methods that are numbers, in the order of the alphabet. */
static void prompt_config(const struct adapt *a, struct pretty *p)
{
    const struct arch_info *i = arch_info(a->model);
    bool prefix = a->prefix_rows > 0, ptuning = strcmp(a->row->peft, "P_TUNING") == 0;
    struct json_writer w = pretty_key(p, "auto_mapping");
    jsonw_null(&w);
    w = pretty_key(p, "base_model_name_or_path");
    jsonw_string(&w, a->o.base);
    if (ptuning || prefix) {
        w = pretty_key(p, "encoder_hidden_size");
        jsonw_int(&w, (int64_t)(a->o.width ? a->o.width : i->dim));
    }
    if (ptuning) {
        w = pretty_key(p, "encoder_reparameterization_type");
        jsonw_string(&w, strcmp(a->o.variant, "lstm") == 0 ? "LSTM" : "MLP");
    }
    w = pretty_key(p, "inference_mode");
    jsonw_bool(&w, true);
    w = pretty_key(p, "num_attention_heads");
    jsonw_int(&w, (int64_t)(prefix ? i->kv_heads : i->heads));
    w = pretty_key(p, "num_layers");
    jsonw_int(&w, (int64_t)i->layers);
    w = pretty_key(p, "num_transformer_submodules");
    jsonw_int(&w, 1);
    w = pretty_key(p, "num_virtual_tokens");
    jsonw_int(&w, (int64_t)a->o.tokens);
    w = pretty_key(p, "peft_type");
    jsonw_string(&w, a->row->peft);
    if (prefix) { /* the network is never in the file */
        w = pretty_key(p, "prefix_projection");
        jsonw_bool(&w, false);
    }
    w = pretty_key(p, "revision");
    jsonw_null(&w);
    w = pretty_key(p, "task_type");
    jsonw_string(&w, i->decoder ? "CAUSAL_LM" : "FEATURE_EXTRACTION");
    w = pretty_key(p, "token_dim");
    jsonw_int(&w, (int64_t)(prefix ? i->kv_heads * i->head_dim : i->dim));
}

enum sooth_status peft_config(const struct adapt *a, struct buf *out, struct sooth_error *err)
{
    struct pretty p = {out, false};
    if (!a->row->peft) {
        struct json_writer w = pretty_key(&p, "peft_type");
        jsonw_string(&w, "FULL");
    } else if (strcmp(a->row->peft, "LORA") == 0) {
        lora_config(a, &p);
    } else {
        prompt_config(a, &p);
    }
    pretty_end(&p);
    return out->failed ? err_nomem(err) : SOOTH_OK;
}

/* ---- reading ---- */

static bool peft_is(const struct tensor_file *f, const struct json *config)
{
    return json_string(config, "peft_type", NULL) != NULL;
}

/* Is the module's path the key's, or does it end with it? Dots may be escaped; other signs of regular expressions are not known. */
static bool pattern_fits(const char *key, const char *module, bool *plain)
{
    char text[512];
    size_t n = 0, m = strlen(module);
    for (const char *c = key; *c && n + 1 < sizeof text; c++) {
        if (*c == '\\' && c[1] == '.')
            continue;
        if ((*c == '^' && c == key) || (*c == '$' && !c[1]))
            continue;
        if (strchr("\\^$*+?()[]{}|", *c))
            *plain = false;
        text[n++] = *c;
    }
    text[n] = 0;
    return n <= m && strcmp(module + m - n, text) == 0 && (n == m || module[m - n - 1] == '.');
}

static double pattern_number(const struct json *patterns, const char *module, double fallback, bool *plain)
{
    for (const struct json *p = patterns ? patterns->child : NULL; p; p = p->next)
        if (p->type == JSON_NUMBER && pattern_fits(p->key, module, plain))
            return p->number;
    return fallback;
}

/* Splits "<module>.lora_A.weight"; NULL: another kind of name. */
static const char *end_of(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0 ? name + n - m : NULL;
}

/* A pair's second half must be there, with the model's shape, before memory is spent on its rank. */
static enum sooth_status lora_site(struct adapt_found *out, const struct arch_model *m, const struct tensor_file *f, const struct file_tensor *t,
                                   const char *end, bool lookup, const struct json *config, struct sooth_error *err)
{
    char module[512], other[600];
    bool plain = true;
    size_t n = (size_t)(end - t->name), rank = (size_t)t->dims[1];
    if (n >= sizeof module)
        return err_set(err, SOOTH_ERR_FORMAT, "a tensor's name of %zu bytes", n);
    memcpy(module, t->name, n);
    module[n] = 0;
    snprintf(other, sizeof other, "%s.%s", module, lookup ? "lora_embedding_B" : "lora_B.weight");
    const struct file_tensor *b = tensor_file_find(f, other);
    if (!b || rank == 0 || b->dims[0] != rank)
        return err_set(err, SOOTH_ERR_FORMAT, "the adapter has no tensor '%s' that goes with '%s'", other, t->name);
    double alpha = pattern_number(json_get(config, "alpha_pattern"), module, out->o.alpha, &plain);
    if (!plain)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "'alpha_pattern' holds a regular expression; only plain paths are known");
    return found_site(out, m, module, rank, alpha != out->o.alpha ? alpha : -1, err);
}

static enum sooth_status lora_find(struct adapt_found *out, const struct arch_model *m, const struct tensor_file *f, const struct json *config,
                                   struct sooth_error *err)
{
    const struct json *saved = json_get(config, "modules_to_save");
    const char *bias = json_string(config, "bias", "none");
    int64_t r = json_int(config, "r", 8);
    if (strcmp(bias, "none") != 0)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "an adapter that trains biases ('bias': '%s') is not known", bias);
    if (saved && saved->type == JSON_ARRAY && saved->len)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "'modules_to_save' is not known");
    if (r <= 0 || r > 65536)
        return err_set(err, SOOTH_ERR_FORMAT, "a rank of %lld", (long long)r);
    out->o.method = json_bool(config, "use_dora", false) ? "dora" : "lora";
    out->o.rank = (size_t)r;
    out->o.alpha = json_number(config, "lora_alpha", 8);
    out->o.rslora = json_bool(config, "use_rslora", false);
    out->o.dropout = json_number(config, "lora_dropout", 0);
    enum sooth_status status = out->o.alpha > 0 ? SOOTH_OK : err_set(err, SOOTH_ERR_FORMAT, "'lora_alpha' is not a positive number");
    for (size_t i = 0; i < tensor_file_count(f) && !status; i++) {
        const struct file_tensor *t = tensor_file_at(f, i);
        const char *plain = end_of(t->name, ".lora_A.weight"), *lookup = end_of(t->name, ".lora_embedding_A");
        if (plain || lookup)
            status = lora_site(out, m, f, t, plain ? plain : lookup, lookup != NULL, config, err);
    }
    if (!status && !out->targets.len)
        status = err_set(err, SOOTH_ERR_FORMAT, "the adapter is empty: no tensor of it is a LoRA's");
    return status;
}

static enum sooth_status prompt_find(struct adapt_found *out, const char *type, const struct tensor_file *f, const struct json *config,
                                     struct sooth_error *err)
{
    const struct file_tensor *t = tensor_file_find(f, "prompt_embeddings");
    if (!t || t->dims[1] == 0 || t->dims[1] > 65536)
        return err_set(err, SOOTH_ERR_FORMAT, "the adapter has no tensor 'prompt_embeddings'");
    out->o.tokens = (size_t)t->dims[1];
    out->o.method = strcmp(type, "PROMPT_TUNING") == 0 ? "prompt" : strcmp(type, "P_TUNING") == 0 ? "ptuning" : "ptuning2";
    out->o.variant = strcmp(type, "PROMPT_TUNING") == 0 ? NULL : "direct";
    return SOOTH_OK;
}

static enum sooth_status full_find(struct adapt_found *out, const struct arch_model *m, const struct tensor_file *f, struct sooth_error *err)
{
    out->o.method = "full";
    for (size_t i = 0; i < arch_weights(m); i++) {
        const struct arch_weight *w = arch_weight_at(m, i);
        char name[512];
        snprintf(name, sizeof name, "base_model.model.%s", w->hf_name);
        if (tensor_file_find(f, name))
            buf_printf(&out->targets, "%s,", w->weight->name);
    }
    return out->targets.len ? SOOTH_OK : err_set(err, SOOTH_ERR_FORMAT, "no tensor of the adapter is a weight of this model");
}

static enum sooth_status peft_find(struct adapt_found *out, const struct arch_model *m, const struct tensor_file *f, const struct json *config,
                                   struct sooth_error *err)
{
    const char *type = json_string(config, "peft_type", "");
    out->o.base = json_string(config, "base_model_name_or_path", NULL);
    if (strcmp(type, "LORA") == 0)
        return lora_find(out, m, f, config, err);
    if (strcmp(type, "PROMPT_TUNING") == 0 || strcmp(type, "P_TUNING") == 0 || strcmp(type, "PREFIX_TUNING") == 0)
        return prompt_find(out, type, f, config, err);
    if (strcmp(type, "FULL") == 0)
        return full_find(out, m, f, err);
    return err_set(err, SOOTH_ERR_UNSUPPORTED, "peft_type '%s' is not known", type);
}

/* PEFT saves a table's own numbers beside a LoRA on it; the model has them. */
static bool peft_spare(const char *name)
{
    return end_of(name, ".base_layer.weight") != NULL;
}

const struct adapt_format adapt_format_peft = {"PEFT", LAYOUT_PEFT, peft_is, peft_find, peft_spare};
