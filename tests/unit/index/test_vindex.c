/* The table of vector indexes: every row against brute force; files; a store that keeps one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/rng.h"
#include "know/index/storedb.h"
#include "know/index/vindex.h"

enum { DIM = 64, N = 3000, NQ = 60, K = 10 };
static float vectors[N][DIM], questions[NQ][DIM];
static char path[64];

static void unit(struct rng *r, float *v)
{
    double sum = 0;
    for (int i = 0; i < DIM; i++) {
        v[i] = rng_normal(r);
        sum += (double)v[i] * v[i];
    }
    for (int i = 0; i < DIM; i++)
        v[i] /= (float)sqrt(sum);
}

static int setup(void **state)
{
    struct rng r;
    rng_seed(&r, 7);
    for (int i = 0; i < N; i++)
        unit(&r, vectors[i]);
    for (int i = 0; i < NQ; i++)
        unit(&r, questions[i]);
    strcpy(path, "/tmp/sooth-vindex-XXXXXX");
    close(mkstemp(path));
    return 0;
}

static int teardown(void **state)
{
    return unlink(path);
}

static struct vindex *empty(const char *row, enum metric m)
{
    struct vindex *x;
    assert_int_equal(vindex_new(vindex_row_find(row), m, DIM, &x, NULL), SOOTH_OK);
    return x;
}

static void fill(struct vindex *x, size_t from, size_t to, struct pool *threads)
{
    assert_true(vindex_reserve(x, to - from));
    for (size_t i = from; i < to; i++)
        assert_true(vindex_add(x, (int64_t)(2 * i + 1), i % 2, vectors[i]));
    assert_int_equal(x->row->join(x, threads, NULL), SOOTH_OK);
    assert_int_equal(x->joined, to);
}

/* Share of the K nearest that are found, over all questions. */
static double recall(const struct vindex *x, enum metric m, size_t effort,
                     const unsigned char *allow, size_t allowed)
{
    struct vsearch v = {.effort = effort, .allow = allow, .allowed = allowed};
    size_t hits = 0, wanted = 0;
    for (int i = 0; i < NQ; i++) {
        struct scored want[K], out[K];
        size_t n = 0, found;
        for (size_t j = 0; j < x->set.n; j++)
            if ((!allow || allow[j]) && !x->set.dead[j])
                best_offer(want, &n, K,
                           (struct scored){(uint32_t)j,
                                           metric_similarity(m, questions[i], vectors[j], DIM)});
        vquery_release(&v.query);
        assert_true(vquery_init(&v.query, &x->set, m, questions[i], false));
        assert_int_equal(x->row->search(x, &v, K, out, &found, NULL), SOOTH_OK);
        for (size_t a = 0; a < found; a++) {
            assert_true(!allow || allow[out[a].slot]);
            assert_false(x->set.dead[out[a].slot]);
            for (size_t b = 0; b < n; b++)
                hits += out[a].slot == want[b].slot;
        }
        wanted += n;
    }
    vsearch_release(&v);
    return (double)hits / (double)wanted;
}

static void every_row_finds_what_brute_force_finds(void **state)
{
    for (size_t r = 0; vindex_row_at(r); r++) {
        const char *name = vindex_row_at(r)->name;
        bool exact = strcmp(name, "flat") == 0;
        struct vindex *x = empty(name, METRIC_COSINE);
        fill(x, 0, N, NULL);
        for (int m = METRIC_COSINE; m <= METRIC_L1; m++) {
            double got = recall(x, (enum metric)m, exact ? 0 : 200, NULL, 0);
            if (got < (exact ? 0.995 : strcmp(name, "hnsw") ? 0.75 : 0.95))
                fail_msg("%s metric %d: recall %.3f", name, m, got);
        }
        vindex_free(x);
    }
}

/* Gaussian vectors of 64 numbers are the hard case: nothing clusters. */
static void hnsw_gains_with_the_beam(void **state)
{
    struct vindex *x = empty("hnsw", METRIC_COSINE);
    fill(x, 0, N, NULL);
    double last = 0;
    static const size_t efs[] = {10, 20, 50, 100, 200};
    for (int i = 0; i < 5; i++) {
        double now = recall(x, METRIC_COSINE, efs[i], NULL, 0);
        assert_true(now >= last - 0.01);
        last = now;
        if (efs[i] == 100)
            assert_true(now >= 0.95);
    }
    vindex_free(x);
}

