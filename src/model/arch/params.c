/* params.c: the parameter list: each weight named once, found in the file, checked against the configuration, wired.
 *
 * Matrices stay where they are, in the mapped file; vectors are copied as f32 (they are small, may be stored in any float
 * format, and safetensors promise no alignment). A tensor of the file that no row of the list asked for is an error too: a model with
 * parts this program does not know would answer wrongly without saying so.
 *
 * Left out: sharing one mapping for a transposed matrix (GPT-2 as safetensors): it is copied once, in its own number format. */
#include <stdio.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/map.h"
#include "model/arch/arch_model.h"

bool arch_is_gguf(const struct arch_model *m)
{
    return strcmp(tensor_file_format(m->file), "safetensors") != 0;
}

static size_t extent(const struct arch_model *m, char symbol)
{
    const struct arch_info *i = &m->info;
    switch (symbol) {
    case 'd':
        return i->dim;
    case 'f':
        return i->ff;
    case 'F':
        return 2 * i->ff;
    case 'q':
        return i->heads * i->head_dim;
    case 'k':
        return i->kv_heads * i->head_dim;
    case 'Q':
        return (i->heads + 2 * i->kv_heads) * i->head_dim;
    case 'h':
        return i->head_dim;
    case 'v':
        return i->vocab;
    case 't':
        return i->types;
    case 'p':
        return m->positions;
    case 'c':
        return i->labels;
    default:
        return 1;
    }
}

struct names {
    char gguf[128], hf[192];
};

static void names_of(const struct arch_model *m, const struct arch_param *p, int layer, struct names *out)
{
    char block[64];
    if (layer < 0) {
        snprintf(out->gguf, sizeof out->gguf, "%s", p->gguf);
        snprintf(out->hf, sizeof out->hf, "%s", p->hf);
        return;
    }
    snprintf(block, sizeof block, "%s%d.", m->row->hf_block, layer);
    snprintf(out->gguf, sizeof out->gguf, "blk.%d.%s", layer, p->gguf);
    snprintf(out->hf, sizeof out->hf, "%s%s", block, p->hf);
}

/* A directory's tensor by its name, or with what may stand before it. */
static const struct file_tensor *find_hf(const struct arch_model *m, const char *hf)
{
    char name[256];
    const struct file_tensor *t = tensor_file_find(m->file, hf);
    for (size_t i = 0; !t && i < 3 && m->row->hf_prefixes[i]; i++) {
        const char *prefix = m->row->hf_prefixes[i];
        if (prefix[0] == '-') /* the name without this beginning */
            t = strncmp(hf, prefix + 1, strlen(prefix + 1)) ? NULL : tensor_file_find(m->file, hf + strlen(prefix + 1));
        else if (snprintf(name, sizeof name, "%s%s", prefix, hf) < (int)sizeof name)
            t = tensor_file_find(m->file, name);
    }
    return t;
}

/* The first BERTs were saved with TensorFlow's words for gain and shift. */
static const struct file_tensor *find_old(const struct arch_model *m, const char *hf)
{
    static const char *const words[][2] = {{"LayerNorm.weight", "gamma"}, {"LayerNorm.bias", "beta"}};
    char name[192];
    for (size_t i = 0; i < 2; i++) {
        const char *end = strstr(hf, words[i][0]);
        if (end && !end[strlen(words[i][0])]) {
            snprintf(name, sizeof name, "%.*sLayerNorm.%s", (int)(end - hf), hf, words[i][1]);
            return find_hf(m, name);
        }
    }
    return NULL;
}

static const struct file_tensor *find(const struct arch_model *m, const struct names *n)
{
    if (arch_is_gguf(m))
        return tensor_file_find(m->file, n->gguf);
    const struct file_tensor *t = find_hf(m, n->hf);
    return t ? t : find_old(m, n->hf);
}

const struct file_tensor *arch_top_tensor(const struct arch_model *m, const char *role)
{
    struct names n;
    for (const struct arch_param *p = m->row->tops; p->role; p++)
        if (strcmp(p->role, role) == 0) {
            names_of(m, p, -1, &n);
            return find(m, &n);
        }
    return NULL;
}

