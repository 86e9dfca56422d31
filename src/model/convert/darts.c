/* darts.c: a character map in the form that GGUF and tokenizer.json carry.
 *
 *     u32 bytes of the trie | trie: u32 units | replacements, each ended by NUL
 *
 * The trie is a double array (Aoe 1989, in the layout of darts-clone). From the unit at p of a
 * prefix, the unit of prefix + byte c is at (p ^ offset(p)) ^ c and carries the label c; a prefix
 * that is a key has its value unit at p ^ offset(p):
 *
 *     bits   31 leaf | 30..10 offset | 9 wide | 8 has leaf | 7..0 label        value unit: 31
 * set, 30..0 value
 *
 * Here keys are single characters, at most four bytes, so a node's children are found by scanning
 * the sorted list. A place for them is looked for from the first free unit on. The value is the
 * place of the replacement in the pool. */
#include "model/convert/darts.h"
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "core/base/vec.h"
#include "model/file/file.h"

enum { UNIT_MAX = 1 << 20 }; /* offsets below 2^21 fit the narrow form */

struct darts_key {
    char bytes[8]; /* at most 4 are used */
    uint8_t len;
    uint32_t value;
};

struct darts {
    struct darts_key *keys;
    VEC(uint32_t) units;
    VEC(uint8_t)
    used; /* bit 0: the unit is taken; bit 1: it is a base, and two nodes with one base could not be
             told apart */
    size_t first_free;
};

static bool darts_grow(struct darts *m, size_t n)
{
    n = (n + 255) / 256 * 256;
    if (n <= m->units.count)
        return true;
    if (n > UNIT_MAX || !vec_reserve(&m->units, n) || !vec_reserve(&m->used, n))
        return false;
    memset(m->units.items + m->units.count, 0, (n - m->units.count) * sizeof *m->units.items);
    memset(m->used.items + m->used.count, 0, n - m->used.count);
    m->units.count = m->used.count = n;
    return true;
}

/* A base where every label is free (label 0 stands for the value unit). SIZE_MAX when there is no
 * room. */
static size_t darts_place(struct darts *m, const unsigned char *labels, size_t n)
{
    while (m->first_free < m->used.count && (m->used.items[m->first_free] & 1))
        m->first_free++;
    for (size_t at = m->first_free;; at++) {
        if (!darts_grow(m, at + 1))
            return SIZE_MAX;
        size_t base = at ^ labels[0], i = 0;
        if (base == 0 || !darts_grow(m, (base | 255) + 1)) {
            if (base)
                return SIZE_MAX;
            continue;
        }
        while (i < n && !(m->used.items[base ^ labels[i]] & 1))
            i++;
        if (i == n && !(m->used.items[base] & 2))
            return base;
    }
}

/* Places what follows the first `depth` bytes, which keys[lo, hi) share, below the unit at p. */
static bool darts_node(struct darts *m, size_t p, size_t lo, size_t hi, size_t depth)
{
    unsigned char labels[257];
    size_t n = 0;
    bool leaf = m->keys[lo].len == depth;
    if (leaf)
        labels[n++] = 0;
    for (size_t i = lo + leaf; i < hi; i++) {
        unsigned char c = (unsigned char)m->keys[i].bytes[depth];
        if (n == leaf || labels[n - 1] != c)
            labels[n++] = c;
    }
    size_t base = darts_place(m, labels, n);
    if (base == SIZE_MAX)
        return false;
    m->units.items[p] |= (uint32_t)(p ^ base) << 10 | (leaf ? 256u : 0);
    m->used.items[base] |= 2;
    for (size_t i = 0; i < n; i++)
        m->used.items[base ^ labels[i]] |= 1;
    if (leaf)
        m->units.items[base] = 0x80000000u | m->keys[lo].value;
    for (size_t i = leaf, at = lo + leaf; i < n; i++) {
        size_t end = at;
        while (end < hi && (unsigned char)m->keys[end].bytes[depth] == labels[i])
            end++;
        m->units.items[base ^ labels[i]] = labels[i];
        if (!darts_node(m, base ^ labels[i], at, end, depth + 1))
            return false;
        at = end;
    }
    return true;
}

static bool darts_write(struct darts *m, const struct file_string *to, size_t n, struct buf *out)
{
    uint32_t bytes = (uint32_t)(m->units.count * 4);
    bool ok = buf_add(out, &bytes, 4) && buf_add(out, m->units.items, bytes);
    for (size_t i = 0; i < n && ok; i++)
        ok = buf_add(out, to[i].text, to[i].len) && buf_putc(out, 0);
    return ok;
}

enum sooth_status darts_build(const uint32_t *from, const struct file_string *to, size_t n,
                              struct buf *out, struct sooth_error *err)
{
    struct darts m = {0};
    uint32_t pool = 0;
    size_t count = 0;
    m.keys = mem_calloc(n ? n : 1, sizeof *m.keys);
    if (!m.keys)
        return err_nomem(err);
    for (size_t i = 0; i < n; i++) { /* code point order is byte order */
        struct darts_key *k = &m.keys[count];
        k->len = (uint8_t)utf8_encode(from[i], k->bytes);
        k->value = pool;
        pool += (uint32_t)to[i].len + 1;
        count += from[i] != 0; /* NUL cannot be a key: its label would be the value's */
    }
    bool ok = darts_grow(&m, 256);
    if (ok) {
        m.used.items[0] = 1;
        ok = (!count || darts_node(&m, 0, 0, count, 0)) && darts_write(&m, to, n, out);
    }
    mem_free(m.keys);
    vec_free(&m.units);
    vec_free(&m.used);
    return ok ? SOOTH_OK : err_nomem(err);
}
