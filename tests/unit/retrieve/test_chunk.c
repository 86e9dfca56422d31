/* Cutting documents into passages. Documents are built here by hand; sizes are counted by the
 * "hash" embedder or by a counter of words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/rng.h"
#include "core/base/utf8.h"
#include "core/base/vec.h"
#include "know/retrieve/retrieve.h"

static struct embedder *hash;
static const char *split; /* the way that is tested; NULL = the default */

static int open_hash(void **state)
{
    return embedder_open("hash", 1, &hash, NULL) == SOOTH_OK ? 0 : -1;
}

static int close_hash(void **state)
{
    embedder_close(hash);
    return 0;
}

/* One line a block: "# " a heading (level = number of #), "| " a table row (the first of a run is
 * the header), "``" code until "``", anything else a paragraph. */
struct made {
    struct document d;
    VEC(struct doc_block) blocks;
};

static void make(struct made *m, const char *text)
{
    int32_t stack[10], header = -1;
    memset(m, 0, sizeof *m);
    memset(stack, -1, sizeof stack);
    m->d.text = mem_strdup(text);
    m->d.text_len = strlen(text);
    int depth = 0;
    for (size_t at = 0, end; at < m->d.text_len; at = end + 1) {
        end = at + strcspn(text + at, "\n");
        if (end == at)
            continue;
        struct doc_block b = {.start = at,
                              .end = end,
                              .heading = depth ? stack[depth] : -1,
                              .header = -1,
                              .kind = DOC_PARAGRAPH};
        if (text[at] == '#') {
            depth = (int)strspn(text + at, "#");
            b.kind = DOC_HEADING;
            b.level = (uint8_t)depth;
            b.heading = depth > 1 ? stack[depth - 1] : -1;
            b.start += (size_t)depth + 1;
            stack[depth] = (int32_t)m->blocks.count;
        } else if (text[at] == '`') {
            const char *stop = strstr(text + at + 2, "``");
            b.kind = DOC_CODE;
            b.end = end = (size_t)(stop - text) + 2;
        }
        bool row = text[at] == '|';
        if (row) {
            b.kind = DOC_TABLE_ROW;
            b.start += 2;
            b.header = header;
            header = header < 0 ? (int32_t)m->blocks.count : header;
        } else {
            header = -1;
        }
        vec_push(&m->blocks, b);
    }
    m->d.blocks = m->blocks.items;
    m->d.block_count = m->blocks.count;
}

static void unmake(struct made *m)
{
    mem_free(m->d.text);
    vec_free(&m->blocks);
}

