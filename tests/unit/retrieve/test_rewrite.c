/* Rewritings: each row by rules, none doing harm where words overlap little; an adaptive k with its reason. */
#include "core/base/alloc.h"
#include "know/retrieve/rewrite.h"
#include "kb_fixture.h"

static struct sooth_kb *filled(void)
{
    struct sooth_kb *kb = open_kb();
    add(kb, "tenant.md", "# Lease\n\n## Notice\n\nTenants give notice of three months in writing.");
    add(kb, "landlord.md", "# Lease\n\n## Notice of the owner\n\nLandlords give notice of six months.");
    add(kb, "pets.md", "# Lease\n\n## Animals\n\nDogs and cats are allowed on the ground floor.");
    add(kb, "pump.txt", "The pump of model AX-200 delivers forty litres a minute at two bar.");
    add(kb, "zh.txt", "甲方的义务是按时付款。乙方的义务是按时交货。");
    for (int i = 0; i < 12; i++) {
        char name[16], text[100];
        snprintf(name, sizeof name, "x%d.txt", i);
        snprintf(text, sizeof text, "Minutes of meeting %d: coffee, weather and the colour of the door.", i);
        add(kb, name, text);
    }
    return kb;
}

static struct sooth_hits search(struct sooth_kb *kb, const char *q, const char *rewrite)
{
    struct sooth_search_options o;
    struct sooth_hits h;
    struct sooth_error err = {0};
    sooth_search_options_init(&o);
    o.rewrite = rewrite;
    o.k = 5;
    o.rerank = o.windows = false;
    if (sooth_search(kb, q, &o, &h, &err) != SOOTH_OK)
        fail_msg("%s: %s", rewrite ? rewrite : "none", err.text);
    return h;
}

static bool holds(const struct sooth_hits *h, const char *doc)
{
    for (size_t i = 0; i < h->count; i++)
        if (strcmp(h->items[i].doc, doc) == 0)
            return true;
    return false;
}

/* What stands first for the plain question is still found, whatever else is searched; at most five queries. */
static void no_rewriting_loses_the_answer(void **state)
{
    struct sooth_kb *kb = filled();
    static const char *const questions[][2] = {
        {"How long is the notice of a tenant?", "tenant.md"}, {"Are dogs allowed?", "pets.md"},
        {"How many litres does the AX-200 pump deliver?", "pump.txt"}, {"甲方的义务是什么", "zh.txt"},
    };
    const char *name, *about;
    for (size_t r = 0; sooth_rewrite_at(r, &name, &about); r++)
        for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
            struct sooth_hits h = search(kb, questions[i][0], name);
            if (!holds(&h, questions[i][1]))
                fail_msg("%s: '%s' lost", name, questions[i][0]);
            assert_true(h.n_queries <= REWRITE_MAX);
            for (size_t k = 1; k < h.count; k++)
                assert_true(h.items[k].score <= h.items[k - 1].score + 1e-9);
            sooth_hits_release(&h);
        }
    struct sooth_hits plain = search(kb, "Are dogs allowed?", NULL);
    assert_int_equal(plain.n_queries, 0);
    sooth_hits_release(&plain);
    sooth_kb_close(kb);
}

static void sub_asks_for_each(void **state)
{
    struct sooth_kb *kb = filled();
    struct sooth_hits h = search(kb, "notice for tenants and landlords", "sub");
    assert_int_equal(h.n_queries, 2);
    assert_string_equal(h.queries[0], "notice for tenants");
    assert_string_equal(h.queries[1], "notice for landlords");
    assert_true(holds(&h, "tenant.md") && holds(&h, "landlord.md"));
    sooth_hits_release(&h);
    h = search(kb, "甲方和乙方的义务是什么", "sub");
    assert_int_equal(h.n_queries, 2);
    assert_string_equal(h.queries[0], "甲方的义务是什么");
    assert_string_equal(h.queries[1], "乙方的义务是什么");
    sooth_hits_release(&h);
    h = search(kb, "Are dogs allowed?", "sub");
    assert_int_equal(h.n_queries, 0); /* one question stays one */
    sooth_hits_release(&h);
    sooth_kb_close(kb);
}

static void words_that_only_ask_go(void **state)
{
    static const struct {
        const char *question, *all, *plain;
    } want[] = {{"What is the notice period in Oslo in 2024?", "notice period Oslo 2024", "notice period"},
                {"请问年假有多少天？", "年假 天", "年假 天"}};
    for (size_t i = 0; i < 2; i++)
        for (int plain = 0; plain < 2; plain++) {
            struct buf b = BUF_INIT;
            const char *expected = plain ? want[i].plain : want[i].all;
            assert_true(rewrite_keywords(want[i].question, plain, &b));
            const char *p = buf_str(&b); /* words, whatever the blanks between them */
            while (*p == ' ')
                p++;
            for (const char *e = expected; *e; e++, p++) {
                if (*e == ' ')
                    while (p[1] == ' ')
                        p++;
                assert_int_equal(*p, *e);
            }
            buf_release(&b);
        }
}

