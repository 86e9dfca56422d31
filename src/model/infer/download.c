/* download.c: a file over HTTP that can be broken off anywhere and is whole in the end, or not there.
 *
 *     PATH.part       the bytes so far; locked while somebody writes
 *     PATH.part.tag   the server's ETag for them
 *     PATH            only ever the whole file, its SHA-256 checked, synced, then renamed
 *
 * An attempt asks for the bytes from where the part ends, if the file is still the one of the tag (Range with If-Range,
 * RFC 9110 sections 14.2 and 13.1.5). 206 must begin exactly there and tell the same length as before; 200 starts anew. An
 * attempt that brought new bytes is followed by another at once; several in a row without one are the end, as is
 * an answer that trying again cannot mend. Redirects: at most 5, never from https to http; the key stays with the first host.
 *
 * What a server says is compared, not believed: a length it does not keep, a total that changes, a compressed body, a sum
 * that does not match (Hugging Face tells it as X-Linked-ETag) are errors that name both values. */
#include "model/infer/download.h"
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/fsio.h"
#include "core/base/hash.h"
#include "model/infer/remote.h"

enum { DOWNLOAD_REDIRECTS = 5, DOWNLOAD_TAG = 200 };
static const uint64_t download_most = (uint64_t)1 << 42; /* 4 TiB: a length beyond is a mistake */
#define NO_LENGTH UINT64_MAX

struct transfer {
    const struct download *d;
    int fd;
    uint64_t have;              /* bytes in the part */
    uint64_t total;             /* of the whole file as far as told, or NO_LENGTH */
    char tag[DOWNLOAD_TAG];     /* of the bytes in the part; "" = none */
    char sum[65];               /* as the server told it; "" = did not */
    /* of the answer being read */
    long code;
    uint64_t length, from, whole; /* Content-Length, Content-Range */
    char etag[DOWNLOAD_TAG];
    bool begun, encoded, odd;     /* odd: a length that is none */
    struct sooth_error *err;
    enum sooth_status status;   /* something that trying again cannot mend */
};

