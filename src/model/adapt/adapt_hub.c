/* adapt_hub.c: bottleneck adapters in the directories of AdapterHub's library.
 *
 *     adapter_config.json    {"config": {mh_adapter, output_adapter, reduction_factor, non_linearity, ...}, "name", "hidden_size", ...}
 *     adapter.safetensors    ...output.adapters.<name>.adapter_down.0.weight | bias, adapter_up.weight | bias
 *
 * Its presets double_seq_bn and seq_bn are our kinds "double" and "pfeiffer"; "houlsby" adds the trained norms under the model's own names,
 * which that library passes over. Left out: the pickled form, parallel adapters, learned scaling, gates, invertible adapters. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/base/error.h"
#include "model/adapt/adapt_tensor.h"
#include "model/adapt/bottleneck.h"

static const struct {
    const char *hub;
    enum op_act act;
} activations[] = {{"relu", ACT_RELU}, {"swish", ACT_SILU}, {"silu", ACT_SILU}, {"gelu", ACT_GELU}, {"gelu_new", ACT_GELU_TANH}, {"tanh", ACT_TANH},
                   {"sigmoid", ACT_SIGMOID}};

enum sooth_status hub_config(const struct adapt *a, struct buf *out, struct sooth_error *err)
{
    const struct bottleneck *b = a->own;
    const struct arch_info *i = arch_info(a->model);
    bool one = strcmp(a->o.variant, "pfeiffer") == 0;
    const char *act = "relu";
    for (size_t k = sizeof activations / sizeof *activations; k-- > 0;)
        if (activations[k].act == b->act)
            act = activations[k].hub;
    struct pretty p = {out, false};
    struct json_writer w = pretty_key(&p, "config");
    jsonw_object(&w);
    static const struct {
        const char *key;
        int value; /* -1: one, -2: not one */
    } flags[] = {{"mh_adapter", -2}, {"output_adapter", 1}, {"original_ln_before", -1}, {"original_ln_after", 1}, {"residual_before_ln", 1},
                 {"adapter_residual_before_ln", 0}, {"ln_before", 0}, {"ln_after", 0}, {"is_parallel", 0}, {"use_gating", 0},
                 {"cross_adapter", 0}, {"phm_layer", 0}};
    for (size_t k = 0; k < sizeof flags / sizeof *flags; k++) {
        jsonw_key(&w, flags[k].key);
        jsonw_bool(&w, flags[k].value < 0 ? (flags[k].value == -1) == one : flags[k].value);
    }
    jsonw_key(&w, "non_linearity");
    jsonw_string(&w, act);
    jsonw_key(&w, "reduction_factor");
    jsonw_double(&w, (double)i->dim / (double)a->o.width, 17);
    jsonw_key(&w, "scaling");
    jsonw_double(&w, 1, 2);
    jsonw_key(&w, "init_weights");
    jsonw_string(&w, "bert");
    jsonw_end_object(&w);
    w = pretty_key(&p, "hidden_size");
    jsonw_int(&w, (int64_t)i->dim);
    w = pretty_key(&p, "model_name");
    jsonw_string(&w, a->o.base);
    w = pretty_key(&p, "model_type");
    jsonw_string(&w, arch_hf(a->model)->model_type);
    w = pretty_key(&p, "name");
    jsonw_string(&w, "sooth");
    w = pretty_key(&p, "version");
    jsonw_string(&w, "adapters.1.0.0");
    pretty_end(&p);
    return out->failed ? err_nomem(err) : SOOTH_OK;
}

static bool hub_is(const struct tensor_file *f, const struct json *config)
{
    return json_get(json_get(config, "config"), "reduction_factor") != NULL;
}

static enum sooth_status hub_find(struct adapt_found *out, const struct arch_model *m, const struct tensor_file *f, const struct json *config,
                                  struct sooth_error *err)
{
    static const char *const none[] = {"ln_before", "ln_after", "is_parallel", "use_gating", "cross_adapter", "phm_layer", "adapter_residual_before_ln"};
    const struct json *c = json_get(config, "config");
    const char *act = json_string(c, "non_linearity", "relu");
    double reduction = json_number(c, "reduction_factor", 16), scaling = json_number(c, "scaling", 1);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (json_bool(c, none[i], false))
            return err_set(err, SOOTH_ERR_UNSUPPORTED, "a bottleneck with '%s' is not known", none[i]);
    if (!(reduction > 0 && reduction <= 65536) || !(fabs(scaling - 1) < 1e-9) || !json_bool(c, "output_adapter", false))
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "a bottleneck with reduction %g, scaling %g, or none after the feed-forward is not known", reduction, scaling);
    out->o.method = "adapter";
    out->o.variant = json_bool(c, "mh_adapter", false) ? "double" : "pfeiffer";
    if ((strcmp(out->o.variant, "pfeiffer") == 0) != json_bool(c, "original_ln_before", false))
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "a bottleneck with 'original_ln_before' in this place is not known");
    double width = (double)arch_info(m)->dim / reduction;
    out->o.width = width >= 1 && width < 1 << 20 ? (size_t)width : 1;
    out->o.base = json_string(config, "model_name", NULL);
    for (size_t k = 0; k < sizeof activations / sizeof *activations; k++)
        if (strcmp(activations[k].hub, act) == 0)
            out->o.activation = op_act_name(activations[k].act);
    return out->o.activation ? SOOTH_OK : err_set(err, SOOTH_ERR_UNSUPPORTED, "non_linearity '%s' is not known", act);
}

const struct adapt_format adapt_format_hub = {"AdapterHub", LAYOUT_HUB, hub_is, hub_find, NULL};
