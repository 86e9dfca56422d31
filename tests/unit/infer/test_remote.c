/* test_remote.c: the client of OpenAI-compatible servers against a stub that behaves well and
 * badly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "model/infer/remote.h"
#include "stub_server.inc"

#define JSON_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define SSE_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
#define GOOD                                                                                       \
    "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"It is "                      \
    "42.\"},\"finish_reason\":\"stop\"}],"                                                         \
    "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}"

struct heard {
    char text[256];
    size_t len, stop_after;
};
static bool hear(void *user, const char *text, size_t len)
{
    struct heard *h = user;
    memcpy(h->text + h->len, text, len);
    h->len += len;
    h->text[h->len] = 0;
    return !h->stop_after || h->len < h->stop_after;
}

static struct remote *client(const struct stub_server *s, double timeout)
{
    char url[64];
    struct remote *r;
    struct sooth_error err = {0};
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/", s->port);
    struct sooth_model_options o = {.api_model = "m", .api_key = "secret", .api_timeout = timeout};
    assert_int_equal(remote_open(url, &o, &r, &err), SOOTH_OK);
    r->backoff = 0.005;
    return r;
}

static const struct sooth_message hello[] = {{"system", "Be \"brief\"."}, {"user", "Why?"}};

/* Plays the script once against a chat. */
static enum sooth_status play(const struct stub_reply *script, size_t n,
                              struct sooth_generate_options *o, double timeout,
                              struct sooth_generation *g, struct sooth_error *err,
                              struct stub_server *s)
{
    memset(g, 0, sizeof *g);
    memset(err, 0, sizeof *err);
    stub_start(s, script, n);
    struct remote *r = client(s, timeout);
    enum sooth_status status = remote_generate(r, hello, 2, NULL, 0, o, g, err);
    remote_close(r);
    stub_stop(s);
    return status;
}

static void options_init(struct sooth_generate_options *o)
{
    *o = (struct sooth_generate_options){
        .sampling = {.top_p = 1, .repeat_penalty = 1, .repeat_last = 64}, .max_tokens = 32};
}

static void release(struct sooth_generation *g)
{
    mem_free(g->text);
    mem_free(g->logprobs);
}

static void good_answer(void **state)
{
    static struct stub_server s;
    struct sooth_generate_options o;
    struct sooth_generation g;
    struct sooth_error err;
    const struct stub_reply script[] = {{JSON_HEAD, GOOD}};
    options_init(&o);
    assert_int_equal(play(script, 1, &o, 5, &g, &err, &s), SOOTH_OK);
    assert_string_equal(g.text, "It is 42.");
    assert_int_equal(g.finish, SOOTH_FINISH_STOP);
    assert_int_equal(g.n_prompt, 7);
    assert_int_equal(g.n_tokens, 5);
    assert_non_null(strstr(s.request[0], "POST /v1/chat/completions HTTP/1.1"));
    assert_non_null(strstr(s.request[0], "Authorization: Bearer secret\r\n"));
    assert_non_null(
        strstr(s.request[0], "{\"role\":\"system\",\"content\":\"Be \\\"brief\\\".\"}"));
    assert_non_null(strstr(s.request[0], "\"max_tokens\":32"));
    release(&g);
}

