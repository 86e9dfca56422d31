/* mime.c: a mail message (RFC 5322, MIME: RFC 2045-2049, 2231).
 *
 *   Subject: =?utf-8?B?5rC05rO1?=            words of a header may be encoded
 *   Content-Type: multipart/mixed; boundary=X
 *                                            a blank line ends the headers
 *   --X                                      a part has headers of its own
 *   Content-Type: text/plain; charset=gb2312
 *   Content-Transfer-Encoding: base64 | quoted-printable
 *   ...
 *   --X--
 *
 * The subject is the title and a heading, the other headers one paragraph and metadata (date in ISO
 * order, so that filters compare it). Of alternatives the plain text is read, unless it is blank, then
 * the HTML. What has a file name is an attachment: a picture or a member. A message inside the message
 * is read in place when it is shown inline, else it is a member. Left out: signatures and encryption,
 * other headers. */
#include "know/doc/mime.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/doc/encoding.h"

enum { DEPTH_MAX = 20, PARTS_MAX = 2000 };

struct mime {
    struct builder *b;
    const char *prefix;
    size_t parts, unnamed;
};

struct entity {
    const char *head, *body;
    size_t head_len, body_len;
    char type[128];     /* "text/plain", lower case */
    char charset[64];
    char boundary[256];
    char coding[32];
    struct buf name; /* of the file, UTF-8 */
    bool attached;
};

/* ---- lines and headers ---- */

static size_t line_end(const char *s, size_t len, size_t at)
{
    const char *nl = memchr(s + at, '\n', len - at);
    return nl != NULL ? (size_t)(nl - s) + 1 : len;
}

static bool line_blank(const char *s, size_t from, size_t to)
{
    while (from < to && (s[from] == '\r' || s[from] == '\n'))
        from++;
    return from == to;
}

static void entity_split(const char *s, size_t len, struct entity *e)
{
    size_t at = 0, end;
    for (; at < len && !line_blank(s, at, end = line_end(s, len, at)); at = end)
        continue;
    e->head = s;
    e->head_len = at;
    if (at < len)
        at = line_end(s, len, at);
    e->body = s + at;
    e->body_len = len - at;
}

/* The value of a header, unfolded; false when there is none. */
static bool header_find(const struct entity *e, const char *name, struct buf *out)
{
    size_t n = strlen(name);
    buf_clear(out);
    for (size_t at = 0, end; at < e->head_len; at = end) {
        end = line_end(e->head, e->head_len, at);
        if (end - at <= n || strncasecmp(e->head + at, name, n) != 0 || e->head[at + n] != ':')
            continue;
        size_t from = at + n + 1;
        while (true) {
            size_t to = end;
            while (to > from && isspace((unsigned char)e->head[to - 1]))
                to--;
            while (from < to && isspace((unsigned char)e->head[from]))
                from++;
            if (out->len > 0)
                buf_putc(out, ' ');
            buf_add(out, e->head + from, to - from);
            if (end >= e->head_len || (e->head[end] != ' ' && e->head[end] != '\t'))
                return !out->failed;
            from = end;
            end = line_end(e->head, e->head_len, end);
        }
    }
    return false;
}

/* ---- decoding ---- */

static int base64_of(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

static void base64_decode(const char *s, size_t len, struct buf *out)
{
    unsigned bits = 0, n = 0;
    for (size_t i = 0; i < len && s[i] != '='; i++) {
        int v = base64_of(s[i]);
        if (v < 0)
            continue;
        bits = bits << 6 | (unsigned)v;
        if ((n += 6) >= 8)
            buf_putc(out, (char)(bits >> (n -= 8)));
    }
}

static int hex_of(char c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                    : -1;
}

/* `word`: inside a header '_' is a blank. */
static void quoted_decode(const char *s, size_t len, bool word, struct buf *out)
{
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '=' && i + 2 < len && hex_of(s[i + 1]) >= 0 && hex_of(s[i + 2]) >= 0) {
            buf_putc(out, (char)(hex_of(s[i + 1]) << 4 | hex_of(s[i + 2])));
            i += 2;
        } else if (s[i] == '=' && !word && i + 1 < len && (s[i + 1] == '\n' || s[i + 1] == '\r')) {
            i += s[i + 1] == '\r' && i + 2 < len && s[i + 2] == '\n' ? 2 : 1;
        } else {
            buf_putc(out, word && s[i] == '_' ? ' ' : s[i]);
        }
    }
}

