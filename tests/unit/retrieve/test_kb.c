/* Knowledge bases through their public interface, with the embedder that needs no model. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/fsio.h"
#include "core/base/rng.h"
#include "know/retrieve/retrieve.h"

static char root[64], docs[128], store[128];

static int setup(void **state)
{
    strcpy(root, "/tmp/sooth-kb-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(docs, sizeof docs, "%s/docs", root);
    snprintf(store, sizeof store, "%s/知识库", root);
    return mkdir(docs, 0755);
}

static int teardown(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static char *path_of(const char *name)
{
    static char path[4][400];
    static int at;
    at = (at + 1) % 4;
    snprintf(path[at], sizeof path[at], "%s/%s", docs, name);
    return path[at];
}

static void write_doc(const char *name, const char *text)
{
    struct sooth_error err;
    assert_int_equal(file_write_atomic(path_of(name), text, strlen(text), &err), SOOTH_OK);
}

static struct sooth_kb *open_kb(void)
{
    struct sooth_kb *kb;
    struct sooth_error err = {0};
    const struct sooth_kb_options o = {.embedder = "hash", .create = true, .threads = 1};
    if (sooth_kb_open(store, &o, &kb, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return kb;
}

static struct sooth_add_totals add(struct sooth_kb *kb, const char *path,
                                   const struct sooth_add_options *o)
{
    struct sooth_add_totals t;
    struct sooth_error err = {0};
    if (sooth_kb_add(kb, &path, 1, o, &t, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return t;
}

static struct sooth_hits search(struct sooth_kb *kb, const char *query, enum sooth_search_mode mode,
                                size_t k, const char *filter)
{
    struct sooth_search_options o;
    struct sooth_hits hits;
    struct sooth_error err = {0};
    sooth_search_options_init(&o);
    o.mode = mode;
    o.k = k;
    o.filter = filter;
    if (sooth_search(kb, query, &o, &hits, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return hits;
}

/* How many hits hold the text, over all modes. */
static size_t holding(struct sooth_kb *kb, const char *query, const char *text)
{
    size_t n = 0;
    for (int mode = SOOTH_SEARCH_HYBRID; mode <= SOOTH_SEARCH_TEXT; mode++) {
        struct sooth_hits h = search(kb, query, (enum sooth_search_mode)mode, 20, NULL);
        for (size_t i = 0; i < h.count; i++)
            n += strstr(h.items[i].text, text) != NULL;
        sooth_hits_release(&h);
    }
    return n;
}

static size_t problems(struct sooth_kb *kb)
{
    size_t n = 1;
    assert_int_equal(sooth_kb_check(kb, NULL, NULL, &n, NULL), SOOTH_OK);
    return n;
}

static size_t n_docs(struct sooth_kb *kb, size_t *chunks)
{
    struct sooth_kb_info info;
    assert_int_equal(sooth_kb_info(kb, &info, NULL), SOOTH_OK);
    if (chunks)
        *chunks = info.chunks;
    return info.docs;
}

static void lesson_rag_17_adding_again_changes_nothing(void **state)
{
    write_doc("a.txt", "The tank holds 1.5 litres of water.\nEmpty it before travel.");
    write_doc("b.txt", "The tank holds 1.5 litres of water.\nEmpty it before travel.");
    write_doc("c.txt", "Something else about gardens.");
    struct sooth_kb *kb = open_kb();
    size_t first, later;
    struct sooth_add_totals t = add(kb, docs, NULL);
    assert_int_equal(t.added, 3);
    n_docs(kb, &first);
    uint64_t calls = embedder_calls();
    for (int i = 0; i < 2; i++) {
        t = add(kb, docs, NULL);
        assert_int_equal(t.unchanged, 3);
        assert_int_equal(t.embedded, 0);
    }
    assert_int_equal(embedder_calls(), calls);
    n_docs(kb, &later);
    assert_int_equal(first, later);
    struct sooth_hits h =
        search(kb, "How much water does the tank hold?", SOOTH_SEARCH_HYBRID, 5, NULL);
    assert_non_null(strstr(h.items[0].text, "1.5 litres"));
    assert_int_equal(h.items[0].n_also, 1); /* one passage, both sources */
    assert_true(strstr(h.items[0].doc, "a.txt") || strstr(h.items[0].also[0], "a.txt"));
    assert_true(strstr(h.items[0].doc, "b.txt") || strstr(h.items[0].also[0], "b.txt"));
    for (size_t i = 1; i < h.count; i++)
        assert_null(strstr(h.items[i].text, "1.5 litres"));
    sooth_hits_release(&h);
    assert_int_equal(problems(kb), 0);
    sooth_kb_close(kb);
}

