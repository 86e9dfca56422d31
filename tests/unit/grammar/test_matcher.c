/* test_matcher.c: masks over a vocabulary against trying each token; what the automaton forgets and counts changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/rng.h"
#include "core/base/vec.h"
#include "model/grammar/automaton.h"
#include "model/grammar/grammar.h"

/* Bytes, and words that cross what grammars cut: quotes with commas, braces, halves of characters. */
static const char *const words[] = {
    "a", "b", "ab", "aab", "\"", "\",", "\":", "\": \"", "a\"", "{\"", "\"}", "}", "]", "[", ",\"", "x\":", "true", "tru", "e", "null", "12", "3", "-",
    "0", ".5", "1e", "\n", "\n  ", " ", "  ", "\\", "\\\"", "\\n", "\xE4\xB8\x96", "aaaaaaaaaaaaaaaaaaaaaaaa", "id", "name", "\"id\"", "\"name\": ", "A", "Ab"};
enum { WORDS = sizeof words / sizeof *words, VOCAB = 260 + WORDS + 2, END = 2 };

static struct tokenizer *vocabulary(void)
{
    static struct token_str pieces[VOCAB];
    static char bytes[256][8], marked[WORDS][64];
    static int32_t types[VOCAB];
    static float scores[VOCAB];
    struct token_source s;
    struct tokenizer *t;
    struct sooth_error err = {0};
    static const char *const special[] = {"<unk>", "<s>", "</s>"};
    token_source_init(&s);
    s.model = "llama";
    for (size_t i = 0; i < 3; i++) {
        pieces[i] = (struct token_str){special[i], strlen(special[i])};
        types[i] = i ? TOKEN_CONTROL : TOKEN_UNKNOWN;
    }
    for (unsigned b = 0; b < 256; b++) {
        snprintf(bytes[b], 8, "<0x%02X>", b);
        pieces[3 + b] = (struct token_str){bytes[b], 6};
        types[3 + b] = TOKEN_BYTE;
    }
    s.n = 259;
    for (size_t i = 0; i < WORDS; i++) { /* blanks are marked */
        size_t n = 0;
        for (const char *c = words[i]; *c; c++)
            n += (size_t)snprintf(marked[i] + n, sizeof marked[i] - n, *c == ' ' ? "\xE2\x96\x81" : "%c", *c);
        pieces[s.n] = (struct token_str){marked[i], n};
        types[s.n++] = TOKEN_NORMAL;
    }
    s.unk = 0;
    s.bos = 1;
    s.eos = END;
    s.pieces = pieces;
    s.types = types;
    s.n_types = s.n_scores = s.n;
    s.scores = scores;
    if (tokenizer_new(&s, &t, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return t;
}

static const char *const grammars[] = {
    "root ::= [ab]+ \"\\\"\"?",
    "root ::= \"a\"{3,7} (\"b\" | \" \"){0,2}",
    "root ::= v\nv ::= \"[\" (v (\",\" v)*)? \"]\" | \"{\" (m (\",\" m)*)? \"}\" | s | [0-9]+\nm ::= s \":\" \" \"? v\ns ::= \"\\\"\" [^\"\\\\]* \"\\\"\"",
    "root ::= .{0,3}", "root ::= [\xE4\xB8\x80-\xE4\xBF\xBF]+", "root ::= \"true\" | \"null\" | \"\"",
    "root ::= (\"a\"{1,2} \"b\"{0,3}){2,4}"};
static const char *const schemas[] = {
    "{\"properties\":{\"id\":{\"type\":\"integer\",\"minimum\":-3,\"maximum\":312},\"name\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":60}},\"required\":[\"name\"]}",
    "{\"items\":{\"enum\":[\"a\",\"ab\",true,null,12.5]},\"minItems\":1,\"maxItems\":5}",
    "{\"type\":\"object\",\"properties\":{\"a\":{}},\"additionalProperties\":{\"type\":\"boolean\"}}", "{\"pattern\":\"^[A-Z][a-z]{1,30}$\"}", "{}"};

static struct sooth_grammar *grammar(size_t i)
{
    struct sooth_grammar *g;
    struct sooth_error err = {0};
    size_t n = sizeof grammars / sizeof *grammars;
    enum sooth_status s = i < n ? sooth_grammar_gbnf(grammars[i], strlen(grammars[i]), &g, &err)
                                : sooth_grammar_schema(schemas[i - n], strlen(schemas[i - n]), &g, &err);
    if (s != SOOTH_OK)
        fail_msg("%s", err.text);
    return g;
}
enum { GRAMMARS = sizeof grammars / sizeof *grammars + sizeof schemas / sizeof *schemas };

static bool in(const uint64_t *mask, int32_t id)
{
    return mask[id / 64] >> (id % 64) & 1;
}

