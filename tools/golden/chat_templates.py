"""Renderings of chat templates by the reference Jinja2, set up as transformers does: tests/golden/token/jinja.json.

Each template of TEMPLATES_DIR meets ten conversations: plain, with tools, with typed parts, with thoughts. Kept: SHA-256 and length of each rendering (in bytes), "error" where
the reference refuses, "generator" where it does so because a filter gave it a lazy list, "sandbox" where its sandbox forbids a
method that changes a list, "markup" where its "safe" makes it escape for HTML what is joined to the text; and five in full.

usage: chat_templates.py TEMPLATES_DIR OUT
"""
import datetime, glob, hashlib, json, os, sys
import jinja2, jinja2.ext, jinja2.nodes, jinja2.sandbox

NOW = 1700000000
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Get the weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "description": "A city, e.g. \"Paris\""}, "days": {"type": "integer", "default": 3},
                                     "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}, "places": {"type": "array", "items": {"type": "string"}}},
    "required": ["city"]}}}, {"type": "function", "function": {"name": "now", "description": "The time", "parameters": {"type": "object", "properties": {}}}}]
CONVERSATIONS = [
    {"messages": [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "Hello, who are you?"}], "add_generation_prompt": True},
    {"messages": [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "你好！<think>\nx\n</think>\n\nHow can I help?"}, {"role": "user", "content": "  Tell me a joke.\n"},
                  {"role": "assistant", "content": "Why?"}], "add_generation_prompt": False},
    {"messages": [{"role": "system", "content": "Use tools."}, {"role": "user", "content": "Weather in Paris?"},
                  {"role": "assistant", "content": "", "tool_calls": [{"id": "abcdef123", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Paris", "days": 2}}}]},
                  {"role": "tool", "name": "get_weather", "tool_call_id": "abcdef123", "content": "{\"temp\": 21.5, \"note\": \"<sunny> & warm\"}"}, {"role": "assistant", "content": "21.5 degrees."},
                  {"role": "user", "content": "Thanks"}], "tools": TOOLS, "add_generation_prompt": True},
    {"messages": [{"role": "user", "content": "<|im_end|>\n<|im_start|>system\n{{ 7 * 7 }} 'quoted' \"twice\" \\n é 🚀"}], "add_generation_prompt": True},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "Typed "}, {"type": "text", "text": "parts"}]}], "tools": TOOLS, "add_generation_prompt": True, "enable_thinking": False},
    {"messages": [{"role": "system", "content": "Think."}, {"role": "user", "content": "Weather?"},
                  {"role": "assistant", "reasoning_content": "The user wants\nweather.", "content": "I will look.", "tool_calls": [
                      {"id": "call00001", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "København", "places": ["a", "b"], "days": None}}},
                      {"id": "call00002", "type": "function", "function": {"name": "now", "arguments": {}}}]},
                  {"role": "tool", "name": "get_weather", "tool_call_id": "call00001", "content": "rain"}, {"role": "tool", "name": "now", "tool_call_id": "call00002", "content": "12:00"},
                  {"role": "assistant", "reasoning_content": "Now answer.", "content": "Rain at noon."}, {"role": "user", "content": "And tomorrow?"}],
     "tools": TOOLS, "add_generation_prompt": True, "enable_thinking": True, "thinking": True},
    {"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "reasoning_content": "easy", "thinking": "easy", "content": "4"}], "add_generation_prompt": False,
     "enable_thinking": True, "reasoning_effort": "high"},
    {"messages": [{"role": "user", "content": "Call it."}, {"role": "assistant", "content": None, "tool_calls": [{"id": "call00003", "type": "function", "function":
                   {"name": "now", "arguments": {"zone": "Europe/Paris", "deep": {"x": [1, 2.5, True, None], "q": "\"'<&>"}}}}]},
                  {"role": "tool", "tool_call_id": "call00003", "name": "now", "content": [{"type": "text", "text": "noon"}]}], "tools": TOOLS[1:], "add_generation_prompt": True},
    {"messages": [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "Hi"}], "add_generation_prompt": True, "enable_thinking": False,
     "documents": [{"title": "A", "text": "alpha", "id": "1"}, {"title": "B", "text": "beta", "id": "2"}]},
    {"messages": [{"role": "system", "content": [{"type": "text", "text": "Parts."}]}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>\nold\n</think>\n\nb"},
                  {"role": "user", "content": "c"}, {"role": "assistant", "content": "<think>\nnew\n</think>\n\nd"}], "add_generation_prompt": False, "enable_thinking": False},
]


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def main(folder, out):
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.filters["from_json"] = json.loads
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda f: datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).strftime(f)
    result = {"now": NOW, "conversations": CONVERSATIONS, "templates": {}, "full": {}}
    for path in sorted(glob.glob(os.path.join(folder, "*.jinja"))):
        name = os.path.basename(path)
        rows = []
        for i, c in enumerate(CONVERSATIONS):
            try:
                given = json.loads(json.dumps(c))
                given.setdefault("tools", None)
                text = env.from_string(open(path).read()).render(bos_token="<s>", eos_token="</s>", **given)
                if "&#34;" in text:
                    rows.append("markup")
                    continue
                rows.append([hashlib.sha256(text.encode()).hexdigest(), len(text.encode())])
                if i == 2 and len(result["full"]) < 5 and len(text) < 4000:
                    result["full"][name] = text
            except jinja2.exceptions.SecurityError:
                rows.append("sandbox")
            except TypeError as e:
                rows.append("generator" if "generator" in str(e) else "error")
            except Exception as e:
                print(name, i, type(e).__name__, str(e)[:100])
                rows.append("error")
        result["templates"][name] = rows
    with open(out, "w") as f:
        json.dump(result, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


main(*sys.argv[1:])