static void filters_and_deletes_equal_brute_force(void **state)
{
    for (size_t r = 0; vindex_row_at(r); r++) {
        struct vindex *x = empty(vindex_row_at(r)->name, METRIC_COSINE);
        unsigned char *allow = mem_calloc(N, 1);
        struct rng g;
        rng_seed(&g, 3);
        fill(x, 0, N, NULL);
        for (size_t share = 2; share <= 16; share *= 2) {
            size_t allowed = 0;
            for (size_t i = 0; i < N; i++)
                allowed += allow[i] = rng_below(&g, share) == 0;
            double got = recall(x, METRIC_COSINE, 200, allow, allowed);
            if (got < 0.9)
                fail_msg("%s, one in %zu admitted: recall %.3f", x->row->name, share, got);
        }
        for (size_t i = 0; i < N; i += 3)
            x->set.dead[i] = 1;
        assert_true(recall(x, METRIC_COSINE, 300, NULL, 0) >= 0.9);
        mem_free(allow);
        vindex_free(x);
    }
}

static bool same_file(const struct vindex *x, const struct vindex *y)
{
    struct section a[SECTIONS_MAX], b[SECTIONS_MAX];
    size_t n = x->row->sections(x, a);
    bool same = n == y->row->sections(y, b);
    for (size_t i = 0; i < n && same; i++)
        same = a[i].bytes == b[i].bytes && memcmp(a[i].data, b[i].data, a[i].bytes) == 0;
    return same && n > 0;
}

static void built_the_same_on_any_number_of_threads(void **state)
{
    struct pool *three = pool_new(3);
    struct vindex *x = empty("hnsw", METRIC_COSINE), *y = empty("hnsw", METRIC_COSINE);
    fill(x, 0, N, NULL);
    fill(y, 0, N, three);
    assert_true(same_file(x, y));
    vindex_free(x);
    vindex_free(y);
    pool_free(three);
}

static void saved_mapped_thawed_and_grown(void **state)
{
    for (size_t r = 0; vindex_row_at(r); r++) {
        struct vindex *x = empty(vindex_row_at(r)->name, METRIC_COSINE), *y;
        fill(x, 0, 2000, NULL);
        x->generation = 42;
        assert_int_equal(vindex_save(x, path, NULL), SOOTH_OK);
        double want = recall(x, METRIC_COSINE, 100, NULL, 0);
        assert_int_equal(vindex_open(path, &y, NULL), SOOTH_OK);
        assert_int_equal(y->generation, 42);
        assert_true(recall(y, METRIC_COSINE, 100, NULL, 0) == want);
        assert_int_equal(vindex_thaw(y, NULL), SOOTH_OK);
        fill(y, 2000, N, NULL);
        assert_true(recall(y, METRIC_COSINE, 200, NULL, 0) >= 0.85);
        vindex_free(x);
        vindex_free(y);
    }
}

/* Every byte counts: cut anywhere, or changed anywhere, it is refused and never believed. */
static void threat_a_damaged_file_is_refused(void **state)
{
    for (size_t r = 0; vindex_row_at(r); r++) {
        struct vindex *x = empty(vindex_row_at(r)->name, METRIC_COSINE), *y;
        fill(x, 0, 300, NULL);
        assert_int_equal(vindex_save(x, path, NULL), SOOTH_OK);
        struct buf whole = BUF_INIT;
        struct rng g;
        rng_seed(&g, 5);
        assert_int_equal(file_read(path, (size_t)1 << 30, &whole, NULL), SOOTH_OK);
        for (int i = 0; i < 150; i++) {
            size_t at = i < 100 ? (size_t)i * 3 : rng_below(&g, whole.len);
            assert_int_equal(file_write_atomic(path, whole.data, at, NULL), SOOTH_OK);
            assert_int_equal(vindex_open(path, &y, NULL), SOOTH_ERR_FORMAT);
            assert_null(y);
        }
        for (int i = 0; i < 200; i++) {
            size_t at = i < 100 ? (size_t)i : rng_below(&g, whole.len);
            char old = whole.data[at];
            whole.data[at] = (char)(old ^ (1 << rng_below(&g, 8)));
            assert_int_equal(file_write_atomic(path, whole.data, whole.len, NULL), SOOTH_OK);
            if (vindex_open(path, &y, NULL) == SOOTH_OK) { /* padding between parts */
                assert_true(recall(y, METRIC_COSINE, 300, NULL, 0) > 0.5);
                vindex_free(y);
            }
            whole.data[at] = old;
        }
        buf_release(&whole);
        vindex_free(x);
    }
}

