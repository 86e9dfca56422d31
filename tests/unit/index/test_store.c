/* The store: documents in and out, its indexes, its refusals. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <math.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/fsio.h"
#include "core/base/rng.h"
#include "know/index/index.h"

#define DIM 16

static char dir[64];

static int setup(void **state)
{
    strcpy(dir, "/tmp/sooth-store-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static struct store *open_store(void)
{
    struct store *s;
    struct sooth_error err = {0};
    const struct store_embedder e = {"test", "0123", "cosine", "", "", DIM, 64};
    if (store_open(dir, STORE_CREATE, &s, &err) != SOOTH_OK ||
        store_embedder_set(s, &e, false, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return s;
}

/* One passage a line. */
static enum sooth_status put(struct store *s, const char *name, const char *text,
                             struct store_put *result)
{
    struct store_chunk chunks[64] = {0};
    static struct buf contexts[64];
    static unsigned char vectors[64][4 + 3 * DIM];
    struct sooth_error err = {0};
    size_t n = 0, len = strlen(text);
    char hash[65];
    for (size_t at = 0; at < len && n < 64; n++) {
        size_t end = at + strcspn(text + at, "\n");
        float v[DIM];
        struct store_chunk *c = &chunks[n];
        buf_clear(&contexts[n]);
        store_context("", "", "", 0, text + at, end - at, &contexts[n]);
        *c = (struct store_chunk){.start = at,
                                  .end = end,
                                  .heading = "",
                                  .context = contexts[n].data,
                                  .context_len = contexts[n].len};
        store_hash(c->context, c->context_len, c->hash);
        for (int i = 0; i < DIM; i++)
            v[i] = (float)c->hash[i] - 127.5f;
        assert_true(vector_pack(v, DIM, vectors[n]));
        c->vector = vectors[n];
        at = end + 1;
    }
    snprintf(hash, sizeof hash, "%zu-%.40s", len, text);
    const struct store_document d = {
        .doc = name, .hash = hash, .parse = "", .text = text, .text_len = len, .source_bytes = len};
    enum sooth_status status = store_put(s, &d, chunks, n, false, result, &err);
    for (size_t i = 0; i < 64; i++)
        buf_release(&contexts[i]);
    return status;
}

static size_t text_hits(struct store *s, const char *query, struct scored *out, size_t k)
{
    const struct snapshot *v;
    size_t n = 0;
    assert_int_equal(store_snapshot(s, false, &v, NULL), SOOTH_OK);
    assert_int_equal(
        text_search(s, v, bm25_find(NULL), query, strlen(query), NULL, k, out, &n, NULL, NULL),
        SOOTH_OK);
    return n;
}

static size_t problems(struct store *s)
{
    size_t n = 1;
    assert_int_equal(store_check(s, NULL, NULL, &n, NULL), SOOTH_OK);
    return n;
}

static void golden_bm25(void **state)
{
    struct store *s = open_store();
    struct scored hits[8];
    const struct snapshot *v;
    put(s, "one", "cat sat mat\ndog sat\ncat cat dog", NULL);
    assert_int_equal(store_snapshot(s, false, &v, NULL), SOOTH_OK);
    static const struct {
        double k1, best, next;
    } want[] = {{1.2, 0.283776, 0.203245}, {1.5, 0.258199, 0.177990}};
    for (int i = 0; i < 2; i++) {
        size_t n = 0;
        double ceiling = 0;
        struct bm25 p = *bm25_find("lucene");
        p.k1 = want[i].k1;
        text_search(s, v, &p, "cat", 3, NULL, 8, hits, &n, &ceiling, NULL);
        assert_int_equal(n, 2);
        assert_int_equal(hits[0].slot, 2);
        assert_int_equal(hits[1].slot, 0);
        assert_true(fabs(hits[0].score - want[i].best) < 1e-6 &&
                    fabs(hits[1].score - want[i].next) < 1e-6);
        assert_true(fabs(ceiling - bm25_find(NULL)->idf(3, 2)) < 1e-12 && hits[0].score < ceiling);
    }
    store_close(s);
}

static void lesson_rag_10_han_words_of_any_length(void **state)
{
    struct store *s = open_store();
    struct scored hits[8];
    put(s, "a",
        "本手册介绍数据库的安装步骤\n网络打印机的驱动程序\n结果在gen-itgc后50条记录里\n猫\nan "
        "English line",
        NULL);
    static const struct {
        const char *query;
        uint32_t slot;
    } want[] = {
        {"库", 0}, {"安装", 0}, {"数据库", 0},   {"驱动程序", 1}, {"itgc", 2},
        {"猫", 3}, {"網絡", 1}, {"ｉｔｇｃ", 2}, {"记录", 2},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_true(text_hits(s, want[i].query, hits, 8) >= 1);
        assert_int_equal(hits[0].slot, want[i].slot);
    }
    assert_int_equal(text_hits(s, "狗", hits, 8), 0);
    store_close(s);
}

