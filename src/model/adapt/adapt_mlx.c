/* adapt_mlx.c: reading adapters trained with MLX.
 *
 *     adapter_config.json     "fine_tune_type": "lora" | "dora", "lora_parameters": {"rank", "scale", "dropout", "keys"}
 *     adapters.safetensors    model.layers.N.self_attn.q_proj.lora_a [in, r], .lora_b [r, out], DoRA's .m
 *
 * Both matrices are turned against PEFT's, and `scale` is the factor itself: alpha = scale · rank. */
#include <stdio.h>
#include <string.h>
#include "core/base/error.h"
#include "model/adapt/adapt_tensor.h"

static bool mlx_is(const struct tensor_file *f, const struct json *config)
{
    return json_get(config, "lora_parameters") != NULL;
}

static enum sooth_status mlx_find(struct adapt_found *out, const struct arch_model *m, const struct tensor_file *f, const struct json *config,
                                  struct sooth_error *err)
{
    const struct json *p = json_get(config, "lora_parameters");
    const char *type = json_string(config, "fine_tune_type", "lora");
    double scale = json_number(p, "scale", 20);
    enum sooth_status status = SOOTH_OK;
    if (strcmp(type, "lora") != 0 && strcmp(type, "dora") != 0)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "fine_tune_type '%s' is not known", type);
    if (!(scale > 0 && scale < 1e4))
        return err_set(err, SOOTH_ERR_FORMAT, "a scale of %g", scale);
    out->o.method = type;
    out->o.dropout = json_number(p, "dropout", 0);
    out->o.base = json_string(config, "model", NULL);
    for (size_t i = 0; i < tensor_file_count(f) && !status; i++) {
        const struct file_tensor *t = tensor_file_at(f, i), *b;
        char name[512];
        size_t n = strlen(t->name);
        if (n < 8 || n >= sizeof name || strcmp(t->name + n - 7, ".lora_a") != 0)
            continue;
        snprintf(name, sizeof name, "%.*s.lora_b", (int)(n - 7), t->name);
        size_t rank = (size_t)t->dims[0];
        if (!(b = tensor_file_find(f, name)) || b->dims[1] != rank || rank == 0)
            return err_set(err, SOOTH_ERR_FORMAT, "the adapter has no tensor '%s' that goes with '%s'", name, t->name);
        name[n - 7] = 0;
        out->o.rank = out->o.rank ? out->o.rank : rank;
        out->o.alpha = scale * (double)out->o.rank;
        status = found_site(out, m, name, rank, rank != out->o.rank ? scale * (double)rank : -1, err);
    }
    return !status && !out->targets.len ? err_set(err, SOOTH_ERR_FORMAT, "the adapter is empty: no tensor of it is a LoRA's") : status;
}

const struct adapt_format adapt_format_mlx = {"MLX", LAYOUT_MLX, mlx_is, mlx_find, NULL};