/* A vector in f32, 1 added where the container stores g and the model wants 1 + g. */
static const float *vector_copy(struct arch_model *m, const struct file_tensor *t, const struct qtype *type, bool plus_one)
{
    size_t n = (size_t)t->dims[0];
    float *v = arena_alloc(&m->arena, n * sizeof *v);
    if (!v)
        return NULL;
    type->dequant(t->data, v, n);
    for (size_t i = 0; plus_one && i < n; i++)
        v[i] += 1;
    return v;
}

/* A matrix that safetensors hold as [in, out], turned round in its own number format. */
static const void *matrix_turned(struct arch_model *m, const struct file_tensor *t, const struct qtype *type)
{
    size_t rows = (size_t)t->dims[0], cols = (size_t)t->dims[1], size = type->bytes;
    const char *from = t->data;
    char *to = arena_array(&m->arena, rows * cols, size); /* t->bytes, which was checked */
    for (size_t i = 0; to && i < cols; i++)
        for (size_t j = 0; j < rows; j++)
            memcpy(to + (j * cols + i) * size, from + (i * rows + j) * size, size);
    return to;
}

static bool turned(const struct arch_model *m, const struct arch_param *p)
{
    return p->flags & PARAM_TRANSPOSED && !arch_is_gguf(m);
}

static enum sooth_status check_shape(const struct arch_model *m, const struct arch_param *p, const struct file_tensor *t, struct sooth_error *err)
{
    size_t cols = extent(m, p->cols), rows = p->rows ? extent(m, p->rows) : 1;
    uint64_t have = t->dims[1] * t->dims[2] * t->dims[3];
    if (turned(m, p)) {
        size_t swap = cols;
        cols = rows;
        rows = swap;
    }
    if (t->dims[0] == cols && have == rows)
        return SOOTH_OK;
    return err_set(err, SOOTH_ERR_FORMAT, "tensor '%s' is %llu x %llu where the model needs %zu x %zu", t->name, (unsigned long long)have,
                   (unsigned long long)t->dims[0], rows, cols);
}

/* config.json says that the head is a matrix of its own: then it must be there. */
static bool untied(const struct arch_model *m)
{
    return !arch_is_gguf(m) && !arch_bool(m, "tie_word_embeddings", true);
}

static enum arch_change change_of(unsigned flags)
{
    return flags & PARAM_PLUS_ONE ? ARCH_PLUS_ONE : flags & PARAM_PAIRS ? ARCH_PAIRS : flags & PARAM_TRANSPOSED ? ARCH_TRANSPOSED : ARCH_SAME;
}

/* The numbers of a weight as the model wants them: in the mapped file, or a copy. */
static enum sooth_status numbers(struct arch_model *m, const struct arch_param *p, const struct file_tensor *t, const struct qtype *type,
                                 const void **out, struct sooth_error *err)
{
    *out = t->data;
    if (!p->rows)
        *out = vector_copy(m, t, type, p->flags & PARAM_PLUS_ONE && !arch_is_gguf(m));
    else if (turned(m, p) && type->block > 1)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "tensor '%s' is transposed and in number format %s", t->name, type->name);
    else if (turned(m, p))
        *out = matrix_turned(m, t, type);
    if (!*out)
        return err_nomem(err);
    if (!p->rows && quant_find_bad(*out, (size_t)t->dims[0]) < t->dims[0])
        return err_set(err, SOOTH_ERR_FORMAT, "tensor '%s' holds a number that is not finite, at index %zu", t->name,
                       quant_find_bad(*out, (size_t)t->dims[0]));
    return SOOTH_OK;
}

/* May this weight be missing from the file? */
static bool dispensable(const struct arch_model *m, const struct arch_param *p, const void *target)
{
    if (p->flags & PARAM_HEAD)
        return m->info.labels == 0;
    return p->flags & PARAM_OPTIONAL && !(p->offset == TOP(output) && target == &m->top && untied(m));
}

