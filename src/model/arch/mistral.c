/* mistral.c: Mistral 7B and its like: Llama with a sliding window over every layer where config.json gives one.
 *
 * GGUF files call it "llama" and say nothing of a window: there it is Llama. Here are the names of a Hugging Face directory. */
#include "model/arch/arch_model.h"

static enum sooth_status mistral_configure(struct arch_model *m, struct sooth_error *err)
{
    enum sooth_status status = arch_local_layers(m, arch_every_layer, err);
    return status ? status : arch_rope(m, false, true, &m->rope, err);
}

const struct arch_row arch_mistral = {
    .name = "mistral", .note = "Mistral as safetensors; GGUF's name for it is llama", .gguf_arch = NULL, .gguf_alias = "llama", .hf_arch = "mistral",
    .hf_block = "model.layers.", .hf_prefixes = {"-model."}, .decoder = true, .rms = true, .eps = 1e-6, .act = ACT_SILU, .params = llama_params, .tops = llama_tops,
    .configure = mistral_configure, .hidden = llama_hidden, .hf = {"mistral", "MistralForCausalLM", "hidden_act", "silu", false, NULL},
};
