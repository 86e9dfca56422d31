#!/usr/bin/env python3
"""Tiny cross-encoders with random weights and what transformers makes of pairs: tests/golden/infer/tiny-cross, tiny-classes.

Tokenizer and shape are tiny-bert's (tiny_models.py). want.json holds the pairs, their ids and types as the reference's tokenizer gives them
(the longer text is cut at 48 tokens), and the logits. Needs torch, transformers. Run from the root of the tree.
"""
import json
import os
import shutil

import torch
import transformers as tf

FROM, OUT = "tests/golden/infer/tiny-bert", "tests/golden/infer"
LONG = "the tank is full of water. " * 12
PAIRS = [("is the tank full?", "the tank is full of water."), ("open the valve", "水箱的阀门"), ("a", "b"), ("open", LONG), (LONG, "valve"), (LONG, LONG + "open"),
         ("is the tank full?", "3 valves."), ("", "water")]


def make(name, labels):
    path = f"{OUT}/{name}"
    shutil.rmtree(path, ignore_errors=True)
    base = tf.BertConfig.from_pretrained(FROM)
    config = tf.BertConfig(**{**base.to_dict(), "num_labels": len(labels), "id2label": dict(enumerate(labels)), "label2id": {x: i for i, x in enumerate(labels)}})
    m = tf.BertForSequenceClassification(config).eval()
    g = torch.Generator().manual_seed(31 + len(labels))
    for n, p in m.named_parameters():
        p.data = torch.randn(p.shape, generator=g) * 0.3 + (1 if "LayerNorm.weight" in n else 0)
    m.save_pretrained(path)
    for f in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(f"{FROM}/{f}", path)
    with open(f"{path}/tokenizer_config.json") as f:
        c = json.load(f)
    c["model_max_length"] = 48
    with open(f"{path}/tokenizer_config.json", "w") as f:
        json.dump(c, f, indent=1)
    t = tf.PreTrainedTokenizerFast(tokenizer_file=f"{path}/tokenizer.json", model_max_length=48, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
                                   unk_token="[UNK]")
    want = []
    for a, b in PAIRS:
        x = t(a, b, truncation="longest_first", max_length=48, return_tensors="pt", return_token_type_ids=True)
        with torch.no_grad():
            y = m(**x).logits[0]
        want.append({"a": a, "b": b, "ids": x["input_ids"][0].tolist(), "types": x["token_type_ids"][0].tolist(), "logits": [round(v, 6) for v in y.tolist()]})
    with open(f"{path}/want.json", "w") as f:
        json.dump(want, f, ensure_ascii=False, indent=0)


make("tiny-cross", ["relevance"])
make("tiny-classes", ["entailment", "neutral", "contradiction"])
