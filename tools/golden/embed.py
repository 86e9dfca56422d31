#!/usr/bin/env python3
"""Golden vectors of the embedders, for tests/unit/infer/test_embed.c.

  embed.py minilm MODEL_DIR > tests/golden/infer/minilm.txt     needs torch and transformers
  embed.py e5 E5_PROGRAM E5_FILE > tests/golden/infer/e5.txt     needs the reference program of the E5S1 format

MiniLM: the published model in f32, mean over the attention mask, unit length, at most 256 tokens.
E5: vectors of the format's own program, compiled as
  cc -O2 -o e5_vectors tools/golden/e5_vectors.c e5.c -lm   (the program prints one vector a line)
Each output line is the vector as 384 numbers with 7 digits.
"""
import subprocess
import sys

TEXTS = [
    "How do I reset the pressure gauge?",
    "The tank holds 1.5 litres; never fill it above the red mark.",
    "Paris is the capital of France.",
    "水箱的容量是1.5升，请勿超过红线。",
    "a",
    "Naïve café: the résumé, coöperate & 3,141.59 — it's “quoted”…  twice   spaced\tand tabbed. " * 3,
]


def minilm(directory):
    import torch
    from transformers import AutoModel, AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModel.from_pretrained(directory).eval()
    for text in TEXTS:
        batch = tokenizer(text, return_tensors="pt", truncation=True, max_length=256)
        with torch.no_grad():
            hidden = model(**batch).last_hidden_state[0]
        v = torch.nn.functional.normalize(hidden.mean(0), dim=0)
        print(" ".join(f"{x:.7g}" for x in v.tolist()))


def e5(program, model):
    # Three texts as queries, three as passages.
    for i, text in enumerate(TEXTS):
        kind = "query" if i % 2 == 0 else "passage"
        print(subprocess.run([program, model, kind, text], check=True, capture_output=True, text=True).stdout.strip())


if __name__ == "__main__":
    {"minilm": minilm, "e5": e5}[sys.argv[1]](*sys.argv[2:])
