/* test_gguf.c: GGUF files, good, cut, lying and large. */
#include "file_fixture.h"
#include <fcntl.h>
#include "core/base/clock.h"
#include "core/quant/quant.h"

struct maker {
    struct buf b;
    struct fixture_field fields[200];
    size_t n;
};

static void note(struct maker *m, unsigned width, const char *what)
{
    m->fields[m->n++] = (struct fixture_field){m->b.len, width, what};
}

static void u32(struct maker *m, uint32_t v, const char *what)
{
    if (what)
        note(m, 4, what);
    buf_add(&m->b, &v, 4);
}

static void u64(struct maker *m, uint64_t v, const char *what)
{
    if (what)
        note(m, 8, what);
    buf_add(&m->b, &v, 8);
}

static void text(struct maker *m, const char *s, const char *what)
{
    u64(m, strlen(s), what);
    buf_puts(&m->b, s);
}

static void head(struct maker *m, uint64_t tensors, uint64_t keys)
{
    *m = (struct maker){0};
    buf_puts(&m->b, "GGUF");
    u32(m, 3, "version");
    u64(m, tensors, "tensor count");
    u64(m, keys, "key count");
}

static void key_u32(struct maker *m, const char *key, uint32_t v)
{
    text(m, key, "key length");
    u32(m, VALUE_U32, "value type");
    u32(m, v, NULL);
}

static void key_text(struct maker *m, const char *key, const char *v)
{
    text(m, key, "key length");
    u32(m, VALUE_STRING, "value type");
    text(m, v, "string length");
}

static void key_array(struct maker *m, const char *key, uint32_t item, uint64_t count)
{
    text(m, key, "key length");
    u32(m, VALUE_ARRAY, "value type");
    u32(m, item, "item type");
    u64(m, count, "array count");
}

static void tensor(struct maker *m, const char *name, uint32_t type, uint64_t cols, uint64_t rows,
                   uint64_t offset)
{
    text(m, name, "tensor name length");
    u32(m, 2, "dimension count");
    u64(m, cols, "columns");
    u64(m, rows, "rows");
    u32(m, type, "number format");
    u64(m, offset, "offset");
}

static void pad(struct maker *m, size_t alignment)
{
    while (m->b.len % alignment)
        buf_putc(&m->b, 0);
}

static void zeros(struct maker *m, size_t n)
{
    while (n--)
        buf_putc(&m->b, (char)n);
}

/* A small file with every kind of value and two tensors; returns where its last tensor ends. */
static size_t good_file(struct maker *m)
{
    static const float scores[3] = {0, -1.5f, -2};
    static const int32_t kinds[3] = {1, 1, 3};
    head(m, 2, 9);
    key_text(m, "general.architecture", "toy");
    key_u32(m, "toy.block_count", 2);
    key_u32(m, "general.alignment", 32);
    key_array(m, "tokenizer.ggml.tokens", VALUE_STRING, 3);
    text(m, "a", "token length");
    text(m, "", "token length");
    text(m, "\xE4\xB8\xAD", "token length");
    key_array(m, "tokenizer.ggml.scores", VALUE_F32, 3);
    buf_add(&m->b, scores, sizeof scores);
    key_array(m, "tokenizer.ggml.token_type", VALUE_I32, 3);
    buf_add(&m->b, kinds, sizeof kinds);
    key_u32(m, "tokenizer.ggml.eos_token_id", 2);
    text(m, "toy.flag", "key length");
    u32(m, VALUE_BOOL, "value type");
    buf_putc(&m->b, 1);
    text(m, "toy.small", "key length");
    u32(m, VALUE_I8, "value type");
    buf_putc(&m->b, (char)-5);
    tensor(m, "token_embd.weight", TYPE_F32, 5, 3, 0);
    tensor(m, "output.weight", TYPE_Q4_0, 32, 3, 64);
    pad(m, 32);
    zeros(m, 60);
    pad(m, 32);
    zeros(m, 54);
    return m->b.len;
}

