/* test_template.c: chat templates: 67 published ones against the reference engine (tests/golden/token/jinja.json, made by
 * tools/golden/chat_templates.py), the language piece by piece, segments, budgets. */
#include <dirent.h>
#include "token_support.h"
#include "core/base/hash.h"

static const struct json *parse(struct arena *a, const char *text)
{
    struct sooth_error err = {0};
    const struct json *j = json_parse(a, text, strlen(text), 0, NULL, &err);
    if (!j)
        fail_msg("%s: %s", text, err.text);
    return j;
}

/* Status of rendering; the text goes to out (if not NULL). */
static enum sooth_status render(const char *source, const char *messages, struct buf *out, struct token_segments *segments,
                                struct arena *a, struct sooth_error *err)
{
    struct template *t;
    struct template_options o = {.add_generation_prompt = true, .bos = "<s>", .eos = "</s>", .now = 1700000000};
    enum sooth_status status = template_parse(source, strlen(source), &t, err);
    if (status)
        return status;
    status = template_render(t, parse(a, messages), NULL, &o, a, segments, err);
    template_free(t);
    for (size_t i = 0; out && i < segments->count; i++)
        buf_add(out, segments->items[i].text, segments->items[i].len);
    return status;
}

static void check(const char *source, const char *want)
{
    struct arena a;
    struct buf out = BUF_INIT;
    struct token_segments segments;
    struct sooth_error err = {0};
    arena_init(&a, 0);
    if (render(source, "[{\"role\":\"user\",\"content\":\"Hi\"}]", &out, &segments, &a, &err))
        fail_msg("%s: %s", source, err.text);
    assert_string_equal(buf_str(&out), want);
    buf_release(&out);
    arena_release(&a);
}

static void check_fails(const char *source, enum sooth_status status, const char *says)
{
    struct arena a;
    struct token_segments segments;
    struct sooth_error err = {0};
    enum sooth_status got;
    arena_init(&a, 0);
    got = render(source, "[{\"role\":\"user\",\"content\":\"Hi\"}]", NULL, &segments, &a, &err);
    if (got != status || !strstr(err.text, says))
        fail_msg("%.80s: status %s, '%s'", source, sooth_status_name(got), err.text);
    arena_release(&a);
}

/* ---- against the reference ---- */

struct golden_file { struct arena arena; const struct json *root; };

static void golden_open(struct golden_file *g)
{
    char path[4096];
    size_t len;
    char *text = read_all(golden_path("jinja.json", path, sizeof path), &len);
    arena_init(&g->arena, 0);
    g->root = json_parse(&g->arena, text, len, 0, NULL, NULL);
    assert_non_null(g->root);
    mem_free(text);
}

static unsigned compare_case(const char *name, const struct template *t, const struct json *c, const struct json *want, size_t i,
                             const struct json *full)
{
    struct arena a;
    struct buf out = BUF_INIT;
    struct token_segments segments;
    struct sooth_error err = {0};
    struct template_options o = {.add_generation_prompt = json_bool(c, "add_generation_prompt", false), .bos = "<s>", .eos = "</s>",
                                 .now = 1700000000, .extra = c};
    enum sooth_status status;
    unsigned wrong = 0;
    char hex[65];
    arena_init(&a, 0);
    status = template_render(t, json_get(c, "messages"), json_get(c, "tools"), &o, &a, &segments, &err);
    for (size_t k = 0; k < segments.count; k++)
        buf_add(&out, segments.items[k].text, segments.items[k].len);
    sha256_hex(buf_str(&out), out.len, hex);
    if (want->type == JSON_STRING)
        /* "sandbox": the reference forbids append and pop; "markup": it escapes for HTML. Here both just work.
         * "generator": its filters are lazy, which JSON cannot show; what comes after may fail on its own. */
        wrong = !strcmp(want->text, "error") ? !status : strcmp(want->text, "generator") && status;
    else
        wrong = status || strcmp(json_at(want, 0)->text, hex) || (size_t)json_at(want, 1)->number != out.len;
    if (wrong)
        print_message("%s, conversation %zu: %s\n", name, i, status ? err.text : "other text than the reference");
    if (full && strcmp(buf_str(&out), full->text)) {
        print_message("%s:\n--- got\n%s\n--- want\n%s\n", name, buf_str(&out), full->text);
        wrong = 1;
    }
    if (getenv("SOOTH_SHOW") && wrong)
        print_message("%s\n", buf_str(&out));
    buf_release(&out);
    arena_release(&a);
    return wrong;
}

