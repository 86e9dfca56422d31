/* The postings file: the same scores as the rows to the bit, through changes, filters, damage. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/rng.h"
#include "know/index/storedb.h"

enum { DOCS = 150, EACH = 40, K = 12 };
static char dir[64];
static struct rng rng;

static int clean(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

/* Words of a Zipf-like vocabulary: common ones in almost every passage, rare ones in few. */
static void sentence(struct buf *out, size_t words)
{
    for (size_t i = 0; i < words; i++) {
        double u = rng_double(&rng);
        buf_printf(out, "w%d ", (int)(exp(u * u * 8)));
    }
    buf_puts(out, rng_below(&rng, 3) ? "" : "数据库管理");
}

static void put(struct store *s, const char *name, size_t n)
{
    struct buf text = BUF_INIT;
    struct store_chunk chunks[EACH];
    unsigned char packed[4 + 3 * 4];
    static const float vector[4] = {1, 0, 0, 0};
    assert_true(vector_pack(vector, 4, packed));
    memset(chunks, 0, sizeof chunks);
    for (size_t i = 0; i < n; i++) {
        chunks[i].start = text.len;
        sentence(&text, 5 + rng_below(&rng, 60));
        chunks[i].end = text.len;
        chunks[i].heading = "";
        chunks[i].vector = packed;
    }
    for (size_t i = 0; i < n; i++) {
        chunks[i].context = text.data + chunks[i].start;
        chunks[i].context_len = chunks[i].end - chunks[i].start;
        store_hash(chunks[i].context, chunks[i].context_len, chunks[i].hash);
    }
    const struct store_document d = {
        .doc = name, .hash = name, .parse = "", .text = text.data, .text_len = text.len};
    assert_int_equal(store_put(s, &d, chunks, n, true, NULL, NULL), SOOTH_OK);
    buf_release(&text);
}