static void test_reads_everything(void **state)
{
    struct maker m;
    struct tensor_file *f;
    struct sooth_error e;
    const struct file_tensor *t;
    size_t n;
    good_file(&m);
    fixture_write(m.b.data, m.b.len);
    assert_int_equal(tensor_file_open(fixture_path, NULL, &f, &e), SOOTH_OK);
    assert_string_equal(tensor_file_format(f), "gguf");
    assert_int_equal(tensor_file_bytes(f), m.b.len);
    assert_int_equal(tensor_file_count(f), 2);
    assert_int_equal(tensor_file_values(f), 9);
    assert_string_equal(tensor_file_string(f, "general.architecture", "?"), "toy");
    assert_int_equal(tensor_file_uint(f, "toy.block_count", 0), 2);
    assert_int_equal(tensor_file_int(f, "toy.small", 0), -5);
    assert_int_equal(tensor_file_uint(f, "toy.small", 7), 7); /* negative: not an unsigned number */
    assert_true(tensor_file_bool(f, "toy.flag", false));
    assert_int_equal(tensor_file_uint(f, "toy.flag", 9), 9);
    assert_true(tensor_file_float(f, "toy.block_count", 0) == 2);
    assert_string_equal(tensor_file_string(f, "absent", "no"), "no");
    assert_int_equal(tensor_file_strings(f, "tokenizer.ggml.tokens", &n)[2].len, 3);
    assert_int_equal(n, 3);
    assert_true(tensor_file_floats(f, "tokenizer.ggml.scores", &n)[1] == -1.5f);
    assert_int_equal(tensor_file_ints(f, "tokenizer.ggml.token_type", &n)[2], 3);
    assert_null(tensor_file_ints(f, "tokenizer.ggml.scores", &n));
    assert_int_equal(n, 0);
    t = tensor_file_find(f, "output.weight");
    assert_non_null(t);
    assert_int_equal(t->bytes, 54);
    assert_int_equal(t->dims[1], 3);
    assert_int_equal(t->dims[2], 1);
    assert_int_equal((uintptr_t)t->data % 32, 0);
    assert_int_equal(*(const unsigned char *)t->data, 53);
    assert_null(tensor_file_find(f, "nothing"));
    assert_null(tensor_file_config(f));
    tensor_file_close(f);
    buf_release(&m.b);
}

static void threat_gguf_truncated_everywhere(void **state)
{
    struct maker m;
    size_t end = good_file(&m);
    fixture_truncate_everywhere(m.b.data, m.b.len, end);
    buf_release(&m.b);
}

static void threat_gguf_worst_values(void **state)
{
    struct maker m;
    good_file(&m);
    assert_true(m.n > 40);
    fixture_worst_values(&m.b, m.fields, m.n);
    buf_release(&m.b);
}

/* Every byte of the description set to a few values: an answer each time, and no sanitizer report.
 */
static void threat_gguf_damaged_bytes(void **state)
{
    static const unsigned char values[] = {0, 1, 0x7F, 0x80, 0xFF};
    struct maker m;
    good_file(&m);
    for (size_t i = 0; i < m.b.len - 118; i++)
        for (size_t k = 0; k < sizeof values; k++) {
            struct sooth_error e;
            char kept = m.b.data[i];
            m.b.data[i] = (char)values[k];
            fixture_write(m.b.data, m.b.len);
            fixture_open(&e);
            m.b.data[i] = kept;
        }
    buf_release(&m.b);
}

static void threat_gguf_counts_before_allocation(void **state)
{
    struct maker m;
    uint64_t before;
    head(&m, 0, (uint64_t)1 << 40);
    before = mem_count();
    fixture_refused(m.b.data, m.b.len, SOOTH_ERR_FORMAT, "do not fit");
    assert_true(mem_count() - before < 20);
    buf_release(&m.b);
    head(&m, 0, 1);
    key_array(&m, "a", VALUE_F64, (uint64_t)1 << 61); /* times eight wraps to zero */
    zeros(&m, 100);
    fixture_refused(m.b.data, m.b.len, SOOTH_ERR_FORMAT, "truncated");
    buf_release(&m.b);
}

static void refused_tensors(enum sooth_status want, const char *word, uint32_t type, uint64_t cols,
                            uint64_t rows, uint64_t second_offset)
{
    struct maker m;
    head(&m, 2, 0);
    tensor(&m, "a", type, cols, rows, 0);
    tensor(&m, "b", TYPE_F32, 8, 1, second_offset);
    pad(&m, 32);
    zeros(&m, 4096);
    fixture_refused(m.b.data, m.b.len, want, word);
    buf_release(&m.b);
}

