#!/bin/sh
# The main job on the sample documents: add them, then ask three questions, one in Chinese, one that they do not answer.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
sooth=$top/${BUILD:-build}/sooth
SOOTH_KB=${SOOTH_KB:-$top/.cache/demo-kb}
export SOOTH_KB
ask() {
    printf '\n$ sooth ask "%s"\n' "$1"
    "$sooth" ask "$1" || [ $? = 3 ]
}
mkdir -p "$(dirname "$SOOTH_KB")"
echo "\$ sooth add examples/docs"
(cd "$top" && "$sooth" add examples/docs)
ask "How long is the notice period for the flat?"
ask "博物馆周一开门吗？"
ask "What is the capital of France?"
