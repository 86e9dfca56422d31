#!/usr/bin/env python3
"""Writes tests/golden/file/small.{gguf,safetensors} and small-0000N-of-00003.gguf with the reference packages (pip: gguf, safetensors, numpy)."""
import pathlib
import gguf
import numpy as np
from safetensors.numpy import save_file

out = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/file"
a = (np.arange(6, dtype=np.float32) / 2).reshape(2, 3)
b = np.arange(8, dtype=np.float16)
w = gguf.GGUFWriter(str(out / "small.gguf"), "llama")
w.add_block_count(1)
w.add_rope_freq_base(10000.0)
w.add_tokenizer_model("gpt2")
w.add_token_list(["a", "中文"])
w.add_token_types([1, 1])
w.add_add_bos_token(True)
w.add_int32("test.negative", -7)
w.add_uint64("test.long", 1 << 40)
w.add_array("test.floats", [0.5, 1.5])
w.add_tensor("a.weight", a)
w.add_tensor("b.weight", b)
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
save_file({"a.weight": a, "b.weight": b}, str(out / "small.safetensors"), metadata={"format": "np"})
w = gguf.GGUFWriter(str(out / "small.gguf"), "llama", split_max_tensors=2)
w.add_block_count(1)
for i in range(5):
    w.add_tensor(f"t{i}.weight", a + i)
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