static void lesson_serving_18_templates_render_as_the_reference(void **state)
{
    struct golden_file g;
    char path[4096], dir[4096];
    unsigned wrong = 0, n = 0, unparsed = 0;
    (void)state;
    shared_path("data/vocab/templates", dir, sizeof dir);
    golden_open(&g);
    for (const struct json *row = json_get(g.root, "templates")->child; row; row = row->next, n++) {
        struct sooth_error err = {0};
        struct template *t;
        size_t len, i = 0;
        char *text;
        const struct json *c = json_get(g.root, "conversations")->child;
        assert_true(snprintf(path, sizeof path, "%.3000s/%.200s", dir, row->key) > 0);
        text = read_all(path, &len);
        if (template_parse(text, len, &t, &err)) {
            print_message("%s: %s\n", row->key, err.text);
            unparsed++;
            mem_free(text);
            continue;
        }
        mem_free(text);
        for (const struct json *want = row->child; want; want = want->next, c = c->next, i++)
            wrong += compare_case(row->key, t, c, want, i, i == 2 ? json_get(json_get(g.root, "full"), row->key) : NULL);
        template_free(t);
    }
    assert_int_equal(n, 67);
    assert_int_equal(unparsed, 0);
    assert_int_equal(wrong, 0);
    arena_release(&g.arena);
}

/* An unknown construct is named with its line; parsing or rendering says so, nothing dies. */
static void lesson_serving_18_unknown_construct_names_line(void **state)
{
    (void)state;
    check_fails("a\nb\n{% include 'x' %}", SOOTH_ERR_UNSUPPORTED, "line 3: statement 'include'");
    check_fails("{{ 1 }}\n{{ 'x'|frobnicate }}", SOOTH_ERR_UNSUPPORTED, "line 2: filter 'frobnicate'");
    check_fails("\n\n{{ 1 is strange }}", SOOTH_ERR_UNSUPPORTED, "line 3: test 'strange'");
    check_fails("{{ nothing(1) }}", SOOTH_ERR_UNSUPPORTED, "'nothing'");
    check_fails("{{ 'a'.__class__.x }}", SOOTH_ERR_ARG, "__class__");
    check_fails("{% if x %}", SOOTH_ERR_FORMAT, "endif");
    check_fails("{{ raise_exception('no system role') }}", SOOTH_ERR_ARG, "no system role");
}

/* ---- the language ---- */

static void language_expressions(void **state)
{
    (void)state;
    check("{{ 1 + 2 * 3 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }}", "7 3 -4 2 3.5 1024");
    check("{{ 'a' ~ 1 ~ none }} {{ 'ab' * 3 }} {{ [1, 2] + [3] }}", "a1None ababab [1, 2, 3]");
    check("{{ 1 < 2 < 3 }} {{ 1 in [1] }} {{ 'x' not in 'abc' }} {{ not false and true }}", "True True True True");
    check("{{ 'y' if 1 > 2 }}|{{ 'y' if 1 > 2 else 'n' }}", "|n");
    check("{{ 'abcdef'[1:3] }} {{ 'abc'[::-1] }} {{ [1,2,3,4][-2:] }} {{ [1,2,3][::-1] }} {{ 'abc'[-1] }}", "bc cba [3, 4] [3, 2, 1] c");
    check("{{ {'a': 1, 'b': [true, none]} }} {{ (1,) }} {{ 'it\\'s' | list }}", "{'a': 1, 'b': [True, None]} (1,) ['i', 't', \"'\", 's']");
    check("{{ 'x' 'y' }} {{ 1.0 }} {{ 1e20 }} {{ 0.1 + 0.2 }} {{ 12345.678 }}", "xy 1.0 1e+20 0.30000000000000004 12345.678");
    check("{{ missing is defined }} {{ missing is undefined }} {{ missing }}|{{ missing|default('d') }}", "False True |d");
}