static void feedback_uses_what_was_found(void **state)
{
    struct sooth_kb *kb = filled();
    struct sooth_hits h = search(kb, "notice of tenants", "rm3");
    assert_int_equal(h.n_queries, 1);
    assert_non_null(strstr(h.queries[0], "notic")); /* stems, the question's first */
    sooth_hits_release(&h);
    h = search(kb, "notice of tenants", "stepback");
    assert_true(h.n_queries >= 1 && strstr(h.queries[0], "Lease"));
    sooth_hits_release(&h);
    h = search(kb, "notice of tenants", "query2doc");
    assert_true(h.n_queries == 1 && strstr(h.queries[0], "three months"));
    sooth_hits_release(&h);
    sooth_kb_close(kb);
}

static void unknown_or_misplaced_is_refused(void **state)
{
    struct sooth_kb *kb = filled();
    struct sooth_search_options o;
    struct sooth_hits h;
    sooth_search_options_init(&o);
    o.rewrite = "wish";
    assert_int_equal(sooth_search(kb, "a", &o, &h, NULL), SOOTH_ERR_ARG);
    o.rewrite = "rm3";
    o.mode = SOOTH_SEARCH_TEXT;
    assert_int_equal(sooth_search(kb, "a", &o, &h, NULL), SOOTH_ERR_ARG);
    sooth_kb_close(kb);
}

/* As many as the evidence is worth, and why. */
static void adaptive_k_says_why(void **state)
{
    struct sooth_kb *kb = filled();
    struct sooth_search_options o;
    struct sooth_hits h;
    sooth_search_options_init(&o);
    o.adaptive = true;
    o.rerank = o.windows = false;
    assert_int_equal(sooth_search(kb, "litres of the AX-200 pump", &o, &h, NULL), SOOTH_OK);
    assert_int_equal(h.count, 1);
    assert_non_null(h.reason);
    assert_non_null(strstr(h.reason, "falls"));
    sooth_hits_release(&h);
    assert_int_equal(sooth_search(kb, "minutes of the meeting: coffee and weather", &o, &h, NULL), SOOTH_OK);
    assert_true(h.count >= 10); /* all the minutes are alike */
    sooth_hits_release(&h);
    sooth_kb_close(kb);
}

/* Twelve minutes are alike: with diversity another document comes second. */
static void diversity_brings_what_is_unlike(void **state)
{
    struct sooth_kb *kb = filled();
    struct sooth_search_options o;
    struct sooth_hits h;
    sooth_search_options_init(&o);
    o.rerank = o.windows = false;
    o.k = 3;
    static const char question[] = "minutes of the meeting: coffee, weather, the door and the pump";
    for (int diverse = 0; diverse < 2; diverse++) {
        o.diversity = diverse * 0.7;
        assert_int_equal(sooth_search(kb, question, &o, &h, NULL), SOOTH_OK);
        size_t minutes = 0;
        for (size_t i = 0; i < h.count; i++)
            minutes += h.items[i].doc[0] == 'x';
        assert_true(diverse ? minutes < 3 : minutes == 3);
        sooth_hits_release(&h);
    }
    o.diversity = 0;
    for (int f = SOOTH_FUSE_EVIDENCE; f <= SOOTH_FUSE_RELATIVE; f++) {
        o.fusion = (enum sooth_fusion)f;
        assert_int_equal(sooth_search(kb, "litres of the AX-200 pump", &o, &h, NULL), SOOTH_OK);
        assert_string_equal(h.items[0].doc, "pump.txt");
        sooth_hits_release(&h);
    }
    o.mode = SOOTH_SEARCH_TEXT;
    assert_int_equal(sooth_search(kb, "a", &o, &h, NULL), SOOTH_ERR_ARG);
    sooth_kb_close(kb);
}

static void failing_memory_is_a_status(void **state)
{
    struct sooth_kb *kb = filled();
    static const char *const rows[] = {"hyde", "sub", "rm3"};
    for (size_t r = 0; r < 3; r++)
        for (uint64_t n = 1, failed = 1; failed; n += 3) {
            struct sooth_search_options o;
            struct sooth_hits h;
            sooth_search_options_init(&o);
            o.rewrite = rows[r];
            mem_fail_at(n);
            enum sooth_status st = sooth_search(kb, "notice for tenants and landlords", &o, &h, NULL);
            mem_fail_at(0);
            failed = st != SOOTH_OK;
            assert_true(st == SOOTH_OK || st == SOOTH_ERR_NOMEM);
            sooth_hits_release(&h);
        }
    sooth_kb_close(kb);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(no_rewriting_loses_the_answer), T(sub_asks_for_each), cmocka_unit_test(words_that_only_ask_go),
        T(feedback_uses_what_was_found), T(unknown_or_misplaced_is_refused), T(adaptive_k_says_why), T(diversity_brings_what_is_unlike),
        T(failing_memory_is_a_status)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