static void threat_gguf_tensors(void **state)
{
    static const uint32_t retired[] = {4, 5, 31, 32, 33, 36, 37, 38, 40, 1000, 0xFFFFFFFF};
    for (size_t i = 0; i < sizeof retired / sizeof *retired; i++)
        refused_tensors(SOOTH_ERR_UNSUPPORTED, "unknown or retired", retired[i], 32, 1, 64);
    refused_tensors(SOOTH_ERR_FORMAT, "impossible shape", TYPE_Q4_0, 33, 1, 64);
    refused_tensors(SOOTH_ERR_FORMAT, "impossible shape", TYPE_F32, (uint64_t)1 << 33,
                    (uint64_t)1 << 31, 64);
    refused_tensors(SOOTH_ERR_FORMAT, "impossible shape", TYPE_F32, (uint64_t)1 << 62, 1,
                    64);                                                     /* bytes wrap to 0 */
    refused_tensors(SOOTH_ERR_FORMAT, "does not start", TYPE_F32, 8, 1, 0);  /* overlap */
    refused_tensors(SOOTH_ERR_FORMAT, "does not start", TYPE_F32, 8, 1, 64); /* hole */
    refused_tensors(SOOTH_ERR_FORMAT, "ends beyond", TYPE_F32, 2048, 1, 8192);
    refused_tensors(SOOTH_ERR_FORMAT, "does not start", TYPE_F32, (uint64_t)-1 / 4, 1,
                    0); /* the next start wraps */
}

static void threat_gguf_names(void **state)
{
    struct maker m;
    char longest[65];
    memset(longest, 'n', 64);
    longest[64] = 0;
    head(&m, 2, 0);
    tensor(&m, "same", TYPE_F32, 8, 1, 0);
    tensor(&m, "same", TYPE_F32, 8, 1, 32);
    pad(&m, 32);
    zeros(&m, 64);
    fixture_refused(m.b.data, m.b.len, SOOTH_ERR_FORMAT, "'same' occurs twice");
    buf_release(&m.b);
    head(&m, 0, 2);
    key_u32(&m, "k", 1);
    key_u32(&m, "k", 1);
    fixture_refused(m.b.data, m.b.len, SOOTH_ERR_FORMAT, "key 'k' occurs twice");
    buf_release(&m.b);
    for (int i = 0; i < 4; i++) {
        static const char *const bad[] = {"", "a\nb", "\xFF", "x\x7F"};
        head(&m, 0, 1);
        key_u32(&m, bad[i], 1);
        fixture_refused(m.b.data, m.b.len, SOOTH_ERR_FORMAT, "impossible name");
        buf_release(&m.b);
    }
    head(&m, 1, 0);
    tensor(&m, longest, TYPE_F32, 8, 1, 0);
    zeros(&m, 100);
    fixture_refused(m.b.data, m.b.len, SOOTH_ERR_FORMAT, "longer than 63");
    buf_release(&m.b);
}

static void test_versions(void **state)
{
    struct maker m;
    struct sooth_error e;
    head(&m, 0, 0);
    m.b.data[4] = 2;
    fixture_write(m.b.data, m.b.len);
    assert_int_equal(fixture_open(&e), SOOTH_OK);
    m.b.data[4] = 1;
    fixture_refused(m.b.data, m.b.len, SOOTH_ERR_UNSUPPORTED, "version 1");
    memcpy(m.b.data + 4, "\0\0\0\3", 4);
    fixture_refused(m.b.data, m.b.len, SOOTH_ERR_UNSUPPORTED, "big-endian");
    buf_release(&m.b);
    head(&m, 0, 1);
    key_u32(&m, "split.count", 3);
    fixture_refused(m.b.data, m.b.len, SOOTH_ERR_UNSUPPORTED, "split model");
    buf_release(&m.b);
}

static void threat_gguf_alignment(void **state)
{
    static const uint32_t bad[] = {0, 3, 48, 1 << 21, 0x80000000};
    struct maker m;
    struct sooth_error e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        head(&m, 0, 1);
        key_u32(&m, "general.alignment", bad[i]);
        fixture_refused(m.b.data, m.b.len, SOOTH_ERR_FORMAT, "power of two");
        buf_release(&m.b);
    }
    head(&m, 0, 1);
    key_text(&m, "general.alignment", "32");
    fixture_refused(m.b.data, m.b.len, SOOTH_ERR_FORMAT, "power of two");
    buf_release(&m.b);
    head(&m, 1, 1);
    key_u32(&m, "general.alignment", 1 << 20);
    tensor(&m, "a", TYPE_F32, 8, 1, 0);
    pad(&m, 1 << 20);
    zeros(&m, 32);
    fixture_write(m.b.data, m.b.len);
    assert_int_equal(fixture_open(&e), SOOTH_OK);
    buf_release(&m.b);
}

