/* filter_text.c: phrases and beginnings of words, found in the passages themselves.
 *
 * The index holds no positions and no words, only keys of terms. A phrase is first narrowed down to the
 * passages that have all its terms; then the terms of each such passage are gone through for the
 * phrase's, one behind the other. So "Notice  Period" finds "notice periods", 數據 finds 数据, and width
 * does not matter: both sides are cut by the same segmenter. The beginning of a word narrows nothing
 * down: all passages are read. */
#include "know/retrieve/filter_text.h"
#include <ctype.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/unicode.h"
#include "core/base/vec.h"

struct keys {
    VEC(uint64_t) list;
};

/* Terms in order, but for codes as a whole and numerals as numbers, which stand beside others. */
static bool take_key(void *user, enum term_kind kind, const char *term, size_t len)
{
    struct keys *k = user;
    return kind == TERM_WHOLE || vec_push(&k->list, term_key(term, len));
}

static bool in_a_row(const struct keys *text, const struct keys *phrase)
{
    size_t n = phrase->list.count;
    for (size_t i = 0; i + n <= text->list.count; i++)
        if (memcmp(text->list.items + i, phrase->list.items, n * sizeof *phrase->list.items) == 0)
            return true;
    return false;
}

/* found[slot] counts the phrase's different terms that the passage has. */
static enum sooth_status count_terms(struct store *s, const struct snapshot *v,
                                     const struct keys *phrase, unsigned char *found, size_t *wanted,
                                     struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    *wanted = 0;
    for (size_t i = 0; i < phrase->list.count && status == SOOTH_OK && *wanted < 255; i++) {
        struct posting_list list = {0};
        bool again = false;
        for (size_t j = 0; j < i; j++)
            again |= phrase->list.items[j] == phrase->list.items[i];
        if (again)
            continue;
        status = text_postings(s, v, phrase->list.items[i], &list, err);
        for (size_t j = 0; j < list.count && status == SOOTH_OK; j++)
            found[list.items[j].slot] += found[list.items[j].slot] == *wanted;
        ++*wanted;
        vec_free(&list);
    }
    return status;
}

static enum sooth_status check_phrase(struct store *s, int64_t chunk, const struct keys *phrase,
                                      unsigned char *found, struct sooth_error *err)
{
    struct store_passage p;
    struct keys text = {0};
    enum sooth_status status = store_passage(s, chunk, &p, err);
    if (status != SOOTH_OK)
        return status;
    status = segment_text(p.text, p.end - p.start, take_key, &text, err);
    if (status == SOOTH_OK && text.list.failed)
        status = err_nomem(err);
    *found = status == SOOTH_OK && in_a_row(&text, phrase);
    vec_free(&text.list);
    store_passage_release(&p);
    return status;
}

enum sooth_status filter_phrase(struct store *s, const struct snapshot *v, const char *phrase,
                                unsigned char *found, struct sooth_error *err)
{
    struct keys keys = {0};
    size_t wanted = 0;
    enum sooth_status status = segment_text(phrase, strlen(phrase), take_key, &keys, err);
    if (status == SOOTH_OK && keys.list.failed)
        status = err_nomem(err);
    if (status == SOOTH_OK)
        status = count_terms(s, v, &keys, found, &wanted, err);
    for (size_t i = 0; i < v->n && status == SOOTH_OK; i++) {
        bool all = wanted > 0 && found[i] == wanted;
        found[i] = 0;
        if (all)
            status = check_phrase(s, v->chunk[i], &keys, &found[i], err);
    }
    vec_free(&keys.list);
    return status;
}

/* NFKC and small letters, as the segmenter begins. */
static bool fold(const char *text, size_t len, struct buf *out)
{
    struct buf b = BUF_INIT;
    bool ok = uni_normalize(UNI_NFKC, text, len, &b, NULL) == SOOTH_OK &&
              uni_normalize(UNI_CASEFOLD, buf_str(&b), b.len, out, NULL) == SOOTH_OK;
    buf_release(&b);
    return ok && !out->failed;
}

static bool begins(const char *text, const char *prefix)
{
    for (const char *p = text; (p = strstr(p, prefix)); p++)
        if (p == text || !(isalnum((unsigned char)p[-1]) || (unsigned char)p[-1] >= 0x80) ||
            (unsigned char)prefix[0] >= 0x80)
            return true;
    return false;
}

enum sooth_status filter_prefix(struct store *s, const struct snapshot *v, const char *prefix,
                                unsigned char *found, struct sooth_error *err)
{
    struct buf wanted = BUF_INIT, text = BUF_INIT;
    enum sooth_status status = fold(prefix, strlen(prefix), &wanted) ? SOOTH_OK : err_nomem(err);
    for (size_t i = 0; i < v->n && status == SOOTH_OK && wanted.len; i++) {
        struct store_passage p;
        status = store_passage(s, v->chunk[i], &p, err);
        if (status != SOOTH_OK)
            break;
        buf_clear(&text);
        if (fold(p.text, p.end - p.start, &text))
            found[i] = begins(buf_str(&text), wanted.data);
        else
            status = err_nomem(err);
        store_passage_release(&p);
    }
    buf_release(&wanted);
    buf_release(&text);
    return status;
}
