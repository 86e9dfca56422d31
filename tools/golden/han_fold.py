#!/usr/bin/env python3
"""Makes src/know/index/han_fold.inc: Traditional (and variant) characters and the Simplified one each folds to.

Sources: OpenCC 1.1.6 `t2s` (Apache-2.0), and for what it leaves alone ICU 72 `Hant-Hans` (Unicode licence).
Needs the Debian packages opencc and icu-devtools. Only the basic plane; chains are followed to their end.
usage: han_fold.py > src/know/index/han_fold.inc"""
import subprocess

chars = [chr(c) for c in [*range(0x3400, 0xA000), *range(0xF900, 0xFB00)]]


def run(*command):
    text = "\n".join(chars).encode()
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")


fold = {}
for lines in (run("uconv", "-x", "Hant-Hans"), run("opencc", "-c", "t2s")):
    for c, to in zip(chars, lines):
        if len(to) == 1 and to != c and ord(to) < 0x10000:
            fold[c] = to
for c in list(fold):
    seen = {c}
    while fold[c] in fold and fold[c] not in seen:
        seen.add(fold[c])
        fold[c] = fold[fold[c]]
pairs = "".join(c + fold[c] for c in sorted(fold) if fold[c] != c)
for i in range(0, len(pairs), 32):
    print(f'"{pairs[i:i + 32]}"')