static void lesson_rag_17_the_same_long_file_twice_is_shown_once(void **state)
{
    struct buf b = BUF_INIT;
    for (int i = 0; i < 200; i++)
        buf_printf(&b, "Paragraph %d is about subject number %d and nothing else.\n\n", i, i * 17);
    write_doc("one.txt", b.data);
    write_doc("two.txt", b.data);
    struct sooth_kb *kb = open_kb();
    add(kb, docs, NULL);
    struct sooth_hits h = search(kb, "subject number 1700", SOOTH_SEARCH_HYBRID, 8, NULL);
    assert_true(h.count > 1);
    for (size_t i = 0; i < h.count; i++) {
        assert_int_equal(h.items[i].n_also, 1);
        assert_memory_equal(b.data + h.items[i].start, h.items[i].text,
                            h.items[i].end - h.items[i].start);
        for (size_t j = 0; j < i; j++) /* windows may touch, what was found is not found twice */
            assert_true(h.items[i].chunk != h.items[j].chunk &&
                        strcmp(h.items[i].text, h.items[j].text) != 0);
    }
    sooth_hits_release(&h);
    sooth_kb_close(kb);
    buf_release(&b);
}

/* A question in one language must reach the passage in the other, past those that only share its
 * language. */
static void scripts_are_compared_on_equal_terms(void **state)
{
    struct sooth_kb *kb = open_kb();
    const struct snapshot *v;
    for (int i = 0; i < 80; i++) {
        char name[16], text[96];
        snprintf(name, sizeof name, "e%d.txt", i);
        snprintf(text, sizeof text, "the number %d of the English notes is the %d", i, i * 7);
        sooth_kb_add_bytes(kb, name, text, strlen(text), NULL, NULL, NULL);
        snprintf(name, sizeof name, "z%d.txt", i);
        snprintf(text, sizeof text, "中文笔记的第%d条是%d", i, i * 7);
        sooth_kb_add_bytes(kb, name, text, strlen(text), NULL, NULL, NULL);
    }
    assert_non_null(store_embedder(kb_store(kb))->centres);
    assert_int_equal(store_snapshot(kb_store(kb), true, &v, NULL), SOOTH_OK);
    for (int script = 0; script < SCRIPTS;
         script++) { /* a question made of nothing but its script's own direction */
        const float *mean = v->mean + (size_t)script * v->dim;
        struct scored out[160];
        size_t n;
        double gap[2];
        for (int aligned = 0; aligned < 2; aligned++) {
            double sum[SCRIPTS] = {0};
            if (aligned)
                assert_int_equal(aligned_search(kb_store(kb), v, mean, (enum script)script, NULL,
                                                160, out, &n, NULL),
                                 SOOTH_OK);
            else
                assert_int_equal(
                    vector_search(kb_store(kb), v, METRIC_COSINE, mean, NULL, 160, out, &n, NULL),
                    SOOTH_OK);
            assert_int_equal(n, 160);
            for (size_t i = 0; i < n; i++) {
                assert_true(i == 0 || out[i].score <= out[i - 1].score);
                sum[v->script[out[i].slot]] += out[i].score / 80;
            }
            gap[aligned] = sum[script] - sum[!script];
        }
        assert_true(gap[0] > 0.3);
        assert_true(gap[1] < 0.6 * gap[0]);
    }
    sooth_kb_close(kb);
}

static void lesson_rag_18_changed_text_replaces_the_old(void **state)
{
    struct buf b = BUF_INIT;
    for (int i = 0; i < 300; i++)
        buf_printf(&b, "Paragraph %d is about subject number %d and nothing else.\n", i, i * 17);
    write_doc("long.txt", b.data);
    struct sooth_kb *kb = open_kb();
    struct sooth_add_totals t = add(kb, docs, NULL);
    size_t all = t.chunks;
    assert_true(all > 10 && t.embedded == all);
    char *old = strstr(b.data, "subject number 2550 ");
    memcpy(old, "strange creature qq ", 20);
    write_doc("long.txt", b.data);
    t = add(kb, docs, NULL);
    assert_int_equal(t.updated, 1);
    assert_true(t.embedded >= 1 && t.embedded <= 3);
    assert_int_equal(holding(kb, "subject number 2550", "2550"), 0);
    assert_true(holding(kb, "strange creature qq", "strange creature") >= 2);
    assert_int_equal(problems(kb), 0);
    sooth_kb_close(kb);
    buf_release(&b);
}

