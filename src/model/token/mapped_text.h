/* mapped_text.h: a text made from another, each byte with the place in the other that it came from. */
#ifndef TOKEN_MAPPED_TEXT_H
#define TOKEN_MAPPED_TEXT_H
#include "core/base/buf.h"
#include "core/base/vec.h"
#include "model/token/token_vocab.h"

struct mapped_text {
    struct buf text;
    VEC(uint32_t) origin; /* [text.len] */
    size_t source_len;
};
void mapped_init(struct mapped_text *m, size_t source_len);
void mapped_release(struct mapped_text *m);
bool mapped_add(struct mapped_text *m, const char *s, size_t len, size_t origin);
bool mapped_failed(const struct mapped_text *m);
/* Place in the source of byte `at` of the made text; at its end, the source's end. */
static inline size_t mapped_origin(const struct mapped_text *m, size_t at)
{
    return at < m->origin.count ? m->origin.items[at] : m->source_len;
}
/* Appends s in NFC. Bytes that are no UTF-8 stay as they are. */
enum sooth_status mapped_compose(struct mapped_text *m, const char *s, size_t len, struct sooth_error *err);
#endif