static void lesson_rag_11_user_text_is_never_query_syntax(void **state)
{
    struct store *s = open_store();
    struct scored hits[8];
    put(s, "a",
        "C++ is a language\nratio a:b of the mix\ndon't panic\nlogic AND gate\nversion 20.04 is "
        "old\n这是什么？\nNEAR the river",
        NULL);
    static const struct {
        const char *query;
        int slot;
    } want[] = {
        {"C++", 0},
        {"a:b", 1},
        {"don't", 2},
        {"AND", 3},
        {"20.04", 4},
        {"什么？", 5},
        {"NEAR(a b", 6},
        {"*", -1},
        {"\"", -1},
        {"", -1},
        {"'; DROP TABLE chunks; --", -1},
        {"NEAR/3", 6},
        {"-gate", 3},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        size_t n = text_hits(s, want[i].query, hits, 8);
        if (want[i].slot >= 0) {
            bool found = false;
            for (size_t j = 0; j < n; j++)
                found |= hits[j].slot == (uint32_t)want[i].slot;
            assert_true(found);
        }
    }
    assert_int_equal(text_hits(s, "*", hits, 8), 0);
    assert_int_equal(problems(s), 0);
    store_close(s);
}

static void lesson_rag_18_only_what_changed_is_new(void **state)
{
    struct store *s = open_store();
    struct scored hits[8];
    struct store_put r;
    const struct snapshot *v;
    put(s, "a", "the first line\nthe second line\nthe third line", &r);
    assert_false(r.unchanged || r.updated);
    store_snapshot(s, false, &v, NULL);
    int64_t first = v->chunk[0], second = v->chunk[1], third = v->chunk[2];
    put(s, "a", "the first line\nthe second line\nthe third line", &r);
    assert_true(r.unchanged);
    put(s, "a", "the first line\nan altered verse\nthe third line", &r);
    assert_true(r.updated && !r.unchanged);
    store_snapshot(s, false, &v, NULL);
    assert_int_equal(v->n, 3);
    assert_int_equal(v->chunk[0], first);
    assert_int_equal(v->chunk[2], third);
    assert_true(v->chunk[1] > third && v->chunk[1] != second);
    assert_int_equal(text_hits(s, "second", hits, 8), 0);
    assert_int_equal(text_hits(s, "altered", hits, 8), 1);
    assert_int_equal(problems(s), 0);
    store_close(s);
}

/* Does any file of the store hold the bytes? */
static bool on_disk(const char *what)
{
    bool found = false;
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d));) {
        char path[400];
        struct buf b = BUF_INIT;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.' && file_read(path, 1 << 30, &b, NULL) == SOOTH_OK)
            found |= memmem(b.data, b.len, what, strlen(what)) != NULL;
        buf_release(&b);
    }
    closedir(d);
    return found;
}

static void lesson_rag_20_forgotten_bytes_are_gone(void **state)
{
    struct store *s = open_store();
    struct scored hits[8];
    uint64_t before = 0, after = 0;
    put(s, "a", "the password is xyzzyplugh today\nmore words", NULL);
    put(s, "b", "another document stays here", NULL);
    assert_true(on_disk("xyzzyplugh"));
    assert_int_equal(store_forget(s, "a", NULL), SOOTH_OK);
    assert_int_equal(store_forget(s, "a", NULL), SOOTH_ERR_NOTFOUND);
    assert_int_equal(text_hits(s, "xyzzyplugh", hits, 8), 0);
    assert_int_equal(store_compact(s, &before, &after, NULL), SOOTH_OK);
    assert_false(on_disk("xyzzyplugh"));
    assert_true(on_disk("another document stays here"));
    assert_true(after <= before);
    assert_int_equal(problems(s), 0);
    store_close(s);
    assert_false(on_disk("xyzzyplugh"));
}

