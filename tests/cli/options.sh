# An option that is accepted does something; what is not built is refused, and nothing is touched.
[ -f "$SOOTH_MODELS/e5.gguf" ] || { echo "SKIP models/e5.gguf is not installed"; exit; }
printf 'The red kettle holds 2 litres.\nThe warranty of the red kettle lasts 3 years.\n' > kettle.txt
sooth add --quiet --kb kb kettle.txt > /dev/null
sooth add --kb kb --ocr sometimes kettle.txt 2>&1; echo "exit $?"
printf '{"id":"a","question":"And how long does its warranty last?","history":[{"role":"user","content":"How much does the red kettle hold?"},{"role":"assistant","content":"The red kettle holds 2 litres."}]}\n' > q.jsonl
for r in auto none; do sooth ask --quiet --kb kb --rewrite $r --batch q.jsonl | sed 's/.*"queries":\[\([^]]*\)\].*/\1/'; done
