#!/usr/bin/env python3
"""Tiny models with random weights, for tests of generation, embedding, conversion and failure.

  tiny_models.py OUT_DIR      needs numpy, gguf, safetensors; writes

  tiny-llama.gguf   llama, 2 blocks, 32 wide, 2 heads / 1 KV, byte-level BPE of 320 tokens, ChatML template, F32 and F16
  tiny-bert/        BertModel as a Hugging Face directory: 2 blocks, 32 wide, WordPiece of 120 tokens, mean pooling
"""
import json
import os
import sys

import gguf
import numpy as np
from safetensors.numpy import save_file

rng = np.random.default_rng(20240607)


def normal(*shape, scale=0.3):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def byte_chars():
    """The printable character of each byte in byte-level BPE."""
    keep = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    out, extra = {}, 0
    for b in range(256):
        if b in keep:
            out[b] = chr(b)
        else:
            out[b] = chr(256 + extra)
            extra += 1
    return out


CHATML = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
          "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def tiny_llama(path):
    dim, layers, heads, kv, ff = 32, 2, 2, 1, 64
    chars = byte_chars()
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + [chars[b] for b in range(256)]
    merges = []
    words = ["th", "the", "er", "in", "an", "and", "re", "on", "ou", "at", "en", "es", "or", "to", "user", "us", "ing", "wa", "is", "it"]
    known = set(tokens)
    for word in words:
        parts = list(word)
        while len(parts) > 1:  # left to right is enough for a tiny vocabulary
            merged = parts[0] + parts[1]
            if merged not in known:
                tokens.append(merged)
                known.add(merged)
                merges.append(parts[0] + " " + parts[1])
            parts = [merged] + parts[2:]
    for word in ["th", "a", "in", "the", "i", "o", "w"]:
        merged = chars[32] + word
        tokens.append(merged)
        merges.append(chars[32] + " " + word)
    vocab = 320
    while len(tokens) < vocab:
        tokens.append(f"<|unused_{len(tokens)}|>")
    types = [gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * (len(known) - 3 + 7)
    types += [gguf.TokenType.CONTROL] * (vocab - len(types))
    w = gguf.GGUFWriter(path, "llama")
    w.add_name("tiny-llama")
    w.add_context_length(256)
    w.add_embedding_length(dim)
    w.add_block_count(layers)
    w.add_feed_forward_length(ff)
    w.add_head_count(heads)
    w.add_head_count_kv(kv)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_freq_base(10000.0)
    w.add_rope_dimension_count(dim // heads)
    w.add_vocab_size(vocab)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("smollm")
    w.add_token_list(tokens)
    w.add_token_types(types)
    w.add_token_merges(merges)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_add_bos_token(False)
    w.add_chat_template(CHATML)
    w.add_tensor("token_embd.weight", normal(vocab, dim, scale=1.0))
    for i in range(layers):
        b = f"blk.{i}."
        w.add_tensor(b + "attn_norm.weight", np.ones(dim, np.float32) + normal(dim, scale=0.1))
        w.add_tensor(b + "attn_q.weight", normal(dim, dim))
        w.add_tensor(b + "attn_k.weight", normal(kv * dim // heads, dim))
        w.add_tensor(b + "attn_v.weight", normal(kv * dim // heads, dim))
        w.add_tensor(b + "attn_output.weight", normal(dim, dim).astype(np.float16))
        w.add_tensor(b + "ffn_norm.weight", np.ones(dim, np.float32))
        w.add_tensor(b + "ffn_gate.weight", normal(ff, dim))
        w.add_tensor(b + "ffn_up.weight", normal(ff, dim))
        w.add_tensor(b + "ffn_down.weight", normal(dim, ff).astype(np.float16))
    w.add_tensor("output_norm.weight", np.ones(dim, np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def tiny_bert(directory):
    dim, layers, ff, positions = 32, 2, 64, 64
    os.makedirs(os.path.join(directory, "1_Pooling"), exist_ok=True)
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocab += [chr(c) for c in range(ord("a"), ord("z") + 1)] + [str(d) for d in range(10)] + list(".,!?'-")
    vocab += ["##" + chr(c) for c in range(ord("a"), ord("z") + 1)] + ["##" + str(d) for d in range(10)]
    vocab += ["the", "tank", "is", "full", "of", "water", "open", "valve", "##ing", "##ed", "水", "箱", "阀", "门"]
    while len(vocab) < 120:
        vocab.append(f"[unused{len(vocab)}]")
    t = {"embeddings.word_embeddings.weight": normal(len(vocab), dim, scale=1.0),
         "embeddings.position_embeddings.weight": normal(positions, dim),
         "embeddings.token_type_embeddings.weight": normal(2, dim),
         "embeddings.LayerNorm.weight": np.ones(dim, np.float32), "embeddings.LayerNorm.bias": normal(dim)}
    for i in range(layers):
        b = f"encoder.layer.{i}."
        for name, (o, n) in {"attention.self.query": (dim, dim), "attention.self.key": (dim, dim), "attention.self.value": (dim, dim),
                             "attention.output.dense": (dim, dim), "intermediate.dense": (ff, dim), "output.dense": (dim, ff)}.items():
            t[b + name + ".weight"] = normal(o, n)
            t[b + name + ".bias"] = normal(o)
        for name in ["attention.output.LayerNorm", "output.LayerNorm"]:
            t[b + name + ".weight"] = np.ones(dim, np.float32)
            t[b + name + ".bias"] = normal(dim)
    save_file(t, os.path.join(directory, "model.safetensors"), metadata={"format": "pt"})

    def write(name, value):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as f:
            json.dump(value, f, ensure_ascii=False, indent=1)
            f.write("\n")

    write("config.json", {"architectures": ["BertModel"], "model_type": "bert", "hidden_size": dim, "num_hidden_layers": layers,
                          "num_attention_heads": 2, "intermediate_size": ff, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
                          "max_position_embeddings": positions, "type_vocab_size": 2, "vocab_size": len(vocab), "pad_token_id": 0})
    write("1_Pooling/config.json", {"word_embedding_dimension": dim, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True,
                                    "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False})
    write("sentence_bert_config.json", {"max_seq_length": 48, "do_lower_case": False})
    write("tokenizer_config.json", {"do_lower_case": True, "tokenizer_class": "BertTokenizer", "model_max_length": 64,
                                    "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]", "pad_token": "[PAD]"})
    special = [{"id": i, "content": vocab[i], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
               for i in range(5)]
    write("tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
                           "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                                      {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
                           "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                                    {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
                                    {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
                           "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                                              "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                  "vocab": {v: i for i, v in enumerate(vocab)}}})
    with open(os.path.join(directory, "vocab.txt"), "w", encoding="utf-8") as f:
        f.write("\n".join(vocab) + "\n")


if __name__ == "__main__":
    tiny_llama(os.path.join(sys.argv[1], "tiny-llama.gguf"))
    tiny_bert(os.path.join(sys.argv[1], "tiny-bert"))