static struct store *filled(void)
{
    struct store *s;
    char name[16];
    const struct store_embedder e = {"test", "0123", "cosine", "", "", 4, 64, NULL};
    strcpy(dir, "/tmp/sooth-words-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(store_open(dir, STORE_CREATE, &s, NULL), SOOTH_OK);
    assert_int_equal(store_embedder_set(s, &e, false, NULL), SOOTH_OK);
    rng_seed(&rng, 17);
    for (int d = 0; d < DOCS; d++) {
        snprintf(name, sizeof name, "d%d", d);
        put(s, name, 1 + rng_below(&rng, EACH));
    }
    return s;
}

/* Every answer of the file is the answer of the rows, to the bit; true when the file was used. */
static bool agrees(struct store *s, const struct bm25 *p)
{
    enum { ASKED = 40 };
    static struct scored want[ASKED][K], got[K];
    static char questions[ASKED][200];
    size_t n_want[ASKED], n;
    double ceiling, again[ASKED];
    const struct snapshot *v;
    bool used = false;
    for (int pass = 0; pass < 2; pass++) {
        store_index_from(s, pass ? 0 : SIZE_MAX);
        assert_int_equal(store_snapshot(s, false, &v, NULL), SOOTH_OK);
        unsigned char *allow = mem_alloc(v->n);
        for (size_t i = 0; i < v->n; i++)
            allow[i] = i % 7 < 2;
        for (int i = 0; i < ASKED; i++) {
            if (pass == 0) {
                struct buf q = BUF_INIT;
                sentence(&q, 1 + rng_below(&rng, 6));
                snprintf(questions[i], sizeof questions[i], "%s", q.data);
                buf_release(&q);
            }
            struct scored *out = pass ? got : want[i];
            assert_int_equal(text_search(s, v, p, questions[i], strlen(questions[i]),
                                         i % 3 ? NULL : allow, K, out, pass ? &n : &n_want[i],
                                         pass ? &ceiling : &again[i], NULL),
                             SOOTH_OK);
            if (!pass)
                continue;
            assert_int_equal(n, n_want[i]);
            assert_true(ceiling == again[i]);
            for (size_t j = 0; j < n; j++)
                if (got[j].slot != want[i][j].slot || got[j].score != want[i][j].score)
                    fail_msg("'%s' rank %zu: %u %.17g, the rows say %u %.17g", questions[i], j,
                             got[j].slot, got[j].score, want[i][j].slot, want[i][j].score);
        }
        used = s->words.open;
        mem_free(allow);
    }
    return used;
}

static void every_variant_equals_the_rows(void **state)
{
    struct store *s = filled();
    store_index_from(s, 0);
    assert_int_equal(store_index_refresh(s, 1, false, NULL), SOOTH_OK);
    for (size_t i = 0; bm25_at(i); i++)
        assert_true(agrees(s, bm25_at(i)));
    store_close(s);
}

static void changed_documents_are_read_from_rows(void **state)
{
    struct store *s = filled();
    store_index_from(s, 0);
    assert_int_equal(store_index_refresh(s, 1, false, NULL), SOOTH_OK);
    put(s, "new", 9);
    put(s, "d7", 5); /* replaced */
    assert_int_equal(store_forget(s, "d3", NULL), SOOTH_OK);
    assert_int_equal(store_forget(s, "d149", NULL), SOOTH_OK);
    assert_true(agrees(s, bm25_find(NULL)));
    assert_int_equal(store_compact(s, NULL, NULL, NULL), SOOTH_OK);
    assert_true(agrees(s, bm25_find(NULL)));
    assert_int_equal(s->words.n_fresh + s->words.dead, 0);
    store_close(s);
}

static void threat_a_damaged_postings_file_is_never_believed(void **state)
{
    struct store *s = filled();
    char file[128];
    struct buf whole = BUF_INIT;
    store_index_from(s, 0);
    assert_int_equal(store_index_refresh(s, 1, false, NULL), SOOTH_OK);
    snprintf(file, sizeof file, "%s/" WORDS_NAME, dir);
    assert_int_equal(file_read(file, (size_t)1 << 30, &whole, NULL), SOOTH_OK);
    for (int i = 0; i < 60; i++) {
        size_t at = i < 30 ? (size_t)i * 8 : rng_below(&rng, whole.len), cut = whole.len;
        whole.data[at] ^= 64;
        if (i % 2)
            cut = rng_below(&rng, whole.len);
        assert_int_equal(file_write_atomic(file, whole.data, cut, NULL), SOOTH_OK);
        agrees(s, bm25_find(NULL));
        whole.data[at] ^= 64;
    }
    assert_int_equal(store_index_refresh(s, 1, false, NULL), SOOTH_OK);
    assert_true(agrees(s, bm25_find(NULL)));
    buf_release(&whole);
    store_close(s);
}

/* The five formulas on one small corpus: "cat sat mat", "dog sat", "cat cat dog"; the term "cat".
 * Worked out by hand from the table in bm25.c. */
static void golden_variants(void **state)
{
    static const struct {
        const char *name;
        double idf, part; /* N = 3, df = 2; tf = 2, length 3 of average 8/3 */
    } want[] = {
        {"lucene", 0.470003629, 0.603773585},    {"robertson", 0, 0.603773585},
        {"atire", 0.405465108, 1.328301887},     {"bm25l", 0.470003629, 0.804763039},
        {"bm25plus", 0.693147181, 1.328301887},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const struct bm25 *p = bm25_find(want[i].name);
        double norm = bm25_norm(p, 3, 8.0 / 3);
        assert_true(fabs(p->idf(3, 2) - want[i].idf) < 1e-8);
        if (fabs(p->part(p, 2, norm) - want[i].part) > 1e-8)
            fail_msg("%s: %.9f", want[i].name, p->part(p, 2, norm));
        assert_true(p->part(p, 0, norm) == 0);
        for (int tf = 1; tf < 50; tf++)
            assert_true(p->part(p, tf + 1, norm) > p->part(p, tf, norm) &&
                        p->part(p, tf, norm) > p->part(p, tf, norm + 0.1));
    }
    assert_null(bm25_find("unknown"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_variant_equals_the_rows, clean),
        cmocka_unit_test_teardown(changed_documents_are_read_from_rows, clean),
        cmocka_unit_test_teardown(threat_a_damaged_postings_file_is_never_believed, clean),
        cmocka_unit_test(golden_variants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
