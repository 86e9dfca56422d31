/* test_safetensors.c: single safetensors files, good, cut and lying. */
#include "file_fixture.h"

/* A file of this header and so many bytes of data. */
static void make(struct buf *b, const char *header, size_t data)
{
    uint64_t n = strlen(header);
    buf_clear(b);
    buf_add(b, &n, sizeof n);
    buf_puts(b, header);
    for (size_t i = 0; i < data; i++)
        buf_putc(b, (char)i);
}

static void refused(const char *header, size_t data, enum sooth_status want, const char *word)
{
    struct buf b = BUF_INIT;
    make(&b, header, data);
    fixture_refused(b.data, b.len, want, word);
    buf_release(&b);
}

static const char good[] =
    "{\"__metadata__\":{\"format\":\"pt\"},"
    "\"b\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[4,16]},"
    "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
    "\"none\":{\"dtype\":\"I64\",\"shape\":[0,7],\"data_offsets\":[16,16]},"
    "\"five\":{\"dtype\":\"U8\",\"shape\":[2,1,2,1,3],\"data_offsets\":[16,28]}}  ";

static void test_reads(void **state)
{
    struct buf b = BUF_INIT;
    struct tensor_file *f;
    struct sooth_error e;
    const struct file_tensor *t;
    make(&b, good, 28);
    fixture_write(b.data, b.len);
    if (tensor_file_open(fixture_path, NULL, &f, &e))
        fail_msg("%s", e.text);
    assert_string_equal(tensor_file_format(f), "safetensors");
    assert_int_equal(tensor_file_count(f), 4);
    assert_string_equal(tensor_file_at(f, 0)->name, "a"); /* in the order of the data */
    assert_string_equal(tensor_file_string(f, "format", ""), "pt");
    t = tensor_file_find(f, "b");
    assert_int_equal(t->type, TYPE_F16);
    assert_int_equal(t->ndim, 2);
    assert_int_equal(t->dims[0], 3); /* fastest first */
    assert_int_equal(t->dims[1], 2);
    assert_int_equal(*(const unsigned char *)t->data, 4);
    assert_int_equal(tensor_file_find(f, "a")->ndim, 0);
    assert_int_equal(tensor_file_find(f, "none")->bytes, 0);
    t = tensor_file_find(f, "five");
    assert_int_equal(t->ndim, 4);
    assert_int_equal(t->dims[0], 3);
    assert_int_equal(t->dims[3], 2);
    fixture_touch(f);
    tensor_file_close(f);
    buf_release(&b);
}

static void threat_safetensors_truncated_everywhere(void **state)
{
    struct buf b = BUF_INIT;
    make(&b, good, 28);
    fixture_truncate_everywhere(b.data, b.len, b.len);
    buf_release(&b);
}

static void threat_safetensors_header_length(void **state)
{
    struct buf b = BUF_INIT;
    struct fixture_field field = {0, 8, "header length"};
    make(&b, good, 28);
    fixture_worst_values(&b, &field, 1);
    for (uint64_t n = strlen(good) - 3; n < strlen(good) + 29; n++) {
        if (n >= strlen(good) - 2 && n <= strlen(good))
            continue; /* with fewer of the spaces at the end, the buffer is too long: tested below
                       */
        memcpy(b.data, &n, 8);
        fixture_refused(b.data, b.len, SOOTH_ERR_FORMAT, "");
    }
    refused(" {}", 0, SOOTH_ERR_FORMAT, "not a model file");
    refused("{}x", 0, SOOTH_ERR_FORMAT, "text after the value");
    buf_release(&b);
}

#define ONE(dtype, shape, from, to)                                                                \
    "{\"t\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}}"

static void threat_safetensors_lies(void **state)
{
    refused(ONE("F32", "[1]", "0", "4"), 5, SOOTH_ERR_FORMAT, "1 bytes follow");
    refused(ONE("F32", "[1]", "0", "4"), 3, SOOTH_ERR_FORMAT, "beyond the file");
    refused(ONE("F32", "[1]", "1", "5"), 5, SOOTH_ERR_FORMAT, "hole");
    refused(ONE("F32", "[1]", "4", "0"), 4, SOOTH_ERR_FORMAT, "no proper dtype or data_offsets");
    refused(ONE("F32", "[2]", "0", "4"), 4, SOOTH_ERR_FORMAT, "4 bytes of data for a shape of 8");
    refused(ONE("F32", "[4611686018427387904]", "0", "0"), 0, SOOTH_ERR_FORMAT,
            "impossible shape"); /* times 4 wraps */
    refused(ONE("F32", "[9223372036854775808,2]", "0", "0"), 0, SOOTH_ERR_FORMAT,
            "impossible shape");
    refused(ONE("F32", "[18446744073709551616]", "0", "4"), 4, SOOTH_ERR_FORMAT,
            "impossible shape");
    refused(ONE("U8", "[9223372036854775808]", "0", "9223372036854775808"), 0, SOOTH_ERR_FORMAT,
            "beyond the file");
    refused(ONE("F32", "[-1]", "0", "4"), 4, SOOTH_ERR_FORMAT, "impossible shape");
    refused(ONE("F32", "[1.0]", "0", "4"), 4, SOOTH_ERR_FORMAT, "impossible shape");
    refused(ONE("F32", "1", "0", "4"), 4, SOOTH_ERR_FORMAT, "impossible shape");
    refused(ONE("F32", "[1]", "0.5", "4"), 4, SOOTH_ERR_FORMAT, "no proper dtype");
    refused(ONE("F32", "[1]", "0", "4,8"), 8, SOOTH_ERR_FORMAT, "no proper dtype");
    refused(ONE("F4", "[2]", "0", "1"), 1, SOOTH_ERR_UNSUPPORTED, "unknown dtype 'F4'");
    refused(ONE("f32", "[1]", "0", "4"), 4, SOOTH_ERR_UNSUPPORTED, "unknown dtype");
    refused("{\"t\":{}}", 0, SOOTH_ERR_FORMAT, "no proper dtype");
    refused("{\"t\":7}", 0, SOOTH_ERR_FORMAT, "no proper dtype");
    refused("{\"\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, SOOTH_ERR_FORMAT,
            "impossible name");
    refused("{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
            SOOTH_ERR_FORMAT, "impossible name");
    refused("{\"__metadata__\":{\"a\":1}}", 0, SOOTH_ERR_FORMAT, "not a text");
    refused("{\"__metadata__\":[]}", 0, SOOTH_ERR_FORMAT, "not an object");
}

