#!/usr/bin/env python3
"""Adapters as PEFT makes, runs and trains them: tests/golden/adapt/.

On the tiny models of tests/golden/arch each method gets random numbers; what PEFT saves is kept as it is, beside it
want.safetensors: the input, the text's logits (hidden states of an encoder), the loss, the gradient of every trained number,
and ten losses of AdamW (lr 0.01, weight decay 0.01). Networks that PEFT does not save (P-tuning's encoder, a prefix's
projection) are in want.safetensors as param.NAME, by the names that sooth gives them.

Needs torch, transformers, peft, safetensors. Run from the root of the tree.
"""
import json
import os
import shutil

import peft
import torch
import transformers as tf
from safetensors.torch import save_file

ARCH, OUT = "tests/golden/arch", "tests/golden/adapt"
STEPS = 10

PAIR = dict(r=3, lora_alpha=5)
CASES = {
    "lora": lambda: peft.LoraConfig(**PAIR, target_modules=["q_proj", "v_proj"]),
    "rslora": lambda: peft.LoraConfig(**PAIR, use_rslora=True, target_modules=["q_proj", "down_proj"]),
    "patterns": lambda: peft.LoraConfig(**PAIR, target_modules="all-linear", rank_pattern={"layers.0.self_attn.q_proj": 6, "up_proj": 2},
                                        alpha_pattern={"k_proj": 12, "model.layers.1.mlp.down_proj": 1}),
    "rspatterns": lambda: peft.LoraConfig(**PAIR, use_rslora=True, target_modules=["q_proj", "k_proj"], rank_pattern={"k_proj": 7}),
    "tables": lambda: peft.LoraConfig(**PAIR, target_modules=["embed_tokens", "lm_head", "k_proj"]),
    "dora": lambda: peft.LoraConfig(**PAIR, use_dora=True, target_modules=["q_proj", "k_proj", "up_proj"]),
    "prompt": lambda: peft.PromptTuningConfig(num_virtual_tokens=5, task_type="CAUSAL_LM"),
    "prefix": lambda: peft.PrefixTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM", prefix_projection=True, encoder_hidden_size=6),
    "ptuning2": lambda: peft.PrefixTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM", prefix_projection=False),
    "ptuning_mlp": lambda: peft.PromptEncoderConfig(num_virtual_tokens=5, task_type="CAUSAL_LM", encoder_reparameterization_type="MLP",
                                                    encoder_hidden_size=7),
    "ptuning_lstm": lambda: peft.PromptEncoderConfig(num_virtual_tokens=5, task_type="CAUSAL_LM", encoder_reparameterization_type="LSTM",
                                                     encoder_hidden_size=6),
}
ENCODER_CASES = {
    "bert_lora": lambda: peft.LoraConfig(**PAIR, target_modules=["query", "value", "intermediate.dense"]),
    "bert_dora": lambda: peft.LoraConfig(**PAIR, use_dora=True, target_modules=["query", "output.dense"]),
    "bert_prompt": lambda: peft.PromptTuningConfig(num_virtual_tokens=3, task_type="FEATURE_EXTRACTION"),
}


def our_name(name):
    """A network's parameter as sooth calls it."""
    name = name.split("prompt_encoder.default.")[1]
    if name == "embedding.weight":
        return "embedding"
    if name.startswith("lstm_head."):
        kind, which, rest = name[len("lstm_head."):].split("_", 2)
        return f"lstm_{which}_{rest}.{kind}"
    return name.replace("mlp_head.", "mlp.")


def file_name(name, config):
    """A parameter as PEFT's file calls it."""
    if isinstance(config, peft.LoraConfig):
        name = name.replace(".default", "")
        return name[:-len(".weight")] if name.endswith("lora_magnitude_vector.weight") else name
    return "prompt_embeddings"


def run(model, config, ids, encoder):
    out = model(input_ids=ids[None], attention_mask=torch.ones_like(ids)[None])
    if encoder:
        h = out.last_hidden_state[0, -len(ids):]
        c = torch.tensor([((i * 7) % 11 - 5) / 16 for i in range(h.numel())]).reshape(h.shape)
        return h, (h * c).sum()
    logits = out.logits[0, -len(ids):]
    return logits, torch.nn.functional.cross_entropy(logits[:-1], ids[1:])


def case(name, base, config, encoder=False):
    torch.manual_seed(len(name))
    cls = tf.AutoModel if encoder else tf.AutoModelForCausalLM
    model = peft.get_peft_model(cls.from_pretrained(f"{ARCH}/{base}", attn_implementation="eager"), config)
    model.eval()  # no dropout
    g = torch.Generator().manual_seed(11)
    network = getattr(config, "prefix_projection", False) or isinstance(config, peft.PromptEncoderConfig)
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    for n, p in trained:
        with torch.no_grad():
            p += torch.randn(p.shape, generator=g) * (0.1 if "magnitude" in n else 0.3)
    path = f"{OUT}/{name}"
    shutil.rmtree(path, ignore_errors=True)
    model.save_pretrained(path, save_embedding_layers=False)
    os.remove(f"{path}/README.md")
    config_path = f"{path}/adapter_config.json"
    text = json.load(open(config_path))
    text["base_model_name_or_path"] = "tiny"
    json.dump(text, open(config_path, "w"), indent=2, sort_keys=True)

    ids = torch.randint(5, 96, (18,), generator=g)
    y, loss = run(model, config, ids, encoder)
    loss.backward()
    want = {"ids": ids.to(torch.int32), "out": y.detach().clone(), "loss": loss.detach().reshape(1)}
    for n, p in trained:
        key = our_name(n) if network else file_name(n, config)
        if network:
            want["param." + key] = p.detach().clone()
        want["grad." + key] = p.grad.detach().clone()
    opt = torch.optim.AdamW([p for _, p in trained], lr=0.01, weight_decay=0.01)
    losses = []
    for _ in range(STEPS):
        opt.zero_grad()
        _, loss = run(model, config, ids, encoder)
        losses.append(loss.item())
        loss.backward()
        opt.step()
    want["losses"] = torch.tensor(losses)
    want["end"] = run(model, config, ids, encoder)[0].detach()
    save_file({k: v.contiguous() for k, v in want.items()}, f"{path}/want.safetensors")
    print(name, [round(x, 4) for x in losses], os.path.getsize(f"{path}/want.safetensors"))


os.makedirs(OUT, exist_ok=True)
for name, config in CASES.items():
    case(name, "llama", config())
for name, config in ENCODER_CASES.items():
    case(name, "bert", config(), encoder=True)