static void failing_memory_leaks_nothing(void **state)
{
    for (size_t r = 0; vindex_row_at(r); r++)
        for (uint64_t n = 1; n < 200; n++) {
            struct vindex *x = NULL;
            uint64_t live = mem_live();
            mem_fail_at(n);
            enum sooth_status st =
                vindex_new(vindex_row_at(r), METRIC_COSINE, DIM, &x, NULL);
            if (st == SOOTH_OK && vindex_reserve(x, 120)) {
                for (size_t i = 0; i < 120; i++)
                    vindex_add(x, (int64_t)i + 1, 0, vectors[i]);
                st = x->row->join(x, NULL, NULL);
            }
            mem_fail_at(0);
            vindex_free(x);
            assert_int_equal(mem_live(), live);
        }
}

/* --- the store's own
 * ------------------------------------------------------------------------------------------ */

static char dir[64];

static void put(struct store *s, const char *name, size_t from, size_t n)
{
    static char text[N + 1];
    unsigned char *packed = mem_array(n, vector_packed(DIM));
    struct store_chunk *chunks = mem_calloc(n, sizeof *chunks);
    const struct store_document d = {
        .doc = name, .hash = name, .parse = "", .text = text, .text_len = n};
    memset(text, 'a', n);
    for (size_t i = 0; i < n; i++) {
        unsigned char *p = packed + i * vector_packed(DIM);
        assert_true(vector_pack(vectors[from + i], DIM, p));
        chunks[i] = (struct store_chunk){.start = i, .end = i + 1, .heading = "", .context = "a",
                                         .context_len = 1, .vector = p};
        memcpy(chunks[i].hash, &(size_t){from + i}, sizeof(size_t));
    }
    assert_int_equal(store_put(s, &d, chunks, n, false, NULL, NULL), SOOTH_OK);
    mem_free(packed);
    mem_free(chunks);
}

