/* matcher.c: which tokens may come next: the trie of the vocabulary walked with the automaton.
 *
 * The first mask of a state costs a walk: every byte of the trie that the grammar allows, one table look-up each. It is kept
 * with the state (or with the state it equals within the reach of one token, automaton_near), so that the next time it
 * costs nothing. A text moves among few states: inside a string, behind a comma. Masks are kept up to MASK_BYTES, then all
 * are forgotten.
 *
 * Tokens are bytes here: one that ends in the middle of a character is allowed where the rest of the character is. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "model/grammar/automaton.h"
#include "model/grammar/token_trie.h"

enum { MASK_BYTES = 16 << 20, MASK_LEAST = 4 };

struct matcher {
    struct automaton a;
    struct sooth_grammar *g;
    const struct token_trie *trie;
    uint32_t start, state;
    size_t words;          /* of a mask */
    VEC(uint64_t *) masks; /* state.mark - 1 is the index */
    uint32_t *path;        /* [longest + 1] states along the branch being walked */
};

static enum sooth_status matcher_failed(const struct matcher *m, struct sooth_error *err)
{
    return m->a.limited ? err_set(err, SOOTH_ERR_LIMIT, "the grammar can be read in too many ways at once") : err_nomem(err);
}

enum sooth_status matcher_new(const struct sooth_grammar *g, const struct token_trie *trie, struct matcher **out,
                              struct sooth_error *err)
{
    *out = NULL;
    struct matcher *m = mem_calloc(1, sizeof *m);
    if (!m)
        return err_nomem(err);
    if (!automaton_init(&m->a, g)) {
        mem_free(m);
        return err_nomem(err);
    }
    m->g = grammar_hold(g);
    m->trie = trie;
    m->words = (trie->vocab + 63) / 64;
    m->path = mem_array(trie->longest + 1, sizeof *m->path);
    m->start = m->state = m->path ? automaton_start(&m->a) : STATE_FAILED;
    if (m->start == STATE_FAILED) {
        enum sooth_status status = matcher_failed(m, err);
        matcher_free(m);
        return status;
    }
    *out = m;
    return SOOTH_OK;
}

static void matcher_drop_masks(struct matcher *m)
{
    for (size_t i = 0; i < m->masks.count; i++)
        mem_free(m->masks.items[i]);
    m->masks.count = 0;
    for (size_t i = 0; i < m->a.states.count; i++)
        m->a.states.items[i].mark = 0;
}

void matcher_free(struct matcher *m)
{
    if (!m)
        return;
    matcher_drop_masks(m);
    vec_free(&m->masks);
    automaton_release(&m->a);
    sooth_grammar_free(m->g);
    mem_free(m->path);
    mem_free(m);
}

const struct sooth_grammar *matcher_grammar(const struct matcher *m)
{
    return m->g;
}

void matcher_reset(struct matcher *m)
{
    m->state = m->start;
}

/* Keeps memory bounded; the start is made again, the state moved. */
static bool matcher_forget(struct matcher *m)
{
    matcher_drop_masks(m);
    uint32_t state = automaton_forget(&m->a, m->state);
    if (state == STATE_FAILED)
        return false;
    m->state = state;
    m->start = automaton_start(&m->a);
    return m->start != STATE_FAILED;
}

static bool matcher_walk(struct matcher *m, uint32_t state, uint64_t *mask)
{
    const struct token_trie *t = m->trie;
    m->path[0] = state;
    for (size_t i = 0; i < t->nodes;) {
        size_t depth = t->depth[i];
        uint32_t from = m->path[depth - 1];
        const struct state *s = &m->a.states.items[from];
        uint32_t next = s->step && s->step[t->byte[i]] ? s->step[t->byte[i]] - 1 : automaton_step(&m->a, from, t->byte[i]);
        if (next == STATE_FAILED)
            return false;
        if (next == STATE_DEAD) {
            i = t->skip[i];
            continue;
        }
        m->path[depth] = next;
        for (uint32_t k = t->first[i]; k < t->first[i + 1]; k++)
            mask[(uint32_t)t->ids[k] / 64] |= (uint64_t)1 << ((uint32_t)t->ids[k] % 64);
        i++;
    }
    for (size_t i = 0; m->a.states.items[state].complete && i < t->ends.count; i++)
        mask[(uint32_t)t->ends.items[i] / 64] |= (uint64_t)1 << ((uint32_t)t->ends.items[i] % 64);
    return true;
}

const uint64_t *matcher_mask(struct matcher *m, struct sooth_error *err)
{
    size_t most = MASK_BYTES / 8 / (m->words + 1);
    if (automaton_full(&m->a) && !matcher_forget(m))
        return matcher_failed(m, err), NULL;
    if (m->masks.count >= (most > MASK_LEAST ? most : MASK_LEAST))
        matcher_drop_masks(m);
    uint32_t mark = m->a.states.items[m->state].mark, near = m->state;
    if (!mark) {
        near = automaton_near(&m->a, m->state, (uint32_t)m->trie->longest);
        if (near == STATE_FAILED)
            return matcher_failed(m, err), NULL;
        mark = m->a.states.items[near].mark;
    }
    if (!mark) {
        uint64_t *mask = mem_calloc(m->words + 1, sizeof *mask);
        if (!mask || !matcher_walk(m, near, mask) || !vec_push(&m->masks, mask)) {
            mem_free(mask);
            return matcher_failed(m, err), NULL;
        }
        mark = (uint32_t)m->masks.count;
        m->a.states.items[near].mark = mark;
    }
    m->a.states.items[m->state].mark = mark;
    return m->masks.items[mark - 1];
}

enum sooth_status matcher_add(struct matcher *m, int32_t id, struct sooth_error *err)
{
    if (automaton_full(&m->a) && !matcher_forget(m))
        return matcher_failed(m, err);
    uint32_t state = m->state;
    for (uint32_t i = m->trie->offset[id]; i < m->trie->offset[id + 1] && state != STATE_FAILED; i++)
        state = automaton_step(&m->a, state, (unsigned char)m->trie->bytes[i]);
    if (state == STATE_FAILED)
        return matcher_failed(m, err);
    m->state = state;
    return state != STATE_DEAD ? SOOTH_OK : err_set(err, SOOTH_ERR_ARG, "token %d is not one of the grammar's", (int)id);
}

bool matcher_complete(const struct matcher *m)
{
    return m->a.states.items[m->state].complete;
}

bool matcher_ended(const struct matcher *m)
{
    return matcher_complete(m) && m->a.states.items[m->state].count == 0;
}

bool sooth_grammar_accepts(const struct sooth_grammar *g, const char *text, size_t len)
{
    struct automaton a;
    if (!automaton_init(&a, g))
        return false;
    uint32_t state = automaton_start(&a);
    for (size_t i = 0; i < len && state != STATE_FAILED && state != STATE_DEAD; i++) {
        if (automaton_full(&a))
            state = automaton_forget(&a, state);
        if (state != STATE_FAILED)
            state = automaton_step(&a, state, (unsigned char)text[i]);
    }
    bool yes = state != STATE_FAILED && a.states.items[state].complete;
    automaton_release(&a);
    return yes;
}