static size_t transfer_fail(struct transfer *t, enum sooth_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static size_t transfer_fail(struct transfer *t, enum sooth_status status, const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (t->status == SOOTH_OK)
        err_set(t->err, status, "cannot fetch '%.200s': %s", t->d->name, text);
    t->status = t->status == SOOTH_OK ? status : t->status;
    return 0;
}

/* ---- headers ---- */

static uint64_t header_number(const char *s)
{
    char *end;
    if (*s < '0' || *s > '9')
        return NO_LENGTH;
    errno = 0;
    unsigned long long v = strtoull(s, &end, 10);
    return errno || v > download_most ? NO_LENGTH : v;
}

/* A quoted or bare value without its weakness mark, if it fits. */
static void header_copy(char *out, size_t size, const char *value, size_t len)
{
    if (len < size) {
        memcpy(out, value, len);
        out[len] = 0;
    }
}

static void header_sum(struct transfer *t, const char *value, size_t len)
{
    if (len == 66 && value[0] == '"') {
        value++;
        len = 64;
    }
    for (size_t i = 0; i < len; i++)
        if (!strchr("0123456789abcdefABCDEF", value[i]))
            return;
    if (len == 64)
        header_copy(t->sum, sizeof t->sum, value, len);
}

static size_t transfer_header(char *line, size_t one, size_t size, void *user)
{
    struct transfer *t = user;
    size_t len = size, name;
    while (len && (line[len - 1] == '\r' || line[len - 1] == '\n'))
        len--;
    if (len > 5 && strncasecmp(line, "http/", 5) == 0) { /* each hop begins anew; what was linked stays known */
        t->length = t->from = t->whole = NO_LENGTH;
        t->etag[0] = 0;
        t->encoded = t->odd = false;
        return size;
    }
    const char *colon = memchr(line, ':', len);
    if (!colon)
        return size;
    name = (size_t)(colon - line);
    char value[DOWNLOAD_TAG] = "";
    for (colon++; colon < line + len && *colon == ' ';)
        colon++;
    size_t value_len = (size_t)(line + len - colon);
    header_copy(value, sizeof value, colon, value_len);
#define IS(s) (name == sizeof s - 1 && strncasecmp(line, s, name) == 0)
    if (IS("content-length")) {
        t->length = header_number(value);
        t->odd = t->odd || t->length == NO_LENGTH;
    }
    else if (IS("etag") && strncmp(value, "W/", 2) != 0) /* a weak tag does not vouch for bytes */
        header_copy(t->etag, sizeof t->etag, value, value_len);
    else if (IS("x-linked-etag"))
        header_sum(t, value, strlen(value));
    else if (IS("content-encoding") && strcasecmp(value, "identity") != 0)
        t->encoded = true;
    else if (IS("content-range") && strncasecmp(value, "bytes ", 6) == 0) {
        const char *slash = strchr(value, '/');
        t->from = header_number(value + 6);
        t->whole = slash ? header_number(slash + 1) : NO_LENGTH;
    }
#undef IS
    return size;
}

/* ---- body ---- */

static void transfer_tag(struct transfer *t)
{
    struct buf path = BUF_INIT;
    if (buf_printf(&path, "%s.part.tag", t->d->path)) {
        if (t->etag[0])
            file_write_atomic(path.data, t->etag, strlen(t->etag), NULL);
        else
            unlink(path.data);
    }
    buf_release(&path);
    memcpy(t->tag, t->etag, sizeof t->tag);
}

/* The first byte of a body: does it continue the part, or begin it anew? False: neither. */
static bool transfer_begin(struct transfer *t)
{
    t->begun = true;
    uint64_t whole = t->code == 206 ? t->whole : t->length;
    if (t->encoded)
        return transfer_fail(t, SOOTH_ERR_NET, "the server compresses it"), false;
    if (t->odd)
        return transfer_fail(t, SOOTH_ERR_NET, "the server tells no usable length"), false;
    if (t->code == 206 && t->from != t->have)
        return transfer_fail(t, SOOTH_ERR_NET, "asked for bytes from %llu, the server sends them from %llu", (unsigned long long)t->have,
                             (unsigned long long)t->from), false;
    if (t->code == 206 && t->total != NO_LENGTH && whole != NO_LENGTH && whole != t->total)
        return transfer_fail(t, SOOTH_ERR_NET, "the server said %llu bytes before and says %llu now", (unsigned long long)t->total,
                             (unsigned long long)whole), false;
    if (t->code != 206 && t->have) {
        if (ftruncate(t->fd, 0) || lseek(t->fd, 0, SEEK_SET) < 0)
            return transfer_fail(t, SOOTH_ERR_IO, "%s", strerror(errno)), false;
        t->have = 0;
    }
    t->total = whole != NO_LENGTH ? whole : t->code == 206 ? t->total : NO_LENGTH;
    transfer_tag(t);
    return true;
}

static size_t transfer_body(struct transfer *t, const char *bytes, size_t len)
{
    if (t->code != 200 && t->code != 206) /* the words of an error */
        return len;
    if (!t->begun && !transfer_begin(t))
        return 0;
    if (t->have + len > download_most)
        return transfer_fail(t, SOOTH_ERR_NET, "it has no end");
    for (size_t done = 0; done < len;) {
        ssize_t n = write(t->fd, bytes + done, len - done);
        if (n < 0 && errno != EINTR)
            return transfer_fail(t, SOOTH_ERR_IO, "cannot write '%.200s.part': %s", t->d->path, strerror(errno));
        done += n > 0 ? (size_t)n : 0;
    }
    t->have += len;
    if (t->d->on_bytes && !t->d->on_bytes(t->d->user, t->d->name, t->have, t->total == NO_LENGTH ? 0 : t->total))
        return transfer_fail(t, SOOTH_ERR_CANCELLED, "stopped; what is here is kept");
    return len;
}

/* ---- an attempt ---- */

struct transfer_call {
    CURL *curl;
    struct transfer *t;
};
static size_t transfer_on_body(char *bytes, size_t one, size_t len, void *user)
{
    struct transfer_call *c = user;
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->t->code);
    return transfer_body(c->t, bytes, len);
}

static struct curl_slist *transfer_headers(const struct transfer *t)
{
    struct buf line = BUF_INIT;
    struct curl_slist *list = curl_slist_append(NULL, "Accept: */*"), *next = list;
    if (next && t->have && t->tag[0])
        next = buf_printf(&line, "If-Range: %s", t->tag) ? curl_slist_append(list, line.data) : NULL;
    buf_release(&line);
    if (!next) {
        curl_slist_free_all(list);
        return NULL;
    }
    return list;
}

