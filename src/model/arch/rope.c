/* rope.c: the angle of each pair a position, for every way of stretching a context.
 *
 *     plain     θ_i = b^(−2i/d)
 *     linear    θ_i / s                                            (position interpolation, Chen et al. 2023)
 *     ntk       b' = b·s^(d/(d−2))                                 (NTK-aware)
 *     dynamic   the same with s growing with the position          (core/tensor/tensor.h)
 *     yarn      ramp between θ_i and θ_i/s over index i, cos and sin times m   (Peng et al. 2023, as released code has it)
 *     llama3    θ_i kept, divided by s, or blended, by wavelength
 *     longrope  θ_i / list_i, short or long list by the context used; cos and sin times m
 *
 * GGUF has no type for llama3: its divisors come as the tensor rope_freqs.weight. In Hugging Face files the description is
 * rope_scaling (older) or rope_parameters (newer, perhaps one for each kind of layer). An unknown type is refused. */
#include <math.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/json.h"
#include "model/arch/arch_model.h"

struct rope_spec {
    const char *type;
    double part; /* of a head that is rotated; Hugging Face */
    double base, factor, original, low, high, beta_fast, beta_slow, attention, mscale, mscale_all;
    bool truncate;
    const struct json *short_list, *long_list; /* Hugging Face */
    const struct file_tensor *short_t, *long_t, *divisors;
};

static void spec_defaults(const struct arch_model *m, bool local, struct rope_spec *s)
{
    *s = (struct rope_spec){.type = "none", .part = 1, .factor = 1, .low = 1, .high = 4, .beta_fast = 32, .beta_slow = 1, .truncate = true};
    s->base = local ? arch_real(m, "rope.freq_base_swa", 10000) : arch_real(m, "rope.freq_base", 10000);
    s->original = (double)m->info.context;
}

static void spec_gguf(const struct arch_model *m, struct rope_spec *s)
{
    s->type = arch_text(m, "rope.scaling.type", "none");
    s->factor = arch_real(m, "rope.scaling.factor", 1);
    if (!arch_text(m, "rope.scaling.type", NULL) && arch_real(m, "rope.scale_linear", 0) > 0) { /* files of 2023 */
        s->type = "linear";
        s->factor = arch_real(m, "rope.scale_linear", 1);
    }
    s->original = arch_real(m, "rope.scaling.original_context_length", s->original);
    s->beta_fast = arch_real(m, "rope.scaling.yarn_beta_fast", 32);
    s->beta_slow = arch_real(m, "rope.scaling.yarn_beta_slow", 1);
    s->attention = arch_real(m, "rope.scaling.attn_factor", 0);
    s->divisors = tensor_file_find(m->file, "rope_freqs.weight");
    s->long_t = tensor_file_find(m->file, "rope_factors_long.weight");
    s->short_t = tensor_file_find(m->file, "rope_factors_short.weight");
    if (s->long_t && s->short_t)
        s->type = "longrope";
}

static void spec_hf(const struct arch_model *m, bool local, struct rope_spec *s)
{
    const struct json *config = arch_config(m), *d = json_get(config, "rope_parameters"), *kind;
    if (d && (kind = json_get(d, local ? "sliding_attention" : "full_attention")))
        d = kind;
    if (!d && !local)
        d = json_get(config, "rope_scaling");
    s->part = json_number(config, "partial_rotary_factor", 1);
    if (!d || d->type != JSON_OBJECT)
        return;
    s->type = json_string(d, "rope_type", json_string(d, "type", "none"));
    s->base = json_number(d, "rope_theta", s->base);
    s->part = json_number(d, "partial_rotary_factor", s->part);
    s->factor = json_number(d, "factor", 1);
    s->original = json_number(d, "original_max_position_embeddings",
                              json_number(config, "original_max_position_embeddings", !strcmp(s->type, "llama3") ? 8192 : s->original));
    s->low = json_number(d, "low_freq_factor", 1);
    s->high = json_number(d, "high_freq_factor", 4);
    s->beta_fast = json_number(d, "beta_fast", 32);
    s->beta_slow = json_number(d, "beta_slow", 1);
    s->attention = json_number(d, "attention_factor", 0);
    s->mscale = json_number(d, "mscale", 0);
    s->mscale_all = json_number(d, "mscale_all_dim", 0);
    s->truncate = json_bool(d, "truncate", true);
    s->short_list = json_get(d, "short_factor");
    s->long_list = json_get(d, "long_factor");
}

/* ---- the rules ---- */

/* Index at which a pair makes `turns` turns over the original context. */
static double turns_index(const struct rope_spec *s, size_t dim, double turns)
{
    return (double)dim * log(s->original / (turns * 2 * M_PI)) / (2 * log(s->base));
}