/* Bytes in a declared set as UTF-8; a declaration that the bytes contradict is not believed. */
static void charset_decode(const char *s, size_t len, const char *charset, struct buf *out,
                           struct builder *b)
{
    char name[32];
    size_t bad = 0;
    bool seven = strncasecmp(charset, "iso-2022-", 9) == 0 || strncasecmp(charset, "hz", 2) == 0 ||
                 strcasecmp(charset, "utf-7") == 0; /* these look like ASCII */
    enum sooth_status st = encoding_decode((const unsigned char *)s, len, seven ? charset : NULL,
                                           charset[0] != '\0' ? charset : NULL, out, name, &bad, NULL);
    if (st == SOOTH_OK && b != NULL)
        builder_encoding(b, name);
    else if (st != SOOTH_OK)
        buf_add(out, s, len);
}

/* One =?charset?B|Q?text?= at s; returns its length, or 0. */
static size_t word_decode(const char *s, size_t len, struct buf *out)
{
    const char *charset = s + 2, *q1, *q2, *end;
    char name[64];
    if (len < 8 || s[0] != '=' || s[1] != '?' ||
        (q1 = memchr(charset, '?', len - 2)) == NULL || s + len - q1 < 4 || q1[2] != '?')
        return 0;
    q2 = q1 + 3;
    end = memmem(q2, (size_t)(s + len - q2), "?=", 2);
    if (end == NULL || (size_t)(q1 - charset) >= sizeof name)
        return 0;
    struct buf bytes = BUF_INIT;
    memcpy(name, charset, (size_t)(q1 - charset));
    name[q1 - charset] = '\0';
    name[strcspn(name, "*")] = '\0'; /* RFC 2231: charset*language */
    if (q1[1] == 'B' || q1[1] == 'b')
        base64_decode(q2, (size_t)(end - q2), &bytes);
    else
        quoted_decode(q2, (size_t)(end - q2), true, &bytes);
    charset_decode(buf_str(&bytes), bytes.len, name, out, NULL);
    buf_release(&bytes);
    return (size_t)(end + 2 - s);
}

/* Encoded words of a header as UTF-8; white space between two of them is none. */
static void words_decode(const char *s, size_t len, struct buf *out)
{
    struct buf raw = BUF_INIT;
    for (size_t i = 0; i < len;) {
        size_t n = s[i] == '=' ? word_decode(s + i, len - i, out) : 0;
        if (n > 0) {
            i += n;
            size_t next = i;
            while (next < len && isspace((unsigned char)s[next]))
                next++;
            if (next + 1 < len && s[next] == '=' && s[next + 1] == '?')
                i = next;
            continue;
        }
        size_t from = i++;
        while (i < len && s[i] != '=')
            i++;
        buf_clear(&raw);
        charset_decode(s + from, i - from, "utf-8", &raw, NULL);
        buf_add(out, buf_str(&raw), raw.len);
    }
    buf_release(&raw);
}

/* The parameter of a header value: name=token or name="quoted"; false when absent. */
static bool parameter_find(const char *value, const char *name, struct buf *out)
{
    size_t n = strlen(name);
    buf_clear(out);
    for (const char *p = strchr(value, ';'); p != NULL; p = strchr(p, ';')) {
        p++;
        p += strspn(p, " \t");
        if (strncasecmp(p, name, n) == 0) {
            const char *q = p + n + strspn(p + n, " \t");
            if (*q == '=') {
                q += 1 + strspn(q + 1, " \t");
                if (*q == '"') {
                    for (q++; *q != '\0' && *q != '"'; q++)
                        buf_putc(out, *q == '\\' && q[1] != '\0' ? *++q : *q);
                } else {
                    buf_add(out, q, strcspn(q, "; \t"));
                }
                return out->len > 0;
            }
        }
        const char *quote = strchr(p, '"'), *semi = strchr(p, ';');
        if (quote != NULL && semi != NULL && quote < semi) { /* a ';' inside quotes is none */
            const char *close = strchr(quote + 1, '"');
            p = close != NULL ? close : p;
        }
    }
    return false;
}

/* charset'language'%41%42 */
static void extended_decode(const char *s, struct buf *out)
{
    char charset[64] = "utf-8";
    const char *a = strchr(s, '\''), *b = a != NULL ? strchr(a + 1, '\'') : NULL;
    struct buf bytes = BUF_INIT;
    if (b != NULL) {
        snprintf(charset, sizeof charset, "%.*s", (int)(a - s), s);
        s = b + 1;
    }
    for (; *s != '\0'; s++) {
        if (*s == '%' && hex_of(s[1]) >= 0 && hex_of(s[2]) >= 0) {
            buf_putc(&bytes, (char)(hex_of(s[1]) << 4 | hex_of(s[2])));
            s += 2;
        } else {
            buf_putc(&bytes, *s);
        }
    }
    charset_decode(buf_str(&bytes), bytes.len, charset, out, NULL);
    buf_release(&bytes);
}

