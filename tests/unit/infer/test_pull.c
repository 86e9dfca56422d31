/* test_pull.c: fetching from a server on loopback that drops, lies, redirects, changes its mind and serves short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/stat.h>
#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/base/fsio.h"
#include "core/base/hash.h"
#include "sooth/model.h"
#include "stub_server.inc"

#define BODY "0123456789abcdefghijklmnopqrstuvwxyz"
enum { SIZE = sizeof BODY - 1 };
#define OK_HEAD "HTTP/1.1 200 OK\r\nETag: \"one\"\r\n"
#define PART_HEAD(range) "HTTP/1.1 206 Partial Content\r\nETag: \"one\"\r\nContent-Range: bytes " range "/36\r\n"

static char dir[64], sum[65];
static struct stub_server s;

static int begin(void **state)
{
    strcpy(dir, "/tmp/sooth_pull_XXXXXX");
    sha256_hex(BODY, SIZE, sum);
    return mkdtemp(dir) ? 0 : -1;
}

static int end(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static const char *at(const char *name)
{
    static char path[4][512];
    static unsigned turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static bool holds(const char *name, const char *want)
{
    struct buf b = BUF_INIT;
    bool same = file_read(at(name), 1 << 20, &b, NULL) == SOOTH_OK && b.len == strlen(want) && memcmp(buf_str(&b), want, b.len) == 0;
    buf_release(&b);
    return same;
}

struct seen {
    uint64_t done, total, stop_at;
};
static bool watch(void *user, const char *file, uint64_t done, uint64_t total)
{
    struct seen *w = user;
    w->done = done;
    w->total = total;
    return !w->stop_at || done < w->stop_at;
}

/* Plays a script to one pull of /dir/m.bin into NAME. */
static enum sooth_status play(const struct stub_reply *script, size_t n, const char *name, const char *sha256, struct sooth_pull_result *r,
                              struct sooth_error *err)
{
    char url[128];
    struct seen w = {0};
    memset(err, 0, sizeof *err);
    stub_start(&s, script, n);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/dir/m.bin?x=1", s.port);
    struct sooth_pull_options o = {.out = at(name), .sha256 = sha256, .backoff = 0.001, .stall = 2, .on_bytes = watch, .user = &w};
    enum sooth_status status = sooth_pull(url, &o, r, err);
    stub_stop(&s);
    if (status == SOOTH_OK && !r->resumed && atomic_load(&s.served) && r->bytes)
        assert_int_equal(w.done, r->bytes);
    return status;
}
#define PLAY(name, sha, ...) play((const struct stub_reply[]){__VA_ARGS__}, sizeof((const struct stub_reply[]){__VA_ARGS__}) / sizeof(struct stub_reply), name, sha, &r, &err)

static void a_whole_file_arrives_and_is_checked(void **state)
{
    struct sooth_pull_result r;
    struct sooth_error err;
    assert_int_equal(PLAY("a", sum, {OK_HEAD, BODY}), SOOTH_OK);
    assert_true(holds("a", BODY) && !file_exists(at("a.part")) && !file_exists(at("a.part.tag")));
    assert_string_equal(r.sha256, sum);
    assert_string_equal(r.path, at("a"));
    assert_true(r.checked && r.bytes == SIZE && r.files == 1 && !r.resumed);
    assert_null(strstr(s.request[0], "Range:"));
    assert_int_equal(PLAY("a", sum, {OK_HEAD, BODY}), SOOTH_OK); /* it is there: nothing is asked */
    assert_int_equal(atomic_load(&s.served), 0);
    assert_int_equal(PLAY("b", NULL, {OK_HEAD, BODY}), SOOTH_OK);
    assert_false(r.checked);
    assert_int_equal(PLAY("c", NULL, {OK_HEAD "X-Linked-ETag: \"dead\"\r\n", BODY}), SOOTH_OK); /* that is no sum */
    assert_false(r.checked);
    assert_int_equal(PLAY("empty", NULL, {OK_HEAD, ""}), SOOTH_OK);
    assert_true(holds("empty", ""));
    assert_int_equal(PLAY("endless", sum, {OK_HEAD, BODY, 0, (size_t)-1}), SOOTH_OK); /* no length: the close ends it */
}