static void test_values(void **state)
{
    struct maker m;
    head(&m, 0, 1);
    text(&m, "b", NULL);
    u32(&m, VALUE_BOOL, NULL);
    buf_putc(&m.b, 2);
    fixture_refused(m.b.data, m.b.len, SOOTH_ERR_FORMAT, "neither 0 nor 1");
    buf_release(&m.b);
    head(&m, 0, 1);
    key_array(&m, "b", VALUE_BOOL, 2);
    buf_add(&m.b, "\1\2", 2);
    fixture_refused(m.b.data, m.b.len, SOOTH_ERR_FORMAT, "neither 0 nor 1");
    buf_release(&m.b);
    head(&m, 0, 1);
    key_array(&m, "nested", VALUE_ARRAY, 0);
    fixture_refused(m.b.data, m.b.len, SOOTH_ERR_UNSUPPORTED, "arrays of value type 9");
    buf_release(&m.b);
    head(&m, 0, 1);
    text(&m, "k", NULL);
    u32(&m, 13, NULL);
    zeros(&m, 8);
    fixture_refused(m.b.data, m.b.len, SOOTH_ERR_FORMAT, "unknown value type 13");
    buf_release(&m.b);
}

/* Ceilings that a file of that very size could keep: sparse files, so nothing is really written. */
static void threat_gguf_ceilings(void **state)
{
    struct maker m;
    struct sooth_error e;
    head(&m, 0, 1);
    text(&m, "s", NULL);
    u32(&m, VALUE_STRING, NULL);
    u64(&m, (16 << 20) + 1, NULL);
    fixture_write(m.b.data, m.b.len);
    assert_int_equal(truncate(fixture_path, 20 << 20), 0);
    assert_int_equal(fixture_open(&e), SOOTH_ERR_LIMIT);
    buf_release(&m.b);
    head(&m, 0, 1);
    key_array(&m, "a", VALUE_U8, (64 << 20) + 1);
    fixture_write(m.b.data, m.b.len);
    assert_int_equal(truncate(fixture_path, 70 << 20), 0);
    assert_int_equal(fixture_open(&e), SOOTH_ERR_LIMIT);
    buf_release(&m.b);
    head(&m, 0, 1);
    key_array(&m, "a", VALUE_STRING,
              8 << 20); /* eight million empty strings want 128 MiB beside the file */
    fixture_write(m.b.data, m.b.len);
    assert_int_equal(truncate(fixture_path, 65 << 20), 0);
    assert_int_equal(fixture_open(&e), SOOTH_ERR_LIMIT);
    assert_non_null(strstr(e.text, "more than 67108864 bytes of memory"));
    buf_release(&m.b);
}

static double seconds_for_keys(size_t n, enum sooth_status want)
{
    struct maker m;
    struct tensor_file *f;
    double best = 1e9;
    head(&m, 0, n);
    for (size_t i = 0; i < n; i++) {
        char key[32];
        snprintf(key, sizeof key, "key.%zu", i);
        u64(&m, strlen(key), NULL);
        buf_puts(&m.b, key);
        u32(&m, VALUE_U8, NULL);
        buf_putc(&m.b, 1);
    }
    fixture_write(m.b.data, m.b.len);
    buf_release(&m.b);
    for (int i = 0; i < 9; i++) {
        double start = clock_cpu(), took;
        assert_int_equal(tensor_file_open(fixture_path, NULL, &f, NULL), want);
        took = clock_cpu() - start;
        tensor_file_close(f);
        best = took < best ? took : best;
    }
    return best;
}

static void threat_gguf_quadratic(void **state)
{
    double few = seconds_for_keys(8000, SOOTH_OK), many = seconds_for_keys(64000, SOOTH_OK);
    assert_true(many < 30 * few); /* linear is 8 and caches make it up to 22; quadratic is 64 */
    assert_true(seconds_for_keys(1000000, SOOTH_ERR_LIMIT) < 2);
}

static void refused_vocabulary(const char *key, uint32_t item, uint64_t count, uint32_t last,
                               const char *word)
{
    struct maker m;
    head(&m, 0, 2);
    key_array(&m, "tokenizer.ggml.tokens", VALUE_STRING, 3);
    text(&m, "a", NULL);
    text(&m, "b", NULL);
    text(&m, "c", NULL);
    if (item == 99) {
        key_u32(&m, key, last);
    } else {
        key_array(&m, key, item, count);
        for (uint64_t i = 0; i < count; i++)
            u32(&m, last, NULL);
    }
    fixture_refused(m.b.data, m.b.len, SOOTH_ERR_FORMAT, word);
    buf_release(&m.b);
}

