/* remote.c: HTTP requests to a model server, through libcurl (docs/decisions/curl.md).
 *
 * One call, one deadline. Within it a request is tried again on 429, 408, 5xx and broken
 * connections, after
 *
 *     wait(i) = backoff * 2^i * (0.5 + u/2),  u uniform in [0, 1)
 *
 * or after the server's Retry-After where that is longer, never past the deadline. Redirects are
 * not followed: a key must not travel to another host. Left out: cookies, proxies for loopback,
 * response compression. */
#include "model/infer/remote.h"
#include <curl/curl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "core/base/alloc.h"
#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/rng.h"
#include "core/base/utf8.h"

enum { REMOTE_ATTEMPTS = 5, REMOTE_MAX_BYTES = 64 << 20 };

/* What one attempt's answer is received into. */
struct remote_answer {
    CURL *curl;
    struct buf body;
    remote_bytes_fn *on_bytes;
    void *user;
    size_t bytes, max_bytes;
    bool passed_on, cancelled, too_big;
    double retry_after;
};

static pthread_once_t remote_once = PTHREAD_ONCE_INIT;
static bool remote_started;
static void remote_global(void)
{
    remote_started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

bool remote_ready(void)
{
    pthread_once(&remote_once, remote_global);
    return remote_started;
}

bool remote_is_url(const char *name)
{
    return strncasecmp(name, "http://", 7) == 0 || strncasecmp(name, "https://", 8) == 0;
}

bool remote_loopback(const char *url)
{
    const char *host = strstr(url, "://") + 3;
    return strncasecmp(host, "localhost", 9) == 0 || strncmp(host, "127.", 4) == 0 ||
           strncmp(host, "[::1]", 5) == 0;
}

static size_t remote_on_body(char *bytes, size_t one, size_t len, void *user)
{
    struct remote_answer *a = user;
    long code = 0;
    curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &code);
    a->bytes += len;
    if (a->bytes > a->max_bytes) {
        a->too_big = true;
        return 0;
    }
    if (!a->on_bytes || code != 200)
        return buf_add(&a->body, bytes, len) ? len : 0;
    a->passed_on = true;
    if (a->on_bytes(a->user, bytes, len))
        return len;
    a->cancelled = true;
    return 0;
}

static size_t remote_on_header(char *line, size_t one, size_t len, void *user)
{
    struct remote_answer *a = user;
    static const char name[] = "retry-after:";
    char value[64];
    size_t skip = sizeof name - 1;
    if (len <= skip || strncasecmp(line, name, skip) != 0 || len - skip >= sizeof value)
        return len;
    memcpy(value, line + skip, len - skip);
    value[len - skip] = 0;
    char *end;
    double seconds = strtod(value, &end);
    if (end == value) { /* the other form is a date */
        time_t when = curl_getdate(value, NULL);
        seconds = when == -1 ? 0 : difftime(when, time(NULL));
    }
    a->retry_after = seconds > 0 && isfinite(seconds) ? seconds : 0;
    return len;
}

/* Puts a readable piece of the server's own words behind the status code. */
static void remote_words(const struct buf *body, char *out, size_t size)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    const char *words = NULL;
    const struct json *j = body->len ? json_parse(&arena, body->data, body->len, 0, NULL, NULL)
                                     : NULL;
    const struct json *e = json_get(j, "error");
    if (e && e->type == JSON_STRING)
        words = e->text;
    else if (e)
        words = json_string(e, "message", NULL);
    if (!words && j)
        words = json_string(j, "message", NULL);
    out[0] = 0;
    if (words && words[0] && size > 8) {
        size_t n = strlen(words), room = size - 3;
        n = n > room ? utf8_floor(words, n, room) : n;
        memcpy(out, ": ", 2);
        for (size_t i = 0; i < n; i++)
            out[2 + i] = (unsigned char)words[i] < ' ' ? ' ' : words[i];
        out[2 + n] = 0;
    }
    arena_release(&arena);
}