static void a_broken_transfer_goes_on_where_it_ended(void **state)
{
    struct sooth_pull_result r;
    struct sooth_error err;
    assert_int_equal(PLAY("d", sum, {OK_HEAD, "0123456789", 0, SIZE}, {PART_HEAD("10-35"), "abcdefghij", 0, 26}, {"HTTP/1.1 503 Busy\r\n", ""},
                          {PART_HEAD("20-35"), "klmnopqrstuvwxyz"}), SOOTH_OK);
    assert_true(holds("d", BODY));
    assert_non_null(strstr(s.request[1], "Range: bytes=10-\r\n"));
    assert_non_null(strstr(s.request[1], "If-Range: \"one\"\r\n"));
    assert_non_null(strstr(s.request[3], "Range: bytes=20-\r\n"));
}

/* The part outlives the process that began it. */
static void a_later_pull_goes_on_from_the_part(void **state)
{
    char url[128];
    struct sooth_pull_result r;
    struct sooth_error err;
    struct seen w = {.stop_at = 1};
    static const struct stub_reply first[] = {{OK_HEAD, "0123456789", 0, SIZE}};
    stub_start(&s, first, 1);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/m.bin", s.port);
    struct sooth_pull_options o = {.out = at("e"), .on_bytes = watch, .user = &w};
    assert_int_equal(sooth_pull(url, &o, &r, &err), SOOTH_ERR_CANCELLED);
    stub_stop(&s);
    assert_true(holds("e.part", "0123456789") && holds("e.part.tag", "\"one\"") && !file_exists(at("e")));
    assert_int_equal(w.total, SIZE);
    assert_int_equal(PLAY("e", sum, {PART_HEAD("10-35"), "abcdefghijklmnopqrstuvwxyz"}), SOOTH_OK);
    assert_true(r.resumed && holds("e", BODY));
    /* the server has another file by now: 200 begins anew */
    assert_int_equal(file_write_atomic(at("f.part"), "XXXX", 4, NULL), SOOTH_OK);
    assert_int_equal(file_write_atomic(at("f.part.tag"), "\"old\"", 5, NULL), SOOTH_OK);
    assert_int_equal(PLAY("f", sum, {OK_HEAD, BODY}), SOOTH_OK);
    assert_non_null(strstr(s.request[0], "If-Range: \"old\""));
    assert_true(holds("f", BODY));
    /* bytes nobody vouches for are not built upon */
    assert_int_equal(file_write_atomic(at("g.part"), "XXXX", 4, NULL), SOOTH_OK);
    assert_int_equal(PLAY("g", sum, {OK_HEAD, BODY}), SOOTH_OK);
    assert_null(strstr(s.request[0], "Range:"));
    /* all of it was here already */
    assert_int_equal(file_write_atomic(at("h.part"), BODY, SIZE, NULL), SOOTH_OK);
    assert_int_equal(file_write_atomic(at("h.part.tag"), "\"one\"", 5, NULL), SOOTH_OK);
    assert_int_equal(PLAY("h", sum, {"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */36\r\n", ""}), SOOTH_OK);
    assert_true(holds("h", BODY));
    /* or more than all */
    assert_int_equal(file_write_atomic(at("i.part"), BODY "more", SIZE + 4, NULL), SOOTH_OK);
    assert_int_equal(file_write_atomic(at("i.part.tag"), "\"one\"", 5, NULL), SOOTH_OK);
    assert_int_equal(PLAY("i", sum, {"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */36\r\n", ""}, {OK_HEAD, BODY}), SOOTH_OK);
    assert_true(holds("i", BODY));
}