static void transfer_setup(CURL *curl, struct transfer_call *call, const struct curl_slist *headers)
{
    const struct download *d = call->t->d;
    bool https = strncasecmp(d->url, "https:", 6) == 0;
    curl_easy_setopt(curl, CURLOPT_URL, d->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, https ? "https" : "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)DOWNLOAD_REDIRECTS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "sooth/" SOOTH_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(1000 * fmin(d->stall, 30)));
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)fmax(1, d->stall));
    if (remote_loopback(d->url))
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    if (d->token) { /* curl gives it to no other host */
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, d->token);
    }
    char range[32]; /* not curl's own resuming, which calls a 200 an error */
    snprintf(range, sizeof range, "%llu-", (unsigned long long)call->t->have);
    if (call->t->have)
        curl_easy_setopt(curl, CURLOPT_RANGE, range);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, transfer_on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, transfer_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, call->t);
}

enum attempt { ATTEMPT_DONE, ATTEMPT_AGAIN, ATTEMPT_OVER };

static enum attempt attempt_code(struct transfer *t, long code)
{
    if (code == 416 && t->have && t->whole == t->have) /* there is nothing behind what we have */
        return ATTEMPT_DONE;
    if (code == 416 && t->have) { /* the part is longer than the file, or of another one */
        t->have = 0;
        t->tag[0] = 0;
        return ftruncate(t->fd, 0) || lseek(t->fd, 0, SEEK_SET) < 0 ? ATTEMPT_OVER : ATTEMPT_AGAIN;
    }
    err_set(t->err, SOOTH_ERR_NET, "cannot fetch '%.200s': the server answered %ld", t->d->name, code);
    if (code == 401 || code == 403)
        err_hint(t->err, "a key may be needed: set HF_TOKEN");
    if (code == 404)
        err_hint(t->err, "are the repository and the file's name right?");
    return code == 408 || code == 429 || code >= 500 ? ATTEMPT_AGAIN : ATTEMPT_OVER;
}

static enum attempt attempt_result(struct transfer *t, CURLcode result, long code)
{
    if (t->status != SOOTH_OK)
        return ATTEMPT_OVER;
    if (result == CURLE_OK && (code == 200 || code == 206)) {
        if (!t->begun && !transfer_begin(t)) /* an empty body */
            return ATTEMPT_OVER;
        if (t->total == NO_LENGTH || t->have == t->total)
            return ATTEMPT_DONE;
        err_set(t->err, SOOTH_ERR_NET, "cannot fetch '%.200s': %llu bytes came of the %llu that were told", t->d->name,
                (unsigned long long)t->have, (unsigned long long)t->total);
        return ATTEMPT_AGAIN;
    }
    if (result == CURLE_OK)
        return attempt_code(t, code);
    if (t->have && t->total != NO_LENGTH)
        err_set(t->err, SOOTH_ERR_NET, "cannot fetch '%.200s': broken off, %llu bytes of %llu are here", t->d->name,
                (unsigned long long)t->have, (unsigned long long)t->total);
    else
        err_set(t->err, SOOTH_ERR_NET, "cannot fetch '%.200s': %s", t->d->name, curl_easy_strerror(result));
    bool hopeless = result == CURLE_TOO_MANY_REDIRECTS || result == CURLE_UNSUPPORTED_PROTOCOL || result == CURLE_URL_MALFORMAT ||
                    result == CURLE_PEER_FAILED_VERIFICATION;
    return hopeless ? ATTEMPT_OVER : ATTEMPT_AGAIN;
}

