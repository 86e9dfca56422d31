/* automaton.c: the states of a pushdown automaton, made as they are met (the lazy subset construction of Thompson 1968,
 * over places with a chain of calls instead of plain nodes).
 *
 *     closure   a call pushes a frame {node behind the call, chain}, an end pops one. A call that is the last thing of
 *               its rule pushes nothing, so lists written by recursion to the right keep a flat chain.
 *     repeats   a frame {REPEAT node, times done, chain}: an end counts one up and goes on or around. Without a maximum the
 *               count stops at the minimum, so that states stay few.
 *
 * Chains are shared: a frame is kept once, by its three numbers. Grammars that can read one text in very many ways have
 * states of very many places; over AUTOMATON_PLACES the automaton gives up rather than slow down without a bound. */
#include "model/grammar/automaton.h"
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/hash.h"

/* ---- numbers by content ---- */

static bool index_grow(struct index *x, size_t size)
{
    uint32_t *slot = mem_calloc(size, sizeof *slot);
    if (!slot)
        return false;
    mem_free(x->slot);
    x->slot = slot;
    x->size = size;
    x->count = 0;
    return true;
}

static uint32_t frame_hash(const struct frame *f)
{
    return (uint32_t)hash64(f, sizeof *f, 1);
}
static uint32_t place_hash(const struct place *p)
{
    uint64_t h = ((uint64_t)p->node << 32 | p->frame) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(h >> 32);
}

static void frame_put(struct automaton *a, uint32_t frame)
{
    struct index *x = &a->frame_index;
    size_t at = frame_hash(&a->frames.items[frame]) & (x->size - 1);
    while (x->slot[at])
        at = (at + 1) & (x->size - 1);
    x->slot[at] = frame + 1;
    x->count++;
}

/* The frame of that content; STATE_FAILED: no memory. */
static uint32_t automaton_frame(struct automaton *a, uint32_t node, uint32_t count, uint32_t parent)
{
    struct frame f = {node, count, parent};
    struct index *x = &a->frame_index;
    if (2 * x->count >= x->size) {
        if (!index_grow(x, 2 * x->size))
            return STATE_FAILED;
        for (uint32_t i = 1; i < a->frames.count; i++)
            frame_put(a, i);
    }
    for (size_t at = frame_hash(&f) & (x->size - 1); x->slot[at]; at = (at + 1) & (x->size - 1))
        if (memcmp(&a->frames.items[x->slot[at] - 1], &f, sizeof f) == 0)
            return x->slot[at] - 1;
    if (!vec_push(&a->frames, f) || !vec_push(&a->normal, 0))
        return STATE_FAILED;
    frame_put(a, (uint32_t)a->frames.count - 1);
    return (uint32_t)a->frames.count - 1;
}

/* ---- states ---- */

static uint32_t state_hash(const struct place *p, size_t n, bool complete)
{
    return (uint32_t)hash64(p, n * sizeof *p, complete);
}

static void state_put(struct automaton *a, uint32_t state)
{
    const struct state *s = &a->states.items[state];
    struct index *x = &a->state_index;
    size_t at = state_hash(a->places.items + s->first, s->count, s->complete) & (x->size - 1);
    while (x->slot[at])
        at = (at + 1) & (x->size - 1);
    x->slot[at] = state + 1;
    x->count++;
}

static int place_order(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return x->node != y->node ? (x->node < y->node ? -1 : 1) : x->frame < y->frame ? -1 : x->frame > y->frame;
}

/* In order, each once. */
static size_t places_sort(struct place *p, size_t n)
{
    size_t kept = n ? 1 : 0;
    if (n > 1)
        qsort(p, n, sizeof *p, place_order);
    for (size_t i = 1; i < n; i++)
        if (place_order(&p[i], &p[kept - 1]) != 0)
            p[kept++] = p[i];
    return kept;
}