static void lesson_rag_15_names_of_every_kind(void **state)
{
    static const char *const names[] = {"报告 2024（终稿）.v2.txt", "-rf.txt",
                                        "it's \"quoted\".txt",      "caf\u00e9.txt",
                                        "cafe\u0301.txt",           "a b\tc.txt"};
    for (size_t i = 0; i < 6; i++) {
        char text[64];
        snprintf(text, sizeof text, "unique%zu content of this file", i);
        write_doc(names[i], text);
    }
    struct sooth_kb *kb = open_kb();
    assert_int_equal(add(kb, docs, NULL).added, 6);
    for (size_t i = 0; i < 6; i++) {
        char query[32];
        snprintf(query, sizeof query, "unique%zu", i);
        struct sooth_hits h = search(kb, query, SOOTH_SEARCH_TEXT, 3, NULL);
        assert_true(h.count >= 1);
        assert_string_equal(strrchr(h.items[0].doc, '/') + 1, names[i]);
        sooth_hits_release(&h);
    }
    assert_int_equal(sooth_kb_forget(kb, names[1], NULL), SOOTH_OK);
    assert_int_equal(n_docs(kb, NULL), 5);
    sooth_kb_close(kb);
}

static void lesson_rag_19_same_name_in_two_folders(void **state)
{
    struct sooth_error err = {0};
    mkdir(path_of("x"), 0755);
    mkdir(path_of("y"), 0755);
    write_doc("x/invoice.txt", "Invoice for 300 apples.");
    write_doc("y/invoice.txt", "Invoice for 800 pears.");
    struct sooth_kb *kb = open_kb();
    assert_int_equal(add(kb, docs, NULL).added, 2);
    struct sooth_hits h = search(kb, "invoice", SOOTH_SEARCH_HYBRID, 5, NULL);
    assert_int_equal(h.count, 2);
    assert_string_not_equal(h.items[0].doc, h.items[1].doc);
    sooth_hits_release(&h);
    assert_int_equal(sooth_kb_forget(kb, "invoice.txt", &err), SOOTH_ERR_ARG);
    assert_non_null(strstr(err.text, "x/invoice.txt"));
    assert_non_null(strstr(err.text, "y/invoice.txt"));
    assert_int_equal(n_docs(kb, NULL), 2);
    sooth_kb_close(kb);
}

static void lesson_rag_20_forgotten_by_any_name(void **state)
{
    static const char *const secret = "xyzzyplugh";
    struct sooth_kb *kb;
    char here[400];
    assert_non_null(getcwd(here, sizeof here));
    for (int way = 0; way < 4; way++) {
        write_doc("a.txt", "The word is xyzzyplugh, nothing else.");
        write_doc("b.txt", "Another file with other words.");
        kb = open_kb();
        add(kb, docs, NULL);
        assert_true(holding(kb, secret, secret) >= 1);
        assert_int_equal(chdir(docs), 0);
        char *dotted = path_of("../docs/./a.txt");
        if (way == 3)
            unlink(path_of("a.txt"));
        assert_int_equal(sooth_kb_forget(kb,
                                         way == 0   ? path_of("a.txt")
                                         : way == 1 ? "./a.txt"
                                         : way == 2 ? dotted
                                                    : "a.txt",
                                         NULL),
                         SOOTH_OK);
        assert_int_equal(chdir(here), 0);
        assert_int_equal(holding(kb, secret, secret), 0);
        assert_int_equal(sooth_kb_compact(kb, NULL, NULL, NULL), SOOTH_OK);
        DIR *d = opendir(store);
        for (struct dirent *e; (e = readdir(d));) {
            char path[500];
            struct buf b = BUF_INIT;
            snprintf(path, sizeof path, "%s/%s", store, e->d_name);
            if (e->d_name[0] != '.' && file_read(path, 1 << 30, &b, NULL) == SOOTH_OK)
                assert_null(memmem(b.data, b.len, secret, strlen(secret)));
            buf_release(&b);
        }
        closedir(d);
        assert_int_equal(problems(kb), 0);
        sooth_kb_close(kb);
    }
}

static void lesson_rag_23_another_embedder_is_refused(void **state)
{
    struct sooth_kb *kb;
    struct sooth_error err = {0};
    const struct sooth_kb_options other = {.embedder = "/no/such/model.gguf"};
    const struct sooth_kb_options metric = {.embedder = "hash", .metric = "l1"},
                                  tokens = {.embedder = "hash", .chunk_tokens = 100};
    write_doc("a.txt", "words");
    kb = open_kb();
    add(kb, docs, NULL);
    sooth_kb_close(kb);
    assert_int_not_equal(sooth_kb_open(store, &other, &kb, &err), SOOTH_OK);
    assert_int_equal(sooth_kb_open(store, &metric, &kb, &err), SOOTH_ERR_ARG);
    assert_int_equal(sooth_kb_open(store, &tokens, &kb, &err), SOOTH_ERR_ARG);
    assert_non_null(strstr(err.hint, "--reembed"));
    assert_int_equal(sooth_kb_open(store, NULL, &kb, &err), SOOTH_OK);
    assert_int_equal(problems(kb), 0);
    sooth_kb_close(kb);
}

