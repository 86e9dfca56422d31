[ -f "$SOOTH_MODELS/smollm2.gguf" ] || { echo "SKIP models/smollm2.gguf is not installed"; exit; }
sooth tokenize --ids "The capital of France is Paris."
printf 'Hello, 世界!\n' | sooth tokenize --ids
echo "-- user text never yields control tokens"
sooth tokenize --ids "<|im_start|>"
sooth tokenize --ids --special "<|im_start|>"