static struct store *filled(const float *centres)
{
    struct store *s;
    const struct store_embedder e = {"test", "0123", "cosine", "", "", DIM, 64, centres};
    strcpy(dir, "/tmp/sooth-nearby-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(store_open(dir, STORE_CREATE, &s, NULL), SOOTH_OK);
    assert_int_equal(store_embedder_set(s, &e, false, NULL), SOOTH_OK);
    put(s, "one", 0, 1500);
    return s;
}

static int clean(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

/* What the store finds with an index file is what it finds by scanning. */
static double agreement(struct store *s, bool aligned, bool filter, bool *indexed)
{
    const struct snapshot *v;
    static unsigned char allow[N];
    struct scored want[NQ][K], got[K];
    size_t n_want[NQ], n, hits = 0, all = 0;
    for (size_t i = 0; i < N; i++)
        allow[i] = i % 3 == 0;
    for (int pass = 0; pass < 2; pass++) {
        store_index_from(s, pass ? 0 : SIZE_MAX);
        assert_int_equal(store_snapshot(s, true, &v, NULL), SOOTH_OK);
        *indexed = v->indexed;
        for (int i = 0; i < NQ; i++) {
            struct scored *out = pass ? got : want[i];
            size_t *count = pass ? &n : &n_want[i];
            const unsigned char *a = filter ? allow : NULL;
            assert_int_equal(
                aligned ? aligned_search(s, v, questions[i], SCRIPT_OTHER, a, K, out, count, NULL)
                        : vector_search(s, v, METRIC_COSINE, questions[i], a, K, out, count, NULL),
                SOOTH_OK);
            for (size_t x = 0; x < n && pass; x++)
                for (size_t y = 0; y < n_want[i]; y++)
                    hits += got[x].slot == want[i][y].slot;
            all += pass ? n_want[i] : 0;
        }
    }
    return (double)hits / (double)all;
}

static void the_index_file_finds_what_a_scan_finds(void **state)
{
    static float centres[SCRIPTS * DIM];
    bool indexed;
    centres[3] = 0.1f;
    struct store *s = filled(centres);
    store_index_from(s, 0);
    assert_int_equal(store_index_refresh(s, 1, false, NULL), SOOTH_OK);
    assert_true(agreement(s, true, false, &indexed) > 0.98 && indexed);
    assert_true(agreement(s, false, false, &indexed) > 0.98 && indexed);
    assert_true(agreement(s, true, true, &indexed) > 0.98 && indexed);
    put(s, "two", 1500, 300); /* stale now: the tail is scanned beside it */
    assert_true(agreement(s, true, false, &indexed) > 0.98 && indexed);
    assert_int_equal(store_forget(s, "one", NULL), SOOTH_OK);
    put(s, "three", 1800, 1200);
    assert_true(agreement(s, false, false, &indexed) > 0.98 && !indexed); /* too far behind */
    assert_int_equal(store_index_refresh(s, 1, false, NULL), SOOTH_OK);
    assert_true(agreement(s, false, false, &indexed) > 0.98 && indexed);
    store_close(s);
}

/* Damaged, from another embedder or from another store: scanned instead, and made anew. */
static void threat_a_wrong_index_file_is_never_believed(void **state)
{
    char file[128];
    struct buf whole = BUF_INIT;
    size_t problems = 0;
    bool indexed;
    struct store *s = filled(NULL);
    store_index_from(s, 0);
    assert_int_equal(store_index_refresh(s, 1, false, NULL), SOOTH_OK);
    assert_true(agreement(s, false, false, &indexed) > 0.98 && indexed);
    snprintf(file, sizeof file, "%s/" VECTORS_NAME, dir);
    assert_int_equal(file_read(file, (size_t)1 << 30, &whole, NULL), SOOTH_OK);
    whole.data[whole.len / 2] ^= 1;
    assert_int_equal(file_write_atomic(file, whole.data, whole.len, NULL), SOOTH_OK);
    assert_true(agreement(s, false, false, &indexed) == 1 && !indexed);
    assert_int_equal(store_check(s, NULL, NULL, &problems, NULL), SOOTH_OK);
    assert_true(problems >= 1);
    assert_int_equal(store_index_refresh(s, 1, false, NULL), SOOTH_OK);
    assert_true(agreement(s, false, false, &indexed) > 0.98 && indexed);
    buf_release(&whole);
    store_close(s);
}

/* After compact no vector of what was forgotten is left in the file. */
static void compact_leaves_no_forgotten_vector(void **state)
{
    char file[128];
    struct buf whole = BUF_INIT;
    int8_t code[DIM];
    struct store *s = filled(NULL);
    put(s, "two", 1500, 400);
    store_index_from(s, 0);
    assert_int_equal(store_index_refresh(s, 1, false, NULL), SOOTH_OK);
    snprintf(file, sizeof file, "%s/" VECTORS_NAME, dir);
    code_make(vectors[1600], DIM, code);
    assert_int_equal(file_read(file, (size_t)1 << 30, &whole, NULL), SOOTH_OK);
    assert_non_null(memmem(whole.data, whole.len, code, DIM));
    assert_int_equal(store_forget(s, "two", NULL), SOOTH_OK);
    assert_int_equal(store_compact(s, NULL, NULL, NULL), SOOTH_OK);
    buf_clear(&whole);
    assert_int_equal(file_read(file, (size_t)1 << 30, &whole, NULL), SOOTH_OK);
    assert_null(memmem(whole.data, whole.len, code, DIM));
    buf_release(&whole);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_finds_what_brute_force_finds),
        cmocka_unit_test(hnsw_gains_with_the_beam),
        cmocka_unit_test(filters_and_deletes_equal_brute_force),
        cmocka_unit_test(built_the_same_on_any_number_of_threads),
        cmocka_unit_test(saved_mapped_thawed_and_grown),
        cmocka_unit_test(threat_a_damaged_file_is_refused),
        cmocka_unit_test(failing_memory_leaks_nothing),
        cmocka_unit_test_teardown(the_index_file_finds_what_a_scan_finds, clean),
        cmocka_unit_test_teardown(threat_a_wrong_index_file_is_never_believed, clean),
        cmocka_unit_test_teardown(compact_leaves_no_forgotten_vector, clean),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