static void embedding_again_keeps_everything(void **state)
{
    struct buf b = BUF_INIT;
    struct sooth_kb *kb;
    struct sooth_kb_info info;
    buf_puts(&b, "# Top\n");
    for (int i = 0; i < 200; i++)
        buf_printf(&b, "Line %d speaks of thing%d.\n", i, i);
    write_doc("a.md", b.data);
    write_doc("empty.txt", "\n");
    kb = open_kb();
    const struct sooth_tag tag = {"year", "2024"};
    const struct sooth_add_options o = {.tags = &tag, .n_tags = 1};
    add(kb, docs, &o);
    size_t before = 0;
    n_docs(kb, &before);
    sooth_kb_close(kb);
    const struct sooth_kb_options again = {
        .embedder = "hash", .reembed = true, .chunk_tokens = 100};
    assert_int_equal(sooth_kb_open(store, &again, &kb, NULL), SOOTH_OK);
    sooth_kb_info(kb, &info, NULL);
    assert_true(info.chunks > before);
    assert_int_equal(info.chunk_tokens, 100);
    assert_int_equal(problems(kb), 0);
    struct sooth_hits h = search(kb, "thing150", SOOTH_SEARCH_HYBRID, 3, "year=2024");
    assert_non_null(strstr(h.items[0].text, "thing150"));
    sooth_hits_release(&h);
    assert_int_equal(add(kb, docs, NULL).embedded, 0);
    sooth_kb_close(kb);
    buf_release(&b);
}

static void lesson_rag_12_13_shown_text_is_the_files(void **state)
{
    static const char text[] = "臺灣的資料庫系統，容量為５００㎏。\n第①章：說明。";
    write_doc("t.txt", text);
    struct sooth_kb *kb = open_kb();
    add(kb, docs, NULL);
    static const char *const queries[] = {"台湾的数据库", "资料库系统", "500kg",
                                          "资料",         "说明",       "第1章"};
    for (size_t i = 1; i < sizeof queries / sizeof *queries; i++) {
        struct sooth_hits h = search(kb, queries[i], SOOTH_SEARCH_TEXT, 3, NULL);
        assert_int_equal(h.count, 1);
        assert_memory_equal(text + h.items[0].start, h.items[0].text,
                            h.items[0].end - h.items[0].start);
        sooth_hits_release(&h);
    }
    sooth_kb_close(kb);
}

