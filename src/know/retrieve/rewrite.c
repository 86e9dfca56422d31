/* rewrite.c: the table of rewritings and what its rows share.
 *
 * Every row has a form without a model, and a prompt for a model where one is given. The question
 * itself is always searched too and keeps most of the say (`share`). What a rewriting does to the
 * answers is measured in docs/book/rewriting.md: none is on unless asked for. */
#include "know/retrieve/rewrite.h"
#include <ctype.h>
#include <math.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"

#define ROW(word) extern const struct rewrite_row rewrite_##word;
#include "know/retrieve/rewrite_rows.inc"
#undef ROW

static const struct rewrite_row *const rows[] = {
#define ROW(word) &rewrite_##word,
#include "know/retrieve/rewrite_rows.inc"
#undef ROW
};

enum { MODEL_TOKENS = 160, LINE_MAX_BYTES = 1000 };

const struct rewrite_row *rewrite_at(size_t i)
{
    return i < sizeof rows / sizeof *rows ? rows[i] : NULL;
}

const struct rewrite_row *rewrite_find(const char *name)
{
    for (size_t i = 0; rewrite_at(i); i++)
        if (strcmp(rows[i]->name, name) == 0)
            return rows[i];
    return NULL;
}

bool sooth_rewrite_at(size_t i, const char **name, const char **about)
{
    if (!rewrite_at(i))
        return false;
    *name = rows[i]->name;
    *about = rows[i]->about;
    return true;
}

void rewrite_release(struct rewriting *r)
{
    vec_free(&r->out);
    arena_release(&r->arena);
}

enum sooth_status rewrite_add(struct rewriting *r, const char *text, size_t len)
{
    while (len && isspace((unsigned char)*text))
        text++, len--;
    while (len && isspace((unsigned char)text[len - 1]))
        len--;
    bool again = len == 0 || (strlen(r->question) == len && memcmp(r->question, text, len) == 0);
    for (size_t i = 0; i < r->out.count && !again; i++)
        again = strlen(r->out.items[i].text) == len && memcmp(r->out.items[i].text, text, len) == 0;
    if (again || r->out.count == REWRITE_MAX)
        return SOOTH_OK;
    struct derived d = {arena_strndup(&r->arena, text, len), NULL};
    return d.text && vec_push(&r->out, d) ? SOOTH_OK : err_nomem(r->err);
}

enum sooth_status rewrite_add_vector(struct rewriting *r, const char *text, const float *v)
{
    if (r->out.count == REWRITE_MAX)
        return SOOTH_OK;
    struct derived d = {arena_strndup(&r->arena, text, strlen(text)), (float *)v};
    return d.text && vec_push(&r->out, d) ? SOOTH_OK : err_nomem(r->err);
}

enum sooth_status rewrite_towards(struct rewriting *r, const char *const *texts, const size_t *lens,
                                  size_t n, double weight, float **out)
{
    size_t dim = r->e->dim;
    float *v = arena_array(&r->arena, dim, sizeof *v), *all = mem_array((n + 1) * dim, sizeof *all);
    enum sooth_status status = v && all ? SOOTH_OK : err_nomem(r->err);
    if (status == SOOTH_OK && n)
        status = r->e->embed(r->e, false, texts, lens, n, all, r->err);
    double sum = 0;
    for (size_t j = 0; j < dim && status == SOOTH_OK; j++) {
        double mean = 0;
        for (size_t i = 0; i < n; i++)
            mean += all[i * dim + j] / (double)n;
        v[j] = (float)(r->vector[j] + weight * mean);
        sum += (double)v[j] * v[j];
    }
    for (size_t j = 0; j < dim && status == SOOTH_OK && sum > 0; j++)
        v[j] /= (float)sqrt(sum);
    mem_free(all);
    *out = v;
    return status;
}

/* --- words that only ask
 * ---------------------------------------------------------------------------------------- */