static void cut(const struct made *m, const struct embedder *e, size_t tokens, size_t overlap,
                struct chunks *out)
{
    struct sooth_error err = {0};
    if (chunk_document(&m->d, e, split, tokens, overlap, out, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
}

/* What holds for every document: order, limits, coverage, whole characters and graphemes, exact
 * contexts. */
static void check_all(const struct made *m, const struct embedder *e, size_t tokens,
                      const struct chunks *c)
{
    const char *text = m->d.text;
    size_t seen = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct store_chunk *k = &c->items[i];
        assert_true(k->start < k->end && k->end <= m->d.text_len);
        assert_true(i == 0 || (k->start > c->items[i - 1].start && k->end > c->items[i - 1].end));
        assert_true(utf8_valid(text + k->start, k->end - k->start));
        assert_true(chunk_grapheme_boundary(text, m->d.text_len, k->start) &&
                    chunk_grapheme_boundary(text, m->d.text_len, k->end));
        assert_true(e->count(e, k->context, k->context_len) <= tokens);
        assert_true(k->context_len >= k->end - k->start);
        assert_memory_equal(k->context + k->context_len - (k->end - k->start), text + k->start,
                            k->end - k->start);
        for (; seen < k->start;
             seen++) { /* what is left out is blank, or the marks of this test's own notation */
            assert_true(strchr(" \n\t#|", text[seen]) != NULL);
        }
        seen = k->end > seen ? k->end : seen;
    }
    for (; seen < m->d.text_len; seen++)
        assert_true(strchr(" \n\t#|", text[seen]) != NULL);
}

static size_t count_words(const struct embedder *e, const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += text[i] != ' ' && text[i] != '\n' &&
             (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\n');
    return n;
}

/* n one-token sentences, size 40, overlap 10: 1 + ceil((n - 40) / 30). */
static void golden_fixed_sizes(void **state)
{
    static const struct {
        int n;
        size_t chunks;
    } want[] = {{100, 3}, {40, 1}, {41, 2}, {1, 1}, {70, 2}, {71, 3}};
    struct embedder words = {.limit = 1000, .count = count_words};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct buf b = BUF_INIT;
        struct made m;
        struct chunks c;
        for (int j = 0; j < want[i].n; j++)
            buf_puts(&b, "Wordword. ");
        make(&m, b.data);
        cut(&m, &words, 44, 10, &c); /* 4 tokens are kept free */
        assert_int_equal(c.count, want[i].chunks);
        chunks_release(&c);
        unmake(&m);
        buf_release(&b);
    }
}

static bool starts_with_closing(const char *s)
{
    static const char *const closing[] = {"。", "？", "！", "；", "」",
                                          "』", "”",  "）", "，", "、"};
    for (size_t i = 0; i < sizeof closing / sizeof *closing; i++)
        if (strncmp(s, closing[i], 3) == 0)
            return true;
    return false;
}

static void lesson_rag_07_chinese_without_spaces(void **state)
{
    static const char *const ends[] = {"。", "？", "！", "；", "。」", ""};
    for (int round = 0; round < 6; round++) {
        struct buf b = BUF_INIT;
        struct made m;
        struct chunks c;
        for (int i = 0; i < 3000; i++) {
            buf_put_utf8(&b, 0x4E00 + (uint32_t)(i * 7 % 5000));
            if (i % 37 == 36)
                buf_puts(&b, ends[round]);
        }
        make(&m, b.data);
        cut(&m, hash, 200, 25, &c);
        check_all(&m, hash, 200, &c);
        assert_true(c.count >= 15);
        for (size_t i = 0; i < c.count; i++) {
            assert_false(starts_with_closing(m.d.text + c.items[i].start));
            if (round < 5 && i + 1 < c.count) /* whole sentences */
                assert_memory_equal(m.d.text + c.items[i].end - strlen(ends[round]), ends[round],
                                    strlen(ends[round]));
        }
        chunks_release(&c);
        unmake(&m);
        buf_release(&b);
    }
}

static void lesson_rag_08_tables_keep_heading_and_header(void **state)
{
    struct buf b = BUF_INIT;
    struct made m;
    struct chunks c;
    buf_puts(&b, "# Prices\n## Filters\n");
    buf_puts(&b, "| part | price | shelf\n");
    for (int i = 0; i < 60; i++)
        buf_printf(&b, "| filter %d | %d EUR | row %d\n", i, i * 3, i);
    buf_puts(&b, "## Pumps\nPumps are listed by power.\n| pump | watts | place\n");
    for (int i = 0; i < 60; i++)
        buf_printf(&b, "| pump %d | %d W | hall %d\n", i, i * 9, i);
    make(&m, b.data);
    cut(&m, hash, 80, 10, &c);
    check_all(&m, hash, 80, &c);
    for (size_t i = 0; i < c.count; i++) {
        bool filters = strstr(c.items[i].context, "filter") != NULL,
             pumps = strstr(c.items[i].context, "pump ") != NULL;
        assert_true(strstr(c.items[i].context, "Prices") != NULL);
        if (filters)
            assert_non_null(strstr(c.items[i].context, "part | price | shelf"));
        if (pumps && !filters) {
            assert_non_null(strstr(c.items[i].context, "pump | watts | place"));
            assert_string_equal(c.items[i].heading, i > 0 && strstr(c.items[i].context, "Pumps are")
                                                        ? "Prices"
                                                        : "Prices > Pumps");
        }
    }
    chunks_release(&c);
    unmake(&m);
    buf_release(&b);
}

static void lesson_rag_08_code_is_not_cut_unless_too_long(void **state)
{
    struct made m;
    struct chunks c;
    struct buf b = BUF_INIT;
    for (int i = 0; i < 12; i++)
        buf_puts(&b, "Some words of prose that take up room in a passage.\n");
    buf_puts(&b, "``int main(void)\n{\n    return 0;\n}\n``\n");
    buf_puts(&b, "``");
    for (int i = 0; i < 80; i++)
        buf_printf(&b, "line_%d = call(%d);\n", i, i);
    buf_puts(&b, "``\nThe end.");
    make(&m, b.data);
    cut(&m, hash, 100, 12, &c);
    check_all(&m, hash, 100, &c);
    size_t start = (size_t)(strstr(m.d.text, "``int") - m.d.text), whole = 0;
    for (size_t i = 0; i < c.count; i++) {
        whole += c.items[i].start <= start && c.items[i].end >= start + 36;
        const char *end = m.d.text + c.items[i].end; /* the long one breaks at line ends only */
        assert_true(*end == '\n' || *end == '\0' || end[-1] == '.' || end[-1] == '`');
    }
    assert_true(whole >= 1);
    chunks_release(&c);
    unmake(&m);
    buf_release(&b);
}

static void lesson_rag_09_size_is_the_embedders_own(void **state)
{
    struct made m;
    struct chunks c;
    struct buf b = BUF_INIT;
    for (int i = 0; i < 400; i++)
        buf_printf(&b, "Sentence number %d says something. ", i);
    make(&m, b.data);
    m.d.title = mem_strdup(
        "A title that is counted as well, whatever its length may turn out to be in the end");
    cut(&m, hash, 4096, 20, &c); /* more than the embedder can take */
    check_all(&m, hash, hash->limit, &c);
    for (size_t i = 0; i < c.count; i++)
        assert_memory_equal(c.items[i].context, c.title, strlen(c.title));
    chunks_release(&c);
    mem_free(m.d.title);
    m.d.title = NULL;
    unmake(&m);
    buf_release(&b);
}

static void graphemes_stay_whole(void **state)
{
    static const char *const whole[] = {"e\u0301", "👩‍👩‍👧", "🇩🇪",      "👍🏽",
                                        "각",      "\u1100\u1161\u11A8", "☃\uFE0F", "ก็"};
    for (size_t w = 0; w < sizeof whole / sizeof *whole; w++) {
        struct buf b = BUF_INIT;
        struct made m;
        struct chunks c;
        for (int i = 0; i < 500; i++)
            buf_puts(&b, whole[w]);
        make(&m, b.data);
        cut(&m, hash, 64, 8, &c);
        check_all(&m, hash, 64, &c);
        for (size_t i = 0; i < c.count; i++)
            assert_int_equal(c.items[i].start % strlen(whole[w]), 0);
        chunks_release(&c);
        unmake(&m);
        buf_release(&b);
    }
}

static void any_mixture_keeps_the_rules(void **state)
{
    static const char *const bits[] = {"word ",
                                       "Ein Satz. ",
                                       "数据",
                                       "库。",
                                       "「好」",
                                       "\n",
                                       "\n# 標題 A\n",
                                       "\n## Section\n",
                                       "\n| a | b\n",
                                       "x",
                                       "é",
                                       "e\u0301",
                                       "３",
                                       "... ",
                                       "\n``code();\nmore();``\n",
                                       "a_very_long_identifier_without_any_blank_in_it",
                                       "，",
                                       "🇩🇪",
                                       "Dr. "};
    struct rng r;
    rng_seed(&r, 20);
    for (int round = 0; round < 150; round++) {
        struct buf b = BUF_INIT;
        struct made m;
        struct chunks c;
        for (size_t i = 0, n = 1 + rng_below(&r, 500); i < n; i++)
            buf_puts(&b, bits[rng_below(&r, sizeof bits / sizeof *bits)]);
        size_t tokens = 64 + rng_below(&r, 190);
        make(&m, b.data);
        cut(&m, hash, tokens, rng_below(&r, tokens / 2), &c);
        check_all(&m, hash, tokens, &c);
        chunks_release(&c);
        unmake(&m);
        buf_release(&b);
    }
}

/* --- the table of splitters */

static void (*const rules[])(void **state) = {
    lesson_rag_07_chinese_without_spaces,
    lesson_rag_09_size_is_the_embedders_own,
    graphemes_stay_whole,
    any_mixture_keeps_the_rules,
};

static void every_way_keeps_the_rules(void **state)
{
    size_t n = 0;
    for (; (split = splitter_at(n, NULL)); n++) {
        print_message("# %s\n", split);
        for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
            if (rules[i] != lesson_rag_07_chinese_without_spaces || strcmp(split, "fixed") != 0)
                rules[i](state); /* fixed cuts sentences, that is what it is */
    }
    assert_true(n >= 6);
    assert_string_equal(splitter_at(0, NULL), "sentence");
    struct chunks c;
    struct sooth_error err = {0};
    const struct document none = {0};
    assert_int_equal(chunk_document(&none, hash, "fixd", 100, 0, &c, &err), SOOTH_ERR_ARG);
    assert_null(splitter_find("fixd"));
}

/* n tokens, size c, overlap o: 1 + ceil(max(0, n - c) / (c - o)) passages; the overlap is exact. */
static void golden_fixed_windows(void **state)
{
    static const struct {
        int n;
        size_t chunks;
    } want[] = {{100, 3}, {40, 1}, {41, 2}, {1, 1}, {70, 2}, {71, 3}, {1000, 33}};
    struct embedder words = {.limit = 100000, .count = count_words};
    split = "fixed";
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct buf b = BUF_INIT;
        struct made m;
        struct chunks c;
        for (int j = 0; j < want[i].n; j++)
            buf_printf(&b, "word%04d ", j);
        make(&m, b.data);
        cut(&m, &words, 44, 10, &c);
        assert_int_equal(c.count, want[i].chunks);
        for (size_t k = 1; k < c.count; k++)
            assert_int_equal(count_words(&words, m.d.text + c.items[k].start,
                                         c.items[k - 1].end - c.items[k].start), 10);
        chunks_release(&c);
        unmake(&m);
        buf_release(&b);
    }
    split = NULL;
}