static void lesson_rag_22_churn_does_not_grow_the_store(void **state)
{
    struct store *s = open_store();
    char text[4096];
    uint64_t fresh = 0, worn = 0;
    for (int round = 0; round < 51; round++) {
        size_t at = 0;
        for (int i = 0; i < 60; i++)
            at += (size_t)snprintf(text + at, sizeof text - at, "line %d of round %d says %d\n", i,
                                   round, i * round);
        put(s, "a", text, NULL);
        if (round == 0)
            store_compact(s, NULL, &fresh, NULL);
    }
    store_compact(s, NULL, &worn, NULL);
    assert_true(worn <= 2 * fresh);
    assert_int_equal(problems(s), 0);
    store_close(s);
}

static void lesson_rag_23_another_embedder_is_refused(void **state)
{
    struct store *s = open_store();
    struct sooth_error err = {0};
    const struct store_embedder other = {"other", "4567", "cosine", "", "", DIM, 64};
    put(s, "a", "some words", NULL);
    assert_int_equal(store_embedder_set(s, &other, false, &err), SOOTH_ERR_ARG);
    assert_non_null(strstr(err.text, "'test'"));
    assert_non_null(strstr(err.hint, "--reembed"));
    assert_string_equal(store_embedder(s)->name, "test");
    store_close(s);
    s = open_store();
    assert_int_equal(store_embedder(s)->dim, DIM);
    store_close(s);
}

static void check_finds_damage(void **state)
{
    static const char *const harm[] = {
        "DELETE FROM vectors WHERE chunk = 1",
        "DELETE FROM halves WHERE chunk = 2",
        "UPDATE chunks SET end = end - 1 WHERE id = 1",
        "DELETE FROM postings WHERE rowid IN (SELECT 1)",
        "UPDATE documents SET chunks = 9",
        "DELETE FROM texts",
        "UPDATE chunks SET seq = 7 WHERE id = 2",
        "INSERT INTO pages VALUES(99, 1, 0, 1, NULL)",
    };
    for (size_t i = 0; i < sizeof harm / sizeof *harm; i++) {
        char command[512];
        struct store *s = open_store();
        put(s, "a", "first words here\nsecond words there", NULL);
        assert_int_equal(problems(s), 0);
        store_close(s);
        const char *sql =
            i == 3 ? "DELETE FROM postings WHERE term = (SELECT min(term) FROM postings)" : harm[i];
        snprintf(command, sizeof command, "sqlite3 '%s/kb.sqlite' \"%s\" 2>/dev/null", dir, sql);
        if (system(command) != 0)
            skip(); /* no sqlite3 program */
        s = open_store();
        assert_true(problems(s) > 0);
        store_close(s);
        teardown(state);
        setup(state);
    }
}

static void refuses_what_it_does_not_know(void **state)
{
    struct store *s = NULL;
    struct sooth_error err = {0};
    char path[128];
    assert_int_equal(store_open(dir, 0, &s, &err), SOOTH_ERR_NOTFOUND);
    assert_null(s);
    snprintf(path, sizeof path, "%s/kb.sqlite", dir);
    file_write_atomic(
        path,
        "this is not a database at all, not even a bit of one, but it is long enough to be read",
        86, NULL);
    assert_int_equal(store_open(dir, STORE_CREATE, &s, &err), SOOTH_ERR_FORMAT);
    assert_non_null(strstr(err.text, "damaged"));
    unlink(path);
    s = open_store();
    store_close(s);
    struct buf b = BUF_INIT;
    assert_int_equal(file_read(path, 1 << 26, &b, NULL), SOOTH_OK);
    b.data[63] = 99; /* user_version, big-endian at 60 */
    file_write_atomic(path, b.data, b.len, NULL);
    assert_int_equal(store_open(dir, 0, &s, &err), SOOTH_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "99"));
    b.data[63] = 1;
    b.data[71] ^= 1; /* application_id at 68 */
    file_write_atomic(path, b.data, b.len, NULL);
    assert_int_equal(store_open(dir, 0, &s, &err), SOOTH_ERR_FORMAT);
    buf_release(&b);
}