/* The state of these places, which are put in order. */
static uint32_t automaton_state(struct automaton *a, struct place *p, size_t n, bool complete)
{
    struct index *x = &a->state_index;
    if (2 * x->count >= x->size) {
        if (!index_grow(x, 2 * x->size))
            return STATE_FAILED;
        for (uint32_t i = 0; i < a->states.count; i++)
            state_put(a, i);
    }
    n = places_sort(p, n);
    for (size_t at = state_hash(p, n, complete) & (x->size - 1); x->slot[at]; at = (at + 1) & (x->size - 1)) {
        const struct state *s = &a->states.items[x->slot[at] - 1];
        if (s->count == n && s->complete == complete && (!n || memcmp(a->places.items + s->first, p, n * sizeof *p) == 0))
            return x->slot[at] - 1;
    }
    if (a->states.count > 4 * (size_t)AUTOMATON_STATES) { /* in the middle of a walk nothing can be forgotten */
        a->limited = true;
        return STATE_FAILED;
    }
    struct state s = {.first = (uint32_t)a->places.count, .count = (uint32_t)n, .complete = complete};
    if (!vec_reserve(&a->places, a->places.count + n) || !vec_push(&a->states, s))
        return STATE_FAILED;
    if (n)
        memcpy(a->places.items + a->places.count, p, n * sizeof *p);
    a->places.count += n;
    state_put(a, (uint32_t)a->states.count - 1);
    return (uint32_t)a->states.count - 1;
}

/* ---- closure ---- */

/* Takes what the last closure saw out of the index, newest first: so each is found where it was put. */
static void closure_begin(struct automaton *a)
{
    struct index *x = &a->seen_index;
    for (; a->seen.count; a->seen.count--) {
        size_t at = place_hash(&a->seen.items[a->seen.count - 1]) & (x->size - 1);
        while (x->slot[at] != a->seen.count)
            at = (at + 1) & (x->size - 1);
        x->slot[at] = 0;
    }
    a->work.count = 0;
}

/* Puts a place on the list unless it was there. */
static bool closure_add(struct automaton *a, uint32_t node, uint32_t frame)
{
    struct place p = {node, frame};
    struct index *x = &a->seen_index;
    if (frame == STATE_FAILED)
        return false;
    if (node == RULES_NONE)
        return true;
    if (a->seen.count >= AUTOMATON_PLACES) {
        a->limited = true;
        return false;
    }
    size_t at = place_hash(&p) & (x->size - 1);
    for (; x->slot[at]; at = (at + 1) & (x->size - 1)) {
        const struct place *q = &a->seen.items[x->slot[at] - 1];
        if (q->node == node && q->frame == frame)
            return true;
    }
    if (!vec_push(&a->work, p) || !vec_push(&a->seen, p))
        return false;
    x->slot[at] = (uint32_t)a->seen.count;
    return true;
}

/* Past nodes that only lead on. */
static uint32_t closure_pass(const struct sooth_grammar *g, uint32_t node)
{
    while (g->nodes[node].kind == NODE_SPLIT && g->nodes[node].arg == RULES_NONE && g->nodes[node].next != RULES_NONE)
        node = g->nodes[node].next;
    return node;
}

static bool closure_call(struct automaton *a, const struct node *n, uint32_t frame)
{
    uint32_t behind = closure_pass(a->g, n->next);
    if (a->g->nodes[behind].kind != NODE_END)
        frame = automaton_frame(a, behind, RULES_NONE, frame);
    return closure_add(a, a->g->rules[n->arg].first, frame);
}

static bool closure_repeat(struct automaton *a, uint32_t node, uint32_t done, uint32_t frame)
{
    const struct node *n = &a->g->nodes[node];
    const struct repeat *r = &a->g->repeats[n->arg];
    if (done >= r->min && !closure_add(a, n->next, frame))
        return false;
    if (r->max == REPEAT_ALWAYS && done > r->min)
        done = r->min;
    return done >= r->max || closure_add(a, a->g->rules[r->rule].first, automaton_frame(a, node, done, frame));
}