static double yarn_magnitude(const struct rope_spec *s)
{
    if (s->attention > 0)
        return s->attention;
    if (s->factor <= 1)
        return 1;
    if (s->mscale != 0 && s->mscale_all != 0)
        return (0.1 * s->mscale * log(s->factor) + 1) / (0.1 * s->mscale_all * log(s->factor) + 1);
    return 0.1 * log(s->factor) + 1;
}

static void rule_yarn(const struct rope_spec *s, size_t dim, double *freq, struct rope *out)
{
    double low = turns_index(s, dim, s->beta_fast), high = turns_index(s, dim, s->beta_slow);
    if (s->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = low > 0 ? low : 0;
    high = high < (double)dim - 1 ? high : (double)dim - 1;
    for (size_t i = 0; i < dim / 2; i++) {
        double span = high - low > 0.001 ? high - low : 0.001, ramp = ((double)i - low) / span;
        ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
        freq[i] = freq[i] * (1 - ramp) + freq[i] / s->factor * ramp;
    }
    out->scale = yarn_magnitude(s);
}

static void rule_llama3(const struct rope_spec *s, size_t dim, double *freq)
{
    for (size_t i = 0; i < dim / 2; i++) {
        double wave = 2 * M_PI / freq[i];
        double t = (s->original / wave - s->low) / (s->high - s->low);
        if (wave > s->original / s->low)
            freq[i] /= s->factor;
        else if (wave >= s->original / s->high)
            freq[i] *= (1 - t) / s->factor + t;
    }
}

static double list_at(const struct json *list, const struct file_tensor *t, size_t i)
{
    float f;
    if (list) {
        const struct json *e = json_at(list, i);
        return e && e->type == JSON_NUMBER ? e->number : 0;
    }
    memcpy(&f, (const char *)t->data + i * sizeof f, sizeof f);
    return (double)f;
}

static size_t list_count(const struct json *list, const struct file_tensor *t)
{
    return list ? list->len : t && t->type == TYPE_F32 ? (size_t)t->dims[0] : 0;
}

static enum sooth_status divide(const struct json *list, const struct file_tensor *t, size_t dim, double *freq, struct sooth_error *err)
{
    if (list_count(list, t) != dim / 2)
        return err_set(err, SOOTH_ERR_FORMAT, "rope factors: %zu numbers for %zu pairs", list_count(list, t), dim / 2);
    for (size_t i = 0; i < dim / 2; i++) {
        double d = list_at(list, t, i);
        if (!(d > 0) || !isfinite(d))
            return err_set(err, SOOTH_ERR_FORMAT, "rope factor %zu is not a positive number", i);
        freq[i] /= d;
    }
    return SOOTH_OK;
}

static enum sooth_status rule_longrope(const struct rope_spec *s, size_t dim, size_t context, size_t full, double *freq, struct rope *out,
                                       struct sooth_error *err)
{
    bool far = (double)context > s->original;
    double grown = (double)full / s->original;
    out->scale = s->attention > 0 ? s->attention : grown > 1 ? sqrt(1 + log(grown) / log(s->original)) : 1;
    return divide(far ? s->long_list : s->short_list, far ? s->long_t : s->short_t, dim, freq, err);
}

static enum sooth_status spec_check(const struct rope_spec *s, size_t dim, struct sooth_error *err)
{
    if (dim < 2 || dim % 2)
        return err_set(err, SOOTH_ERR_FORMAT, "rotary positions over %zu numbers", dim);
    if (!(s->base > 1) || !isfinite(s->base))
        return err_set(err, SOOTH_ERR_FORMAT, "rope base is not a number over 1");
    if (!(s->factor >= 1) || !isfinite(s->factor) || !(s->original >= 1) || !(s->high > s->low))
        return err_set(err, SOOTH_ERR_FORMAT, "rope scaling '%s' has a factor or length that makes no sense", s->type);
    return SOOTH_OK;
}

static enum sooth_status apply(const struct arch_model *m, const struct rope_spec *s, size_t dim, double *freq, struct rope *out,
                               struct sooth_error *err)
{
    const char *type = s->type;
    if (!strcmp(type, "ntk") || !strcmp(type, "dynamic")) {
        if (dim < 4)
            return err_set(err, SOOTH_ERR_FORMAT, "rope scaling '%s' needs more than one pair", type);
        if (!strcmp(type, "dynamic")) {
            out->dynamic_base = s->base;
            out->dynamic_factor = s->factor;
            out->dynamic_from = (size_t)s->original;
        }
        for (size_t i = 0; i < dim / 2 && !strcmp(type, "ntk"); i++)
            freq[i] = pow(s->base * pow(s->factor, (double)dim / ((double)dim - 2)), -2.0 * (double)i / (double)dim);
    } else if (!strcmp(type, "linear")) {
        for (size_t i = 0; i < dim / 2; i++)
            freq[i] /= s->factor;
    } else if (!strcmp(type, "yarn")) {
        rule_yarn(s, dim, freq, out);
    } else if (!strcmp(type, "llama3")) {
        rule_llama3(s, dim, freq);
    } else if (!strcmp(type, "longrope") || !strcmp(type, "su")) {
        return rule_longrope(s, dim, m->session, m->info.context, freq, out, err);
    } else if (strcmp(type, "none") && strcmp(type, "default")) {
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "rope_type '%s' is not known", type);
    }
    return s->divisors ? divide(NULL, s->divisors, dim, freq, err) : SOOTH_OK;
}