static void lies_are_refused_with_both_values(void **state)
{
    struct sooth_pull_result r;
    struct sooth_error err;
    char wrong[65];
    memset(wrong, 'a', 64);
    wrong[64] = 0;
    /* a length it never keeps */
    assert_int_equal(PLAY("l1", NULL, {OK_HEAD, BODY, 0, 50}, {"HTTP/1.1 206 P\r\nContent-Range: bytes 36-49/50\r\n", "", 0, 14}), SOOTH_ERR_NET);
    assert_true(strstr(err.text, "36 bytes of 50") && !file_exists(at("l1")));
    /* another range than asked for */
    assert_int_equal(PLAY("l2", NULL, {OK_HEAD, "0123456789", 0, SIZE}, {PART_HEAD("5-35"), "56789abcdefghijklmnopqrstuvwxyz"}), SOOTH_ERR_NET);
    assert_true(strstr(err.text, "from 10") && strstr(err.text, "from 5"));
    /* another total than before */
    assert_int_equal(PLAY("l3", NULL, {OK_HEAD, "0123456789", 0, SIZE}, {"HTTP/1.1 206 P\r\nContent-Range: bytes 10-98/99\r\n", "abcdef", 0, 89}), SOOTH_ERR_NET);
    assert_true(strstr(err.text, "36") && strstr(err.text, "99"));
    /* the sum */
    assert_int_equal(PLAY("l4", wrong, {OK_HEAD, BODY}), SOOTH_ERR_FORMAT);
    assert_true(strstr(err.text, wrong) && strstr(err.text, sum) && !file_exists(at("l4")) && !file_exists(at("l4.part")));
    assert_int_equal(PLAY("l5", NULL, {OK_HEAD "X-Linked-ETag: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\r\n", BODY}), SOOTH_ERR_FORMAT);
    /* compressed although nobody asked */
    assert_int_equal(PLAY("l6", NULL, {OK_HEAD "Content-Encoding: gzip\r\n", BODY}), SOOTH_ERR_NET);
    assert_non_null(strstr(err.text, "compresses"));
    /* lengths that are none */
    assert_true(PLAY("l7", NULL, {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n", BODY, 0, (size_t)-1}) != SOOTH_OK || holds("l7", BODY));
    assert_true(PLAY("l8", NULL, {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n", BODY, 0, (size_t)-1}) != SOOTH_OK);
    assert_false(file_exists(at("l8")));
    /* nothing but broken connections */
    assert_int_equal(PLAY("l9", NULL, {"HTTP/1.1 500 Oops\r\n", ""}), SOOTH_ERR_NET);
    assert_true(strstr(err.text, "500") && atomic_load(&s.served) == 5);
    assert_int_equal(PLAY("l10", NULL, {"HTTP/1.1 404 Not Found\r\n", "gone"}), SOOTH_ERR_NET);
    assert_true(strstr(err.text, "404") && atomic_load(&s.served) == 1 && !file_exists(at("l10")));
    /* an answer that hangs is given up */
    assert_int_equal(PLAY("l11", sum, {NULL, ""}, {OK_HEAD, BODY}), SOOTH_OK);
}

static void redirects_are_followed_so_far_and_no_further(void **state)
{
    struct sooth_pull_result r;
    struct sooth_error err;
    char head[600];
    /* the sum told on the way counts; its own headers are those of the last hop */
    snprintf(head, sizeof head, "HTTP/1.1 302 Found\r\nLocation: /other\r\nX-Linked-ETag: \"%s\"\r\nETag: \"hop\"\r\n", sum);
    assert_int_equal(PLAY("r1", NULL, {head, "go there"}, {OK_HEAD, BODY}), SOOTH_OK);
    assert_true(r.checked && holds("r1", BODY));
    assert_non_null(strstr(s.request[1], "GET /other"));
    assert_int_equal(PLAY("r2", NULL, {"HTTP/1.1 302 Found\r\nLocation: /again\r\n", ""}), SOOTH_ERR_NET);
    assert_int_equal(atomic_load(&s.served), 6);
    assert_int_equal(PLAY("r3", NULL, {"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n", ""}), SOOTH_ERR_NET);
    assert_false(file_exists(at("r3")));
}

static void names_stay_inside_their_folder(void **state)
{
    static const char *const bad[] = {"hf:a", "hf:/a/b", "hf:a/../b", "hf:a/b/../../c", "hf:a/b/.hidden", "hf:a/b/c d", "hf:a/b/%2e%2e/c", "hf:a//b", "hf:a/b/",
                                      "hf:a/b@../x", "hf:", "http://127.0.0.1:1/..", "http://127.0.0.1:1/", "http://127.0.0.1:1/a b", "nothing-known"};
    struct sooth_pull_result r;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sooth_error err = {0};
        struct sooth_pull_options o = {.endpoint = "http://127.0.0.1:1"};
        enum sooth_status status = sooth_pull(bad[i], &o, &r, &err);
        if (status != SOOTH_ERR_ARG && status != SOOTH_ERR_NOTFOUND)
            fail_msg("%s: %d %s", bad[i], status, err.text);
    }
    struct sooth_pull_options short_sum = {.sha256 = "abc"};
    assert_int_equal(sooth_pull("minilm", &short_sum, &r, NULL), SOOTH_ERR_ARG);
}

/* A repository: its listing, then what a model directory needs of it, with the key for the endpoint. */
static void a_repository_becomes_a_directory(void **state)
{
    static const struct stub_reply script[] = {
        {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",
         "{\"siblings\":[{\"rfilename\":\".gitattributes\"},{\"rfilename\":\"config.json\"},{\"rfilename\":\"pytorch_model.bin\"},"
         "{\"rfilename\":\"1_Pooling/config.json\"},{\"rfilename\":\"model.safetensors\"},{\"rfilename\":\"onnx/model.onnx\"}]}"},
        {OK_HEAD, "{}"}, {OK_HEAD, "{\"a\":1}"}, {OK_HEAD, BODY}};
    static const struct stub_reply hostile[] = {
        {"HTTP/1.1 200 OK\r\n", "{\"siblings\":[{\"rfilename\":\"../../x.safetensors\"},{\"rfilename\":\"..x.safetensors\"}]}"}};
    char endpoint[64];
    struct sooth_pull_result r;
    struct sooth_error err = {0};
    setenv("SOOTH_MODELS", dir, 1);
    setenv("HF_TOKEN", "secret", 1);
    stub_start(&s, script, 4);
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u", s.port);
    struct sooth_pull_options o = {.endpoint = endpoint, .backoff = 0.001};
    if (sooth_pull("hf:owner/repo@v1.0", &o, &r, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    stub_stop(&s);
    assert_true(holds("repo/config.json", "{}") && holds("repo/1_Pooling/config.json", "{\"a\":1}") && holds("repo/model.safetensors", BODY));
    assert_string_equal(r.path, at("repo"));
    assert_int_equal(r.files, 3);
    assert_non_null(strstr(s.request[0], "GET /api/models/owner/repo/revision/v1.0 "));
    assert_non_null(strstr(s.request[1], "GET /owner/repo/resolve/v1.0/config.json "));
    assert_non_null(strstr(s.request[3], "Authorization: Bearer secret"));
    stub_start(&s, hostile, 1);
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u", s.port);
    assert_int_equal(sooth_pull("hf:owner/repo", &o, &r, &err), SOOTH_ERR_NET);
    stub_stop(&s);
    unsetenv("HF_TOKEN");
    unsetenv("SOOTH_MODELS");
    /* a URL is another's: no key */
    setenv("HF_TOKEN", "secret", 1);
    assert_int_equal(PLAY("k", NULL, {OK_HEAD, BODY}), SOOTH_OK);
    assert_null(strstr(s.request[0], "secret"));
    unsetenv("HF_TOKEN");
}

static void failing_memory_and_disks_are_told(void **state)
{
    struct sooth_pull_result r;
    struct sooth_error err = {0};
    struct sooth_pull_options o = {.out = "/proc/nowhere/x", .endpoint = "http://127.0.0.1:1"};
    assert_int_equal(sooth_pull("http://127.0.0.1:1/x", &o, &r, &err), SOOTH_ERR_IO);
    uint64_t live = mem_live();
    for (uint64_t n = 1; n < 12; n++) {
        mem_fail_at(n);
        enum sooth_status status = PLAY("m", sum, {OK_HEAD, BODY});
        mem_fail_at(0);
        assert_true(status == SOOTH_OK || (!file_exists(at("m")) && err.text[0]));
        assert_int_equal(mem_live(), live);
        unlink(at("m"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_arrives_and_is_checked),
        cmocka_unit_test(a_broken_transfer_goes_on_where_it_ended),
        cmocka_unit_test(a_later_pull_goes_on_from_the_part),
        cmocka_unit_test(lies_are_refused_with_both_values),
        cmocka_unit_test(redirects_are_followed_so_far_and_no_further),
        cmocka_unit_test(names_stay_inside_their_folder),
        cmocka_unit_test(a_repository_becomes_a_directory),
        cmocka_unit_test(failing_memory_and_disks_are_told),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