static enum sooth_status remote_curl_error(const struct remote *r, CURLcode code,
                                           const struct remote_answer *a, double timeout,
                                           struct sooth_error *err)
{
    if (a->cancelled)
        return err_set(err, SOOTH_ERR_CANCELLED, "request to '%s' was cancelled", r->url);
    if (a->too_big)
        return err_set(err, SOOTH_ERR_NET, "server '%s' sent more than %zu bytes", r->url,
                       r->max_bytes);
    if (a->body.failed)
        return err_nomem(err);
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(err, SOOTH_ERR_NET, "server '%s' did not answer within %g seconds", r->url,
                       timeout);
    case CURLE_COULDNT_CONNECT:
        err_set(err, SOOTH_ERR_NET, "cannot connect to '%s'", r->url);
        return err_hint(err, "is the server running, and is this its address?");
    case CURLE_COULDNT_RESOLVE_HOST:
        return err_set(err, SOOTH_ERR_NET, "cannot find the host of '%s'", r->url);
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return err_set(err, SOOTH_ERR_NET,
                       "server '%s' closed the connection in the middle of its answer", r->url);
    default:
        return err_set(err, SOOTH_ERR_NET, "request to '%s' failed: %s", r->url,
                       curl_easy_strerror(code));
    }
}

static enum sooth_status remote_http_error(const struct remote *r, const char *path, long code,
                                           const struct buf *body, struct sooth_error *err)
{
    char words[256];
    remote_words(body, words, sizeof words);
    if (code >= 300 && code < 400)
        return err_set(err, SOOTH_ERR_NET, "server '%s' answered %ld (redirects are not followed)",
                       r->url, code);
    err_set(err, SOOTH_ERR_NET, "server '%s' answered %ld to %s%s", r->url, code, path, words);
    if (code == 401 || code == 403)
        return err_hint(err, "set the key in SOOTH_API_KEY");
    if (code == 404)
        return err_hint(err, "does the address end in /v1, and does the server have model '%s'?",
                        r->model ? r->model : "?");
    return SOOTH_ERR_NET;
}

static bool remote_may_retry_code(long code)
{
    return code == 429 || code == 408 || (code >= 500 && code != 501 && code != 505);
}

static bool remote_may_retry_curl(CURLcode c)
{
    return c == CURLE_COULDNT_CONNECT || c == CURLE_PARTIAL_FILE || c == CURLE_GOT_NOTHING ||
           c == CURLE_RECV_ERROR || c == CURLE_SEND_ERROR;
}

static struct curl_slist *remote_headers(const struct remote *r, bool has_body)
{
    struct curl_slist *list =
        curl_slist_append(NULL, "Accept: application/json, text/event-stream");
    struct curl_slist *next = list;
    if (next && has_body)
        next = curl_slist_append(list, "Content-Type: application/json");
    if (next && has_body)
        next = curl_slist_append(list, "Expect:"); /* no extra round trip for long prompts */
    if (next && r->key) {
        struct buf line = BUF_INIT;
        next = buf_printf(&line, "Authorization: Bearer %s", r->key)
                   ? curl_slist_append(list, line.data)
                   : NULL;
        if (line.data)
            memset(line.data, 0, line.len);
        buf_release(&line);
    }
    if (!next) {
        curl_slist_free_all(list);
        return NULL;
    }
    return list;
}

static void remote_setup(CURL *curl, const struct remote *r, const char *url,
                         const struct curl_slist *headers, const struct buf *body, double seconds,
                         struct remote_answer *a)
{
    long ms = (long)(seconds * 1000);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "sooth/" SOOTH_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ms > 1 ? ms : 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, ms > 10000 ? 10000L : ms > 1 ? ms : 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    if (remote_loopback(r->url))
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
    }
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, remote_on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, a);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, remote_on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, a);
}

static void remote_sleep(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - floor(seconds)) * 1e9)};
    nanosleep(&t, NULL);
}