static enum attempt transfer_attempt(struct transfer *t)
{
    struct transfer_call call = {curl_easy_init(), t};
    struct curl_slist *headers = transfer_headers(t);
    enum attempt what = ATTEMPT_OVER;
    t->begun = false;
    t->length = t->from = t->whole = NO_LENGTH;
    if (!call.curl || !headers) {
        transfer_fail(t, SOOTH_ERR_NOMEM, "out of memory");
    } else {
        long code = 0;
        transfer_setup(call.curl, &call, headers);
        CURLcode result = curl_easy_perform(call.curl);
        curl_easy_getinfo(call.curl, CURLINFO_RESPONSE_CODE, &code);
        t->code = code;
        what = attempt_result(t, result, code);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(call.curl);
    return what;
}

static enum sooth_status transfer_run(struct transfer *t)
{
    unsigned in_vain = 0;
    for (;;) {
        uint64_t before = t->have;
        enum attempt what = transfer_attempt(t);
        if (what == ATTEMPT_DONE)
            return SOOTH_OK;
        in_vain = t->have > before ? 0 : in_vain + 1;
        if (what == ATTEMPT_OVER || in_vain >= t->d->attempts)
            return t->status != SOOTH_OK ? t->status : SOOTH_ERR_NET;
        double wait = t->have > before ? 0 : ldexp(t->d->backoff, (int)in_vain - 1);
        struct timespec pause = {(time_t)wait, (long)((wait - floor(wait)) * 1e9)};
        nanosleep(&pause, NULL);
    }
}

/* ---- the file ---- */

static enum sooth_status file_sum(const char *path, char hex[65], uint64_t *bytes, struct sooth_error *err)
{
    struct map_file m;
    enum sooth_status status = map_file_open(path, &m, err);
    if (status != SOOTH_OK)
        return status;
    sha256_hex(m.data, m.size, hex);
    *bytes = m.size;
    map_file_close(&m);
    return SOOTH_OK;
}

/* Opens and locks the part, and finds out what of it may be kept. */
static enum sooth_status part_open(struct transfer *t, const char *part, struct sooth_error *err)
{
    struct buf tag = BUF_INIT, path = BUF_INIT;
    struct stat st;
    t->fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (t->fd < 0 || fstat(t->fd, &st))
        return err_set(err, SOOTH_ERR_IO, "cannot open '%s': %s", part, strerror(errno));
    if (flock(t->fd, LOCK_EX | LOCK_NB))
        return err_set(err, SOOTH_ERR_BUSY, "'%s' is being fetched by another process", t->d->path);
    if (st.st_size > 0 && buf_printf(&path, "%s.tag", part) && file_read(path.data, DOWNLOAD_TAG - 1, &tag, NULL) == SOOTH_OK && tag.len &&
        !memchr(tag.data, '\n', tag.len)) {
        memcpy(t->tag, tag.data, tag.len);
        t->have = (uint64_t)st.st_size;
    }
    buf_release(&tag);
    buf_release(&path);
    /* Bytes without a tag may be of another file: begun anew. */
    if (!t->have && ftruncate(t->fd, 0))
        return err_set(err, SOOTH_ERR_IO, "cannot write '%s': %s", part, strerror(errno));
    if (lseek(t->fd, (off_t)t->have, SEEK_SET) < 0)
        return err_set(err, SOOTH_ERR_IO, "cannot write '%s': %s", part, strerror(errno));
    return SOOTH_OK;
}

/* The whole is here: checks its sum, gives it its name. A wrong one is removed, so that the next attempt begins anew. */
static enum sooth_status part_finish(struct transfer *t, const char *part, struct download_result *out, struct sooth_error *err)
{
    const char *want = t->d->sha256 ? t->d->sha256 : t->sum[0] ? t->sum : NULL;
    struct buf tag = BUF_INIT;
    enum sooth_status status = fsync(t->fd) ? err_set(err, SOOTH_ERR_IO, "cannot write '%s': %s", part, strerror(errno))
                                            : file_sum(part, out->sha256, &out->bytes, err);
    out->checked = want != NULL;
    if (status == SOOTH_OK && want && strcasecmp(want, out->sha256) != 0) {
        status = err_set(err, SOOTH_ERR_FORMAT, "'%.200s' has SHA-256 %s, not %.64s", t->d->name, out->sha256, want);
        unlink(part);
    }
    if (status == SOOTH_OK && rename(part, t->d->path))
        status = err_set(err, SOOTH_ERR_IO, "cannot replace '%s': %s", t->d->path, strerror(errno));
    if ((status == SOOTH_OK || status == SOOTH_ERR_FORMAT) && buf_printf(&tag, "%s.tag", part))
        unlink(tag.data);
    buf_release(&tag);
    return status;
}

enum sooth_status download_file(const struct download *d, struct download_result *out, struct sooth_error *err)
{
    struct sooth_error own = {0};
    struct transfer t = {.d = d, .fd = -1, .total = NO_LENGTH, .err = err ? err : &own};
    struct buf part = BUF_INIT;
    memset(out, 0, sizeof *out);
    err = t.err;
    if (!remote_ready())
        return err_set(err, SOOTH_ERR_NOMEM, "cannot start the HTTP client");
    if (d->sha256 && file_exists(d->path) && file_sum(d->path, out->sha256, &out->bytes, NULL) == SOOTH_OK &&
        strcasecmp(out->sha256, d->sha256) == 0) {
        out->checked = out->present = true;
        return SOOTH_OK;
    }
    enum sooth_status status = buf_printf(&part, "%s.part", d->path) ? part_open(&t, part.data, err) : err_nomem(err);
    out->resumed = t.have > 0;
    if (status == SOOTH_OK)
        status = transfer_run(&t);
    if (status == SOOTH_OK)
        status = part_finish(&t, part.data, out, err);
    if (t.fd >= 0)
        close(t.fd);
    buf_release(&part);
    return status;
}
