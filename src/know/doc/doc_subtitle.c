/* doc_subtitle.c: subtitles: SubRip (.srt) and WebVTT (.vtt).
 *
 *   17                                     number or name, may be absent
 *   00:01:07,240 --> 00:01:09,800          srt: comma; vtt: point, hours may be absent
 *   <v Ada>The tank holds                  lines of text with tags
 *   one and a half litres.
 *
 * Cues are cut where they fit the screen, not where sentences end, so consecutive cues are joined
 * into one paragraph "[00:01:07] text" until a sentence ends after 12 seconds, the speaker changes,
 * nothing is said for 3 seconds, or 30 seconds are over: what is quoted can be found on the film.
 * Left out: NOTE, STYLE and REGION blocks, positions, a cue that repeats the one before. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "core/base/error.h"
#include "know/doc/docfmt.h"

enum { PAUSE = 3000, LEAST = 12000, MOST = 30000 }; /* milliseconds */

struct cue {
    long start, end;
    struct buf text;
    char speaker[64];
};

struct subtitle {
    struct builder *b;
    const char *p, *end;
    bool open;
    long began, last_end; /* of the paragraph */
    char speaker[64];
    struct buf last; /* text of the cue before */
    size_t cues;
};

/* "01:02:03,456", "02:03.456" as milliseconds; -1 when it is none. *used: its bytes. */
static long time_read(const char *s, size_t len, size_t *used)
{
    long parts[3], n = 0, ms = 0;
    size_t i = 0;
    while (n < 3 && i < len && isdigit((unsigned char)s[i])) {
        long v = 0;
        size_t digits = 0;
        for (; i < len && isdigit((unsigned char)s[i]) && digits < 5; i++, digits++)
            v = v * 10 + (s[i] - '0');
        parts[n++] = v;
        if (i >= len || s[i] != ':' || n == 3)
            break;
        i++;
    }
    if (n < 2)
        return -1;
    if (i < len && (s[i] == ',' || s[i] == '.')) {
        long unit = 100;
        for (i++; i < len && isdigit((unsigned char)s[i]); i++, unit /= 10)
            ms += (s[i] - '0') * unit;
    }
    *used = i;
    return (n == 3 ? (parts[0] * 60 + parts[1]) * 60 + parts[2] : parts[0] * 60 + parts[1]) * 1000 + ms;
}

static size_t line_len(const struct subtitle *s)
{
    const char *nl = memchr(s->p, '\n', (size_t)(s->end - s->p));
    return nl != NULL ? (size_t)(nl - s->p) : (size_t)(s->end - s->p);
}

static void line_skip(struct subtitle *s)
{
    s->p += line_len(s);
    s->p += s->p < s->end;
}

static bool line_blank(const struct subtitle *s)
{
    size_t n = line_len(s);
    for (size_t i = 0; i < n; i++)
        if (!isspace((unsigned char)s->p[i]))
            return false;
    return true;
}

/* "time --> time ..." */
static bool timing_read(const struct subtitle *s, struct cue *c)
{
    size_t n = line_len(s), i = 0, used;
    while (i < n && s->p[i] == ' ')
        i++;
    c->start = time_read(s->p + i, n - i, &used);
    if (c->start < 0)
        return false;
    i += used;
    while (i < n && s->p[i] == ' ')
        i++;
    if (n - i < 4 || memcmp(s->p + i, "-->", 3) != 0)
        return false;
    for (i += 3; i < n && s->p[i] == ' ';)
        i++;
    c->end = time_read(s->p + i, n - i, &used);
    return c->end >= 0;
}

/* A line of a cue without its tags: <i>, <c.yellow>, <00:01:02.000>, {\an8}; <v Name> is kept. */
static void cue_line(struct cue *c, const char *s, size_t len)
{
    if (c->text.len > 0)
        buf_putc(&c->text, '\n');
    for (size_t i = 0; i < len; i++) {
        const char *close = s[i] == '<'                                        ? memchr(s + i, '>', len - i)
                            : s[i] == '{' && i + 1 < len && s[i + 1] == '\\' ? memchr(s + i, '}', len - i)
                                                                               : NULL;
        static const struct {
            const char *name;
            char c;
        } entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&nbsp;", ' '}};
        bool entity = false;
        for (size_t k = 0; k < 4 && s[i] == '&' && !entity; k++) {
            size_t n = strlen(entities[k].name);
            if (len - i >= n && memcmp(s + i, entities[k].name, n) == 0) {
                buf_putc(&c->text, entities[k].c);
                i += n - 1;
                entity = true;
            }
        }
        if (entity)
            continue;
        if (close == NULL) {
            buf_putc(&c->text, s[i]);
            continue;
        }
        const char *name = memchr(s + i, ' ', (size_t)(close - s) - i);
        if (s[i] == '<' && i + 1 < len && s[i + 1] == 'v' && name != NULL)
            snprintf(c->speaker, sizeof c->speaker, "%.*s", (int)(close - name - 1), name + 1);
        i = (size_t)(close - s);
    }
}

