[ -f "$SOOTH_MODELS/e5.gguf" ] && [ -f "$SOOTH_MODELS/smollm2.gguf" ] || { echo "SKIP models/e5.gguf or smollm2.gguf is not installed"; exit; }
bin=$SOOTH_BUILD/examples
"$bin/example-hello" smollm2 "What is the capital of France?" | grep -o Paris | head -n 1
"$bin/example-nearest" e5 "How do I cook rice?" "The stock market fell." "Rice needs twice its volume of water." | tail -n 1
printf 'The warranty of the kettle lasts 3 years.\nReturn it to the shop.\n' > kettle.txt
"$bin/example-ask" kb "How long does the warranty of the kettle last?" kettle.txt | sed "s|$PWD/||"