static void threat_gguf_vocabulary(void **state)
{
    struct maker m;
    refused_vocabulary("tokenizer.ggml.scores", VALUE_F32, 2, 0, "2 elements for 3 tokens");
    refused_vocabulary("tokenizer.ggml.scores", VALUE_I32, 3, 0, "wrong type");
    refused_vocabulary("tokenizer.ggml.token_type", VALUE_I32, 4, 0, "4 elements for 3 tokens");
    refused_vocabulary("tokenizer.ggml.bos_token_id", 99, 0, 3, "outside the vocabulary");
    refused_vocabulary("tokenizer.ggml.eot_token_id", 99, 0, 0xFFFFFFFF, "outside the vocabulary");
    refused_vocabulary("tokenizer.ggml.eos_token_ids", VALUE_U32, 2, 3, "outside the vocabulary");
    refused_vocabulary("tokenizer.ggml.eos_token_ids", VALUE_I32, 2, 0x80000000,
                       "outside the vocabulary");
    refused_vocabulary("tokenizer.ggml.eos_token_id", VALUE_U32, 1, 0, "not a whole number");
    head(&m, 0, 1);
    key_array(&m, "tokenizer.ggml.tokens", VALUE_STRING, 1);
    u64(&m, 65537, NULL);
    zeros(&m, 65537);
    fixture_refused(m.b.data, m.b.len, SOOTH_ERR_FORMAT, "longer than 65536");
    buf_release(&m.b);
    head(&m, 0, 1);
    key_u32(&m, "tokenizer.ggml.tokens", 3);
    fixture_refused(m.b.data, m.b.len, SOOTH_ERR_FORMAT, "not an array of strings");
    buf_release(&m.b);
}

static void threat_file_changes_under_mapping(void **state)
{
    struct maker m;
    struct tensor_file *f;
    good_file(&m);
    fixture_write(m.b.data, m.b.len);
    assert_int_equal(tensor_file_open(fixture_path, NULL, &f, NULL), SOOTH_OK);
    assert_true(tensor_file_intact(f));
    assert_int_equal(truncate(fixture_path, (off_t)m.b.len - 1), 0);
    assert_false(tensor_file_intact(f));
    tensor_file_close(f);
    buf_release(&m.b);
}

static void fail_gguf_read(void **state)
{
    struct maker m;
    good_file(&m);
    fixture_write(m.b.data, m.b.len);
    fixture_fail_everything();
    buf_release(&m.b);
}

/* ---- writing ---- */

static struct gguf_writer *filled_writer(const struct tensor_file *f)
{
    struct gguf_writer *w = gguf_writer_new();
    if (!w)
        return NULL;
    for (size_t i = 0; i < tensor_file_values(f); i++)
        gguf_put_value(w, tensor_file_value_at(f, i));
    for (size_t i = 0; i < tensor_file_count(f); i++) {
        const struct file_tensor *t = tensor_file_at(f, i);
        gguf_put_tensor(w, t->name, t->type, t->ndim, t->dims);
    }
    return w;
}

static enum sooth_status copy_file(const struct tensor_file *f, const char *path, size_t piece,
                                   struct sooth_error *e)
{
    struct gguf_writer *w = filled_writer(f);
    enum sooth_status status = w ? gguf_writer_open(w, path, e) : err_nomem(e);
    for (size_t i = 0; i < tensor_file_count(f) && !status; i++) {
        const struct file_tensor *t = tensor_file_at(f, i);
        for (size_t at = 0; at < t->bytes && !status; at += piece)
            status = gguf_writer_add(w, (const char *)t->data + at,
                                     t->bytes - at < piece ? t->bytes - at : piece, e);
    }
    if (!status)
        status = gguf_writer_commit(w, e);
    gguf_writer_free(w);
    return status;
}