static void recursive_cuts_at_the_coarsest_mark(void **state)
{
    struct embedder words = {.limit = 1000, .count = count_words};
    struct made m;
    struct chunks c;
    split = "recursive";
    make(&m, "One two three four. Five six seven eight. Nine ten, eleven twelve thirteen fourteen fifteen "
             "sixteen seventeen.");
    cut(&m, &words, 12, 0, &c); /* eight beside what is kept free */
    assert_int_equal(c.count, 3);
    assert_memory_equal(m.d.text + c.items[0].end - 6, "eight.", 6);
    assert_memory_equal(m.d.text + c.items[1].end - 4, "ten,", 4); /* the long sentence at its comma */
    chunks_release(&c);
    unmake(&m);
    make(&m, "水泵的水箱容量为一点五升，请勿在无水状态下启动。图书馆开放时间为上午九点至下午五点。");
    cut(&m, hash, 28, 0, &c); /* Chinese without any blank: at 。 */
    assert_int_equal(c.count, 2);
    assert_memory_equal(m.d.text + c.items[0].end - 3, "。", 3);
    chunks_release(&c);
    unmake(&m);
    split = NULL;
}

static void window_is_one_sentence_each(void **state)
{
    struct made m;
    struct chunks c;
    split = "window";
    make(&m, "One sentence here. Another one there! 第三句话。第四句话？");
    cut(&m, hash, 200, 50, &c);
    assert_int_equal(c.count, 4);
    check_all(&m, hash, 200, &c);
    chunks_release(&c);
    unmake(&m);
    split = NULL;
}