static bool closure_end(struct automaton *a, uint32_t frame, bool *complete)
{
    if (!frame) {
        *complete = true;
        return true;
    }
    struct frame f = a->frames.items[frame];
    return a->g->nodes[f.node].kind == NODE_REPEAT && f.count != RULES_NONE ? closure_repeat(a, f.node, f.count + 1, f.parent)
                                                                            : closure_add(a, f.node, f.parent);
}

/* From the places on the list to all BYTES places they lead to: a state. */
static uint32_t closure_end_all(struct automaton *a)
{
    bool complete = false;
    size_t kept = 0;
    for (size_t i = 0; i < a->work.count; i++) {
        struct place p = a->work.items[i];
        const struct node *n = &a->g->nodes[p.node];
        bool ok = true;
        switch (n->kind) {
        case NODE_BYTES: break;
        case NODE_SPLIT: ok = closure_add(a, n->next, p.frame) && closure_add(a, n->arg, p.frame); break;
        case NODE_CALL: ok = closure_call(a, n, p.frame); break;
        case NODE_REPEAT: ok = closure_repeat(a, p.node, 0, p.frame); break;
        default: ok = closure_end(a, p.frame, &complete); break;
        }
        if (!ok)
            return STATE_FAILED;
    }
    for (size_t i = 0; i < a->work.count; i++)
        if (a->g->nodes[a->work.items[i].node].kind == NODE_BYTES)
            a->work.items[kept++] = a->work.items[i];
    return automaton_state(a, a->work.items, kept, complete);
}

uint32_t automaton_start(struct automaton *a)
{
    closure_begin(a);
    return closure_add(a, a->g->rules[a->g->root].first, 0) ? closure_end_all(a) : STATE_FAILED;
}

uint32_t automaton_step(struct automaton *a, uint32_t state, unsigned char byte)
{
    struct state *s = &a->states.items[state];
    if (!s->count)
        return STATE_DEAD;
    if (!s->step && !(s->step = mem_calloc(256, sizeof *s->step)))
        return STATE_FAILED;
    if (s->step[byte])
        return s->step[byte] - 1;
    closure_begin(a);
    for (uint32_t i = 0; i < s->count; i++) {
        struct place p = a->places.items[s->first + i];
        const struct node *n = &a->g->nodes[p.node];
        if (byte >= n->lo && byte <= n->hi && !closure_add(a, n->next, p.frame))
            return STATE_FAILED;
    }
    uint32_t next = closure_end_all(a);
    if (next != STATE_FAILED)
        a->states.items[state].step[byte] = next + 1; /* s may have moved */
    return next;
}

/* ---- counts that do not matter ---- */

static uint32_t frame_near(struct automaton *a, uint32_t frame, uint32_t bytes)
{
    size_t depth = 0;
    for (uint32_t f = frame; f && !a->normal.items[f]; f = a->frames.items[f].parent) { /* up to what is known */
        struct place p = {0, f};
        if (depth == a->work.count ? !vec_push(&a->work, p) : (a->work.items[depth] = p, false))
            return STATE_FAILED;
        depth++;
    }
    uint32_t near = 0;
    if (depth) {
        uint32_t top = a->frames.items[a->work.items[depth - 1].frame].parent;
        near = top ? a->normal.items[top] - 1 : 0;
    } else if (frame) {
        return a->normal.items[frame] - 1;
    }
    while (depth && near != STATE_FAILED) {
        uint32_t f = a->work.items[--depth].frame;
        struct frame x = a->frames.items[f];
        if (a->g->nodes[x.node].kind == NODE_REPEAT && x.count != RULES_NONE) {
            const struct repeat *r = &a->g->repeats[a->g->nodes[x.node].arg];
            if (x.count < r->min && r->min - x.count > bytes + 1)
                x.count = 0;
            else if (x.count >= r->min && r->max != REPEAT_ALWAYS && r->max - x.count > bytes + 1)
                x.count = r->min;
        }
        near = automaton_frame(a, x.node, x.count, near);
        if (near != STATE_FAILED)
            a->normal.items[f] = near + 1;
    }
    return near;
}