static void streamed_answer_with_stop_and_cut_characters(void **state)
{
    static struct stub_server s;
    struct sooth_generate_options o;
    struct sooth_generation g;
    struct sooth_error err;
    struct heard h = {.stop_after = 0};
    const char *stop[] = {"END"};
    const struct stub_reply script[] = {
        {SSE_HEAD,
         ": ping\n\ndata: "
         "{\"choices\":[{\"delta\":{\"role\":\"assistant\"},\"finish_reason\":null}]}\r\n\r\n"
         "data: {\"choices\":[{\"delta\":{\"content\":\"caf\\u00e9 "
         "E\"},\"finish_reason\":null}]}\n\n"
         "data: {\"choices\":[{\"delta\":{\"content\":\"ND more\"},\"finish_reason\":null}]}\n\n"
         "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n",
         0, (size_t)-1}};
    options_init(&o);
    o.on_text = hear;
    o.user = &h;
    assert_int_equal(play(script, 1, &o, 5, &g, &err, &s), SOOTH_OK);
    assert_string_equal(g.text, "caf\xC3\xA9 E"
                                "ND more");
    assert_string_equal(h.text, g.text);
    assert_int_equal(g.finish, SOOTH_FINISH_LENGTH);
    release(&g);
    o.stop = stop;
    o.n_stop = 1;
    h = (struct heard){.stop_after = 0};
    assert_int_equal(play(script, 1, &o, 5, &g, &err, &s), SOOTH_OK);
    assert_string_equal(g.text, "caf\xC3\xA9 ");
    assert_string_equal(h.text, g.text);
    assert_int_equal(g.finish, SOOTH_FINISH_STOP);
    release(&g);
    h = (struct heard){.stop_after = 1};
    assert_int_equal(play(script, 1, &o, 5, &g, &err, &s), SOOTH_OK);
    assert_int_equal(g.finish, SOOTH_FINISH_CANCELLED);
    assert_int_equal(err.status, SOOTH_OK);
    release(&g);
}

static void stream_that_is_plain_json_after_all(void **state)
{
    static struct stub_server s;
    struct sooth_generate_options o;
    struct sooth_generation g;
    struct sooth_error err;
    struct heard h = {.stop_after = 0};
    const struct stub_reply script[] = {{JSON_HEAD, GOOD}};
    options_init(&o);
    o.on_text = hear;
    o.user = &h;
    assert_int_equal(play(script, 1, &o, 5, &g, &err, &s), SOOTH_OK);
    assert_string_equal(h.text, "It is 42.");
    release(&g);
}

static void busy_then_good(void **state)
{
    static struct stub_server s;
    struct sooth_generate_options o;
    struct sooth_generation g;
    struct sooth_error err;
    const struct stub_reply script[] = {
        {"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\n", "{}"},
        {"HTTP/1.1 503 Busy\r\n", ""},
        {JSON_HEAD, GOOD, 0, 4096},
        {JSON_HEAD, GOOD}};
    options_init(&o);
    assert_int_equal(play(script, 4, &o, 5, &g, &err, &s),
                     SOOTH_OK); /* the third breaks off halfway */
    assert_int_equal(atomic_load(&s.served), 4);
    assert_string_equal(g.text, "It is 42.");
    release(&g);
}

static void retry_after_beyond_the_deadline_is_not_waited_for(void **state)
{
    static struct stub_server s;
    struct sooth_generate_options o;
    struct sooth_generation g;
    struct sooth_error err;
    const struct stub_reply script[] = {{"HTTP/1.1 429 Too Many\r\nRetry-After: 3600\r\n",
                                         "{\"error\":{\"message\":\"slow down\"}}"}};
    options_init(&o);
    double start = clock_seconds();
    assert_int_equal(play(script, 1, &o, 5, &g, &err, &s), SOOTH_ERR_NET);
    assert_true(clock_seconds() - start < 4);
    assert_int_equal(atomic_load(&s.served), 1);
    assert_non_null(strstr(err.text, "429"));
    assert_non_null(strstr(err.text, "slow down"));
}