/* A file name in any of its dresses: name, name*, name*0 ... */
static void name_find(const char *value, const char *name, struct buf *out)
{
    struct buf raw = BUF_INIT, all = BUF_INIT;
    char key[32];
    snprintf(key, sizeof key, "%s*", name);
    if (parameter_find(value, key, &raw)) {
        extended_decode(raw.data, out);
    } else if (parameter_find(value, name, &raw)) {
        words_decode(raw.data, raw.len, out);
    } else {
        bool extended = false;
        for (unsigned i = 0; i < 50; i++) {
            snprintf(key, sizeof key, "%s*%u*", name, i);
            bool coded = parameter_find(value, key, &raw);
            key[strlen(key) - 1] = '\0';
            if (!coded && !parameter_find(value, key, &raw))
                break;
            extended = extended || coded;
            buf_add(&all, raw.data, raw.len);
        }
        if (all.len > 0 && extended)
            extended_decode(all.data, out);
        else
            buf_add(out, buf_str(&all), all.len);
    }
    buf_release(&raw);
    buf_release(&all);
}

static void lower_copy(char *out, size_t size, const char *s, const char *stop)
{
    size_t n = strcspn(s, stop);
    n = n < size - 1 ? n : size - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)tolower((unsigned char)s[i]);
    out[n] = '\0';
}

static void entity_read(const char *s, size_t len, struct entity *e)
{
    struct buf value = BUF_INIT, parameter = BUF_INIT;
    memset(e, 0, sizeof *e);
    entity_split(s, len, e);
    snprintf(e->type, sizeof e->type, "text/plain");
    if (header_find(e, "Content-Type", &value) && value.len > 0) {
        lower_copy(e->type, sizeof e->type, value.data, "; \t");
        if (parameter_find(value.data, "charset", &parameter))
            lower_copy(e->charset, sizeof e->charset, parameter.data, "");
        if (parameter_find(value.data, "boundary", &parameter))
            snprintf(e->boundary, sizeof e->boundary, "%s", parameter.data);
        name_find(value.data, "name", &e->name);
    }
    if (header_find(e, "Content-Transfer-Encoding", &value) && value.len > 0)
        lower_copy(e->coding, sizeof e->coding, value.data, "; \t");
    if (header_find(e, "Content-Disposition", &value) && value.len > 0) {
        e->attached = strncasecmp(value.data, "attachment", 10) == 0;
        struct buf name = BUF_INIT;
        name_find(value.data, "filename", &name);
        if (name.len > 0) {
            buf_clear(&e->name);
            buf_add(&e->name, name.data, name.len);
        }
        buf_release(&name);
    }
    buf_release(&value);
    buf_release(&parameter);
}

static void body_decode(const struct entity *e, struct buf *out)
{
    if (strcmp(e->coding, "base64") == 0)
        base64_decode(e->body, e->body_len, out);
    else if (strcmp(e->coding, "quoted-printable") == 0)
        quoted_decode(e->body, e->body_len, false, out);
    else
        buf_add(out, e->body, e->body_len);
}

/* ---- headers of the message ---- */

/* "Tue, 5 Mar 2024 08:30:00 +0100" -> "2024-03-05 08:30"; as it stands when it is another form. */
static void date_meta(struct builder *b, const char *s)
{
    static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    char month[4], iso[40];
    int day, year, hour = 0, minute = 0;
    const char *p = strchr(s, ',');
    p = p != NULL ? p + 1 : s;
    if (sscanf(p, " %2d %3s %4d %2d:%2d", &day, month, &year, &hour, &minute) >= 3) {
        for (char *c = month; *c != '\0'; c++)
            *c = (char)tolower((unsigned char)*c);
        const char *at = strlen(month) == 3 ? strstr(months, month) : NULL;
        year += year < 50 ? 2000 : year < 100 ? 1900 : 0;
        if (at != NULL && (at - months) % 3 == 0 && day >= 1 && day <= 31 && year > 0) {
            int n = snprintf(iso, sizeof iso, "%04d-%02d-%02d %02d:%02d", year,
                             (int)(at - months) / 3 + 1, day, hour % 24, minute % 60);
            builder_meta(b, "date", iso, (size_t)n);
            return;
        }
    }
    builder_meta(b, "date", s, strlen(s));
}

