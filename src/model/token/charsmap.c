/* charsmap.c: see charsmap.h. */
#include "model/token/charsmap.h"
#include <string.h>
#include "core/base/error.h"
#include "core/base/utf8.h"

static enum sooth_status take_blob(struct charsmap *m, struct token_str blob, struct sooth_error *err)
{
    uint32_t bytes;
    if (blob.len < 4)
        return err_set(err, SOOTH_ERR_FORMAT, "precompiled_charsmap is cut short");
    memcpy(&bytes, blob.text, 4);
    if (bytes % 4 || !bytes || bytes > blob.len - 4)
        return err_set(err, SOOTH_ERR_FORMAT, "precompiled_charsmap says %u bytes of array in a blob of %zu", bytes, blob.len);
    m->n = bytes / 4;
    m->texts_len = blob.len - 4 - bytes;
    m->units = mem_dup(blob.text + 4, bytes);
    m->texts = mem_alloc(m->texts_len + 1);
    if (!m->units || !m->texts)
        return err_nomem(err);
    if (m->texts_len)
        memcpy(m->texts, blob.text + 4 + bytes, m->texts_len);
    m->texts[m->texts_len] = 0;
    return SOOTH_OK;
}

static enum sooth_status take_list(struct charsmap *m, const struct token_source *s, struct sooth_error *err)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < s->n_replaced; i++) {
        if (i && s->replaced[i] <= s->replaced[i - 1])
            return err_set(err, SOOTH_ERR_FORMAT, "replaced characters are not in order at entry %zu", i);
        if (s->replacements[i].len > TOKEN_MAX_PIECE || total > 1u << 28)
            return err_set(err, SOOTH_ERR_LIMIT, "replacement %zu is too long", i);
        total += s->replacements[i].len;
    }
    m->from = mem_array(s->n_replaced, sizeof *m->from);
    m->to = mem_array(s->n_replaced, sizeof *m->to);
    m->texts = mem_alloc(total + 1);
    if (!m->from || !m->to || !m->texts)
        return err_nomem(err);
    m->n_from = s->n_replaced;
    for (size_t i = 0; i < s->n_replaced; i++) {
        m->from[i] = s->replaced[i];
        m->to[i] = (struct token_str){m->texts + at, s->replacements[i].len};
        if (s->replacements[i].len)
            memcpy(m->texts + at, s->replacements[i].text, s->replacements[i].len);
        at += s->replacements[i].len;
    }
    return SOOTH_OK;
}

enum sooth_status charsmap_build(struct charsmap *m, const struct token_source *s, struct sooth_error *err)
{
    memset(m, 0, sizeof *m);
    if (s->charsmap.len)
        return take_blob(m, s->charsmap, err);
    return s->n_replaced ? take_list(m, s, err) : SOOTH_OK;
}

void charsmap_release(struct charsmap *m)
{
    mem_free(m->units);
    mem_free(m->texts);
    mem_free(m->from);
    mem_free(m->to);
    memset(m, 0, sizeof *m);
}

static uint32_t offset_of(uint32_t unit)
{
    return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

/* Longest key that s begins with; 0 when none. */
static size_t longest_key(const struct charsmap *m, const char *s, size_t n, struct token_str *to)
{
    uint32_t at = 0, leaf;
    size_t best = 0;
    if (!m->n)
        return 0;
    at = offset_of(m->units[0]);
    for (size_t i = 0; i < n && s[i]; i++) {
        at ^= (unsigned char)s[i];
        if (at >= m->n || (m->units[at] & (1u << 31 | 0xFF)) != (unsigned char)s[i])
            break;
        leaf = at ^ offset_of(m->units[at]);
        if (m->units[at] & 1u << 8 && leaf < m->n && (m->units[leaf] & 0x7FFFFFFF) < m->texts_len) {
            to->text = m->texts + (m->units[leaf] & 0x7FFFFFFF);
            to->len = strlen(to->text);
            best = i + 1;
        }
        at = leaf;
    }
    return best;
}

static bool listed(const struct charsmap *m, uint32_t c, struct token_str *to)
{
    size_t low = 0, high = m->n_from;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (m->from[mid] == c) {
            *to = m->to[mid];
            return true;
        }
        if (m->from[mid] < c)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

size_t charsmap_step(const struct charsmap *m, const char *s, size_t n, struct token_str *to)
{
    size_t size = longest_key(m, s, n, to);
    uint32_t c;
    if (size)
        return size;
    c = utf8_decode(s, n, &size);
    if (c == UTF8_BAD)
        *to = (struct token_str){"\xEF\xBF\xBD", 3};
    else if (!listed(m, c, to))
        *to = (struct token_str){s, size};
    return size;
}
