/* The knowledge graph: rules, PageRank, two hops, forgetting. */
#include <math.h>
#include "core/base/alloc.h"
#include "core/base/rng.h"
#include "know/retrieve/graph.h"
#include "kb_fixture.h"

static void golden_pagerank(void **state)
{
    static const struct graph_edge path[] = {{0, 1, 1}, {1, 2, 1}};
    static const double seed[3] = {1, 0, 0};
    double out[4];
    assert_true(graph_rank(3, path, 2, 0.5, seed, out));
    assert_true(fabs(out[0] - 0.583333) < 1e-6 && fabs(out[1] - 0.333333) < 1e-6 && fabs(out[2] - 0.083333) < 1e-6);
    static const double alone[4] = {0, 0, 0, 2};
    assert_true(graph_rank(4, path, 2, 0.5, alone, out));
    assert_true(fabs(out[3] - 1) < 1e-9); /* hanging mass goes back to the seed */
    struct rng r;
    rng_seed(&r, 3);
    for (int round = 0; round < 20; round++) { /* mass is kept on any graph */
        struct graph_edge e[60];
        double s[20], p[20], sum = 0;
        for (int i = 0; i < 60; i++)
            e[i] = (struct graph_edge){(uint32_t)rng_below(&r, 20), (uint32_t)rng_below(&r, 20), 1 + rng_double(&r)};
        for (int i = 0; i < 20; i++)
            s[i] = rng_double(&r);
        assert_true(graph_rank(20, e, 60, 0.5, s, p));
        for (int i = 0; i < 20; i++) {
            assert_true(p[i] >= 0);
            sum += p[i];
        }
        assert_true(fabs(sum - 1) < 1e-6);
    }
}

static bool has_fact(const struct graph_found *f, const char *s, const char *r, const char *o)
{
    for (size_t i = 0; i < f->facts.count; i++)
        if (strcmp(f->facts.items[i].subject, s) == 0 && strcmp(f->facts.items[i].relation, r) == 0 &&
            strcmp(f->facts.items[i].object, o) == 0)
            return true;
    return false;
}

static void rules_read_english_and_chinese(void **state)
{
    static const struct {
        const char *text, *subject, *relation, *object;
    } want[] = {
        {"Maria Olsen is the director of Norsk Lys.", "Maria Olsen", "director of", "Norsk Lys"},
        {"In 1921 Maria Olsen was born in Bergen.", "Maria Olsen", "born in", "Bergen"},
        {"The company Acme Works was founded by John Dee in 1900.", "Acme Works", "founded by", "John Dee"},
        {"Lake Mira lies in Upper Valdia and is cold.", "Lake Mira", "located in", "Upper Valdia"},
        {"Then Acme Works acquired Delta Pumps.", "Acme Works", "acquired", "Delta Pumps"},
        {"北京大学位于海淀区。", "北京大学", "位于", "海淀区"},
        {"李明是蓝天公司的经理。", "李明", "经理", "蓝天公司"},
        {"蓝天公司成立于2005年。", "蓝天公司", "成立于", "2005年"},
        {"该软件由王芳开发。", "该软件", "开发者", "王芳"},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct graph_found f;
        graph_found_init(&f);
        assert_true(graph_read(want[i].text, strlen(want[i].text), &f));
        if (!has_fact(&f, want[i].subject, want[i].relation, want[i].object))
            fail_msg("'%s': %zu facts, first %s|%s|%s", want[i].text, f.facts.count,
                     f.facts.count ? f.facts.items[0].subject : "", f.facts.count ? f.facts.items[0].relation : "",
                     f.facts.count ? f.facts.items[0].object : "");
        graph_found_clear(&f);
    }
    struct rng r;
    rng_seed(&r, 9);
    for (int round = 0; round < 300; round++) { /* any bytes */
        static const char *const bits[] = {"A", "is the ", " of ", "位于", "是", "的", "由", "《", "》", ". ", "。", "\xE4", "\xFF", "公司", "Bo ", "x", "\n"};
        struct buf b = BUF_INIT;
        struct graph_found f;
        for (int i = 0; i < 60; i++)
            buf_puts(&b, bits[rng_below(&r, sizeof bits / sizeof *bits)]);
        graph_found_init(&f);
        assert_true(graph_read(b.data, b.len, &f));
        graph_found_clear(&f);
        buf_release(&b);
    }
}

static const char *const first[] = {"Alba", "Brin", "Cora", "Dero", "Elvo", "Fina", "Gora", "Hale", "Ivor", "Juno",
                                    "Kero", "Lupa", "Mira", "Nolo", "Orin", "Pela", "Quin", "Rova", "Sena", "Toro"};

