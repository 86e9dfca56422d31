/* newmodel.c: a tokenizer, a configuration, and numbers drawn as the architecture's list of weights says:
 *
 *     normal        N(0, σ²), σ = initializer_range (0.02)
 *     normal deep   σ / √(2·layers): what is added to the residual stream, so that its size does not grow with depth (GPT-2)
 *     xavier        uniform in ±gain·√(6 / (in + out)); deep: gain (8·layers)^−¼, DeepNorm's β; 1 where the configuration asks for plain
 *                   post-norm (residual_scale 1), to which β does not belong
 *     one, zero     norms and biases
 *
 * Draws depend on the seed and the weight's name alone. */
#include "learn/train/newmodel.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/fsio.h"
#include "core/base/hash.h"
#include "core/base/rng.h"
#include "learn/train/bpe_trainer.h"
#include "model/arch/arch.h"

enum { PATH_MOST = 4096, VOCAB = 4096 };
static const char end_of_text[] = "<|endoftext|>";

static enum sooth_status write_file(const char *dir, const char *name, const struct buf *text, struct sooth_error *err)
{
    char path[PATH_MOST];
    if (text->failed)
        return err_nomem(err);
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= PATH_MOST)
        return err_set(err, SOOTH_ERR_ARG, "the path '%.100s...' is too long", dir);
    return file_write_atomic(path, buf_str(text), text->len, err);
}

/* ---- tokenizer ---- */

enum sooth_status newmodel_tokenizer(const struct newmodel *n, const struct samples *s, size_t *pieces, struct sooth_error *err)
{
    static const char *const specials[] = {end_of_text};
    struct buf text = BUF_INIT, companion = BUF_INIT;
    struct bpe_trainer *t = bpe_trainer_new();
    int64_t said = json_int(n->config, "vocab_size", 0);
    size_t size = n->vocab ? n->vocab : said > 0 ? (size_t)said : VOCAB;
    enum sooth_status status = t ? SOOTH_OK : err_nomem(err);
    for (size_t i = 0; i < s->list.count && !status; i++) {
        const struct sample *x = &s->list.items[i];
        if (!x->text)
            return bpe_trainer_free(t), err_set(err, SOOTH_ERR_ARG, "row %zu is not a text: pre-training reads texts", x->row);
        status = bpe_trainer_add(t, x->text, strlen(x->text), err);
        if (!status && x->title)
            status = bpe_trainer_add(t, x->title, strlen(x->title), err);
    }
    if (!status)
        status = bpe_trainer_run(t, size, specials, 1, err);
    if (!status)
        status = bpe_trainer_json(t, &text, err);
    *pieces = status ? 0 : bpe_trainer_size(t);
    buf_printf(&companion, "{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"bos_token\":\"%s\",\"eos_token\":\"%s\",\"add_bos_token\":false}\n", end_of_text, end_of_text);
    if (!status)
        status = write_file(n->dir, "tokenizer.json", &text, err);
    if (!status)
        status = write_file(n->dir, "tokenizer_config.json", &companion, err);
    bpe_trainer_free(t);
    buf_release(&text);
    buf_release(&companion);
    return status;
}

/* ---- configuration ---- */

/* Any value; the reader bounds the depth. */
static void json_copy(struct json_writer *w, const struct json *j)
{
    switch (j->type) {
    case JSON_NULL: jsonw_null(w); break;
    case JSON_FALSE:
    case JSON_TRUE: jsonw_bool(w, j->type == JSON_TRUE); break;
    case JSON_NUMBER: jsonw_double(w, j->number, 17); break;
    case JSON_STRING: jsonw_stringn(w, j->text, j->len); break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        j->type == JSON_ARRAY ? jsonw_array(w) : jsonw_object(w);
        for (const struct json *c = j->child; c; c = c->next) {
            if (j->type == JSON_OBJECT)
                jsonw_key(w, c->key);
            json_copy(w, c);
        }
        j->type == JSON_ARRAY ? jsonw_end_array(w) : jsonw_end_object(w);
    }
}

/* What a small model has where the person says nothing: names in both of Hugging Face's manners. */
static const struct { const char *key, *short_key; double value; } small[] = {
    {"hidden_size", "n_embd", 192}, {"num_hidden_layers", "n_layer", 4}, {"num_attention_heads", "n_head", 6},
    {"max_position_embeddings", "n_positions", 256}, {"initializer_range", "initializer_range", 0.02}};