static void headers_write(struct mime *m, const struct entity *e, bool outer)
{
    static const struct {
        const char *header, *key;
    } shown[] = {{"From", "from"}, {"To", "to"}, {"Cc", "cc"}, {"Date", NULL}};
    struct buf raw = BUF_INIT, value = BUF_INIT;
    if (header_find(e, "Subject", &raw) && raw.len > 0) {
        words_decode(raw.data, raw.len, &value);
        builder_open(m->b, DOC_HEADING, outer ? 1 : 2);
        builder_text(m->b, buf_str(&value), value.len);
        builder_close(m->b);
        if (outer)
            builder_title(m->b, buf_str(&value), value.len);
    }
    builder_open(m->b, DOC_PARAGRAPH, 0);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        if (!header_find(e, shown[i].header, &raw) || raw.len == 0)
            continue;
        buf_clear(&value);
        words_decode(raw.data, raw.len, &value);
        builder_break(m->b);
        builder_puts(m->b, shown[i].header);
        builder_puts(m->b, ": ");
        builder_text(m->b, buf_str(&value), value.len);
        bool alone = outer && m->prefix[0] == '\0'; /* of a folder, whose mail would it be? */
        if (alone && shown[i].key != NULL)
            builder_meta(m->b, shown[i].key, buf_str(&value), value.len);
        else if (alone)
            date_meta(m->b, buf_str(&value));
    }
    builder_close(m->b);
    buf_release(&raw);
    buf_release(&value);
}

/* ---- parts ---- */

static void attachment_add(struct mime *m, const struct entity *e)
{
    struct buf bytes = BUF_INIT, name = BUF_INIT;
    const char *base = buf_str(&e->name), *slash;
    for (slash = base; *slash != '\0'; slash++)
        base = *slash == '/' || *slash == '\\' ? slash + 1 : base;
    buf_puts(&name, m->prefix);
    if (*base != '\0')
        buf_puts(&name, base);
    else
        buf_printf(&name, "message-%zu.eml", ++m->unnamed);
    body_decode(e, &bytes);
    if (bytes.failed || name.failed)
        m->b->failed = true;
    else
        builder_part(m->b, doc_name_picture(name.data) ? DOC_PART_PICTURE : DOC_PART_MEMBER,
                     name.data, buf_str(&bytes), bytes.len);
    buf_release(&bytes);
    buf_release(&name);
}

static enum sooth_status text_add(struct mime *m, const struct entity *e, struct sooth_error *err)
{
    struct buf bytes = BUF_INIT, text = BUF_INIT;
    body_decode(e, &bytes);
    charset_decode(buf_str(&bytes), bytes.len, e->charset, &text, m->b);
    bool html = strcmp(e->type, "text/html") == 0;
    enum sooth_status s = bytes.failed || text.failed ? err_nomem(err)
                          : text.len == 0             ? SOOTH_OK
                          : html ? docfmt_html_walk(text.data, text.len, m->b, err)
                                 : docfmt_text_walk(text.data, text.len, m->b, err);
    buf_release(&bytes);
    buf_release(&text);
    return s;
}

static bool blank_text(const struct entity *e)
{
    struct buf bytes = BUF_INIT;
    body_decode(e, &bytes);
    bool blank = true;
    for (size_t i = 0; i < bytes.len && blank; i++)
        blank = isspace((unsigned char)bytes.data[i]);
    buf_release(&bytes);
    return blank;
}

static void entity_release(struct entity *e)
{
    buf_release(&e->name);
}

static enum sooth_status entity_walk(struct mime *m, const char *s, size_t len, unsigned depth,
                                     struct sooth_error *err);

/* The next part between boundaries, from *at on; false at the end. */
static bool part_next(const struct entity *e, size_t *at, const char **part, size_t *part_len)
{
    size_t n = strlen(e->boundary), start = SIZE_MAX;
    for (size_t i = *at; i < e->body_len;) {
        size_t end = line_end(e->body, e->body_len, i);
        bool mark = end - i >= n + 2 && e->body[i] == '-' && e->body[i + 1] == '-' &&
                    memcmp(e->body + i + 2, e->boundary, n) == 0;
        bool last = mark && end - i >= n + 4 && memcmp(e->body + i + 2 + n, "--", 2) == 0;
        if (mark && start != SIZE_MAX) {
            *part = e->body + start;
            *part_len = i - start;
            *at = last ? e->body_len : i;
            return true;
        }
        if (last)
            break;
        if (mark)
            start = end;
        i = end;
    }
    if (start == SIZE_MAX || start >= e->body_len)
        return false;
    *part = e->body + start; /* cut short: what is there is read */
    *part_len = e->body_len - start;
    *at = e->body_len;
    return true;
}