static void a_damaged_page_is_an_error_not_a_crash(void **state)
{
    char path[128];
    struct store *s = open_store();
    struct buf whole = BUF_INIT;
    struct rng r;
    put(s, "a", "first words here\nsecond words there\nthird", NULL);
    store_close(s);
    snprintf(path, sizeof path, "%s/kb.sqlite", dir);
    assert_int_equal(file_read(path, 1 << 26, &whole, NULL), SOOTH_OK);
    rng_seed(&r, 3);
    for (int round = 0; round < 60; round++) {
        struct buf b = BUF_INIT;
        struct scored hits[8];
        const struct snapshot *v;
        size_t n = 0, found = 0;
        buf_add(&b, whole.data, whole.len);
        for (int i = 0; i < 40; i++)
            b.data[100 + rng_below(&r, b.len - 100)] = (char)rng_u64(&r);
        file_write_atomic(path, b.data, b.len, NULL);
        buf_release(&b);
        if (store_open(dir, 0, &s, NULL) != SOOTH_OK)
            continue;
        if (store_snapshot(s, true, &v, NULL) == SOOTH_OK) {
            float q[DIM] = {1};
            text_search(s, v, bm25_find(NULL), "words", 5, NULL, 8, hits, &found, NULL, NULL);
            if (v->dim == DIM)
                vector_search(s, v, METRIC_COSINE, q, NULL, 8, hits, &found, NULL);
        }
        store_check(s, NULL, NULL, &n, NULL);
        store_close(s);
    }
    buf_release(&whole);
}

static void a_second_writer_waits_then_says_so(void **state)
{
    struct store *a = open_store(), *b = open_store();
    struct sooth_error err = {0};
    assert_int_equal(store_write_begin(a, NULL), SOOTH_OK);
    store_set_busy(b, 20);
    assert_int_equal(store_write_begin(b, &err), SOOTH_ERR_BUSY);
    assert_non_null(strstr(err.text, "busy"));
    store_end(a, true, NULL);
    assert_int_equal(store_write_begin(b, &err), SOOTH_OK);
    store_end(b, false, NULL);
    store_close(a);
    store_close(b);
}

static void pages_and_passages_read_back(void **state)
{
    struct store *s = open_store();
    static const char text[] = "page one text\npage two text";
    const struct store_page pages[] = {{0, 13, "i"}, {13, 13, NULL}, {14, 27, "1"}};
    struct store_chunk c = {
        .start = 14, .end = 27, .page = 3, .heading = "A > B", .header_start = 0, .header_end = 4};
    struct buf context = BUF_INIT;
    unsigned char vector[4 + 3 * DIM];
    float v[DIM] = {1, 2};
    store_context("T", "A > B", text, 4, text + 14, 13, &context);
    assert_string_equal(context.data, "T\nA > B\npage\npage two text");
    c.context = context.data;
    c.context_len = context.len;
    store_hash(c.context, c.context_len, c.hash);
    vector_pack(v, DIM, vector);
    c.vector = vector;
    const struct sooth_tag tags[] = {{"year", "2023"}, {"kind", "x"}, {"year", "2024"}};
    const struct store_document d = {.doc = "/d",
                                     .hash = "h",
                                     .parse = "",
                                     .title = "T",
                                     .context_title = "T",
                                     .text = text,
                                     .text_len = 27,
                                     .pages = pages,
                                     .n_pages = 3,
                                     .tags = tags,
                                     .n_tags = 3,
                                     .blocks = "bb",
                                     .blocks_len = 2};
    assert_int_equal(store_put(s, &d, &c, 1, false, NULL, NULL), SOOTH_OK);
    struct store_passage p;
    struct store_doc_info info;
    size_t page;
    char *label;
    assert_int_equal(store_passage(s, 1, &p, NULL), SOOTH_OK);
    assert_string_equal(p.text, "page two text");
    assert_string_equal(p.page_label, "1");
    assert_int_equal(p.page, 3);
    assert_int_equal(store_find(s, "/d", &info, NULL), SOOTH_OK);
    assert_string_equal(info.tags, "{\"kind\":\"x\",\"year\":\"2024\"}");
    store_page_at(s, p.doc_id, 20, &page, &label, NULL);
    assert_int_equal(page, 3);
    mem_free(label);
    store_page_at(s, p.doc_id, 3, &page, &label, NULL);
    assert_int_equal(page, 1);
    assert_string_equal(label, "i");
    mem_free(label);
    store_passage_release(&p);
    assert_int_equal(store_passage(s, 2, &p, NULL), SOOTH_ERR_NOTFOUND);
    assert_int_equal(problems(s), 0);
    buf_release(&context);
    store_close(s);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(golden_bm25),
        T(lesson_rag_10_han_words_of_any_length),
        T(lesson_rag_11_user_text_is_never_query_syntax),
        T(lesson_rag_18_only_what_changed_is_new),
        T(lesson_rag_20_forgotten_bytes_are_gone),
        T(lesson_rag_22_churn_does_not_grow_the_store),
        T(lesson_rag_23_another_embedder_is_refused),
        T(check_finds_damage),
        T(refuses_what_it_does_not_know),
        T(a_damaged_page_is_an_error_not_a_crash),
        T(a_second_writer_waits_then_says_so),
        T(pages_and_passages_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