/* A list of divisors in float; NULL where there is none or no memory. */
static const float *list_copy(struct arch_model *m, const struct json *list, const struct file_tensor *t, size_t n)
{
    float *out = list_count(list, t) == n ? arena_array(&m->arena, n, sizeof *out) : NULL;
    for (size_t i = 0; out && i < n; i++)
        out[i] = (float)list_at(list, t, i);
    return out;
}

/* What has been read, for whoever writes another file of it. */
static enum sooth_status keep_facts(struct arch_model *m, const struct rope_spec *s, const struct rope *rope, struct sooth_error *err)
{
    struct arch_rope_facts *f = &m->rope_facts;
    const size_t n = rope->dim / 2;
    const bool plain = !strcmp(s->type, "none") || !strcmp(s->type, "default"), llama3 = !strcmp(s->type, "llama3") || s->divisors;
    const bool longrope = !strcmp(s->type, "longrope") || !strcmp(s->type, "su");
    float *divisors = llama3 ? arena_array(&m->arena, n, sizeof *divisors) : NULL;
    *f = (struct arch_rope_facts){.type = llama3 ? "llama3" : plain ? "none" : longrope ? "longrope" : s->type, .dim = rope->dim, .base = s->base,
                                  .factor = s->factor, .original = s->original, .beta_fast = s->beta_fast, .beta_slow = s->beta_slow,
                                  .scale = rope->scale, .divisors = divisors, .usual = true};
    for (size_t i = 0; divisors && i < n; i++)
        divisors[i] = (float)(pow(s->base, -2.0 * (double)i / (double)rope->dim) / rope->freq[i]);
    if (longrope) {
        f->near = list_copy(m, s->short_list, s->short_t, n);
        f->far = list_copy(m, s->long_list, s->long_t, n);
    } else if (!strcmp(s->type, "yarn")) {
        f->usual = s->truncate && s->attention == 0 && s->mscale == 0 && s->mscale_all == 0;
    }
    if ((llama3 && !divisors) || (longrope && (!f->near || !f->far)))
        return m->arena.failed ? err_nomem(err) : err_set(err, SOOTH_ERR_FORMAT, "rope factors: one list is shorter than %zu numbers", n);
    return SOOTH_OK;
}

enum sooth_status arch_rope(struct arch_model *m, bool local, bool halves, struct rope *out, struct sooth_error *err)
{
    struct rope_spec s;
    enum sooth_status status;
    spec_defaults(m, local, &s);
    if (!arch_is_gguf(m))
        spec_hf(m, local, &s);
    else if (!local)
        spec_gguf(m, &s);
    if (!(s.part > 0 && s.part <= 1))
        return err_set(err, SOOTH_ERR_FORMAT, "partial_rotary_factor is not between 0 and 1");
    size_t dim = (size_t)arch_uint(m, "rope.dimension_count", (uint64_t)((double)m->info.head_dim * s.part));
    if (dim > m->info.head_dim)
        return err_set(err, SOOTH_ERR_FORMAT, "rotary positions over %zu numbers of a head of %zu", dim, m->info.head_dim);
    if ((status = spec_check(&s, dim, err)))
        return status;
    double *freq = arena_array(&m->arena, dim / 2, sizeof *freq);
    if (!freq)
        return err_nomem(err);
    for (size_t i = 0; i < dim / 2; i++)
        freq[i] = pow(s.base, -2.0 * (double)i / (double)dim);
    *out = (struct rope){.dim = dim, .freq = freq, .scale = 1, .halves = halves};
    status = apply(m, &s, dim, freq, out, err);
    if (local)
        m->rope_facts.base_local = s.base;
    double base_local = m->rope_facts.base_local;
    if (!status && !local)
        status = keep_facts(m, &s, out, err);
    m->rope_facts.base_local = base_local;
    return status;
}