static void test_copy_is_the_same_file(void **state)
{
    struct maker m;
    struct tensor_file *f;
    struct sooth_error e;
    struct buf back = BUF_INIT;
    char copy[100];
    snprintf(copy, sizeof copy, "%s/copy", fixture_dir);
    good_file(&m);
    fixture_write(m.b.data, m.b.len);
    assert_int_equal(tensor_file_open(fixture_path, NULL, &f, &e), SOOTH_OK);
    for (size_t piece = 1; piece < 70; piece += 17) {
        assert_int_equal(copy_file(f, copy, piece, &e), SOOTH_OK);
        buf_clear(&back);
        assert_int_equal(file_read(copy, 1 << 20, &back, &e), SOOTH_OK);
        assert_int_equal(back.len, (m.b.len + 31) / 32 * 32); /* the last tensor is padded too */
        assert_memory_equal(back.data, m.b.data, m.b.len);
    }
    unlink(copy);
    for (int memory = 0; memory < 2; memory++)
        for (uint64_t n = 1;; n++) {
            enum sooth_status status;
            uint64_t live = mem_live();
            unlink(copy);
            (memory ? mem_fail_at : file_fail_at)(n);
            status = copy_file(f, copy, 64, &e);
            (memory ? mem_fail_at : file_fail_at)(0);
            assert_int_equal(mem_live(), live);
            assert_true(file_exists(copy) == !status);
            if (!status)
                break;
        }
    unlink(copy);
    tensor_file_close(f);
    buf_release(&back);
    buf_release(&m.b);
}

static void refused_writer(void (*wrong)(struct gguf_writer *), const char *word)
{
    struct gguf_writer *w = gguf_writer_new();
    struct sooth_error e = {0};
    enum sooth_status status;
    wrong(w);
    status = gguf_writer_open(w, fixture_path, &e);
    if (!status)
        status = gguf_writer_add(w, "12345678", 8, &e);
    if (!status)
        status = gguf_writer_commit(w, &e);
    assert_int_equal(status, SOOTH_ERR_ARG);
    if (!strstr(e.text, word))
        fail_msg("'%s' does not say '%s'", e.text, word);
    gguf_writer_free(w);
    assert_false(file_exists(fixture_path));
}

static const uint64_t two[1] = {2}, three[1] = {3}, one[1] = {1},
                      huge[2] = {(uint64_t)1 << 40, (uint64_t)1 << 40};
static void twice(struct gguf_writer *w)
{
    gguf_put_tensor(w, "a", TYPE_F32, 1, two);
    gguf_put_tensor(w, "a", TYPE_F32, 1, two);
}
static void too_little(struct gguf_writer *w)
{
    gguf_put_tensor(w, "a", TYPE_F32, 1, three);
}
static void too_much(struct gguf_writer *w)
{
    gguf_put_tensor(w, "a", TYPE_F32, 1, one);
}
static void too_large(struct gguf_writer *w)
{
    gguf_put_tensor(w, "a", TYPE_F32, 2, huge);
}
static void no_type(struct gguf_writer *w)
{
    gguf_put_tensor(w, "a", TYPE_U8, 1, two);
}

static void test_writer_refuses(void **state)
{
    unlink(fixture_path);
    refused_writer(twice, "written twice");
    refused_writer(too_little, "missing");
    refused_writer(too_much, "more data");
    refused_writer(too_large, "cannot be written");
    refused_writer(no_type, "cannot be written");
}

/* The sizes written down here and those of the formats that can be computed with are one fact. */
static void test_types_agree_with_quant(void **state)
{
    for (size_t i = 0; qtype_at(i); i++) {
        const struct qtype *q = qtype_at(i);
        const struct tensor_type *t = tensor_type_find(q->id);
        if (q->id >= QTYPE_NF4) { /* no container has a number for it: several tensors of a directory make one */
            assert_null(t);
            continue;
        }
        assert_non_null(t);
        assert_string_equal(t->name, q->name);
        assert_int_equal(t->block, q->block);
        assert_int_equal(t->bytes, q->bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_everything),
        cmocka_unit_test(threat_gguf_truncated_everywhere),
        cmocka_unit_test(threat_gguf_worst_values),
        cmocka_unit_test(threat_gguf_damaged_bytes),
        cmocka_unit_test(threat_gguf_counts_before_allocation),
        cmocka_unit_test(threat_gguf_tensors),
        cmocka_unit_test(threat_gguf_names),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(threat_gguf_alignment),
        cmocka_unit_test(test_values),
        cmocka_unit_test(threat_gguf_ceilings),
        cmocka_unit_test(threat_gguf_quadratic),
        cmocka_unit_test(threat_gguf_vocabulary),
        cmocka_unit_test(threat_file_changes_under_mapping),
        cmocka_unit_test(fail_gguf_read),
        cmocka_unit_test(test_copy_is_the_same_file),
        cmocka_unit_test(test_writer_refuses),
        cmocka_unit_test(test_types_agree_with_quant),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
