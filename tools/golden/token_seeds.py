#!/usr/bin/env python3
"""Writes the first inputs of the tokenizer and template fuzz targets to tests/fuzz/corpus."""
import json
import pathlib

corpus = pathlib.Path(__file__).resolve().parents[2] / "tests/fuzz/corpus"


def put(target, name, data):
    (corpus / target).mkdir(parents=True, exist_ok=True)
    (corpus / target / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def vocabulary(flags, rows, text):
    return bytes([flags]) + "".join(r + "\n" for r in rows).encode() + b"\0" + text.encode()


special = ["2<unk>", "3<s>", "3</s>", "4\u2581\u2581", "4<b>"]
text = "<s>aa bb\n<b>11 \u4e2d\u4e2d\u00e9</s>aab abba  x"
letters = ["1a", "1b", "11", "1\u2581", "1\u0120", "1\u010a", "1\u4e2d"]
put("fuzz_token_bpe", "small", vocabulary(2, special + letters + ["1aa", "1a a", "1aab", "1aa b"], text))
put("fuzz_token_bpe", "llama", vocabulary(3, special + letters + ["1aa", "1a a"], text))
put("fuzz_token_bpe", "deepseek", vocabulary(6, special + letters + ["1aa", "1a a"], text))
put("fuzz_token_spm", "small", vocabulary(0, special + letters + ["1aa", "1\u2581a", "6<0x0A>", "6<0xC3>"], text))
put("fuzz_token_wordpiece", "small", vocabulary(8, special + letters + ["1##a", "1##b", "1ab"], text))
put("fuzz_token_wordpiece", "marked", vocabulary(0, special + letters + ["1\u2581a", "1b"], text))
put("fuzz_token_unigram", "small", vocabulary(0, special + letters + ["1aa", "1\u2581a"], text))
added = [{"id": 9, "content": "<s>", "special": True}, {"id": 10, "content": "<b>", "special": False}]
byte_level = {"type": "ByteLevel", "add_prefix_space": False}
put("fuzz_tokenizer_json", "bpe", json.dumps({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "aa": 2}, "merges": ["a a"]},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]}, "added_tokens": added}))
put("fuzz_tokenizer_json", "spm", json.dumps({"model": {"type": "BPE", "byte_fallback": True, "vocab": {"a": 0, "\u2581": 1, "aa": 2, "<0x62>": 3},
    "merges": [["a", "a"]]}, "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}, "added_tokens": added}))
put("fuzz_tokenizer_json", "wordpiece", json.dumps({"model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "a": 1, "##b": 2}},
    "normalizer": {"type": "BertNormalizer", "lowercase": True}, "pre_tokenizer": {"type": "BertPreTokenizer"}, "added_tokens": added}))
put("fuzz_tokenizer_json", "unigram", json.dumps({"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["a", -1], ["\u2581", -2.5]]},
    "normalizer": {"type": "Precompiled", "precompiled_charsmap": "BAAAAAAAAAAA"}, "pre_tokenizer": {"type": "Metaspace"}, "added_tokens": added}))
put("fuzz_template", "chat", "{{- bos_token }}{%- for m in messages if m.content -%}<|{{ m['role'] }}|>{{ m.content | trim }}{% if not loop.last %}\n"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}")
put("fuzz_template", "language", "{% macro f(a, b=2) %}{{ a ~ b }}{{ caller() if caller }}{% endmacro %}{% set ns = namespace(x=[1, 2.5, 'y'][::-1]) %}"
    "{% for k, v in {'a': (1,), 'b': none}.items() recursive %}{% set ns.x = ns.x + [k] %}{% else %}{% break %}{% endfor %}"
    "{{ ns.x|map('string')|join(', ')|upper }}{% set t %}{{ messages|tojson(indent=2) }}{% endset %}{% filter indent(2) %}{{ t[3:-3] }}{% endfilter %}"
    "{% call f(1) %}{{ 7 // 2 ** 2 % 3 }}{% endcall %}{{ messages|selectattr('role', 'equalto', 'user')|list|length is odd }}{# c #}")
put("fuzz_template", "methods", "{% for m in messages %}{{ (m.content or '').split(' ', 1)|last }}{{ m.role.replace('s', '{}').format(loop.index) }}"
    "{{ m|dictsort|string }}{{ range(3)|sum if m.role.startswith(('u', 's')) else raise_exception('no') }}{% endfor %}{{ strftime_now('%Y') }}")
