#!/usr/bin/env python3
"""Tiny random models and what PyTorch makes of them: tests/golden/arch/.

Each model is saved as Hugging Face wrote it, and again as GGUF with the conventions of that container (rows of q and k
permuted for llama, 1 + g for gemma3, GPT-2's matrices turned round, the first two positions cut for xlm-roberta).
want.safetensors holds two inputs and their logits, hidden states or scores of classes, and for some the gradient of the mean
log-probability loss of the first input. rope.json holds frequencies and magnitudes of every way of stretching a context.
deepnorm is in no library: its module is below, from torch.nn's parts.

usage: arch.py [NAME...]     the named ones only
Needs torch, transformers, gguf, safetensors. Run from the root of the tree.
"""
import json
import os
import shutil
import sys

import gguf
import numpy as np
import torch
import transformers as tf
from safetensors.torch import save_file
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

OUT = "tests/golden/arch"
VOCAB = 96
torch.set_grad_enabled(True)


def randomize(model, seed):
    g = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        scale = 0.3 if p.ndim == 1 else 0.25
        p.data = torch.randn(p.shape, generator=g) * scale
        if p.ndim == 1 and "norm" in name.lower() and name.endswith("weight") and "gemma" not in type(model).__name__.lower():
            p.data += 1


def inputs(seed, lengths=(24, 9)):
    g = torch.Generator().manual_seed(seed)
    return [torch.randint(5, VOCAB, (1, n), generator=g) for n in lengths]


def save(name, model, want):
    path = f"{OUT}/{name}"
    shutil.rmtree(path, ignore_errors=True)
    model.save_pretrained(path)
    gen = f"{path}/generation_config.json"
    if os.path.exists(gen):
        os.remove(gen)
    save_file({k: v.detach().contiguous() for k, v in want.items()}, f"{path}/want.safetensors")


def decoder(name, model, grads=False, lengths=(24, 9)):
    want = {}
    for i, ids in enumerate(inputs(7, lengths)):
        logits = model(ids).logits[0]
        want[f"ids.{i}"] = ids[0].to(torch.int32)
        want[f"out.{i}"] = logits
        if grads and i == 0:
            loss = torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:])
            loss.backward()
            want["loss"] = loss.reshape(1)
            for n, p in model.named_parameters():
                want[f"grad.{n}"] = p.grad
    save(name, model, want)


def encoder(name, model, types):
    want = {}
    for i, ids in enumerate(inputs(9)):
        t = torch.zeros_like(ids)
        if types and i == 1:
            t[0, 4:] = 1
        want[f"ids.{i}"] = ids[0].to(torch.int32)
        want[f"types.{i}"] = t[0].to(torch.int32)
        y = model(ids, token_type_ids=t)
        want[f"out.{i}"] = y.logits[0] if "logits" in y else y.last_hidden_state[0]
    save(name, model, want)


# ---- GGUF twins ----

