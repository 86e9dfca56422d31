#!/usr/bin/env python3
"""Writes the first inputs of the model-file fuzz targets to tests/fuzz/corpus."""
import pathlib
import shutil
import struct

root = pathlib.Path(__file__).resolve().parents[2]
corpus = root / "tests/fuzz/corpus"


def put(target, name, data):
    (corpus / target).mkdir(parents=True, exist_ok=True)
    (corpus / target / name).write_bytes(data)


def e5s1():
    """dim 32, one layer, 2 heads, ff 64, 7 rows for 5 pieces; all tensors share their data."""
    pieces = [b"<s>", b"<pad>", b"</s>", b"<unk>", b"<mask>"]
    out = b"E5S1" + struct.pack("<I7ifi", 1, 32, 1, 2, 64, 7, 4, 2, 1e-12, 32)
    offsets = [0]
    for p in pieces:
        offsets.append(offsets[-1] + len(p))
    out += struct.pack("<5iQ6I5f", 5, 0, 2, 1, 3, offsets[-1], *offsets, *[0.0] * 5) + b"".join(pieces)
    out += struct.pack("<iIIBIIB", 2, 14, 9, 1, 32, 173, 0)
    d, f = 32, 64
    sizes = [("emb.word", 1, 7 * d), ("emb.pos", 0, 4 * d), ("emb.type", 0, 2 * d), ("emb.ln.w", 0, d), ("emb.ln.b", 0, d)]
    for n, rows, cols in [("q", d, d), ("k", d, d), ("v", d, d), ("ao", d, d), ("fi", f, d), ("fo", d, f)]:
        sizes += [(f"l0.{n}.w", 1, rows * cols), (f"l0.{n}.b", 0, rows)]
    for n in ("aln", "oln"):
        sizes += [(f"l0.{n}.w", 0, d), (f"l0.{n}.b", 0, d)]
    out += struct.pack("<i", len(sizes))
    start = 1152
    for name, kind, n in sizes:
        out += struct.pack("<H", len(name)) + name.encode()
        out += struct.pack("<BIQQ", kind, n, start, n // 32 * 18 if kind else n * 4)
    assert len(out) <= start
    return out.ljust(start + 1152, b"\0")


def safetensors(header, data):
    """As fuzz_safetensors.c wants it: the header's share of the input in 256ths, header padded to fit, data."""
    share = 128
    total = 2 * max(len(header), data)
    return bytes([share - 1]) + header.ljust(total // 2) + bytes(total - total // 2)


put("fuzz_gguf", "small", (root / "tests/golden/file/small.gguf").read_bytes())
put("fuzz_e5s1", "small", e5s1())
one = b'{"a":{"dtype":"F32","shape":[2,%d],"data_offsets":[0,%d]}}'
header = one % (8, 64)
put("fuzz_safetensors", "one", safetensors(header.ljust(64), 64))
two = (b'{"__metadata__":{"format":"pt"},"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},'
       b'"b":{"dtype":"I8","shape":[255],"data_offsets":[1,256]},"z":{"dtype":"F16","shape":[0],"data_offsets":[256,256]}}')
put("fuzz_safetensors", "two", safetensors(two.ljust(256), 256))
put("fuzz_json", "all", b'{"k\\u00e9":[1.5e-3,true,null,"\\uD83D\\uDE00"],"b":{"c":[[],{}]},"b":-0,"n":[1e999,12345678901234567890]}')
put("fuzz_json", "bad", b'{"a":[1,2,{"x":"\\uD800"}],"a":tru}')


def adapters():
    """Directories that PEFT wrote, as one input each; the GGUF one is `sooth convert tests/golden/adapt/lora x.gguf --model tests/golden/arch/llama`
    behind a G."""
    for name in ("lora", "patterns", "dora", "prompt", "ptuning2"):
        at = root / "tests/golden/adapt" / name
        config, data = (at / "adapter_config.json").read_bytes(), (at / "adapter_model.safetensors").read_bytes()
        meta = b'{"method": "dora"}' if name == "dora" else b""
        put("fuzz_adapter", name, b"D" + struct.pack("<HH", len(config), len(meta)) + config + meta + data)


adapters()
