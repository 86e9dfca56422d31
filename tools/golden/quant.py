"""Golden blocks of number formats, by gguf-py (pip install gguf numpy): tests/golden/quant/blocks.txt.

One line a case: format, input (f32, hex, or - where the reference cannot quantize), block bytes, dequantized f32.
"""
import pathlib
import numpy as np
import gguf
from gguf.quants import dequantize, quantize

rng = np.random.default_rng(7)
T = gguf.GGMLQuantizationType
out = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/quant/blocks.txt"


def inputs():
    i = np.arange(32, dtype=np.float32)
    yield (i - 16) / 4                      # the blocks written out in docs/arch/kernels.md
    yield i - 16
    yield np.zeros(32)
    yield np.full(32, 3.25)
    yield np.full(32, -1e-3)
    yield np.where(i % 2 == 0, 1.0, -1.0)   # ties in magnitude: the first wins
    yield np.where(i == 0, 127.0, i % 5 + 0.5)  # exact halves
    yield rng.standard_normal(32) * 1e-9    # scale underflows f16
    yield rng.standard_normal(32) * 3e4
    for scale in (1e-3, 0.02, 1.0, 40.0):
        for _ in range(4):
            yield rng.standard_normal(32) * scale
    yield np.exp(rng.standard_normal(32) * 2)
    yield rng.uniform(0, 1, 32)


def line(name, x, b):
    y = dequantize(b, T[name.upper()]).astype(np.float32)
    return f"{name} {'-' if x is None else x.tobytes().hex()} {b.tobytes().hex()} {y.tobytes().hex()}\n"


with out.open("w") as f:
    for name in ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "bf16", "f16"):
        for x in inputs():
            x = x.astype(np.float32)
            f.write(line(name, x, quantize(x, T[name.upper()])))
    for name, size, halves in (("q4_k", 144, (0, 2)), ("q5_k", 176, (0, 2)), ("q6_k", 210, (208,))):
        for k in range(6):
            b = rng.integers(0, 256, size, dtype=np.uint8)
            for at in halves:
                b[at:at + 2] = np.frombuffer(np.float16(rng.standard_normal() * 10.0 ** -k).tobytes(), np.uint8)
            f.write(line(name, None, b))