static const char *const asking[] = {
    "a", "an", "the", "is", "are", "was", "were", "be", "been", "do", "does", "did", "what", "which",
    "who", "whom", "whose", "when", "where", "why", "how", "can", "could", "should", "would", "will",
    "shall", "may", "might", "must", "i", "me", "my", "you", "your", "we", "our", "it", "its", "to",
    "of", "in", "on", "at", "by", "for", "from", "with", "about", "and", "or", "if", "there", "that",
    "this", "these", "those", "many", "much", "tell", "please", "explain", "describe", "give", "list",
    "show", "find", "have", "has", "had", "any", "some"};
static const char *const asking_han[] = {"请问", "什么", "哪些", "哪个", "哪里", "怎么样", "怎样", "怎么",
                                         "如何", "为什么", "多少", "几个", "是否", "有没有", "吗", "呢",
                                         "请", "的", "了", "是", "有"};

static bool only_asks(const char *w, size_t n)
{
    for (size_t i = 0; i < sizeof asking / sizeof *asking; i++)
        if (strlen(asking[i]) == n && strncasecmp(asking[i], w, n) == 0)
            return true;
    return false;
}

bool rewrite_keywords(const char *q, bool plain, struct buf *out)
{
    for (size_t i = 0, len = strlen(q); i < len;) {
        size_t size;
        uint32_t c = utf8_decode(q + i, len - i, &size);
        if (c != UTF8_BAD && uni_is_cjk(c)) {
            size_t skip = 0;
            for (size_t k = 0; k < sizeof asking_han / sizeof *asking_han && !skip; k++)
                if (strncmp(q + i, asking_han[k], strlen(asking_han[k])) == 0)
                    skip = strlen(asking_han[k]);
            if (skip)
                buf_putc(out, ' ');
            else
                buf_add(out, q + i, size);
            i += skip ? skip : size;
            continue;
        }
        size_t n = 0;
        while (i + n < len && (isalnum((unsigned char)q[i + n]) || strchr("_-.+#", q[i + n])))
            n++;
        bool drop = n == 0 || only_asks(q + i, n) ||
                    (plain && (isupper((unsigned char)q[i]) || isdigit((unsigned char)q[i])));
        if (!drop) {
            if (out->len && out->data[out->len - 1] != ' ')
                buf_putc(out, ' ');
            buf_add(out, q + i, n);
        } else if (n == 0 && out->len && out->data[out->len - 1] != ' ') {
            buf_putc(out, ' ');
        }
        i += n ? n : size;
    }
    return !out->failed;
}

/* --- by a model
 * ------------------------------------------------------------------------------------------------- */

/* The reply's lines without numbering, bullets and quotes. */
static size_t lines_of(struct rewriting *r, const char *reply, char *lines[REWRITE_MAX])
{
    size_t n = 0;
    for (const char *p = reply; *p && n < REWRITE_MAX;) {
        size_t len = strcspn(p, "\n");
        size_t a = strspn(p, " \t-*\"0123456789.)");
        size_t b = len;
        a = a < len ? a : len;
        while (b > a && strchr(" \t\"\r", p[b - 1]))
            b--;
        if (b - a > 2 && b - a < LINE_MAX_BYTES && (lines[n] = arena_strndup(&r->arena, p + a, b - a)))
            n++;
        p += len + (p[len] == '\n');
    }
    return n;
}

static enum sooth_status by_model(const struct rewrite_row *row, struct rewriting *r)
{
    struct sooth_message messages[] = {{"system", row->prompt}, {"user", r->question}};
    struct sooth_generate_options g;
    struct sooth_generation made;
    char *lines[REWRITE_MAX];
    sooth_generate_options_init(&g);
    g.max_tokens = MODEL_TOKENS;
    enum sooth_status status = sooth_chat(r->session, messages, 2, &g, &made, r->err);
    if (status != SOOTH_OK)
        return status;
    size_t n = lines_of(r, made.text, lines);
    sooth_generation_release(&made);
    if (row->use)
        return row->use(r, lines, n);
    for (size_t i = 0; i < n && status == SOOTH_OK; i++)
        status = rewrite_add(r, lines[i], strlen(lines[i]));
    return status;
}

enum sooth_status rewrite_run(const struct rewrite_row *row, struct rewriting *r)
{
    return r->session && row->prompt ? by_model(row, r) : row->derive(r);
}