static void failures_are_one_line(void **state)
{
    static struct stub_server s;
    struct sooth_generate_options o;
    struct sooth_generation g;
    struct sooth_error err;
    struct heard h = {.stop_after = 0};
    static const struct {
        struct stub_reply reply;
        bool stream;
        unsigned served;
        const char *says;
    } cases[] = {
        {{"HTTP/1.1 500 Oops\r\n", "{\"error\":{\"message\":\"two\\nlines\"}}"},
         false,
         5,
         "answered 500 to /chat/completions: two lines"},
        {{"HTTP/1.1 401 No\r\n", "{}"}, false, 1, "answered 401"},
        {{"HTTP/1.1 400 Bad\r\n", "{\"error\":\"no such field\"}"}, true, 1, "no such field"},
        {{"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n", ""},
         false,
         1,
         "redirects are not followed"},
        {{JSON_HEAD, "{\"choices\":[{\"mess"}, false, 1, "not a JSON object"},
        {{JSON_HEAD, "{\"choices\":7}"}, false, 1, "without 'choices'"},
        {{JSON_HEAD, "[1]"}, false, 1, "not a JSON object"},
        {{JSON_HEAD, "{\"choices\":[{\"message\":{\"content\":[1]}}]}"}, false, 1, "not a string"},
        {{JSON_HEAD, GOOD, 0, 4096}, false, 5, "in the middle of its answer"},
        {{SSE_HEAD, "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n", 0, (size_t)-1},
         true,
         1,
         "ended in the middle"},
        {{SSE_HEAD, "data: nonsense\n\n", 0, (size_t)-1}, true, 1, "not a JSON object"},
        {{SSE_HEAD, "data: {\"error\":{\"message\":\"out of memory\"}}\n\n", 0, (size_t)-1},
         true,
         1,
         "out of memory"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        options_init(&o);
        o.on_text = cases[i].stream ? hear : NULL;
        o.user = &h;
        h.len = 0;
        assert_int_equal(play(&cases[i].reply, 1, &o, 5, &g, &err, &s), SOOTH_ERR_NET);
        if (!strstr(err.text, cases[i].says))
            fail_msg("case %zu says: %s", i, err.text);
        assert_null(strchr(err.text, '\n'));
        assert_null(strstr(err.text, "secret"));
        assert_int_equal(atomic_load(&s.served), cases[i].served);
        assert_null(g.text);
    }
}

static void hanging_server_costs_the_deadline(void **state)
{
    static struct stub_server s;
    struct sooth_generate_options o;
    struct sooth_generation g;
    struct sooth_error err;
    const struct stub_reply script[] = {{NULL, NULL}};
    options_init(&o);
    double start = clock_seconds();
    assert_int_equal(play(script, 1, &o, 0.3, &g, &err, &s), SOOTH_ERR_NET);
    assert_true(clock_seconds() - start >= 0.25);
    assert_non_null(strstr(err.text, "did not answer within 0.3 seconds"));
}

static void nobody_listens(void **state)
{
    static struct stub_server s;
    static const struct stub_reply script[] = {{JSON_HEAD, GOOD}};
    struct sooth_generate_options o;
    struct sooth_generation g = {0};
    struct sooth_error err = {0};
    stub_start(&s, script, 1);
    struct remote *r = client(&s, 2);
    stub_stop(&s);
    options_init(&o);
    assert_int_equal(remote_generate(r, hello, 2, NULL, 0, &o, &g, &err), SOOTH_ERR_NET);
    assert_non_null(strstr(err.text, "cannot connect"));
    assert_string_not_equal(err.hint, "");
    remote_close(r);
}

static void huge_answers_are_cut_off(void **state)
{
    static struct stub_server s;
    const struct stub_reply script[] = {
        {JSON_HEAD, "{\"a\":1}                                                        ", 100000,
         0}};
    struct sooth_generate_options o;
    struct sooth_generation g = {0};
    struct sooth_error err = {0};
    stub_start(&s, script, 1);
    struct remote *r = client(&s, 5);
    r->max_bytes = 1 << 20;
    options_init(&o);
    assert_int_equal(remote_generate(r, hello, 2, NULL, 0, &o, &g, &err), SOOTH_ERR_NET);
    assert_non_null(strstr(err.text, "more than 1048576 bytes"));
    assert_int_equal(atomic_load(&s.served), 1);
    remote_close(r);
    stub_stop(&s);
}

static void completions_and_logprobs(void **state)
{
    static struct stub_server s;
    const struct stub_reply script[] = {
        {JSON_HEAD, "{\"choices\":[{\"text\":\"ab\",\"finish_reason\":\"length\",\"logprobs\":"
                    "{\"token_logprobs\":[-0.5,null]}}]}"}};
    struct sooth_generate_options o;
    struct sooth_generation g = {0};
    struct sooth_error err = {0};
    stub_start(&s, script, 1);
    struct remote *r = client(&s, 5);
    options_init(&o);
    o.logprobs = 1;
    assert_int_equal(remote_generate(r, NULL, 0, "x", 1, &o, &g, &err), SOOTH_OK);
    assert_string_equal(g.text, "ab");
    assert_int_equal(g.n_tokens, 2);
    assert_true(g.logprobs[0] == -0.5f && isfinite(g.logprobs[1]));
    assert_non_null(strstr(s.request[0], "POST /v1/completions"));
    release(&g);
    remote_close(r);
    stub_stop(&s);
}

static void embeddings(void **state)
{
    static struct stub_server s;
    const struct stub_reply script[] = {
        {JSON_HEAD,
         "{\"data\":[{\"index\":0,\"embedding\":[1,0]}]}"}, /* the probe for the dimension */
        {JSON_HEAD,
         "{\"data\":[{\"index\":1,\"embedding\":[0,2]},{\"index\":0,\"embedding\":[3,4]}]}"},
        {JSON_HEAD,
         "{\"data\":[{\"index\":1,\"embedding\":[0,2]},{\"index\":1,\"embedding\":[3,4]}]}"},
        {JSON_HEAD, "{\"data\":[{\"index\":0,\"embedding\":[0,2]}]}"},
        {JSON_HEAD,
         "{\"data\":[{\"index\":0,\"embedding\":[0,2,1]},{\"index\":1,\"embedding\":[3,4]}]}"},
        {JSON_HEAD,
         "{\"data\":[{\"index\":0,\"embedding\":[0,\"x\"]},{\"index\":1,\"embedding\":[3,4]}]}"},
    };
    static const char *const says[] = {"same vector twice", "1 vectors for 2 texts", "wrong shape",
                                       "no direction"};
    const char *texts[] = {"a", "b"};
    float out[4] = {0};
    struct sooth_error err = {0};
    stub_start(&s, script, 6);
    struct remote *r = client(&s, 5);
    assert_int_equal(remote_embed(r, texts, NULL, 2, out, &err), SOOTH_OK);
    assert_true(fabsf(out[0] - 0.6f) < 1e-6f && fabsf(out[1] - 0.8f) < 1e-6f && out[2] == 0 &&
                out[3] == 1);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(remote_embed(r, texts, NULL, 2, out, &err), SOOTH_ERR_NET);
        if (!strstr(err.text, says[i]))
            fail_msg("case %zu says: %s", i, err.text);
    }
    remote_close(r);
    stub_stop(&s);
}