static void lesson_rag_26_filters_leave_exactly_the_rare_rows(void **state)
{
    struct sooth_kb *kb = open_kb();
    for (int i = 0; i < 40; i++) {
        char name[32], text[64], year[8];
        snprintf(name, sizeof name, "f%d.txt", i);
        snprintf(text, sizeof text, "A note about rivers and lakes, number %d.", i);
        snprintf(year, sizeof year, "%d", 1990 + i);
        const struct sooth_tag tags[] = {{"kind", i % 20 == 7 ? "rare" : "common"}, {"year", year}};
        const struct sooth_add_options o = {.tags = tags, .n_tags = 2};
        struct sooth_add_totals t;
        assert_int_equal(sooth_kb_add_bytes(kb, name, text, strlen(text), &o, &t, NULL), SOOTH_OK);
        assert_int_equal(t.added, 1);
    }
    static const struct {
        const char *filter;
        size_t want;
    } rows[] = {
        {"kind=rare", 2},
        {"tag=rare", 2},
        {"tag.kind = 'rare'", 2},
        {"kind!=rare", 38},
        {"not kind=rare", 38},
        {"year<1992", 2},
        {"year>=1995 and year<=1999", 5},
        {"kind=rare or year in (1990, 1991, 2000)", 5},
        {"(kind=rare or year=1990) and not doc=f7.txt", 2},
        {"doc=f3.txt", 1},
        {"DOC = f3.txt", SIZE_MAX},
        {"format=text", 40},
        {"page<10", 0},
        {"page!=3", 40},
        {"year=1e9", 0},
        {"kind=", SIZE_MAX},
        {"nothing=3", SIZE_MAX},
        {"kind=rare and", SIZE_MAX},
        {"((kind=rare)", SIZE_MAX},
        {"page=x", SIZE_MAX},
        {"kind rare", SIZE_MAX},
        {"year between 1995 and 1999", 5},
        {"year between 1995 and 1999 and kind != rare", 4},
        {"not year between 1995 and 2029", 5},
        {"year prefix 199", 10},
        {"doc prefix F1", 11},
        {"doc contains 3.T", 4},
        {"title prefix zzz", 0},
        {"text contains 'rivers and lakes'", 40},
        {"text contains 'River  and LAKE'", 40},
        {"text contains 'lakes and rivers'", 0},
        {"text contains 'number 7'", 1},
        {"text prefix lak and year<1993", 3},
        {"text prefix akes", 0},
        {"not text contains 'number 7'", 39},
        {"text = rivers", SIZE_MAX},
        {"page prefix 1", SIZE_MAX},
        {"year between 1995", SIZE_MAX},
        {"kind='rare", SIZE_MAX},
        {"kind=rare extra", SIZE_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sooth_search_options o;
        struct sooth_hits h;
        struct sooth_error err = {0};
        sooth_search_options_init(&o);
        o.k = 100;
        o.filter = rows[i].filter;
        enum sooth_status status = sooth_search(kb, "rivers", &o, &h, &err);
        if (rows[i].want == SIZE_MAX) {
            assert_int_equal(status, SOOTH_ERR_ARG);
            assert_non_null(strstr(err.text, "filter"));
        } else {
            assert_int_equal(status, SOOTH_OK);
            if (h.count != rows[i].want)
                fail_msg("'%s': %zu, not %zu", rows[i].filter, h.count, rows[i].want);
        }
        sooth_hits_release(&h);
    }
    struct sooth_hits few = search(kb, "rivers", SOOTH_SEARCH_VECTOR, 1, "kind=rare");
    assert_int_equal(few.count, 1);
    sooth_hits_release(&few);
    sooth_kb_close(kb);
}

/* Random filters against a plain reading of them. */
static void filters_equal_brute_force(void **state)
{
    struct snapshot v = {.n = 60, .n_docs = 12};
    struct snapshot_doc d[12];
    uint32_t doc[60], page[60];
    char names[12][16], tags[12][64];
    unsigned char allow[60];
    struct rng r;
    rng_seed(&r, 77);
    for (uint32_t i = 0; i < 12; i++) {
        snprintf(names[i], sizeof names[i], "/d/f%u", i);
        snprintf(tags[i], sizeof tags[i], "{\"a\":\"%u\",\"b\":\"w%u\"}", i % 5, i % 3);
        d[i] = (struct snapshot_doc){
            .doc = names[i], .title = names[i], .format = names[i], .tags = tags[i]};
    }
    for (uint32_t i = 0; i < 60; i++) {
        doc[i] = i / 5;
        page[i] = i % 5 + 1;
    }
    v.docs = d;
    v.doc = doc;
    v.page = page;
    for (int round = 0; round < 200; round++) {
        uint32_t p = (uint32_t)rng_below(&r, 7), a = (uint32_t)rng_below(&r, 6),
                 w = (uint32_t)rng_below(&r, 4);
        bool either = rng_below(&r, 2), negate = rng_below(&r, 2);
        char text[128];
        snprintf(text, sizeof text, "%s(page < %u %s a >= %u) and b %s w%u", negate ? "not " : "",
                 p, either ? "or" : "and", a, w & 1 ? "!=" : "=", w);
        assert_int_equal(filter_apply(text, NULL, &v, allow, NULL), SOOTH_OK);
        for (uint32_t i = 0; i < 60; i++) {
            uint32_t k = doc[i];
            bool left = page[i] < p, right = k % 5 >= a, third = (k % 3 == w) != ((w & 1) != 0);
            bool want = ((either ? left || right : left && right) != negate) && third;
            assert_int_equal(allow[i], want);
        }
    }
}

static void lesson_rag_27_scores_never_rise(void **state)
{
    static const char *const metrics[] = {"cosine", "dot", "l2", "l1"};
    for (int i = 0; i < 30; i++) {
        char name[32], text[128];
        snprintf(name, sizeof name, "f%d.txt", i);
        snprintf(text, sizeof text, "word%d word%d word%d filler text about nothing", i, i / 2,
                 i / 3);
        write_doc(name, text);
    }
    for (int m = 0; m < 4; m++) {
        struct sooth_kb *kb;
        char dir[160];
        snprintf(dir, sizeof dir, "%s/%s", root, metrics[m]);
        const struct sooth_kb_options o = {
            .embedder = "hash", .metric = metrics[m], .create = true};
        assert_int_equal(sooth_kb_open(dir, &o, &kb, NULL), SOOTH_OK);
        add(kb, docs, NULL);
        for (int mode = SOOTH_SEARCH_HYBRID; mode <= SOOTH_SEARCH_TEXT; mode++) {
            struct sooth_hits h = search(kb, "word12 word6 word4 filler text about nothing",
                                         (enum sooth_search_mode)mode, 30, NULL);
            assert_true(h.count > 5);
            assert_non_null(strstr(h.items[0].text, "word12 "));
            if (mode == SOOTH_SEARCH_VECTOR)
                assert_true(fabs(h.items[0].score - 1) < 0.01); /* the very text */
            for (size_t i = 0; i < h.count; i++) {
                assert_true(h.items[i].score <= 1.001);
                assert_true(i == 0 || h.items[i].score <= h.items[i - 1].score);
                assert_int_equal(h.items[i].rank, i + 1);
            }
            double middle = h.items[h.count / 2].score;
            struct sooth_search_options so;
            struct sooth_hits cut;
            sooth_search_options_init(&so);
            so.mode = (enum sooth_search_mode)mode;
            so.k = 30;
            so.min_score = middle;
            assert_int_equal(
                sooth_search(kb, "word12 word6 word4 filler text about nothing", &so, &cut, NULL),
                SOOTH_OK);
            assert_true(cut.count > h.count / 2);
            for (size_t i = 0; i < cut.count; i++)
                assert_true(cut.items[i].score >= middle);
            sooth_hits_release(&cut);
            sooth_hits_release(&h);
        }
        sooth_kb_close(kb);
    }
}

static void lesson_rag_28_three_numbers_and_each_bounded(void **state)
{
    struct sooth_kb *kb = open_kb();
    for (int i = 0; i < 300; i++) {
        char name[32], text[80];
        snprintf(name, sizeof name, "f%d.txt", i);
        snprintf(text, sizeof text, "Common words everywhere and number %d.", i);
        sooth_kb_add_bytes(kb, name, text, strlen(text), NULL, NULL, NULL);
    }
    static const size_t ks[] = {1, 3, 24, 50, 1000};
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
        struct sooth_hits h =
            search(kb, "common words and number 17", SOOTH_SEARCH_HYBRID, ks[i], NULL);
        assert_true(h.count <= ks[i]);
        assert_true(h.count == ks[i] || ks[i] > 300);
        assert_int_equal(h.reranked, 24);
        assert_true(h.candidates >= h.count && h.candidates <= 300);
        size_t with = 0;
        for (size_t j = 0; j < h.count; j++)
            with += !isnan(h.items[j].rerank_score);
        assert_int_equal(with, h.count < 24 ? h.count : 24);
        sooth_hits_release(&h);
    }
    sooth_kb_close(kb);
}

