# The commands that end a chapter run as they stand, each chapter in a folder of its own; what they print is not compared.
for chapter in training instruction-tuning norms rope lora adapters prompts quantization; do
    mkdir "$chapter"
    sed -n '/^## Try it/,$p' "$SOOTH_SOURCE/docs/book/$chapter.md" | sed -n '/^```sh/,/^```/p' | grep -v '^```' > "$chapter.sh"
    (cd "$chapter" && bash -e "../$chapter.sh") > "$chapter.log" 2>&1 && echo "$chapter: $(grep -c . "$chapter.sh") lines run" || { echo "$chapter failed"; tail -n 5 "$chapter.log" >&2; }
done