static void first_model_is_asked_for(void **state)
{
    static struct stub_server s;
    const struct stub_reply script[] = {
        {JSON_HEAD, "{\"data\":[{\"id\":\"big-one\"},{\"id\":\"other\"}]}"},
        {JSON_HEAD, "{\"data\":[]}"}};
    struct remote *r;
    struct sooth_error err = {0};
    char url[64];
    stub_start(&s, script, 2);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1", s.port);
    assert_int_equal(remote_open(url, NULL, &r, &err), SOOTH_OK);
    assert_string_equal(r->model, "big-one");
    remote_close(r);
    assert_int_equal(remote_open(url, NULL, &r, &err), SOOTH_ERR_NET);
    assert_null(r);
    assert_non_null(strstr(err.text, "lists no models"));
    stub_stop(&s);
    struct sooth_model_options o = {.api_model = "m", .api_key = "a\r\nX: y"};
    assert_int_equal(remote_open(url, &o, &r, &err), SOOTH_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_answer),
        cmocka_unit_test(streamed_answer_with_stop_and_cut_characters),
        cmocka_unit_test(stream_that_is_plain_json_after_all),
        cmocka_unit_test(busy_then_good),
        cmocka_unit_test(retry_after_beyond_the_deadline_is_not_waited_for),
        cmocka_unit_test(failures_are_one_line),
        cmocka_unit_test(hanging_server_costs_the_deadline),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(huge_answers_are_cut_off),
        cmocka_unit_test(completions_and_logprobs),
        cmocka_unit_test(embeddings),
        cmocka_unit_test(first_model_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