uint32_t automaton_near(struct automaton *a, uint32_t state, uint32_t bytes)
{
    size_t n = a->states.items[state].count;
    closure_begin(a);
    if (!vec_reserve(&a->seen, n)) /* a list to work on: it stays empty */
        return STATE_FAILED;
    for (size_t i = 0; i < n; i++) {
        struct place p = a->places.items[a->states.items[state].first + i];
        p.frame = frame_near(a, p.frame, bytes);
        if (p.frame == STATE_FAILED)
            return STATE_FAILED;
        a->seen.items[i] = p;
    }
    return automaton_state(a, a->seen.items, n, a->states.items[state].complete);
}

/* ---- life ---- */

bool automaton_init(struct automaton *a, const struct sooth_grammar *g)
{
    struct frame none = {0};
    memset(a, 0, sizeof *a);
    a->g = g;
    if (index_grow(&a->frame_index, 256) && index_grow(&a->state_index, 256) && index_grow(&a->seen_index, 4 * AUTOMATON_PLACES) &&
        vec_push(&a->frames, none) && vec_push(&a->normal, 0) && automaton_state(a, NULL, 0, false) == STATE_DEAD)
        return true;
    automaton_release(a);
    return false;
}

void automaton_release(struct automaton *a)
{
    for (size_t i = 0; i < a->states.count; i++)
        mem_free(a->states.items[i].step);
    mem_free(a->frame_index.slot);
    mem_free(a->state_index.slot);
    mem_free(a->seen_index.slot);
    vec_free(&a->frames);
    vec_free(&a->normal);
    vec_free(&a->states);
    vec_free(&a->places);
    vec_free(&a->work);
    vec_free(&a->seen);
}

bool automaton_full(const struct automaton *a)
{
    return a->states.count > AUTOMATON_STATES || a->frames.count > AUTOMATON_FRAMES || a->places.count > 16 * AUTOMATON_FRAMES;
}

/* The same frame in another automaton of the grammar, its chain from the root on. */
static uint32_t frame_move(struct automaton *to, struct automaton *from, uint32_t frame)
{
    size_t depth = 0;
    for (uint32_t f = frame; f; f = from->frames.items[f].parent) {
        struct place p = {0, f};
        if (depth == from->work.count ? !vec_push(&from->work, p) : (from->work.items[depth] = p, false))
            return STATE_FAILED;
        depth++;
    }
    uint32_t moved = 0;
    while (depth && moved != STATE_FAILED) {
        struct frame x = from->frames.items[from->work.items[--depth].frame];
        moved = automaton_frame(to, x.node, x.count, moved);
    }
    return moved;
}

uint32_t automaton_forget(struct automaton *a, uint32_t state)
{
    struct automaton fresh;
    if (!automaton_init(&fresh, a->g))
        return STATE_FAILED;
    struct state s = a->states.items[state];
    uint32_t kept = vec_reserve(&fresh.work, s.count) ? 0 : STATE_FAILED;
    for (uint32_t i = 0; i < s.count && kept != STATE_FAILED; i++) {
        struct place p = a->places.items[s.first + i];
        p.frame = frame_move(&fresh, a, p.frame);
        kept = p.frame == STATE_FAILED ? STATE_FAILED : 0;
        fresh.work.items[i] = p;
    }
    if (kept != STATE_FAILED)
        kept = automaton_state(&fresh, fresh.work.items, s.count, s.complete);
    if (kept == STATE_FAILED) {
        automaton_release(&fresh);
        return STATE_FAILED;
    }
    automaton_release(a);
    *a = fresh;
    return kept;
}