def permute(w, heads):
    """Rows of q and k in halves -> neighbours, as converters for the llama architecture do."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def put(w, name, t):
    w.add_tensor(name, np.ascontiguousarray(t.detach().numpy().astype(np.float32)))


def llama_gguf(name, model, rope):
    c = model.config
    w = gguf.GGUFWriter(f"{OUT}/{name}.gguf", "llama")
    w.add_block_count(c.num_hidden_layers)
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(c.hidden_size)
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(c.num_attention_heads)
    w.add_head_count_kv(c.num_key_value_heads)
    w.add_key_length(c.head_dim)
    w.add_value_length(c.head_dim)
    w.add_rope_dimension_count(c.head_dim)
    w.add_rope_freq_base(c.rope_parameters["rope_theta"])
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    rope(w, c)
    sd = model.state_dict()
    put(w, "token_embd.weight", sd["model.embed_tokens.weight"])
    put(w, "output_norm.weight", sd["model.norm.weight"])
    if not c.tie_word_embeddings:
        put(w, "output.weight", sd["lm_head.weight"])
    names = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
             "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
    for i in range(c.num_hidden_layers):
        for hf, g in names.items():
            for part in ("weight", "bias"):
                t = sd.get(f"model.layers.{i}.{hf}.{part}")
                if t is None:
                    continue
                if g in ("attn_q", "attn_k"):
                    t = torch.from_numpy(permute(t.numpy(), c.num_attention_heads if g == "attn_q" else c.num_key_value_heads))
                put(w, f"blk.{i}.{g}.{part}", t)
    finish(w)


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def rope_llama3(w, c):
    """GGUF has no llama3 type: divisors of the plain frequencies as a tensor."""
    plain = 1.0 / c.rope_parameters["rope_theta"] ** (np.arange(0, c.head_dim, 2) / c.head_dim)
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](c, None)
    w.add_tensor("rope_freqs.weight", (plain / scaled.double().numpy()).astype(np.float32))


def rope_yarn(w, c):
    w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    w.add_rope_scaling_factor(c.rope_parameters["factor"])
    w.add_rope_scaling_orig_ctx_len(c.rope_parameters["original_max_position_embeddings"])


def gemma3_gguf(model):
    c = model.config
    w = gguf.GGUFWriter(f"{OUT}/gemma3.gguf", "gemma3")
    w.add_block_count(c.num_hidden_layers)
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(c.hidden_size)
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(c.num_attention_heads)
    w.add_head_count_kv(c.num_key_value_heads)
    w.add_key_length(c.head_dim)
    w.add_value_length(c.head_dim)
    w.add_rope_freq_base(c.rope_parameters["full_attention"]["rope_theta"])
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    w.add_sliding_window(c.sliding_window)
    w.add_float32("gemma3.attention.scale", c.query_pre_attn_scalar ** -0.5)
    sd = model.state_dict()
    put(w, "token_embd.weight", sd["model.embed_tokens.weight"])
    put(w, "output_norm.weight", sd["model.norm.weight"] + 1)
    names = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
             "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
             "post_feedforward_layernorm": "post_ffw_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
    for i in range(c.num_hidden_layers):
        for hf, g in names.items():
            t = sd[f"model.layers.{i}.{hf}.weight"]
            put(w, f"blk.{i}.{g}.weight", t + 1 if t.ndim == 1 else t)
    finish(w)


def bert_gguf(name, model, cut):
    c, head = model.config, model
    model = getattr(model, model.base_model_prefix, model)
    w = gguf.GGUFWriter(f"{OUT}/{name}.gguf", "bert")
    w.add_block_count(c.num_hidden_layers)
    w.add_context_length(c.max_position_embeddings - cut)
    w.add_embedding_length(c.hidden_size)
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(c.num_attention_heads)
    w.add_layer_norm_eps(c.layer_norm_eps)
    w.add_causal_attention(False)
    w.add_pooling_type(gguf.PoolingType.MEAN)
    w.add_token_type_count(c.type_vocab_size)
    sd = model.state_dict()
    put(w, "token_embd.weight", sd["embeddings.word_embeddings.weight"])
    put(w, "position_embd.weight", sd["embeddings.position_embeddings.weight"][cut:])
    put(w, "token_types.weight", sd["embeddings.token_type_embeddings.weight"])
    names = {"attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
             "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm", "intermediate.dense": "ffn_up",
             "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm"}
    for part in ("weight", "bias"):
        put(w, f"token_embd_norm.{part}", sd[f"embeddings.LayerNorm.{part}"])
        for i in range(c.num_hidden_layers):
            for hf, g in names.items():
                put(w, f"blk.{i}.{g}.{part}", sd[f"encoder.layer.{i}.{hf}.{part}"])
        if head is not model:
            sd2 = head.state_dict()
            dense, out = ("classifier.dense", "classifier.out_proj") if cut else ("bert.pooler.dense", "classifier")
            put(w, f"cls.{part}", sd2[f"{dense}.{part}"])
            put(w, f"cls.output.{part}", sd2[f"{out}.{part}"])
    finish(w)


def plain_gguf(name, arch, model, top, blocks, block="model.layers", facts=None, turn=()):
    """A container whose tensors differ in name only; those of `turn` are transposed. Renames are of state_dict keys without .weight/.bias."""
    c = model.config
    w = gguf.GGUFWriter(f"{OUT}/{name}.gguf", arch)
    w.add_block_count(c.num_hidden_layers)
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(c.hidden_size)
    w.add_feed_forward_length(getattr(c, "intermediate_size", None) or 4 * c.hidden_size)
    w.add_head_count(c.num_attention_heads)
    if getattr(c, "num_key_value_heads", None):
        w.add_head_count_kv(c.num_key_value_heads)
    if getattr(c, "head_dim", None):
        w.add_key_length(c.head_dim)
        w.add_value_length(c.head_dim)
    if getattr(c, "rms_norm_eps", None):
        w.add_layer_norm_rms_eps(c.rms_norm_eps)
    else:
        w.add_layer_norm_eps(getattr(c, "layer_norm_eps", None) or c.layer_norm_epsilon)
    if getattr(c, "rope_parameters", None):
        w.add_rope_freq_base(c.rope_parameters["rope_theta"])
    if facts:
        facts(w, c)
    sd = model.state_dict()
    pairs = [(k, v) for k, v in top.items()] + [(f"{block}.{i}.{k}", f"blk.{i}.{v}") for i in range(c.num_hidden_layers) for k, v in blocks.items()]
    for hf, g in pairs:
        for part in ("weight", "bias"):
            t = sd.get(f"{hf}.{part}")
            if t is not None:
                put(w, f"{g}.{part}", t.T if part == "weight" and any(hf.endswith(x) for x in turn) else t)
    finish(w)


# ---- models ----

eager = dict(attn_implementation="eager")
LLAMA_TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm"}
LLAMA_BLOCK = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
               "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "self_attn.o_proj": "attn_output",
               "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def small_decoder(**more):
    return dict(dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                     max_position_embeddings=256, rms_norm_eps=1e-5, pad_token_id=None, bos_token_id=1, eos_token_id=2, tie_word_embeddings=False,
                     rope_parameters={"rope_type": "default", "rope_theta": 1000.0}, **eager), **more)


def mistral():
    m = tf.MistralForCausalLM(tf.MistralConfig(**small_decoder(head_dim=16, sliding_window=8)))
    randomize(m, 11)
    decoder("mistral", m)


def qwen2():
    m = tf.Qwen2ForCausalLM(tf.Qwen2Config(**small_decoder(tie_word_embeddings=True, use_sliding_window=False, sliding_window=8)))
    randomize(m, 12)
    decoder("qwen2", m)
    plain_gguf("qwen2", "qwen2", m, LLAMA_TOP, LLAMA_BLOCK)


def qwen2_window():
    """The second layer has a window."""
    m = tf.Qwen2ForCausalLM(tf.Qwen2Config(**small_decoder(use_sliding_window=True, sliding_window=8, max_window_layers=1)))
    randomize(m, 13)
    decoder("qwen2_window", m)


def qwen3():
    m = tf.Qwen3ForCausalLM(tf.Qwen3Config(**small_decoder(tie_word_embeddings=True, head_dim=16)))
    randomize(m, 14)
    decoder("qwen3", m, grads=True)
    plain_gguf("qwen3", "qwen3", m, LLAMA_TOP, LLAMA_BLOCK)


def phi3():
    """Both inputs longer than the original context: the long list."""
    lists = dict(short_factor=[1.0, 1.1, 1.2], long_factor=[1.0, 2.0, 4.0])
    m = tf.Phi3ForCausalLM(tf.Phi3Config(**small_decoder(original_max_position_embeddings=16, sliding_window=12, rope_parameters=dict(
        rope_type="longrope", rope_theta=1000.0, partial_rotary_factor=0.75, original_max_position_embeddings=16, **lists))))
    randomize(m, 15)
    decoder("phi3", m, grads=True, lengths=(24, 20))

    def facts(w, c):
        w.add_rope_dimension_count(6)
        w.add_sliding_window(c.sliding_window)
        w.add_rope_scaling_orig_ctx_len(16)
        w.add_rope_scaling_attn_factors((1 + np.log(256 / 16) / np.log(16)) ** 0.5)
        for which in ("long", "short"):
            w.add_tensor(f"rope_factors_{which}.weight", np.array(lists[f"{which}_factor"], np.float32))
    plain_gguf("phi3", "phi3", m, dict(LLAMA_TOP, **{"lm_head": "output"}), {"input_layernorm": "attn_norm", "self_attn.qkv_proj": "attn_qkv",
               "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "mlp.gate_up_proj": "ffn_up", "mlp.down_proj": "ffn_down"},
               facts=facts)


def gpt2():
    m = tf.GPT2LMHeadModel(tf.GPT2Config(vocab_size=VOCAB, n_positions=64, n_embd=32, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=2, **eager)).eval()
    randomize(m, 16)
    decoder("gpt2", m, grads=True)
    turn = ("c_attn", "c_proj", "c_fc")
    plain_gguf("gpt2", "gpt2", m, {"transformer.wte": "token_embd", "transformer.wpe": "position_embd", "transformer.ln_f": "output_norm"},
               {"ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up",
                "mlp.c_proj": "ffn_down"}, block="transformer.h", turn=turn)


def nomic_bert():
    m = tf.NomicBertModel(tf.NomicBertConfig(vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
                          max_position_embeddings=64, rope_parameters={"rope_type": "default", "rope_theta": 1000.0}, **eager)).eval()
    randomize(m, 17)
    encoder("nomic_bert", m, True)
    sd = m.state_dict()
    for i in range(2):  # as GGUF and the published files have it
        m.register_buffer(f"l{i}", torch.cat([sd[f"layers.{i}.self_attn.{x}_proj.weight"] for x in "qkv"]))

    class Fused:
        config = m.config

        @staticmethod
        def state_dict():
            return {**sd, **{f"layers.{i}.qkv.weight": getattr(m, f"l{i}") for i in range(2)}}

    def facts(w, c):
        w.add_causal_attention(False)
        w.add_pooling_type(gguf.PoolingType.MEAN)
        w.add_token_type_count(2)
    plain_gguf("nomic_bert", "nomic-bert", Fused, {"embeddings.word_embeddings": "token_embd", "embeddings.token_type_embeddings": "token_types",
               "embeddings.LayerNorm": "token_embd_norm"}, {"qkv": "attn_qkv", "self_attn.o_proj": "attn_output",
               "post_attention_layernorm": "attn_output_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
               "post_mlp_layernorm": "layer_output_norm"}, block="layers", facts=facts)


class DeepNorm(torch.nn.Module):
    """x = LN(a x + f(x)), a = (2 layers)^(1/4); rotary positions in halves, exact GELU."""

    class Config:
        vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads = VOCAB, 32, 48, 3, 4
        max_position_embeddings, layer_norm_eps, rope_parameters = 64, 1e-5, {"rope_type": "default", "rope_theta": 1000.0}

    def __init__(self):
        super().__init__()
        c, nn = self.Config, torch.nn
        self.config = c
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(c.vocab_size, c.hidden_size)
        self.model.layers = nn.ModuleList()
        for _ in range(c.num_hidden_layers):
            b = nn.Module()
            b.self_attn = nn.Module()
            for p in ("q_proj", "k_proj", "v_proj", "out_proj"):
                setattr(b.self_attn, p, nn.Linear(c.hidden_size, c.hidden_size))
            b.self_attn_layer_norm, b.final_layer_norm = (nn.LayerNorm(c.hidden_size, c.layer_norm_eps) for _ in range(2))
            b.fc1, b.fc2 = nn.Linear(c.hidden_size, c.intermediate_size), nn.Linear(c.intermediate_size, c.hidden_size)
            self.model.layers.append(b)

    def forward(self, ids):
        c = self.config
        n, heads, d = ids.shape[1], c.num_attention_heads, c.hidden_size // c.num_attention_heads
        freq = c.rope_parameters["rope_theta"] ** (-torch.arange(0, d, 2).double() / d)
        angle = torch.arange(n)[:, None].double() * freq
        cos, sin = torch.cat([angle.cos()] * 2, -1).float(), torch.cat([angle.sin()] * 2, -1).float()
        rotate = lambda x: x * cos + torch.cat([-x[..., d // 2:], x[..., :d // 2]], -1) * sin
        x, alpha = self.model.embed_tokens(ids)[0], (2 * c.num_hidden_layers) ** 0.25
        for b in self.model.layers:
            q, k, v = (getattr(b.self_attn, p)(x).view(n, heads, d).transpose(0, 1) for p in ("q_proj", "k_proj", "v_proj"))
            s = rotate(q) @ rotate(k).transpose(1, 2) / d ** 0.5 + torch.full((n, n), -torch.inf).triu(1)
            x = b.self_attn_layer_norm(alpha * x + b.self_attn.out_proj((s.softmax(-1) @ v).transpose(0, 1).reshape(n, -1)))
            x = b.final_layer_norm(alpha * x + b.fc2(torch.nn.functional.gelu(b.fc1(x))))
        return type("Out", (), {"logits": (x @ self.model.embed_tokens.weight.T)[None]})

    def save_pretrained(self, path):
        os.makedirs(path)
        save_file({k: v.contiguous() for k, v in self.state_dict().items()}, f"{path}/model.safetensors", metadata={"format": "pt"})
        config = {k: getattr(self.Config, k) for k in vars(self.Config) if not k.startswith("_")}
        with open(f"{path}/config.json", "w") as f:
            json.dump({"model_type": "deepnorm", "architectures": ["DeepNormForCausalLM"], "hidden_act": "gelu", "tie_word_embeddings": True,
                       **config}, f, indent=2)


def deepnorm():
    m = DeepNorm()
    randomize(m, 18)
    decoder("deepnorm", m, grads=True)
    plain_gguf("deepnorm", "deepnorm", m, {"model.embed_tokens": "token_embd"}, {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
               "self_attn.v_proj": "attn_v", "self_attn.out_proj": "attn_output", "self_attn_layer_norm": "attn_output_norm", "fc1": "ffn_up",
               "fc2": "ffn_down", "final_layer_norm": "layer_output_norm"})


def bert_cls():
    base = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
    m = tf.BertForSequenceClassification(tf.BertConfig(**base, max_position_embeddings=40, type_vocab_size=2, pad_token_id=0, num_labels=3, **eager)).eval()
    randomize(m, 19)
    encoder("bert_cls", m, True)
    bert_gguf("bert_cls", m, 0)


def xlmr_cls():
    base = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
    m = tf.XLMRobertaForSequenceClassification(tf.XLMRobertaConfig(**base, max_position_embeddings=42, type_vocab_size=1, layer_norm_eps=1e-5,
            pad_token_id=1, bos_token_id=0, eos_token_id=2, num_labels=1, **eager)).eval()
    randomize(m, 20)
    encoder("xlmr_cls", m, False)
    bert_gguf("xlmr_cls", m, 2)


def older():
    small = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                 head_dim=16, max_position_embeddings=256, rms_norm_eps=1e-5, pad_token_id=None, bos_token_id=1, eos_token_id=2)
    c = tf.LlamaConfig(**small, tie_word_embeddings=True, rope_parameters={"rope_type": "llama3", "rope_theta": 100.0, "factor": 8.0,
                       "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}, **eager)
    m = tf.LlamaForCausalLM(c)
    randomize(m, 1)
    decoder("llama", m, grads=True)
    llama_gguf("llama", m, rope_llama3)

    c = tf.LlamaConfig(**small, tie_word_embeddings=False, attention_bias=True, rope_parameters={"rope_type": "yarn", "rope_theta": 1000.0,
                       "factor": 4.0, "original_max_position_embeddings": 64}, **eager)
    m = tf.LlamaForCausalLM(c)
    randomize(m, 2)
    decoder("llama_yarn", m)
    llama_gguf("llama_yarn", m, rope_yarn)

    c = tf.Gemma3TextConfig(vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=6, num_attention_heads=2,
                            num_key_value_heads=1, head_dim=16, max_position_embeddings=256, sliding_window=8, query_pre_attn_scalar=20,
                            rms_norm_eps=1e-6, pad_token_id=0, bos_token_id=2, eos_token_id=1, tie_word_embeddings=True, **eager)
    m = tf.Gemma3ForCausalLM(c)
    randomize(m, 3)
    decoder("gemma3", m)
    gemma3_gguf(m)

    base = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
    m = tf.BertModel(tf.BertConfig(**base, max_position_embeddings=40, type_vocab_size=2, layer_norm_eps=1e-12, pad_token_id=0, **eager)).eval()
    randomize(m, 4)
    encoder("bert", m, True)
    bert_gguf("bert", m, 0)

    m = tf.XLMRobertaModel(tf.XLMRobertaConfig(**base, max_position_embeddings=42, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1,
                           bos_token_id=0, eos_token_id=2, **eager)).eval()
    randomize(m, 5)
    encoder("xlmr", m, False)
    bert_gguf("xlmr", m, 2)


def rope_table():
    cases = [
        ("default", 64, 2048, {"rope_type": "default", "rope_theta": 10000.0}),
        ("linear", 64, 8192, {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}),
        ("yarn", 128, 131072, {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": 32768}),
        ("yarn", 128, 65536, {"rope_type": "yarn", "rope_theta": 1e4, "factor": 16.0, "original_max_position_embeddings": 4096}),
        ("yarn", 64, 8192, {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 2048,
                            "truncate": False, "beta_fast": 16.0, "beta_slow": 2.0, "mscale": 0.7, "mscale_all_dim": 1.3}),
        ("yarn", 64, 8192, {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 2048,
                            "attention_factor": 1.5}),
        ("llama3", 64, 131072, {"rope_type": "llama3", "rope_theta": 5e5, "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                "original_max_position_embeddings": 8192}),
        ("llama3", 128, 131072, {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                 "original_max_position_embeddings": 8192}),
        ("longrope", 16, 131072, {"rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 4096, "factor": 32.0,
                                  "short_factor": [1.0, 1.05, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6],
                                  "long_factor": [1.0, 1.5, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]}),
    ]
    out = []
    for kind, dim, ctx, params in cases:
        c = tf.LlamaConfig(hidden_size=dim * 2, num_attention_heads=2, head_dim=dim, max_position_embeddings=ctx, rope_parameters=dict(params))
        if kind == "default":
            inv, scale = 1.0 / params["rope_theta"] ** (torch.arange(0, dim, 2).double() / dim), 1.0
        else:
            length = {"seq_len": ctx} if kind == "longrope" else {}
            inv, scale = ROPE_INIT_FUNCTIONS[kind](c, None, **length)
        out.append({"head_dim": dim, "context": ctx, "rope_parameters": params, "scale": float(scale), "freq": [float(f"{x:.8g}") for x in inv.tolist()]})
    with open(f"{OUT}/rope.json", "w") as f:
        json.dump(out, f, indent=0)


ALL = dict(older=older, rope=rope_table, mistral=mistral, qwen2=qwen2, qwen2_window=qwen2_window, qwen3=qwen3, phi3=phi3, gpt2=gpt2,
           nomic_bert=nomic_bert, deepnorm=deepnorm, bert_cls=bert_cls, xlmr_cls=xlmr_cls)
for NAME in sys.argv[1:] or ALL:
    ALL[NAME]()
