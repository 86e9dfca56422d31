/* automaton.h: a grammar read byte by byte; private to this folder.
 *
 * A state is the set of all places where the text so far may stand, each a BYTES node and the chain of calls it is inside. Chains
 * and states are kept once each and named by number, so a step that was made before is one look-up: state, byte -> state.
 * States are made as they are met, and forgotten all at once (but the one in use) when there are too many. */
#ifndef GRAMMAR_AUTOMATON_H
#define GRAMMAR_AUTOMATON_H
#include "core/base/vec.h"
#include "model/grammar/rules.h"

enum { STATE_DEAD = 0, AUTOMATON_PLACES = 4096, AUTOMATON_STATES = 1 << 14, AUTOMATON_FRAMES = 1 << 18 };
#define STATE_FAILED UINT32_MAX /* no memory, or more places than AUTOMATON_PLACES: automaton.limited tells */

struct place {
    uint32_t node, frame; /* frame 0: inside the root rule itself */
};
struct frame {
    uint32_t node, count, parent; /* where to go on: a REPEAT with its count, or what stands behind a call */
};
struct state {
    uint32_t first, count; /* of the places */
    uint32_t *step;        /* [256] + 1; 0: not made yet; NULL: none made */
    bool complete;         /* the text may end here */
    uint32_t mark;         /* for the matcher; 0 at first */
};
struct index { /* open addressing over numbers from 1 */
    uint32_t *slot;
    size_t size, count;
};
struct automaton {
    const struct sooth_grammar *g;
    VEC(struct frame) frames;
    VEC(uint32_t) normal; /* per frame, 0: not known yet */
    VEC(struct state) states;
    VEC(struct place) places; /* of all states */
    struct index frame_index, state_index;
    /* of the closure being made */
    VEC(struct place) work;
    VEC(struct place) seen;
    struct index seen_index;
    bool limited;
};

bool automaton_init(struct automaton *a, const struct sooth_grammar *g); /* false: no memory */
void automaton_release(struct automaton *a);
uint32_t automaton_start(struct automaton *a); /* a state, or STATE_FAILED */
uint32_t automaton_step(struct automaton *a, uint32_t state, unsigned char byte);
/* A state that allows the same next `bytes` bytes and does not count what is too far from its bound to matter. */
uint32_t automaton_near(struct automaton *a, uint32_t state, uint32_t bytes);
bool automaton_full(const struct automaton *a); /* time to forget */
/* Forgets all but this state, which gets a new number. */
uint32_t automaton_forget(struct automaton *a, uint32_t state);
#endif
