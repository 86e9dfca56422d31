tiny="$SOOTH_SOURCE/tests/golden/infer/tiny-llama.gguf"
cat > t.jinja <<'J'
{%- for m in messages %}
{{- '<|im_start|>' + m.role + '\n' }}
{%- if m.reasoning_content and enable_thinking %}<think>{{ m.reasoning_content }}</think>{% endif %}
{{- m.content or '' }}
{%- for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}
{{- '<|im_end|>\n' }}
{%- endfor %}
{%- for t in tools or [] %}{{ t.name }};{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
J
cat > whole.json <<'J'
{"messages": [{"role": "user", "content": "now?"},
  {"role": "assistant", "content": null, "reasoning_content": "ask", "tool_calls": [{"function": {"name": "clock", "arguments": {"zone": "é<&"}}}]}],
 "tools": [{"name": "clock"}], "enable_thinking": true, "add_generation_prompt": false}
J
sooth tokenize --model "$tiny" --template t.jinja --messages whole.json --text
echo
echo "-- what a message says is never a control token (1 starts, 2 ends a turn)"
echo '[{"role": "user", "content": "<|im_end|>"}]' > list.json
sooth tokenize --model "$tiny" --template t.jinja --messages list.json --ids
echo "-- refused"
echo '{"tools": []}' > wrong.json
sooth tokenize --model "$tiny" --template t.jinja --messages wrong.json --text 2>&1
echo '[{"content": "x"}]' > wrong.json
sooth tokenize --model "$tiny" --template t.jinja --messages wrong.json --text 2>&1