/* Two subjects without a word in common: the cut is where one ends. */
static void semantic_cuts_where_the_subject_changes(void **state)
{
    static const char turn[] = "Zinc ore";
    struct buf b = BUF_INIT;
    struct made m;
    struct chunks c;
    split = "semantic";
    for (int i = 0; i < 12; i++)
        buf_printf(&b, "%s ", "The otter swims in the river near the otter bank.");
    for (int i = 0; i < 12; i++)
        buf_printf(&b, "%s ", "Zinc ore melts inside furnace seven beneath Cardiff.");
    make(&m, b.data);
    cut(&m, hash, 400, 0, &c);
    check_all(&m, hash, 400, &c);
    assert_true(c.count >= 2);
    bool turned = false;
    for (size_t i = 0; i < c.count; i++)
        turned = turned || strncmp(m.d.text + c.items[i].start, turn, strlen(turn)) == 0 ||
                 (i > 0 && labs((long)c.items[i].start - (long)(strstr(m.d.text, turn) - m.d.text)) < 120);
    assert_true(turned);
    chunks_release(&c);
    unmake(&m);
    make(&m, "Only one sentence.");
    cut(&m, hash, 400, 0, &c);
    assert_int_equal(c.count, 1);
    chunks_release(&c);
    unmake(&m);
    buf_release(&b);
    split = NULL;
}

static bool in_set(const void *user, size_t i)
{
    return (*(const uint64_t *)user >> i & 1) != 0;
}

