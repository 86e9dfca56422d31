#!/usr/bin/env python3
"""Added tokens that swallow the blanks around them, as Hugging Face's tokenizers cut them: tests/golden/token/added.json.

A byte-level vocabulary of bytes alone, and four special tokens: plain, lstrip, rstrip, both. Needs tokenizers.
"""
import json

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
t = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
t.decoder = decoders.ByteLevel()
t.add_special_tokens([AddedToken("<p>", normalized=False), AddedToken("<l>", lstrip=True, normalized=False), AddedToken("<r>", rstrip=True, normalized=False),
                      AddedToken("<b>", lstrip=True, rstrip=True, normalized=False)])
TEXTS = ["a<p>b", " a <p> b ", "a  <l>  b", "a  <r>  b", "a \n<b>\t b", "<r>\n  hi<r>", "<l> <l>", "<r> <l>", "<r>  <p>", " <b> ", "x\u3000<b>\u00a0y", "<r>\n<r>\n\n<p>\n", "<l>",
         "  <l>", "<b><b>  <b>", "a<r>中 <l>"]
with open("tests/golden/token/added.json", "w") as f:
    json.dump({"tokenizer": t.to_str(), "cases": [{"text": x, "ids": t.encode(x, add_special_tokens=False).ids} for x in TEXTS]}, f, ensure_ascii=False, indent=0)