enum sooth_status remote_request(const struct remote *r, const char *path, const struct buf *body,
                                 struct buf *out, remote_bytes_fn *on_bytes, void *user,
                                 struct sooth_error *err)
{
    struct buf url = BUF_INIT;
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = remote_headers(r, body != NULL);
    enum sooth_status status = SOOTH_OK;
    struct rng rng;
    double deadline = clock_seconds() + r->timeout;
    rng_seed(&rng, (uint64_t)(deadline * 1e9) ^ (uintptr_t)curl);
    if (!curl || !headers || !buf_printf(&url, "%s%s", r->url, path))
        status = err_nomem(err);
    for (unsigned attempt = 0; status == SOOTH_OK; attempt++) {
        struct remote_answer a = {
            .curl = curl, .on_bytes = on_bytes, .user = user, .max_bytes = r->max_bytes};
        remote_setup(curl, r, url.data, headers, body, deadline - clock_seconds(), &a);
        CURLcode code = curl_easy_perform(curl);
        long http = 0;
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
        bool done = code == CURLE_OK && http == 200;
        if (done && out) {
            if (!buf_add(out, buf_str(&a.body), a.body.len))
                status = err_nomem(err);
        } else if (!done) {
            status = code != CURLE_OK ? remote_curl_error(r, code, &a, r->timeout, err)
                                      : remote_http_error(r, path, http, &a.body, err);
        }
        bool again = !done && !a.passed_on && !a.cancelled && !a.too_big && !a.body.failed &&
                     attempt + 1 < r->attempts &&
                     (code == CURLE_OK ? remote_may_retry_code(http) : remote_may_retry_curl(code));
        buf_release(&a.body);
        if (!again)
            break;
        double wait = ldexp(r->backoff, (int)attempt) * (0.5 + 0.5 * rng_double(&rng));
        if (a.retry_after > wait)
            wait = a.retry_after;
        if (clock_seconds() + wait >= deadline)
            break; /* the error of the last attempt stands */
        remote_sleep(wait);
        status = SOOTH_OK;
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    buf_release(&url);
    return status;
}

/* The server's first model, where the caller named none. */
static enum sooth_status remote_first_model(struct remote *r, struct sooth_error *err)
{
    struct buf body = BUF_INIT;
    struct arena arena;
    arena_init(&arena, r->max_bytes);
    enum sooth_status status = remote_request(r, "/models", NULL, &body, NULL, NULL, err);
    if (status == SOOTH_OK) {
        struct sooth_error why = {0};
        const struct json *j = json_parse(&arena, buf_str(&body), body.len, 0, NULL, &why);
        const char *id = json_string(json_at(json_get(j, "data"), 0), "id", NULL);
        if (!j)
            status = err_set(err, SOOTH_ERR_NET, "server '%s' answered with bad JSON: %.200s",
                             r->url, why.text);
        else if (!id || !id[0])
            status = err_set(err, SOOTH_ERR_NET, "server '%s' lists no models", r->url);
        else if (!(r->model = mem_strdup(id)))
            status = err_nomem(err);
    }
    if (status == SOOTH_ERR_NET && err && !err->hint[0])
        err_hint(err, "name the model with --api-model if the server has no /models");
    arena_release(&arena);
    buf_release(&body);
    return status;
}

enum sooth_status remote_open(const char *url, const struct sooth_model_options *options,
                              struct remote **out, struct sooth_error *err)
{
    *out = NULL;
    if (!remote_ready())
        return err_set(err, SOOTH_ERR_NOMEM, "cannot start the HTTP client");
    const char *key = options && options->api_key ? options->api_key : getenv("SOOTH_API_KEY");
    size_t len = strlen(url);
    if (len > 2048 || !utf8_valid(url, len) || strpbrk(url, " \r\n\t"))
        return err_set(err, SOOTH_ERR_ARG, "not a usable address: '%.100s'", url);
    if (key && strpbrk(key, "\r\n"))
        return err_set(err, SOOTH_ERR_ARG, "the API key holds a line end");
    struct remote *r = mem_calloc(1, sizeof *r);
    if (!r)
        return err_nomem(err);
    pthread_mutex_init(&r->lock, NULL);
    while (len > 8 && url[len - 1] == '/')
        len--;
    r->url = mem_strndup(url, len);
    r->key = key && key[0] ? mem_strdup(key) : NULL;
    r->model = options && options->api_model ? mem_strdup(options->api_model) : NULL;
    r->timeout = options && options->api_timeout > 0 ? fmin(options->api_timeout, 86400) : 120;
    r->backoff = 0.5;
    r->attempts = REMOTE_ATTEMPTS;
    r->max_bytes = REMOTE_MAX_BYTES;
    enum sooth_status status = SOOTH_OK;
    if (!r->url || (key && key[0] && !r->key) || (options && options->api_model && !r->model))
        status = err_nomem(err);
    else if (!r->model)
        status = remote_first_model(r, err);
    if (status == SOOTH_OK)
        *out = r;
    else
        remote_close(r);
    return status;
}

void remote_close(struct remote *r)
{
    if (!r)
        return;
    if (r->key)
        memset(r->key, 0, strlen(r->key));
    mem_free(r->url);
    mem_free(r->key);
    mem_free(r->model);
    pthread_mutex_destroy(&r->lock);
    mem_free(r);
}
