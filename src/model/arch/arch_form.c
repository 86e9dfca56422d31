/* arch_form.c: how a model is called and kept in either container, for whoever writes a file of it.
 *
 * The rows of the table say it once: names of weights, of the architecture, of its classes; how a weight's numbers lie; what GGUF has no
 * word for. Conversions and adapters ask here instead of comparing names. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/base/error.h"
#include "model/arch/arch_model.h"

const char *arch_hf_name(const char *name, const struct arch_weight *w, char out[192])
{
    const struct arch_row *row = name ? arch_row_named(name) : NULL;
    const struct arch_param *p = !row ? NULL : w->layer < 0 ? row->tops : row->params;
    while (p && p->role && strcmp(p->role, w->role) != 0)
        p++;
    if (!p || !p->role)
        return w->hf_name;
    if (w->layer < 0)
        snprintf(out, 192, "%s", p->hf);
    else
        snprintf(out, 192, "%s%d.%s", row->hf_block, w->layer, p->hf);
    return out;
}

const struct arch_rope_facts *arch_rope_facts(const struct arch_model *m)
{
    return &m->rope_facts;
}

const char *arch_eps_key(const struct arch_model *m)
{
    return m->row->rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon";
}

double arch_query_scalar(const struct arch_model *m)
{
    double scalar = 1 / ((double)m->scale * (double)m->scale); /* of a float: whole numbers come out whole again */
    return fabs(scalar - round(scalar)) < 1e-5 * scalar ? round(scalar) : scalar;
}

size_t arch_layer_window(const struct arch_model *m, size_t layer)
{
    return arch_window(m, (unsigned)layer);
}

const char *arch_gguf_name(const struct arch_model *m)
{
    return m->row->gguf_arch ? m->row->gguf_arch : m->row->gguf_alias;
}

enum sooth_status arch_gguf_check(const struct arch_model *m, struct sooth_error *err)
{
    const struct arch_rope_facts *r = &m->rope_facts;
    bool windows = false;
    for (size_t i = 0; i < m->info.layers && m->local; i++)
        windows |= m->local[i];
    if ((windows && !m->row->gguf_windows) || m->odd_windows)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "GGUF has no word for the sliding window of '%s' models", m->row->name);
    if (r->dim && (!strcmp(r->type, "dynamic") || !r->usual))
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "GGUF has no word for rotary positions of type '%s' as config.json has them", r->type);
    return m->act == m->row->act ? SOOTH_OK : err_set(err, SOOTH_ERR_UNSUPPORTED, "GGUF has no word for the activation '%s'", op_act_name(m->act));
}