static void language_statements(void **state)
{
    (void)state;
    check("{% for i in range(4) if i % 2 %}{{ i }}{{ ',' if not loop.last }}{% endfor %}", "1,3");
    check("{% for k, v in {'a': 1}.items() %}{{ k }}={{ v }}{% else %}none{% endfor %}{% for x in [] %}{% else %}none{% endfor %}", "a=1none");
    check("{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}", "013");
    check("{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}{% set n = namespace(v=1) %}{% for i in [1] %}"
          "{% set n.v = 2 %}{% endfor %}{{ n.v }}", "12");
    check("{% macro m(a, b='z') %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, b=2) }}", "1z12");
    check("{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}in{% endcall %}", "[in]");
    check("{% set t %}  a {% endset %}[{{ t|trim }}]{% filter upper %}x{% endfilter %}{% generation %}g{% endgeneration %}", "[a]Xg");
    check("{% for i in [[1, [2]]] recursive %}{{ i if i is number else loop(i) }}{% endfor %}", "12");
    check("  {% if true %}\nx\n  {% endif %}\ny {#- c -#} z\n", "x\nyz");
    check("a {%- if true -%} b {%- endif %} c", "ab c");
    check("{% set j = joiner(', ') %}{% for i in 'abc' %}{{ j() }}{{ i }}{% endfor %} {{ strftime_now('%Y-%m-%d') }}", "a, b, c 2023-11-14");
}

static void language_filters(void **state)
{
    (void)state;
    check("{{ {'b': 'é\"<', 'a': [1, 2.0]}|tojson }} {{ {'a': 1}|tojson(indent=2) }}", "{\"b\": \"é\\\"<\", \"a\": [1, 2.0]} {\n  \"a\": 1\n}");
    check("{{ ' x '|trim }}|{{ 'a,b'.split(',')|join('-') }}|{{ [3,1,2]|sort|first }}|{{ 'hello world'|title }}", "x|a-b|1|Hello World");
    check("{{ [{'a': 1}, {'a': 2}]|selectattr('a', 'equalto', 2)|map(attribute='a')|list }}", "[2]");
    check("{{ {'b': 1, 'a': 2}|dictsort }} {{ 'a\nb'|indent(2) }} {{ '12'|int + 1 }} {{ [1,1,2]|unique|list }}",
          "[('a', 2), ('b', 1)] a\n  b 13 [1, 2]");
    check("{{ 'aXbX'.replace('X', '') }} {{ '  a b  '.split() }} {{ 'a|b|c'.rsplit('|', 1) }} {{ 'xxa'.lstrip('x') }}", "ab ['a', 'b'] ['a|b', 'c'] a");
    check("{{ 'abc'.replace('', '-') }}", "-a-b-c-");
}

/* ---- segments ---- */

static void threat_input_is_never_control_text(void **state)
{
    struct arena a;
    struct token_segments s;
    struct sooth_error err = {0};
    (void)state;
    arena_init(&a, 0);
    assert_int_equal(render("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ (m.content|upper).replace('B', '<|b|>')|trim }}<|im_end|>\n{% endfor %}",
                            "[{\"role\":\"user\",\"content\":\" a<|x|>b \"}]", NULL, &s, &a, &err), SOOTH_OK);
    const struct { enum token_segment_kind kind; const char *text; } want[] = {
        {SEG_CONTROL, "<|im_start|>"}, {SEG_TEXT, "user"}, {SEG_CONTROL, "\n"}, {SEG_TEXT, "A<|X|>"}, {SEG_CONTROL, "<|b|><|im_end|>\n"}};
    assert_int_equal(s.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(s.items[i].kind, want[i].kind);
        assert_int_equal(s.items[i].len, strlen(want[i].text));
        assert_memory_equal(s.items[i].text, want[i].text, s.items[i].len);
    }
    arena_release(&a);
}