static bool sentence_over(const struct buf *text)
{
    static const char *const marks[] = {".", "!", "?", "…", "。", "！", "？", ".\"", "!\"", "?\"", "”", "」"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        size_t n = strlen(marks[i]);
        if (text->len >= n && memcmp(text->data + text->len - n, marks[i], n) == 0)
            return true;
    }
    return false;
}

static void cue_write(struct subtitle *s, const struct cue *c)
{
    bool speaker = c->speaker[0] != '\0' && strcmp(c->speaker, s->speaker) != 0;
    bool over = s->open && (c->start - s->last_end > PAUSE || c->start < s->began || speaker ||
                            c->end - s->began > MOST ||
                            (c->start - s->began >= LEAST && sentence_over(&s->last)));
    if (over || !s->open) {
        char stamp[40];
        long t = c->start / 1000;
        builder_open(s->b, DOC_PARAGRAPH, 0);
        snprintf(stamp, sizeof stamp, "[%02ld:%02ld:%02ld] ", t / 3600, t / 60 % 60, t % 60);
        builder_puts(s->b, stamp);
        if (c->speaker[0] != '\0') {
            builder_puts(s->b, c->speaker);
            builder_puts(s->b, ": ");
        }
        s->began = c->start;
        s->open = true;
    } else {
        builder_text(s->b, "\n", 1); /* a wrap: joined as prose is */
    }
    snprintf(s->speaker, sizeof s->speaker, "%s", c->speaker);
    builder_text(s->b, buf_str(&c->text), c->text.len);
    s->last_end = c->end;
    s->cues++;
}

static void cue_read(struct subtitle *s, struct cue *c)
{
    line_skip(s);
    buf_clear(&c->text);
    c->speaker[0] = '\0';
    while (s->p < s->end && !line_blank(s)) {
        cue_line(c, s->p, line_len(s));
        line_skip(s);
    }
    while (c->text.len > 0 && isspace((unsigned char)c->text.data[c->text.len - 1]))
        c->text.data[--c->text.len] = '\0';
    bool again = c->text.len == s->last.len &&
                 (c->text.len == 0 || memcmp(c->text.data, s->last.data, c->text.len) == 0);
    if (c->text.len > 0 && !again)
        cue_write(s, c);
    buf_clear(&s->last);
    buf_add(&s->last, buf_str(&c->text), c->text.len);
}

static enum sooth_status subtitle_parse(const struct doc_input *in, struct builder *b,
                                        struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    enum sooth_status status = docfmt_decode(in, b, &text, err);
    if (status == SOOTH_OK) {
        struct subtitle s = {.b = b, .p = buf_str(&text), .end = buf_str(&text) + text.len};
        struct cue c = {.text = BUF_INIT};
        for (size_t i = 0; i < text.len; i++) /* Mac and DOS line ends */
            if (text.data[i] == '\r')
                text.data[i] = i + 1 < text.len && text.data[i + 1] == '\n' ? ' ' : '\n';
        while (s.p < s.end) {
            if (timing_read(&s, &c))
                cue_read(&s, &c);
            else
                line_skip(&s); /* numbers, names, notes */
        }
        builder_close(b);
        if (s.cues == 0 && text.len > 0)
            status = err_set(err, SOOTH_ERR_FORMAT, "no line of it says 'time --> time'");
        buf_release(&c.text);
        buf_release(&s.last);
    }
    buf_release(&text);
    return status;
}

static int subtitle_sniff(const unsigned char *data, size_t len)
{
    if (len > 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
        data += 3;
        len -= 3;
    }
    return len >= 6 && memcmp(data, "WEBVTT", 6) == 0 ? 80 : 0;
}

const struct docfmt docfmt_subtitle = {
    .name = "subtitle",
    .about = "subtitles of films and talks, with times",
    .extensions = "srt vtt",
    .sniff = subtitle_sniff,
    .parse = subtitle_parse,
};
