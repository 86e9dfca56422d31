/* draft.c: what a model wrote, as plain prose.
 *
 * Models think aloud (<think>...</think>, sometimes only the closing tag, because the template wrote the opening one,
 * sometimes never closed), wrap answers in fences or JSON, put "Answer:" before and citation numbers behind. All of it
 * is parsed the same, here, once, for local models and servers. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "know/answer/answer.h"

struct span { const char *s; size_t len; };

static const char *find(struct span t, const char *w)
{
    size_t n = strlen(w);
    for (size_t i = 0; i + n <= t.len; i++)
        if (!strncasecmp(t.s + i, w, n))
            return t.s + i;
    return NULL;
}

static struct span trim(struct span t)
{
    while (t.len && strchr(" \t\r\n", *t.s))
        t.s++, t.len--;
    while (t.len && strchr(" \t\r\n", t.s[t.len - 1]))
        t.len--;
    return t;
}

/* Appends text without its thinking to out. */
static void drop_thinking(struct span t, struct buf *out)
{
    static const char *const tags[] = { "think", "thinking", "reasoning", "thought" };
    char open[24], close[24];
    for (size_t k = 0; k < sizeof tags / sizeof *tags; k++) {
        snprintf(open, sizeof open, "<%s>", tags[k]);
        snprintf(close, sizeof close, "</%s>", tags[k]);
        const char *c, *o;
        if ((c = find(t, close)) && (!(o = find(t, open)) || o > c)) { /* only the closing tag */
            t.len -= (size_t)(c - t.s) + strlen(close);
            t.s = c + strlen(close);
        }
        if (find(t, open)) {
            struct buf rest = BUF_INIT;
            while ((o = find(t, open))) {
                buf_add(&rest, t.s, (size_t)(o - t.s));
                struct span tail = { o, t.len - (size_t)(o - t.s) };
                c = find(tail, close);
                if (!c) { /* never closed */
                    t.len = 0;
                    break;
                }
                t.s = c + strlen(close);
                t.len = tail.len - (size_t)(t.s - o);
            }
            buf_add(&rest, t.s, t.len);
            struct span again = { buf_str(&rest), rest.len };
            drop_thinking(again, out);
            out->failed |= rest.failed;
            buf_release(&rest);
            return;
        }
    }
    buf_add(out, t.s, t.len);
}

/* The inside of the first fence when the text is little more than one. */
static struct span unfence(struct span t)
{
    const char *a = find(t, "```");
    if (!a)
        return t;
    struct span in = { a + 3, t.len - (size_t)(a + 3 - t.s) };
    while (in.len && *in.s != '\n' && *in.s != '{' && *in.s != ' ') /* the language */
        in.s++, in.len--;
    const char *b = find(in, "```");
    struct span inside = trim((struct span){ in.s, b ? (size_t)(b - in.s) : in.len });
    return inside.len && (*inside.s == '{' || (size_t)(a - t.s) < 8) ? inside : t;
}

/* {"answer": "..."}, alone or with prose around it. */
static bool from_json(struct span t, struct buf *out)
{
    static const char *const keys[] = { "answer", "text", "response", "content", "result", "output" };
    struct arena a;
    const char *brace = memchr(t.s, '{', t.len);
    bool found = false;
    arena_init(&a, (size_t)16 << 20);
    for (size_t tries = 0; brace && !found && tries < 8; tries++) {
        size_t left = t.len - (size_t)(brace - t.s);
        const struct json *v = json_parse(&a, brace, left, JSON_ALLOW_TAIL, NULL, NULL);
        for (size_t i = 0; v && i < sizeof keys / sizeof *keys && !found; i++) {
            const struct json *m = json_get(v, keys[i]);
            if (m && m->type == JSON_STRING) {
                buf_add(out, m->text, m->len);
                found = true;
            }
        }
        brace = left > 1 ? memchr(brace + 1, '{', left - 1) : NULL;
    }
    arena_release(&a);
    return found;
}

/* [1], [2, 3], 【1】 are ours to give: dropped, with the blank before them. */
static void put_prose(struct span t, struct buf *out)
{
    for (size_t i = 0; i < t.len; i++) {
        size_t k = i + 1;
        if (t.s[i] == '[') {
            while (k < t.len && strchr("0123456789, ", t.s[k]))
                k++;
            if (k > i + 1 && k < t.len && t.s[k] == ']') {
                while (out->len && out->data[out->len - 1] == ' ')
                    out->data[--out->len] = 0;
                i = k;
                continue;
            }
        }
        if (i + 2 < t.len && (!memcmp(t.s + i, "<<<", 3) || !memcmp(t.s + i, ">>>", 3))) { /* our own marks, echoed: to the line's end */
            const char *end = memchr(t.s + i, '\n', t.len - i);
            i = end ? (size_t)(end - t.s) - 1 : t.len;
            continue;
        }
        if (t.s[i] == '*' && k < t.len && t.s[k] == '*') { /* emphasis */
            i = k;
            continue;
        }
        buf_putc(out, t.s[i]);
    }
}

enum sooth_status draft_clean(const char *text, size_t len, struct buf *out, struct sooth_error *err)
{
    static const char *const heads[] = { "answer:", "the answer is:", "final answer:", "答案：", "答：", "回答：" };
    struct buf plain = BUF_INIT, json = BUF_INIT;
    drop_thinking((struct span){ text, len }, &plain);
    struct span t = unfence(trim((struct span){ buf_str(&plain), plain.len }));
    if (from_json(t, &json))
        t = trim((struct span){ buf_str(&json), json.len });
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (t.len > strlen(heads[i]) && !strncasecmp(t.s, heads[i], strlen(heads[i])))
            t = trim((struct span){ t.s + strlen(heads[i]), t.len - strlen(heads[i]) });
    put_prose(t, out);
    bool failed = plain.failed || json.failed || out->failed;
    buf_release(&plain);
    buf_release(&json);
    return failed ? err_nomem(err) : SOOTH_OK;
}