/* X was born in town Y; Y lies in province Z: the question names X and asks for what only Y's passage says. */
static void two_hops_are_found_by_the_graph(void **state)
{
    struct sooth_kb *kb = open_kb();
    char name[32], text[200];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "p%d.txt", i);
        snprintf(text, sizeof text, "%s Person was born in %sville.", first[i], first[(i * 7 + 3) % 20]);
        add(kb, name, text);
        snprintf(name, sizeof name, "t%d.txt", i);
        snprintf(text, sizeof text, "%sville lies in Upper %sland.", first[i], first[(i * 11 + 5) % 20]);
        add(kb, name, text);
        snprintf(name, sizeof name, "x%d.txt", i);
        snprintf(text, sizeof text, "The weather on day %d was mild and the harvest of the year good.", i);
        add(kb, name, text);
    }
    struct sooth_graph_counts c;
    assert_int_equal(sooth_kb_graph(kb, true, NULL, NULL, &c, NULL), SOOTH_OK);
    assert_int_equal(c.unread, 60);
    assert_int_equal(c.calls, 0);
    assert_int_equal(c.passages, 0);
    assert_int_equal(sooth_kb_graph(kb, false, NULL, NULL, &c, NULL), SOOTH_OK);
    assert_int_equal(c.passages, 60);
    assert_true(c.facts >= 40 && c.entities >= 60);
    int both[2] = {0, 0};
    for (int m = 0; m < 2; m++)
        for (int i = 0; i < 20; i++) {
            struct sooth_search_options o;
            struct sooth_hits h;
            char one[32], two[32];
            sooth_search_options_init(&o);
            o.mode = m ? SOOTH_SEARCH_GRAPH : SOOTH_SEARCH_TEXT;
            o.k = 5;
            snprintf(text, sizeof text, "In which land was %s Person born?", first[i]);
            snprintf(one, sizeof one, "p%d.txt", i);
            snprintf(two, sizeof two, "t%d.txt", (i * 7 + 3) % 20);
            assert_int_equal(sooth_search(kb, text, &o, &h, NULL), SOOTH_OK);
            bool a = false, b = false;
            for (size_t k = 0; k < h.count; k++) {
                a |= strcmp(h.items[k].doc, one) == 0;
                b |= strcmp(h.items[k].doc, two) == 0;
                assert_true(k == 0 || h.items[k].score <= h.items[k - 1].score);
            }
            both[m] += a && b;
            sooth_hits_release(&h);
        }
    if (both[1] < 18 || both[0] > 10)
        fail_msg("both passages among five: %d of 20 by the graph, %d by words", both[1], both[0]);
    sooth_kb_close(kb);
}

static bool count_fact(void *user, const struct sooth_fact *f)
{
    ++*(size_t *)user;
    assert_true(strlen(f->text) == f->end - f->start);
    return true;
}

static size_t facts_about(struct sooth_kb *kb, const char *name)
{
    size_t n = 0;
    enum sooth_status st = sooth_kb_facts(kb, name, 1, count_fact, &n, NULL);
    return st == SOOTH_OK ? n : st == SOOTH_ERR_NOTFOUND ? SIZE_MAX : SIZE_MAX - 1;
}

/* What another document still says stays; what only the forgotten one said is gone. */
static void forgetting_keeps_what_others_support(void **state)
{
    struct sooth_kb *kb = open_kb();
    struct sooth_graph_counts c;
    add(kb, "a.txt", "Acme Works was founded by John Dee. Acme Works acquired Delta Pumps.");
    add(kb, "b.txt", "Long ago Acme Works was founded by John Dee.");
    assert_int_equal(sooth_kb_graph(kb, false, NULL, NULL, &c, NULL), SOOTH_OK);
    assert_int_equal(facts_about(kb, "the acme  works"), 3);
    assert_int_equal(facts_about(kb, "Delta Pumps"), 1);
    struct sooth_error err = {0};
    if (sooth_kb_forget(kb, "a.txt", &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    assert_int_equal(facts_about(kb, "Acme Works"), 1);
    assert_int_equal(facts_about(kb, "John Dee"), 1);
    assert_int_equal(facts_about(kb, "Delta Pumps"), SIZE_MAX);
    add(kb, "b.txt", "Nothing is said here.");
    assert_int_equal(facts_about(kb, "Acme Works"), SIZE_MAX);
    assert_int_equal(sooth_kb_graph(kb, false, NULL, NULL, &c, NULL), SOOTH_OK);
    assert_int_equal(c.entities, 0);
    assert_int_equal(c.passages, 1);
    size_t problems = 1;
    assert_int_equal(sooth_kb_check(kb, NULL, NULL, &problems, NULL), SOOTH_OK);
    assert_int_equal(problems, 0);
    sooth_kb_close(kb);
}

static void lesson_rag_41_costs_are_told_and_chinese_stays_chinese(void **state)
{
    struct sooth_kb *kb = open_kb();
    struct sooth_graph_counts c;
    struct sooth_search_options o;
    struct sooth_hits h;
    struct sooth_error err = {0};
    add(kb, "zh.txt", "蓝天公司位于青岛市。李明是蓝天公司的经理。");
    sooth_search_options_init(&o);
    o.mode = SOOTH_SEARCH_GRAPH;
    assert_int_equal(sooth_search(kb, "李明", &o, &h, &err), SOOTH_ERR_NOTFOUND); /* no graph: said, with the command */
    assert_non_null(strstr(err.hint, "sooth graph"));
    assert_int_equal(sooth_kb_graph(kb, true, NULL, NULL, &c, NULL), SOOTH_OK);
    assert_true(c.unread == 1 && c.calls == 0 && c.entities == 0);
    assert_int_equal(sooth_kb_graph(kb, false, NULL, NULL, &c, NULL), SOOTH_OK);
    assert_true(c.entities >= 3);
    assert_int_equal(facts_about(kb, "蓝天公司"), 2);
    sooth_kb_close(kb);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_pagerank), cmocka_unit_test(rules_read_english_and_chinese),
        T(two_hops_are_found_by_the_graph), T(forgetting_keeps_what_others_support),
        T(lesson_rag_41_costs_are_told_and_chinese_stays_chinese)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