/* Tokens tried one by one, from the beginning, against the mask; then one of those allowed is taken. */
static void masks_are_what_trying_each_token_says(void **state)
{
    struct tokenizer *t = vocabulary();
    struct token_trie *trie;
    struct rng rng;
    rng_seed(&rng, 9);
    assert_int_equal(token_trie_new(t, VOCAB, &trie, NULL), SOOTH_OK);
    for (size_t k = 0; k < GRAMMARS; k++) {
        struct sooth_grammar *g = grammar(k);
        struct matcher *m, *probe;
        assert_int_equal(matcher_new(g, trie, &m, NULL), SOOTH_OK);
        assert_int_equal(matcher_new(g, trie, &probe, NULL), SOOTH_OK);
        for (unsigned text = 0; text < 4; text++) {
            int32_t taken[30];
            size_t n = 0;
            matcher_reset(m);
            while (n < 30) {
                const uint64_t *mask = matcher_mask(m, NULL);
                int32_t allowed[VOCAB];
                size_t count = 0;
                assert_non_null(mask);
                for (int32_t id = 0; id < VOCAB; id++) {
                    matcher_reset(probe);
                    for (size_t i = 0; i < n; i++)
                        assert_int_equal(matcher_add(probe, taken[i], NULL), SOOTH_OK);
                    bool ok = id == END ? matcher_complete(probe) : id == 1 || id >= 259 + WORDS ? false : matcher_add(probe, id, NULL) == SOOTH_OK;
                    if (in(mask, id) != ok)
                        fail_msg("grammar %zu, after %zu tokens: token %d", k, n, (int)id);
                    if (ok && id != END)
                        allowed[count++] = id;
                }
                assert_int_equal(matcher_ended(m), !count);
                if (!count)
                    break;
                taken[n++] = allowed[rng_below(&rng, count)];
                assert_int_equal(matcher_add(m, taken[n - 1], NULL), SOOTH_OK);
            }
        }
        matcher_free(m);
        matcher_free(probe);
        sooth_grammar_free(g);
    }
    token_trie_free(trie);
    tokenizer_free(t);
}

/* A count far from its bounds shares masks; near them each has its own. 40,000 characters make 40,000 states. */
static void long_counted_texts_keep_memory_bounded(void **state)
{
    static const char schema[] = "{\"type\":\"string\",\"minLength\":30000,\"maxLength\":50000}";
    struct tokenizer *t = vocabulary();
    struct token_trie *trie;
    struct matcher *m;
    struct sooth_grammar *g;
    assert_int_equal(token_trie_new(t, VOCAB, &trie, NULL), SOOTH_OK);
    assert_int_equal(sooth_grammar_schema(schema, strlen(schema), &g, NULL), SOOTH_OK);
    assert_int_equal(matcher_new(g, trie, &m, NULL), SOOTH_OK);
    sooth_grammar_free(g); /* the matcher holds it */
    int32_t quote = 3 + '"', a = 3 + 'a';
    assert_int_equal(matcher_add(m, quote, NULL), SOOTH_OK);
    for (size_t i = 0; i < 50000; i++) {
        const uint64_t *mask = i % 10 == 0 || i > 49960 ? matcher_mask(m, NULL) : NULL;
        if (mask) {
            assert_true(in(mask, a));
            assert_int_equal(in(mask, quote), i >= 30000);
            assert_int_equal(in(mask, 259 + 34), i + 24 <= 50000); /* twenty-four times a */
            assert_int_equal(in(mask, 259 + 8), i + 1 >= 30000 && i + 1 <= 50000); /* a" */
        }
        assert_int_equal(matcher_add(m, a, NULL), SOOTH_OK);
    }
    const uint64_t *mask = matcher_mask(m, NULL);
    assert_true(in(mask, quote) && !in(mask, a));
    assert_int_equal(matcher_add(m, quote, NULL), SOOTH_OK);
    assert_true(matcher_ended(m));
    assert_true(in(matcher_mask(m, NULL), END));
    matcher_free(m);
    token_trie_free(trie);
    tokenizer_free(t);
}

/* Nesting makes ever new states, and forgetting them in the middle keeps the place. */
static void deep_texts_are_followed_past_forgetting(void **state)
{
    struct sooth_grammar *g;
    struct automaton a;
    static const char text[] = "root ::= \"[\" root \"]\" | \"{\" root \"}\" | \"x\"";
    assert_int_equal(sooth_grammar_gbnf(text, strlen(text), &g, NULL), SOOTH_OK);
    assert_true(automaton_init(&a, g));
    uint32_t s = automaton_start(&a);
    enum { DEPTH = 100000 };
    size_t forgot = 0;
    for (size_t i = 0; i <= 2 * DEPTH; i++) {
        size_t level = i < DEPTH ? i : 2 * DEPTH - i;
        char c = i == DEPTH ? 'x' : i < DEPTH ? (level % 3 ? '[' : '{') : level % 3 ? ']' : '}';
        if (automaton_full(&a)) {
            s = automaton_forget(&a, s);
            forgot++;
        }
        s = automaton_step(&a, s, (unsigned char)c);
        assert_true(s != STATE_FAILED && s != STATE_DEAD);
    }
    assert_true(a.states.items[s].complete && forgot > 0);
    automaton_release(&a);
    sooth_grammar_free(g);
}

static void failing_memory_is_told(void **state)
{
    struct tokenizer *t = vocabulary();
    struct sooth_grammar *g = grammar(2);
    uint64_t live = mem_live();
    for (uint64_t at = 1;; at++) {
        struct token_trie *trie = NULL;
        struct matcher *m = NULL;
        struct sooth_error err = {0};
        mem_fail_at(at);
        enum sooth_status s = token_trie_new(t, VOCAB, &trie, &err);
        if (s == SOOTH_OK)
            s = matcher_new(g, trie, &m, &err);
        for (size_t i = 0; s == SOOTH_OK && i < 3; i++) {
            const uint64_t *mask = matcher_mask(m, &err);
            s = mask ? matcher_add(m, 3 + '[', &err) : err.status;
        }
        mem_fail_at(0);
        matcher_free(m);
        token_trie_free(trie);
        assert_int_equal(mem_live(), live);
        if (s == SOOTH_OK)
            break;
        assert_int_equal(s, SOOTH_ERR_NOMEM);
    }
    sooth_grammar_free(g);
    tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_are_what_trying_each_token_says),
        cmocka_unit_test(long_counted_texts_keep_memory_bounded),
        cmocka_unit_test(deep_texts_are_followed_past_forgetting),
        cmocka_unit_test(failing_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