static enum sooth_status config_write(const struct newmodel *n, const struct arch_hf *hf, size_t pieces, struct sooth_error *err)
{
    static const char *const ours[] = {"model_type", "architectures", "vocab_size", "bos_token_id", "eos_token_id", "torch_dtype"};
    struct buf text = BUF_INIT;
    struct json_writer w;
    double dim = json_number(n->config, "hidden_size", json_number(n->config, "n_embd", small[0].value));
    jsonw_init(&w, &text);
    jsonw_object(&w);
    jsonw_key(&w, "model_type"), jsonw_string(&w, hf->model_type);
    jsonw_key(&w, "architectures"), jsonw_array(&w), jsonw_string(&w, hf->class), jsonw_end_array(&w);
    jsonw_key(&w, "vocab_size"), jsonw_int(&w, (int64_t)pieces);
    jsonw_key(&w, "bos_token_id"), jsonw_int(&w, 0);
    jsonw_key(&w, "eos_token_id"), jsonw_int(&w, 0);
    jsonw_key(&w, "torch_dtype"), jsonw_string(&w, "float32");
    for (const struct json *j = n->config ? n->config->child : NULL; j; j = j->next) {
        bool mine = false;
        for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
            mine |= strcmp(ours[i], j->key) == 0;
        if (!mine)
            jsonw_key(&w, j->key), json_copy(&w, j);
    }
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        const char *key = hf->short_names ? small[i].short_key : small[i].key;
        if (!json_get(n->config, key))
            jsonw_key(&w, key), jsonw_double(&w, small[i].value, 6);
    }
    if (!hf->short_names && !json_get(n->config, "intermediate_size")) /* three matrices of 8/3 d weigh what two of 4 d do */
        jsonw_key(&w, "intermediate_size"), jsonw_int(&w, (int64_t)(dim * 8 / 3 / 32 + 0.5) * 32);
    if (!json_get(n->config, "tie_word_embeddings"))
        jsonw_key(&w, "tie_word_embeddings"), jsonw_bool(&w, true);
    if (!json_get(n->config, "rms_norm_eps") && !hf->short_names)
        jsonw_key(&w, "rms_norm_eps"), jsonw_double(&w, 1e-5, 6);
    jsonw_end_object(&w);
    buf_putc(&text, '\n');
    enum sooth_status status = write_file(n->dir, "config.json", &text, err);
    buf_release(&text);
    return status;
}

/* ---- numbers ---- */

struct building {
    VEC(struct file_tensor) list;
    struct arena names;
    uint64_t seed;
    double range, beta;
    size_t layers;
    bool untied, biased;
};

static void draw(const struct building *b, const struct arch_part *p, float *w, size_t n)
{
    struct rng r;
    rng_seed(&r, hash64(p->name, strlen(p->name), b->seed));
    double deep = p->init == INIT_NORMAL_DEEP ? 1 / sqrt(2.0 * (double)b->layers) : p->init == INIT_XAVIER_DEEP ? b->beta : 1;
    double bound = deep * sqrt(6.0 / (double)(p->rows + p->cols));
    for (size_t i = 0; i < n; i++)
        switch (p->init) {
        case INIT_NORMAL:
        case INIT_NORMAL_DEEP: w[i] = (float)(b->range * deep) * rng_normal(&r); break;
        case INIT_XAVIER:
        case INIT_XAVIER_DEEP: w[i] = (float)(bound * (2 * rng_double(&r) - 1)); break;
        case INIT_ONE: w[i] = p->change == ARCH_PLUS_ONE ? 0 : 1; break;
        case INIT_ZERO: w[i] = 0; break;
        }
}

static enum sooth_status part_make(void *user, const struct arch_part *p, struct sooth_error *err)
{
    struct building *b = user;
    bool head = strcmp(p->role, "output") == 0, bias = strlen(p->role) > 5 && strcmp(p->role + strlen(p->role) - 5, "_bias") == 0;
    size_t n, bytes;
    if (p->optional && !(head ? b->untied : bias && b->biased))
        return SOOTH_OK;
    if (!size_mul(p->rows, p->cols, &n) || !size_mul(n, sizeof(float), &bytes))
        return err_nomem(err);
    float *w = mem_alloc(bytes);
    const char *name = arena_strdup(&b->names, p->name);
    bool turned = p->change == ARCH_TRANSPOSED;
    struct file_tensor t = {name, TYPE_F32, p->vector ? 1 : 2, {turned ? p->rows : p->cols, p->vector ? 1 : turned ? p->cols : p->rows, 1, 1}, w, bytes};
    if (!w || !name || !vec_push(&b->list, t)) {
        mem_free(w);
        return err_nomem(err);
    }
    draw(b, p, w, n);
    return SOOTH_OK;
}

