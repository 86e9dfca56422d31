"""Golden blocks of number formats: tests/golden/quant/blocks.txt, by the reference's own C library and bitsandbytes.

    python tools/golden/quant.py LIBGGML_BASE     (llama.cpp's libggml-base.so; pip install numpy torch bitsandbytes)

One line a case: format, input (f32, hex), importance (f32, hex, or - for none), block bytes, FNV-1a of the dequantized f32.
Lines "nest" hold scales, map, offset, codes and peaks of double quantization.
"""
import ctypes
import pathlib
import sys
import numpy as np
import torch
import bitsandbytes.functional as bnb

rng = np.random.default_rng(7)
out = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/quant/blocks.txt"
lib = ctypes.CDLL(sys.argv[1])
lib.ggml_quantize_chunk.restype = ctypes.c_size_t
lib.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]


class Traits(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("block", ctypes.c_int64), ("interleave", ctypes.c_int64), ("size", ctypes.c_size_t),
                ("quantized", ctypes.c_bool), ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64))]


lib.ggml_get_type_traits.restype = ctypes.POINTER(Traits)
IDS = dict(f16=1, q4_0=2, q4_1=3, q5_0=6, q5_1=7, q8_0=8, q2_k=10, q3_k=11, q4_k=12, q5_k=13, q6_k=14, iq4_nl=20, bf16=30,
           mxfp4=39)
SIZES = dict(f16=2, q4_0=18 / 32, q4_1=20 / 32, q5_0=22 / 32, q5_1=24 / 32, q8_0=34 / 32, q2_k=84 / 256, q3_k=110 / 256,
             q4_k=144 / 256, q5_k=176 / 256, q6_k=210 / 256, iq4_nl=18 / 32, bf16=2, mxfp4=17 / 32)


def inputs(n):
    i = np.arange(n, dtype=np.float32)
    yield (i % 32 - 16) / 4                 # the blocks written out in docs/arch/kernels.md
    yield np.zeros(n)
    yield np.full(n, 3.25)
    yield np.full(n, -1e-3)
    yield np.where(i % 2 == 0, 1.0, -1.0)   # ties in magnitude: the first wins
    yield np.where(i % 32 == 0, 127.0, i % 5 + 0.5)  # exact halves
    yield rng.standard_normal(n) * 1e-9     # scale underflows f16
    yield rng.standard_normal(n) * 3e4
    for scale in (0.02, 1.0):
        for _ in range(3):
            yield rng.standard_normal(n) * scale
    yield np.exp(rng.standard_normal(n) * 2)
    yield np.where(i // 16 % 3 == 0, 0.0, rng.standard_normal(n))
    yield rng.uniform(0, 1, n)


def by_reference(name, x, w):
    y = np.zeros_like(x)
    b = np.zeros(round(SIZES[name] * len(x)), np.uint8)
    got = lib.ggml_quantize_chunk(IDS[name], x.ctypes.data, b.ctypes.data, 0, 1, len(x), None if w is None else w.ctypes.data)
    assert got == len(b)
    lib.ggml_get_type_traits(IDS[name])[0].to_float(b.ctypes.data, y.ctypes.data, len(x))
    return b, fnv(y)


def by_bitsandbytes(x):
    q, state = bnb.quantize_4bit(torch.from_numpy(x), blocksize=64, quant_type="nf4")
    y = bnb.dequantize_4bit(q, state).numpy()
    peaks, codes = state.absmax.numpy(), q.numpy().reshape(-1, 32)
    return np.concatenate([np.concatenate([p.view(np.uint8), c]) for p, c in zip(peaks.reshape(-1, 1), codes)]), fnv(y)


def fnv(y):
    h = 0xcbf29ce484222325
    for b in y.tobytes():
        h = (h ^ b) * 0x100000001b3 % 2**64
    return f"{h:016x}"


def line(*fields):
    return " ".join("-" if f is None else f if isinstance(f, str) else f.tobytes().hex() for f in fields) + "\n"


with out.open("w") as f:
    for name in IDS:
        n = 256 if name.endswith("_k") else 32
        for k, x in enumerate(inputs(n)):
            x = x.astype(np.float32)
            f.write(line(name, x, None, *by_reference(name, x, None)))
            if k > 10 and name not in ("f16", "bf16", "q8_0", "mxfp4"):
                w = np.exp(2 * rng.standard_normal(n)).astype(np.float32)
                w[3::5] = 0 if k % 2 else w[3::5]
                f.write(line(name, x, w, *by_reference(name, x, w)))
    for k, x in enumerate(inputs(128)):
        if k != 1: # 0/0 there
            x = x.astype(np.float32)
            f.write(line("nf4", x, None, *by_bitsandbytes(x)))
    scale = (np.abs(rng.standard_normal(700)) * 0.1 + 0.05).astype(np.float32)
    offset = np.float32(scale.astype(np.float64).mean())
    # the nearest of the map, as its GPU and plain backends choose; the CPU build's lookup table is one off in about 700
    _, state = bnb.quantize_blockwise(torch.from_numpy(scale - offset), blocksize=256)
    peaks = np.repeat(state.absmax.numpy(), 256)[:700]
    code = np.abs(((scale - offset) * (np.float32(1) / peaks))[:, None] - bnb.create_dynamic_map().numpy()).argmin(1).astype(np.uint8)
    f.write(line("nest", scale, bnb.create_dynamic_map().numpy(), np.array([offset]), code, state.absmax.numpy()))