/* Of several forms of the same: plain text, or the HTML where that is blank or missing. */
static enum sooth_status alternatives_walk(struct mime *m, const struct entity *e, unsigned depth,
                                           struct sooth_error *err)
{
    const char *part, *chosen = NULL;
    size_t len, chosen_len = 0, at = 0, rank = 0;
    while (part_next(e, &at, &part, &len)) {
        struct entity p;
        entity_read(part, len, &p);
        size_t r = strcmp(p.type, "text/plain") == 0 ? (blank_text(&p) ? 0 : 4)
                   : strcmp(p.type, "text/html") == 0 ? 2
                   : strncmp(p.type, "multipart/", 10) == 0 ? 3
                                                              : 1;
        if (r > rank) {
            rank = r;
            chosen = part;
            chosen_len = len;
        }
        entity_release(&p);
    }
    return chosen != NULL ? entity_walk(m, chosen, chosen_len, depth + 1, err) : SOOTH_OK;
}

static enum sooth_status multipart_walk(struct mime *m, const struct entity *e, unsigned depth,
                                        struct sooth_error *err)
{
    const char *part;
    size_t len, at = 0;
    enum sooth_status s = SOOTH_OK;
    if (e->boundary[0] == '\0')
        return text_add(m, e, err);
    if (strcmp(e->type, "multipart/alternative") == 0)
        return alternatives_walk(m, e, depth, err);
    while (s == SOOTH_OK && part_next(e, &at, &part, &len)) {
        if (++m->parts > PARTS_MAX) {
            builder_warn(m->b, "over %d parts; the rest was left out", PARTS_MAX);
            break;
        }
        s = entity_walk(m, part, len, depth + 1, err);
    }
    return s;
}

static enum sooth_status entity_walk(struct mime *m, const char *s, size_t len, unsigned depth,
                                     struct sooth_error *err)
{
    struct entity e;
    enum sooth_status status = SOOTH_OK;
    if (depth > DEPTH_MAX)
        return err_set(err, SOOTH_ERR_LIMIT, "its parts are nested deeper than %d", DEPTH_MAX);
    entity_read(s, len, &e);
    bool text = strcmp(e.type, "text/plain") == 0 || strcmp(e.type, "text/html") == 0;
    if (strncmp(e.type, "multipart/", 10) == 0) {
        status = multipart_walk(m, &e, depth, err);
    } else if (strcmp(e.type, "message/rfc822") == 0 && !e.attached) {
        struct entity inner;
        entity_read(e.body, e.body_len, &inner);
        headers_write(m, &inner, false);
        entity_release(&inner);
        status = entity_walk(m, e.body, e.body_len, depth + 1, err);
    } else if (text && !e.attached && (e.name.len == 0 || depth == 0)) {
        status = text_add(m, &e, err);
    } else if (e.name.len > 0 || strcmp(e.type, "message/rfc822") == 0) {
        attachment_add(m, &e);
    }
    entity_release(&e);
    return status;
}

enum sooth_status mime_message(const char *data, size_t len, const char *prefix, struct builder *b,
                               struct sooth_error *err)
{
    struct mime m = {.b = b, .prefix = prefix};
    struct entity e;
    entity_read(data, len, &e);
    headers_write(&m, &e, true);
    entity_release(&e);
    enum sooth_status s = entity_walk(&m, data, len, 0, err);
    builder_close(b);
    return s;
}

unsigned mime_header_count(const unsigned char *data, size_t len)
{
    static const char *const names[] = {
        "From",         "To",         "Cc",          "Date",     "Subject",  "Received",     "Return-Path",
        "MIME-Version", "Message-ID", "Delivered-To", "Reply-To", "Sender",   "Content-Type", "DKIM-Signature",
        "References",   "In-Reply-To", "X-Mailer",    "User-Agent"};
    unsigned found = 0;
    size_t at = 0;
    for (unsigned line = 0; line < 12 && at < len; line++) {
        bool hit = data[at] == ' ' || data[at] == '\t';
        for (size_t i = 0; i < sizeof names / sizeof *names && !hit; i++) {
            size_t n = strlen(names[i]);
            hit = len - at > n && data[at + n] == ':' &&
                  strncasecmp((const char *)data + at, names[i], n) == 0;
            found += hit;
        }
        if (line == 0 && !hit)
            return 0;
        at = line_end((const char *)data, len, at);
    }
    return found;
}