static void building_release(struct building *b)
{
    for (size_t i = 0; i < b->list.count; i++)
        mem_free((void *)b->list.items[i].data);
    vec_free(&b->list);
    arena_release(&b->names);
}

enum sooth_status newmodel_weights(const struct newmodel *n, size_t pieces, struct sooth_error *err)
{
    bool decoder;
    const struct arch_hf *hf = arch_hf_of(n->arch, &decoder);
    struct building b = {.seed = n->seed};
    struct tensor_file *f = NULL;
    char path[PATH_MOST];
    if (!hf || !decoder) {
        err_set(err, SOOTH_ERR_ARG, hf ? "architecture '%.40s' does not generate text" : "architecture '%.40s' is not known", n->arch);
        return err_hint(err, "'sooth list arch' shows those that are");
    }
    if (snprintf(path, sizeof path, "%s/model.safetensors", n->dir) >= PATH_MOST)
        return err_set(err, SOOTH_ERR_ARG, "the path '%.100s...' is too long", n->dir);
    arena_init(&b.names, 0);
    enum sooth_status status = config_write(n, hf, pieces, err);
    if (!status)
        status = safetensors_write(path, NULL, 0, NULL, 0, err); /* none yet: the configuration says what there will be */
    if (!status)
        status = tensor_file_open(n->dir, NULL, &f, err);
    if (!status) {
        b.range = json_number(tensor_file_config(f), "initializer_range", small[4].value);
        b.layers = (size_t)json_number(tensor_file_config(f), "num_hidden_layers", json_number(tensor_file_config(f), "n_layer", 1));
        b.beta = json_number(tensor_file_config(f), "residual_scale", 0) == 1 ? 1 : pow(8.0 * (double)b.layers, -0.25);
        b.untied = !json_bool(tensor_file_config(f), "tie_word_embeddings", true);
        b.biased = json_bool(tensor_file_config(f), "attention_bias", false);
        status = arch_parts(f, part_make, &b, err);
    }
    tensor_file_close(f);
    if (!status)
        status = safetensors_write(path, b.list.items, b.list.count, NULL, 0, err);
    building_release(&b);
    return status;
}

/* ---- saving ---- */

/* Numbers as the file has them, from the model's; NULL when memory is out. */
static float *numbers_back(const struct arch_weight *w, const float *from)
{
    size_t rows = w->weight->q.rows, cols = w->weight->q.cols;
    float *to = mem_array(rows * cols, sizeof *to);
    for (size_t i = 0; to && i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            to[w->change == ARCH_TRANSPOSED ? j * rows + i : i * cols + j] = from[i * cols + j] - (w->change == ARCH_PLUS_ONE);
    return to;
}

static const float *trained_of(struct adapt *full, const char *name)
{
    for (size_t i = 0; i < adapt_trained(full); i++)
        if (strcmp(adapt_weight(full, i)->name, name) == 0)
            return adapt_values(full, i);
    return NULL;
}

enum sooth_status newmodel_save(struct adapt *full, const char *dir, struct sooth_error *err)
{
    const struct arch_model *m = adapt_model(full);
    struct building b = {0};
    char path[PATH_MOST];
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < arch_weights(m) && !status; i++) {
        const struct arch_weight *w = arch_weight_at(m, i);
        const float *from = trained_of(full, w->weight->name);
        size_t rows = w->weight->q.rows, cols = w->weight->q.cols;
        bool turned = w->change == ARCH_TRANSPOSED;
        float *to = from ? numbers_back(w, from) : NULL;
        struct file_tensor t = {w->hf_name, TYPE_F32, w->vector ? 1 : 2, {turned ? rows : cols, w->vector ? 1 : turned ? cols : rows, 1, 1}, to, rows * cols * sizeof *to};
        if (!from)
            status = err_set(err, SOOTH_ERR_INTERNAL, "weight '%s' was not trained", w->weight->name);
        else if (!to || !vec_push(&b.list, t)) {
            mem_free(to);
            status = err_nomem(err);
        }
    }
    if (!status && snprintf(path, sizeof path, "%s/model.safetensors", dir) >= PATH_MOST)
        status = err_set(err, SOOTH_ERR_ARG, "the path '%.100s...' is too long", dir);
    if (!status)
        status = safetensors_write(path, b.list.items, b.list.count, NULL, 0, err);
    building_release(&b);
    return status;
}