/* Against the definition: a parent stands for its leaves when more than half of them are found. */
static void parents_stand_for_most_of_their_leaves(void **state)
{
    struct rng r;
    rng_seed(&r, 7);
    assert_int_equal(splitter_family("parent"), 4);
    assert_int_equal(splitter_family(NULL), 0);
    for (int turn = 0; turn < 20000; turn++) {
        size_t count = 1 + rng_below(&r, 60), at = rng_below(&r, (uint32_t)count), from, to, want_from = at, want_to = at;
        uint64_t set = (rng_u64(&r) | rng_u64(&r)) | 1ull << at;
        splitter_merge(4, at, count, in_set, &set, &from, &to);
        for (size_t size = 4; size <= 16; size *= 4) {
            size_t first = at / size * size, leaves = 0, found = 0;
            for (size_t i = first; i < first + size && i < count; i++, leaves++)
                found += set >> i & 1;
            if (leaves < 2 || 2 * found <= leaves)
                break;
            want_from = first;
            want_to = first + leaves - 1;
        }
        assert_int_equal(from, want_from);
        assert_int_equal(to, want_to);
    }
    size_t from, to;
    uint64_t hole = 0xd; /* 1011: the hole between is filled */
    splitter_merge(4, 0, 4, in_set, &hole, &from, &to);
    assert_int_equal(to, 3);
    splitter_merge(0, 2, 4, in_set, &hole, &from, &to);
    assert_true(from == 2 && to == 2);
}

static void rrf_and_mmr_goldens(void **state)
{
    const struct scored a[] = {{1, 9}, {2, 8}, {3, 7}}, b[] = {{3, 1}, {1, .5}, {4, .1}};
    struct fused out[6];
    assert_int_equal(fuse_rrf(a, 3, 1, b, 3, 1, out), 4);
    static const struct {
        uint32_t slot;
        double score;
    } want[] = {{1, 0.0325225}, {3, 0.0322665}, {2, 0.0161290}, {4, 0.0158730}};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(out[i].slot, want[i].slot);
        assert_true(out[i].score - want[i].score < 1e-6 && want[i].score - out[i].score < 1e-6);
    }
    assert_int_equal(out[1].rank[0], 3);
    assert_int_equal(out[1].rank[1], 1);
    assert_int_equal(fuse_rrf(a, 0, 1, b, 0, 1, out), 0);
    const double relevance[] = {.9, .85, .6}, similarity[] = {1, .95, .1, .95, 1, .1, .1, .1, 1};
    size_t order[3];
    const struct scored x[] = {{7, 10}, {8, 6}, {9, 2}}, y[] = {{9, 0.9}, {7, 0.4}};
    assert_int_equal(fuse_relative(x, 3, 1, y, 2, 1, out), 3); /* 7: 1 + 0, 9: 0 + 1, 8: 0.5 */
    assert_true(out[0].slot == 7 && out[1].slot == 9 && out[2].slot == 8);
    assert_true(fabs(out[0].score - 1) < 1e-12 && fabs(out[2].score - 0.5) < 1e-12);
    assert_true(out[1].rank[0] == 3 && out[1].rank[1] == 1);
    fuse_mmr(relevance, similarity, 3, 0.5, 3, order);
    assert_int_equal(order[0], 0);
    assert_int_equal(order[1], 2);
    assert_int_equal(order[2], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_fixed_sizes),
        cmocka_unit_test(lesson_rag_07_chinese_without_spaces),
        cmocka_unit_test(lesson_rag_08_tables_keep_heading_and_header),
        cmocka_unit_test(lesson_rag_08_code_is_not_cut_unless_too_long),
        cmocka_unit_test(lesson_rag_09_size_is_the_embedders_own),
        cmocka_unit_test(graphemes_stay_whole),
        cmocka_unit_test(any_mixture_keeps_the_rules),
        cmocka_unit_test(every_way_keeps_the_rules),
        cmocka_unit_test(golden_fixed_windows),
        cmocka_unit_test(recursive_cuts_at_the_coarsest_mark),
        cmocka_unit_test(window_is_one_sentence_each),
        cmocka_unit_test(semantic_cuts_where_the_subject_changes),
        cmocka_unit_test(parents_stand_for_most_of_their_leaves),
        cmocka_unit_test(rrf_and_mmr_goldens),
    };
    return cmocka_run_group_tests(tests, open_hash, close_hash);
}