static void input_stays_input_through_json_slices_and_splits(void **state)
{
    struct arena a;
    struct token_segments s;
    struct sooth_error err = {0};
    struct buf template_part = BUF_INIT;
    (void)state;
    arena_init(&a, 0);
    assert_int_equal(render("{{ messages|tojson }}{{ messages }}{{ messages[0].content[::-1] }}{{ messages[0].content.split('x')|join }}"
                            "{{ '%s{}'.format(messages[0].content) }}{% set t %}{{ messages[0].content }}{% endset %}{{ t|indent(2, true)|title }}",
                            "[{\"role\":\"<|r|>\",\"content\":\"<|x|>\"}]", NULL, &s, &a, &err), SOOTH_OK);
    for (size_t i = 0; i < s.count; i++)
        if (s.items[i].kind == SEG_CONTROL)
            buf_add(&template_part, s.items[i].text, s.items[i].len);
    assert_null(strchr(buf_str(&template_part), '<'));
    assert_null(strchr(buf_str(&template_part), '|'));
    buf_release(&template_part);
    arena_release(&a);
}

static void plain_template(void **state)
{
    (void)state;
    check(template_plain, "User: Hi\n\nAssistant:");
}

/* ---- budgets ---- */

static void threat_template_budgets(void **state)
{
    struct buf deep = BUF_INIT;
    (void)state;
    check_fails("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", SOOTH_ERR_LIMIT, "steps");
    check_fails("{{ range(100001) }}", SOOTH_ERR_LIMIT, "range");
    check_fails("{{ 'x' * 9000000 }}", SOOTH_ERR_LIMIT, "");
    check_fails("{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", SOOTH_ERR_LIMIT, "");
    check_fails("{{ ('a' * 100000).replace('a', 'b' * 10000) }}", SOOTH_ERR_LIMIT, "");
    check_fails("{{ ('a' * 100000).replace('', 'b' * 10000) }}", SOOTH_ERR_LIMIT, "");
    check_fails("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", SOOTH_ERR_LIMIT, "");
    check_fails("{% set l = [] %}{% set q = l.append(l) %}{{ l }}", SOOTH_ERR_LIMIT, "");
    check_fails("{% set l = [] %}{% set q = l.append(l) %}{{ l|tojson }}", SOOTH_ERR_LIMIT, "");
    check_fails("{{ 9 ** 99 }}", SOOTH_ERR_LIMIT, "integer");
    for (int i = 0; i < 100000; i++)
        buf_puts(&deep, i ? "(" : "{{");
    check_fails(buf_str(&deep), SOOTH_ERR_LIMIT, "nested");
    buf_clear(&deep);
    for (int i = 0; i < 100000; i++)
        buf_puts(&deep, i ? "~1" : "{{1");
    check_fails(buf_str(&deep), SOOTH_ERR_LIMIT, "nested");
    buf_clear(&deep);
    for (int i = 0; i < 10000; i++)
        buf_puts(&deep, "{% if 1 %}");
    check_fails(buf_str(&deep), SOOTH_ERR_LIMIT, "nested");
    buf_release(&deep);
}

/* Every prefix of a busy template parses or fails cleanly. */
static void threat_template_cut_anywhere(void **state)
{
    static const char source[] = "{%- macro m(a, b={'k': [1, 2.5, 'x\\n']}) -%}{{ a[1:2] ~ b.k|tojson(indent=2) }}{%- endmacro -%}{# c #}"
                                 "{% for x, y in messages[0].items() if x is not none recursive %}{% set ns.v = 1 %}{% endfor %}{{ -m(1)**2 }}";
    (void)state;
    for (size_t len = 0; len <= strlen(source); len++) {
        struct template *t;
        struct sooth_error err = {0};
        char *cut = mem_strndup(source, len);
        enum sooth_status status = template_parse(cut, len, &t, &err);
        mem_free(cut);
        assert_true(status ? t == NULL && *err.text : t != NULL);
        template_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lesson_serving_18_templates_render_as_the_reference), cmocka_unit_test(lesson_serving_18_unknown_construct_names_line),
        cmocka_unit_test(language_expressions), cmocka_unit_test(language_statements), cmocka_unit_test(language_filters),
        cmocka_unit_test(threat_input_is_never_control_text), cmocka_unit_test(input_stays_input_through_json_slices_and_splits),
        cmocka_unit_test(plain_template), cmocka_unit_test(threat_template_budgets), cmocka_unit_test(threat_template_cut_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