static void threat_safetensors_overlap_and_duplicates(void **state)
{
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
            "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
            6, SOOTH_ERR_FORMAT, "overlaps");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
            "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
            4, SOOTH_ERR_FORMAT, "overlaps");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
            "\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
            8, SOOTH_ERR_FORMAT, "duplicate key");
    refused("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4,
            SOOTH_ERR_FORMAT, "duplicate key");
}

static void threat_safetensors_depth(void **state)
{
    struct buf b = BUF_INIT;
    buf_puts(&b, "{\"t\":");
    for (int i = 0; i < 100000; i++)
        buf_putc(&b, '[');
    refused(b.data, 0, SOOTH_ERR_LIMIT, "nested deeper");
    buf_release(&b);
}

static void fail_safetensors_read(void **state)
{
    struct buf b = BUF_INIT;
    make(&b, good, 28);
    fixture_write(b.data, b.len);
    for (uint64_t n = 1;; n++) {
        struct sooth_error e;
        enum sooth_status status;
        mem_fail_at(n);
        status = fixture_open(&e);
        mem_fail_at(0);
        if (!status)
            break;
        assert_int_equal(status, SOOTH_ERR_NOMEM);
    }
    buf_release(&b);
}

static void test_write_and_read_back(void **state)
{
    struct buf b = BUF_INIT;
    struct tensor_file *f, *g;
    struct sooth_error e;
    char copy[100];
    struct file_tensor bad = {
        .name = "q", .type = TYPE_Q4_0, .ndim = 1, .dims = {32, 1, 1, 1}, .data = "", .bytes = 18};
    snprintf(copy, sizeof copy, "%s/copy", fixture_dir);
    make(&b, good, 28);
    fixture_write(b.data, b.len);
    assert_int_equal(tensor_file_open(fixture_path, NULL, &f, &e), SOOTH_OK);
    assert_int_equal(
        safetensors_write(copy, tensor_file_at(f, 0), 4, tensor_file_value_at(f, 0), 1, &e),
        SOOTH_OK);
    assert_int_equal(tensor_file_open(copy, NULL, &g, &e), SOOTH_OK);
    assert_int_equal(tensor_file_count(g), 4);
    assert_string_equal(tensor_file_string(g, "format", ""), "pt");
    for (size_t i = 0; i < 4; i++) {
        const struct file_tensor *x = tensor_file_at(f, i), *y = tensor_file_find(g, x->name);
        assert_non_null(y);
        assert_memory_equal(x->dims, y->dims, sizeof x->dims);
        assert_int_equal(x->type, y->type);
        assert_int_equal(x->bytes, y->bytes);
        assert_memory_equal(x->data, y->data, x->bytes);
    }
    tensor_file_close(g);
    assert_int_equal(safetensors_write(copy, &bad, 1, NULL, 0, &e), SOOTH_ERR_ARG);
    unlink(copy);
    for (uint64_t n = 1;; n++) {
        enum sooth_status status;
        uint64_t live = mem_live();
        file_fail_at(n);
        status = safetensors_write(copy, tensor_file_at(f, 0), 4, NULL, 0, &e);
        file_fail_at(0);
        assert_int_equal(mem_live(), live);
        assert_true(file_exists(copy) == !status);
        if (!status)
            break;
    }
    unlink(copy);
    tensor_file_close(f);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(threat_safetensors_truncated_everywhere),
        cmocka_unit_test(threat_safetensors_header_length),
        cmocka_unit_test(threat_safetensors_lies),
        cmocka_unit_test(threat_safetensors_overlap_and_duplicates),
        cmocka_unit_test(threat_safetensors_depth),
        cmocka_unit_test(fail_safetensors_read),
        cmocka_unit_test(test_write_and_read_back),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