static enum sooth_status wire(struct arch_model *m, const struct arch_param *p, int layer, void *target, struct map *seen, struct sooth_error *err)
{
    struct names n;
    enum sooth_status status;
    const void *data;
    names_of(m, p, layer, &n);
    const struct file_tensor *t = p->flags & PARAM_HEAD && !m->info.labels ? NULL : find(m, &n);
    if (!t && dispensable(m, p, target))
        return SOOTH_OK;
    if (!t)
        return err_set(err, SOOTH_ERR_FORMAT, "tensor '%s' is missing", arch_is_gguf(m) ? n.gguf : n.hf);
    if (!map_put(seen, t->name, strlen(t->name), 1))
        return err_nomem(err);
    if ((status = check_shape(m, p, t, err)))
        return status;
    const struct qtype *type = qtype_by_id(t->type);
    if (!type)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "tensor '%s' has number format %u, which this build does not know", t->name, t->type);
    struct weight *w = arena_calloc(&m->arena, 1, sizeof *w);
    char *gguf = arena_strdup(&m->arena, n.gguf), *hf = arena_strdup(&m->arena, n.hf);
    if (!w || !gguf || !hf)
        return err_nomem(err);
    if ((status = numbers(m, p, t, type, &data, err)))
        return status;
    w->name = gguf;
    qmat_init(&w->q, p->rows ? type : qtype_by_id(TYPE_F32), p->rows ? extent(m, p->rows) : 1, extent(m, p->cols), data);
    *(const struct weight **)((char *)target + p->offset) = w;
    struct arch_weight entry = {w, t, hf, p->role, layer, p->init, change_of(p->flags), !p->rows};
    m->info.parameters += w->q.rows * w->q.cols;
    m->info.file_bytes += t->bytes;
    return vec_push(&m->list, entry) ? SOOTH_OK : err_nomem(err);
}

/* Tensors that change nothing for us: heads of pre-training, tables that can be computed (GPT-2's masks). */
static bool harmless(const char *name)
{
    static const char *const parts[] = {"pooler.", "position_ids", "rotary_emb.inv_freq", "cls.", "lm_head.", "rope_freqs.weight", "rope_factors_",
                                        ".attn.bias", ".attn.masked_bias"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(name, parts[i]))
            return true;
    return false;
}

static enum sooth_status surplus(const struct arch_model *m, const struct map *seen, struct sooth_error *err)
{
    for (size_t i = 0; i < tensor_file_count(m->file); i++) {
        const char *name = tensor_file_at(m->file, i)->name;
        if (!map_find(seen, name, strlen(name), NULL) && !harmless(name))
            return err_set(err, SOOTH_ERR_UNSUPPORTED, "tensor '%s' is not part of architecture '%s' as this build knows it", name, m->row->name);
    }
    return SOOTH_OK;
}

enum sooth_status arch_weights_load(struct arch_model *m, struct sooth_error *err)
{
    struct map seen;
    enum sooth_status status = SOOTH_OK;
    map_init(&seen);
    m->blocks = arena_calloc(&m->arena, m->info.layers, sizeof *m->blocks);
    if (!m->blocks)
        status = err_nomem(err);
    for (const struct arch_param *p = m->row->tops; p->role && !status; p++)
        status = wire(m, p, -1, &m->top, &seen, err);
    for (size_t i = 0; i < m->info.layers && !status; i++)
        for (const struct arch_param *p = m->row->params; p->role && !status; p++)
            status = wire(m, p, (int)i, &m->blocks[i], &seen, err);
    if (!status)
        status = surplus(m, &seen, err);
    map_release(&seen);
    return status;
}

/* ---- a new model ---- */

enum sooth_status arch_parts_list(const struct arch_model *m, arch_part_fn *fn, void *user, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    for (int layer = -1; layer < (int)m->info.layers && !status; layer++)
        for (const struct arch_param *p = layer < 0 ? m->row->tops : m->row->params; p->role && !status; p++) {
            struct names n;
            if (p->flags & PARAM_HEAD)
                continue;
            names_of(m, p, layer, &n);
            struct arch_part part = {.name = n.hf, .role = p->role, .rows = p->rows ? extent(m, p->rows) : 1, .cols = extent(m, p->cols), .init = p->init,
                                     .change = change_of(p->flags), .vector = !p->rows, .optional = p->flags & PARAM_OPTIONAL};
            status = fn(user, &part, err);
        }
    return status;
}