static void lesson_rag_16_nul_bytes_do_not_fail_a_document(void **state)
{
    struct sooth_kb *kb = open_kb();
    static const char text[] =
        "Before the nul \0 after it, and a lone \xED\xA0\x80 surrogate. The word is plugh.";
    struct sooth_add_totals t;
    assert_int_equal(sooth_kb_add_bytes(kb, "n.txt", text, sizeof text - 1, NULL, &t, NULL),
                     SOOTH_OK);
    assert_int_equal(t.added, 1);
    struct sooth_hits h = search(kb, "plugh", SOOTH_SEARCH_TEXT, 3, NULL);
    assert_int_equal(h.count, 1);
    assert_int_equal(strlen(h.items[0].text), h.items[0].end - h.items[0].start);
    assert_int_equal(problems(kb), 0);
    sooth_hits_release(&h);
    sooth_kb_close(kb);
}

/* Adds all files in a child that is killed after a while. True when it was done before that. */
static bool add_and_kill(long microseconds)
{
    pid_t child = fork();
    if (child == 0) {
        struct sooth_kb *kb;
        const struct sooth_kb_options o = {.embedder = "hash", .create = true, .threads = 1};
        const char *path = docs;
        if (sooth_kb_open(store, &o, &kb, NULL) != SOOTH_OK ||
            sooth_kb_add(kb, &path, 1, NULL, NULL, NULL) != SOOTH_OK)
            _exit(1);
        _exit(0);
    }
    nanosleep(&(struct timespec){.tv_nsec = microseconds * 1000}, NULL);
    kill(child, SIGKILL);
    int status;
    waitpid(child, &status, 0);
    if (WIFEXITED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFEXITED(status);
}

static void lesson_rag_25_killed_100_times_nothing_is_lost(void **state)
{
    enum { FILES = 12 };
    struct rng r;
    size_t finished = 0, chunks;
    rng_seed(&r, 4);
    for (int round = 0; round < 100; round++) {
        if (round % 10 == 0)
            for (int i = 0; i < FILES; i++) {
                char name[32], text[600];
                size_t at = 0;
                snprintf(name, sizeof name, "f%d.txt", i);
                for (int j = 0; j < 8; j++)
                    at += (size_t)snprintf(text + at, sizeof text - at,
                                           "Line %d of file%d in round%d says something.\n", j, i,
                                           round);
                write_doc(name, text);
            }
        finished += add_and_kill(500 + (long)rng_below(&r, 40000));
        struct sooth_kb *kb = open_kb();
        assert_int_equal(problems(kb), 0);
        assert_true(n_docs(kb, &chunks) <= FILES);
        sooth_kb_close(kb);
    }
    struct sooth_kb *kb = open_kb();
    add(kb, docs, NULL);
    assert_int_equal(n_docs(kb, &chunks), FILES);
    assert_int_equal(chunks, FILES);
    for (int i = 0; i < FILES; i++) {
        char word[32];
        snprintf(word, sizeof word, "file%d round90", i);
        struct sooth_hits h = search(kb, word, SOOTH_SEARCH_TEXT, 1, NULL);
        assert_int_equal(h.count, 1);
        sooth_hits_release(&h);
    }
    assert_int_equal(problems(kb), 0);
    assert_true(finished < 100);
    sooth_kb_close(kb);
}

static int writer(int id)
{
    struct sooth_kb *kb;
    const struct sooth_kb_options o = {.embedder = "hash", .create = true, .threads = 1};
    if (sooth_kb_open(store, &o, &kb, NULL) != SOOTH_OK)
        return 1;
    for (int i = 0; i < 25; i++) {
        char name[32], text[256];
        struct sooth_add_totals t;
        snprintf(name, sizeof name, "w%d-%d.txt", id, i);
        snprintf(text, sizeof text, "Writer %d made document %d.\nhalves: begin%dx%d and end%dx%d",
                 id, i, id, i, id, i);
        if (sooth_kb_add_bytes(kb, name, text, strlen(text), NULL, &t, NULL) != SOOTH_OK ||
            t.added != 1)
            return 2;
    }
    sooth_kb_close(kb);
    return 0;
}

/* A reader that ever sees an error, or a document without its passage, says so. */
static int reader(void)
{
    struct sooth_kb *kb;
    const struct sooth_kb_options o = {.embedder = "hash", .read_only = true, .threads = 1};
    if (sooth_kb_open(store, &o, &kb, NULL) != SOOTH_OK)
        return 1;
    for (int i = 0; i < 60; i++) {
        struct sooth_hits h;
        struct sooth_search_options so;
        sooth_search_options_init(&so);
        so.k = 200;
        if (sooth_search(kb, "writer made document", &so, &h, NULL) != SOOTH_OK)
            return 2;
        for (size_t j = 0; j < h.count; j++)
            if (!strstr(h.items[j].text, "begin") || !strstr(h.items[j].text, "end"))
                return 3;
        sooth_hits_release(&h);
    }
    sooth_kb_close(kb);
    return 0;
}

static void lesson_rag_24_four_writers_four_readers(void **state)
{
    pid_t children[8];
    size_t chunks;
    sooth_kb_close(open_kb());
    for (int i = 0; i < 8; i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit(i < 4 ? writer(i) : reader());
    }
    for (int i = 0; i < 8; i++) {
        int status;
        waitpid(children[i], &status, 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    struct sooth_kb *kb = open_kb();
    assert_int_equal(n_docs(kb, &chunks), 100);
    assert_int_equal(chunks, 100);
    assert_int_equal(problems(kb), 0);
    sooth_kb_close(kb);
}

struct told {
    size_t n, stop_after;
    enum sooth_add_status last;
};

static bool tell(void *user, const struct sooth_added *f)
{
    struct told *t = user;
    assert_int_equal(f->done, ++t->n);
    assert_non_null(f->file);
    t->last = f->status;
    return t->n != t->stop_after;
}

static void walking_globs_and_stopping(void **state)
{
    struct sooth_kb *kb = open_kb();
    struct told told = {0};
    const char *const include[] = {"*.txt"}, *const exclude[] = {"drop*"};
    mkdir(path_of("sub"), 0755);
    mkdir(path_of(".hidden"), 0755);
    write_doc("keep.txt", "one");
    write_doc("drop.txt", "two");
    write_doc("sub/deep.txt", "three");
    write_doc(".hidden/no.txt", "four");
    write_doc("notes.md", "five");
    write_doc("void.txt", "\n\n");
    struct sooth_add_options o = {.include = include,
                                  .n_include = 1,
                                  .exclude = exclude,
                                  .n_exclude = 1,
                                  .on_file = tell,
                                  .user = &told};
    struct sooth_add_totals t = add(kb, docs, &o);
    assert_int_equal(t.added, 2);
    assert_int_equal(t.no_text, 1);
    assert_int_equal(told.n, 3);
    o = (struct sooth_add_options){.on_file = tell, .user = &told};
    told = (struct told){.stop_after = 2};
    struct sooth_error err;
    const char *paths[] = {docs, path_of("gone.txt")};
    assert_int_equal(sooth_kb_add(kb, paths, 2, &o, &t, &err), SOOTH_ERR_CANCELLED);
    assert_int_equal(told.n, 2);
    told = (struct told){0};
    assert_int_equal(sooth_kb_add(kb, paths, 2, &o, &t, &err), SOOTH_OK);
    assert_int_equal(t.failed, 1);
    assert_int_equal(told.last, SOOTH_FAILED);
    assert_int_equal(problems(kb), 0);
    sooth_kb_close(kb);
}

/* The n-th allocation fails, for every n: a status, nothing leaked, the store as before or with the
 * document whole. */
static void failing_memory_is_a_status(void **state)
{
    static const char text[] = "Some words about rivers.\n\n更多的话，关于河流。";
    struct sooth_kb *kb = open_kb();
    sooth_kb_add_bytes(kb, "first.txt", text, sizeof text - 1, NULL, NULL, NULL);
    for (uint64_t n = 1, failed = 1; failed; n++) {
        struct sooth_hits h;
        uint64_t live = mem_live();
        mem_fail_at(n);
        enum sooth_status status = sooth_search(kb, "words about 河流", NULL, &h, NULL);
        mem_fail_at(0);
        failed = status != SOOTH_OK;
        assert_true(status == SOOTH_OK || status == SOOTH_ERR_NOMEM);
        sooth_hits_release(&h);
        assert_true(mem_live() <= live + 64); /* the snapshot may have been loaded */
    }
    assert_int_equal(problems(kb), 0);
    for (uint64_t n = 1, failed = 1; failed; n++) {
        char name[32];
        struct sooth_add_totals t = {0};
        snprintf(name, sizeof name, "n%d.txt", (int)n);
        mem_fail_at(n);
        enum sooth_status status =
            sooth_kb_add_bytes(kb, name, text, sizeof text - 1, NULL, &t, NULL);
        mem_fail_at(0);
        failed = status != SOOTH_OK || t.failed > 0;
        assert_true(failed || t.added == 1);
        assert_true(n < 5000);
    }
    assert_int_equal(problems(kb), 0);
    assert_int_equal(n_docs(kb, NULL), 2);
    sooth_kb_close(kb);
}

static void empty_stores_and_questions(void **state)
{
    struct sooth_kb *kb = open_kb();
    struct sooth_hits h = search(kb, "anything", SOOTH_SEARCH_HYBRID, 5, NULL);
    assert_int_equal(h.count, 0);
    sooth_kb_add_bytes(kb, "a.txt", "words", 5, NULL, NULL, NULL);
    h = search(kb, "  \n", SOOTH_SEARCH_HYBRID, 5, NULL);
    assert_int_equal(h.count, 0);
    h = search(kb, "?!", SOOTH_SEARCH_HYBRID, 5, NULL);
    sooth_hits_release(&h);
    assert_int_equal(sooth_kb_forget(kb, "a.txt", NULL), SOOTH_OK);
    assert_int_equal(problems(kb), 0);
    sooth_kb_close(kb);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(lesson_rag_17_adding_again_changes_nothing),
        T(lesson_rag_17_the_same_long_file_twice_is_shown_once),
        T(scripts_are_compared_on_equal_terms),
        T(lesson_rag_18_changed_text_replaces_the_old),
        T(lesson_rag_15_names_of_every_kind),
        T(lesson_rag_19_same_name_in_two_folders),
        T(lesson_rag_20_forgotten_by_any_name),
        T(lesson_rag_23_another_embedder_is_refused),
        T(embedding_again_keeps_everything),
        T(lesson_rag_12_13_shown_text_is_the_files),
        T(lesson_rag_26_filters_leave_exactly_the_rare_rows),
        cmocka_unit_test(filters_equal_brute_force),
        T(lesson_rag_27_scores_never_rise),
        T(lesson_rag_28_three_numbers_and_each_bounded),
        T(lesson_rag_16_nul_bytes_do_not_fail_a_document),
        T(lesson_rag_25_killed_100_times_nothing_is_lost),
        T(lesson_rag_24_four_writers_four_readers),
        T(walking_globs_and_stopping),
        T(failing_memory_is_a_status),
        T(empty_stores_and_questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
