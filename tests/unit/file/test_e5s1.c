/* test_e5s1.c: E5S1 files, good, cut and lying. */
#include "file_fixture.h"

struct maker {
    struct buf b;
    struct fixture_field fields[400];
    size_t n;
};

static void number(struct maker *m, uint64_t v, unsigned width, const char *what)
{
    if (what)
        m->fields[m->n++] = (struct fixture_field){m->b.len, width, what};
    buf_add(&m->b, &v, width);
}

static void tensor(struct maker *m, const char *name, unsigned type, size_t numbers,
                   uint64_t offset)
{
    number(m, strlen(name), 2, NULL);
    buf_puts(&m->b, name);
    number(m, type, 1, NULL);
    number(m, numbers, 4, "numbers");
    number(m, offset, 8, "offset");
    number(m, type ? numbers / 32 * 18 : numbers * 4, 8, "bytes");
}

/* dim 32, one layer, 2 heads, ff 64, 7 rows for 5 pieces. All tensors share one stretch of data:
 * nothing forbids it. */
static void good_file(struct maker *m, const char *rename)
{
    static const char *const layer[] = {"q", "k", "v", "ao"};
    static const char *const pieces[] = {"<s>", "<pad>", "</s>", "<unk>", "<mask>"};
    static const uint32_t offsets[] = {0, 3, 8, 12, 17, 23};
    static const float scores[] = {0, 0, 0, 0, 0}, epsilon = 1e-12f;
    static const int header[] = {32, 1, 2, 64, 7, 4, 2};
    *m = (struct maker){0};
    buf_puts(&m->b, "E5S1");
    number(m, 1, 4, "version");
    for (int i = 0; i < 7; i++)
        number(m, (uint64_t)header[i], 4, "header");
    buf_add(&m->b, &epsilon, 4);
    number(m, 32, 4, "block");
    number(m, 5, 4, "pieces");
    number(m, 0, 4, "bos");
    number(m, 2, 4, "eos");
    number(m, 1, 4, "pad");
    number(m, 3, 4, "unk");
    number(m, 23, 8, "text length");
    for (int i = 0; i < 6; i++)
        number(m, offsets[i], 4, "piece offset");
    buf_add(&m->b, scores, sizeof scores);
    for (int i = 0; i < 5; i++)
        buf_puts(&m->b, pieces[i]);
    number(m, 2, 4, "replacements");
    number(m, 14, 4, "replacement bytes");
    number(m, 9, 4, NULL);
    number(m, 1, 1, NULL);
    number(m, 32, 4, NULL);
    number(m, 173, 4, NULL);
    number(m, 0, 1, NULL);
    number(m, 21, 4, "tensors");
    tensor(m, rename ? rename : "emb.word", 1, 7 * 32, 4096);
    tensor(m, "emb.pos", 0, 4 * 32, 4096);
    tensor(m, "emb.type", 0, 2 * 32, 4096);
    tensor(m, "emb.ln.w", 0, 32, 4096);
    tensor(m, "emb.ln.b", 0, 32, 4096);
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "l0.%s.w", layer[i]);
        tensor(m, name, 1, 32 * 32, 4096);
        snprintf(name, sizeof name, "l0.%s.b", layer[i]);
        tensor(m, name, 0, 32, 4096);
    }
    tensor(m, "l0.aln.w", 0, 32, 4096);
    tensor(m, "l0.aln.b", 0, 32, 4096);
    tensor(m, "l0.fi.w", 1, 64 * 32, 4096);
    tensor(m, "l0.fi.b", 0, 64, 4096);
    tensor(m, "l0.fo.w", 1, 64 * 32, 4096);
    tensor(m, "l0.fo.b", 0, 32, 4096);
    tensor(m, "l0.oln.w", 0, 32, 4096);
    tensor(m, "l0.oln.b", 0, 32, 4096);
    while (m->b.len < 4096 + 1152)
        buf_putc(&m->b, 0);
}

static void test_reads(void **state)
{
    struct maker m;
    struct tensor_file *f;
    struct sooth_error e;
    const struct file_tensor *t;
    const struct file_string *s;
    size_t n;
    good_file(&m, NULL);
    fixture_write(m.b.data, m.b.len);
    if (tensor_file_open(fixture_path, NULL, &f, &e))
        fail_msg("%s", e.text);
    assert_string_equal(tensor_file_format(f), "e5s1");
    assert_string_equal(tensor_file_string(f, "general.architecture", ""), "bert");
    assert_int_equal(tensor_file_uint(f, "bert.embedding_length", 0), 32);
    assert_int_equal(tensor_file_uint(f, "tokenizer.ggml.eos_token_id", 0), 2);
    s = tensor_file_strings(f, "tokenizer.ggml.tokens", &n);
    assert_int_equal(n, 7);
    assert_memory_equal(s[4].text, "<mask>", 6);
    assert_memory_equal(s[6].text, "[PAD6]", 6);
    assert_int_equal(tensor_file_ints(f, "tokenizer.ggml.token_type", &n)[4], 3);
    assert_int_equal(tensor_file_ints(f, "tokenizer.ggml.token_type", &n)[6], 5);
    assert_int_equal(tensor_file_uints(f, "tokenizer.sooth.normalizer.from", &n)[1], 173);
    s = tensor_file_strings(f, "tokenizer.sooth.normalizer.to", &n);
    assert_int_equal(n, 2);
    assert_int_equal(s[0].text[0], ' ');
    assert_int_equal(s[1].len, 0);
    t = tensor_file_find(f, "blk.0.ffn_down.weight");
    assert_non_null(t);
    assert_int_equal(t->dims[0], 64);
    assert_int_equal(t->dims[1], 32);
    assert_int_equal(t->type, TYPE_Q4_0);
    fixture_touch(f);
    tensor_file_close(f);
    buf_release(&m.b);
}

static void threat_e5s1_truncated_everywhere(void **state)
{
    struct maker m;
    good_file(&m, NULL);
    fixture_truncate_everywhere(m.b.data, m.b.len, m.b.len);
    buf_release(&m.b);
}

static void threat_e5s1_worst_values(void **state)
{
    struct maker m;
    good_file(&m, NULL);
    fixture_worst_values(&m.b, m.fields, m.n);
    buf_release(&m.b);
}

static void threat_e5s1_names(void **state)
{
    static const char *const bad[] = {"emb.what", "l1.q.w", "l-1.q.w", "l0.emb.word",
                                      "l",        "",       "l0q.w",   "q.w"};
    struct maker m;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        good_file(&m, bad[i]);
        fixture_refused(m.b.data, m.b.len, SOOTH_ERR_FORMAT, "name or type");
        buf_release(&m.b);
    }
    good_file(&m, "emb.pos");
    fixture_refused(m.b.data, m.b.len, SOOTH_ERR_FORMAT, "");
    buf_release(&m.b);
}

static void fail_e5s1_read(void **state)
{
    struct maker m;
    good_file(&m, NULL);
    fixture_write(m.b.data, m.b.len);
    fixture_fail_everything();
    buf_release(&m.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(threat_e5s1_truncated_everywhere),
        cmocka_unit_test(threat_e5s1_worst_values),
        cmocka_unit_test(threat_e5s1_names),
        cmocka_unit_test(fail_e5s1_read),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
