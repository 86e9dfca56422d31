/* rope_words.c: how the two containers say in which way positions are turned.
 *
 *     kind       GGUF                                                        config.json
 *     plain      rope.freq_base, rope.dimension_count                        rope_theta, partial_rotary_factor
 *     linear     rope.scaling.type linear, .factor                           rope_scaling {rope_type linear, factor}
 *     ntk        the base that it comes to                                   the same
 *     yarn       rope.scaling.type yarn, .factor, .original_context_length,  rope_scaling {rope_type yarn, ...}
 *                .yarn_beta_fast, .yarn_beta_slow
 *     llama3     the tensor rope_freqs.weight, divisors                      longrope with the divisors as both lists
 *     longrope   the tensors rope_factors_long, _short, .attn_factor         rope_scaling {rope_type longrope, ...}
 *
 * Divisors do not tell the four numbers of llama3 they came of, so the way back writes them as what they are: a list to divide
 * frequencies by, at any length, with magnitude 1. What GGUF has no word for (dynamic, yarn with a magnitude of its own) is refused
 * before anything is written (arch_gguf_check). */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/base/error.h"
#include "model/convert/convert.h"

static bool put_real(struct convert_plan *p, const char *arch, const char *name, double value)
{
    char key[128];
    snprintf(key, sizeof key, "%.60s.%s", arch, name);
    const char *copy = arena_strdup(&p->arena, key);
    return copy && plan_put(p, &(struct file_value){.key = copy, .type = VALUE_F32, .f = (double)(float)value});
}

static bool put_whole(struct convert_plan *p, const char *arch, const char *name, uint64_t value)
{
    char key[128];
    snprintf(key, sizeof key, "%.60s.%s", arch, name);
    const char *copy = arena_strdup(&p->arena, key);
    return copy && plan_uint(p, copy, value);
}

static bool put_type(struct convert_plan *p, const char *arch, const char *type)
{
    char key[128];
    snprintf(key, sizeof key, "%.60s.rope.scaling.type", arch);
    const char *copy = arena_strdup(&p->arena, key);
    return copy && plan_string(p, copy, type, strlen(type));
}

/* A list as a tensor; the numbers are copied, the model may go. */
static enum sooth_status put_list(struct convert_plan *p, const char *name, const float *list, size_t n, struct sooth_error *err)
{
    float *copy = arena_array(&p->arena, n, sizeof *copy);
    struct file_tensor *t = arena_calloc(&p->arena, 1, sizeof *t);
    if (!copy || !t)
        return err_nomem(err);
    memcpy(copy, list, n * sizeof *copy);
    *t = (struct file_tensor){.name = name, .type = TYPE_F32, .ndim = 1, .dims = {n, 1, 1, 1}, .data = copy, .bytes = n * sizeof *copy};
    return plan_tensor(p, name, t, CONVERT_SAME, 0, err);
}

enum sooth_status rope_to_gguf(const struct arch_model *m, struct convert_plan *p, struct sooth_error *err)
{
    const struct arch_rope_facts *r = arch_rope_facts(m);
    const char *arch = arch_gguf_name(m);
    const size_t n = r->dim / 2;
    double base = r->base;
    enum sooth_status status = SOOTH_OK;
    bool ok = true;
    if (!r->dim)
        return SOOTH_OK;
    if (!strcmp(r->type, "ntk"))
        base *= pow(r->factor, (double)r->dim / ((double)r->dim - 2));
    ok = put_real(p, arch, "rope.freq_base", base) && put_whole(p, arch, "rope.dimension_count", r->dim);
    if (ok && r->base_local > 0)
        ok = put_real(p, arch, "rope.freq_base_swa", r->base_local);
    if (ok && (!strcmp(r->type, "linear") || !strcmp(r->type, "yarn")))
        ok = put_type(p, arch, r->type) && put_real(p, arch, "rope.scaling.factor", r->factor);
    if (ok && !strcmp(r->type, "yarn"))
        ok = put_real(p, arch, "rope.scaling.yarn_beta_fast", r->beta_fast) && put_real(p, arch, "rope.scaling.yarn_beta_slow", r->beta_slow);
    if (ok && (!strcmp(r->type, "yarn") || r->far))
        ok = put_whole(p, arch, "rope.scaling.original_context_length", (uint64_t)r->original);
    if (ok && r->far)
        ok = put_real(p, arch, "rope.scaling.attn_factor", r->scale);
    if (ok && r->divisors)
        status = put_list(p, "rope_freqs.weight", r->divisors, n, err);
    if (ok && !status && r->far)
        status = put_list(p, "rope_factors_long.weight", r->far, n, err);
    if (ok && !status && r->far)
        status = put_list(p, "rope_factors_short.weight", r->near, n, err);
    return ok ? status : err_nomem(err);
}

static void list_to_hf(struct json_writer *w, const char *key, const float *list, size_t n)
{
    jsonw_key(w, key);
    jsonw_array(w);
    for (size_t i = 0; i < n; i++)
        jsonw_double(w, (double)list[i], 9);
    jsonw_end_array(w);
}

void rope_to_hf(const struct arch_model *m, struct json_writer *w)
{
    const struct arch_rope_facts *r = arch_rope_facts(m);
    const size_t n = r->dim / 2, head = arch_info(m)->head_dim;
    const bool yarn = !strcmp(r->dim ? r->type : "", "yarn"), lists = r->divisors || r->far;
    if (!r->dim)
        return;
    jsonw_key(w, "rope_theta"), jsonw_double(w, r->base, 9);
    if (r->base_local > 0)
        jsonw_key(w, "rope_local_base_freq"), jsonw_double(w, r->base_local, 9);
    if (r->dim != head)
        jsonw_key(w, "partial_rotary_factor"), jsonw_double(w, (double)r->dim / (double)head, 9);
    if (!strcmp(r->type, "none"))
        return;
    if (lists)
        jsonw_key(w, "original_max_position_embeddings"), jsonw_int(w, (int64_t)r->original);
    jsonw_key(w, "rope_scaling");
    jsonw_object(w);
    jsonw_key(w, "rope_type"), jsonw_string(w, lists ? "longrope" : r->type);
    if (!lists)
        jsonw_key(w, "factor"), jsonw_double(w, r->factor, 9);
    if (yarn)
        jsonw_key(w, "beta_fast"), jsonw_double(w, r->beta_fast, 9), jsonw_key(w, "beta_slow"), jsonw_double(w, r->beta_slow, 9);
    if (yarn || lists)
        jsonw_key(w, "original_max_position_embeddings"), jsonw_int(w, (int64_t)r->original);
    if (lists || (yarn && !r->usual))
        jsonw_key(w, "attention_factor"), jsonw_double(w, r->scale, 9);
    if (lists) {
        list_to_hf(w, "short_factor", r->divisors ? r->divisors : r->near, n);
        list_to_hf(w, "long_factor", r->divisors ? r->divisors : r->far, n);
    }
    jsonw_end_object(w);
}
