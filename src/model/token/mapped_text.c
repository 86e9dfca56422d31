/* mapped_text.c: see mapped_text.h. */
#include "model/token/mapped_text.h"
#include <string.h>
#include "core/base/error.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"

void mapped_init(struct mapped_text *m, size_t source_len)
{
    memset(m, 0, sizeof *m);
    m->source_len = source_len;
}

void mapped_release(struct mapped_text *m)
{
    buf_release(&m->text);
    vec_free(&m->origin);
}

bool mapped_add(struct mapped_text *m, const char *s, size_t len, size_t origin)
{
    if (!buf_add(&m->text, s, len) || !vec_reserve(&m->origin, m->origin.count + len))
        return false;
    for (size_t i = 0; i < len; i++)
        m->origin.items[m->origin.count++] = (uint32_t)origin;
    return true;
}

bool mapped_failed(const struct mapped_text *m)
{
    return m->text.failed || m->origin.failed;
}

/* Marks, and the vowels and final consonants of Hangul, may melt into what stands before them. */
static bool may_join(uint32_t c)
{
    return c >= 0x300 && c != UTF8_BAD && (uni_class(c) & UNI_MARK || (c >= 0x1160 && c <= 0x11FF));
}

/* A starter and all that may join it: composed by itself, for composition never reaches further. */
enum sooth_status mapped_compose(struct mapped_text *m, const char *s, size_t len, struct sooth_error *err)
{
    struct buf form = BUF_INIT;
    for (size_t at = 0, size, stop; at < len; at = stop) {
        uint32_t c = utf8_decode(s + at, len - at, &size);
        bool plain = c < 0x300 || c == UTF8_BAD;
        for (stop = at + size; stop < len; stop += size) {
            c = utf8_decode(s + stop, len - stop, &size);
            if (!may_join(c))
                break;
            plain = false;
        }
        if (plain || (stop - at == size && c >= 0x3400 && c < 0xD7A4)) {
            mapped_add(m, s + at, stop - at, at);
            continue;
        }
        buf_clear(&form);
        if (uni_normalize(UNI_NFC, s + at, stop - at, &form, err)) {
            buf_release(&form);
            return SOOTH_ERR_NOMEM;
        }
        mapped_add(m, form.data, form.len, at);
    }
    buf_release(&form);
    return mapped_failed(m) ? err_nomem(err) : SOOTH_OK;
}
