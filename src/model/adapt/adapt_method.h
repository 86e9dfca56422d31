/* adapt_method.h: a row of the table of methods, and what a method's file sees; private to this folder.
 *
 * A method attaches itself in `attach`: it asks for sites (weights of the model that its targets name) and makes weights of its
 * own for each. In a forward the set (adapt_set.c) calls it back at its sites with what the model computed there, and the method says
 * what to add, written with ops. It never looks at what other members of the set do: everything is added to the model's own. */
#ifndef ADAPT_ADAPT_METHOD_H
#define ADAPT_ADAPT_METHOD_H
#include "core/base/arena.h"
#include "core/base/vec.h"
#include "model/adapt/adapt.h"

/* One weight of the model that is adapted in one use. */
struct adapt_site {
    const struct weight *on;
    enum adapt_use use;
    const char *role, *module;   /* "attn_q", "model.layers.0.self_attn.q_proj" */
    const char *name;            /* "blk.0.attn_q.weight" */
    int layer;
    const struct arch_weight *entry; /* of `on` in the model's list */
    size_t rank;
    double alpha;
    float scale;                 /* what alpha and rank make of it */
    struct weight *part[4];      /* the method's own */
};

struct adapt_tensors;
struct adapt {
    const struct adapt_method *row;
    const struct arch_model *model;
    struct adapt_options o;      /* strings copied, defaults filled in */
    struct arena arena;
    VEC(struct adapt_site) sites;
    VEC(struct weight *) trained;
    size_t rows, prefix_rows;    /* virtual tokens of either kind */
    float scale;
    bool on;
    uint64_t draw;               /* of dropout; 0 none */
    struct adapt_set *alone;
    void *own;                   /* in the arena */
};
static inline float adapt_strength(const struct adapt *a) { return a->on ? a->scale : 0; }

struct adapt_method {
    const char *name, *note;
    const char *const *variants; /* ended by NULL; NULL: one kind */
    const char *peft;            /* its peft_type; NULL: PEFT does not have it */
    const char *targets;         /* default */
    size_t rank;                 /* default */
    enum sooth_status (*attach)(struct adapt *a, struct sooth_error *err);
    /* All below may be NULL. */
    enum sooth_status (*settle)(struct adapt *a, struct sooth_error *err);
    enum sooth_status (*refresh)(struct adapt *a, struct sooth_error *err);
    /* What is added to y = x Wᵀ, times strength. */
    struct mat *(*product)(struct run *r, const struct adapt *a, const struct adapt_site *s, float strength, struct mat *x, struct mat *y);
    /* What is added to y[i] = W[token i], times strength. */
    struct mat *(*lookup)(struct run *r, const struct adapt *a, const struct adapt_site *s, float strength, struct mat *y);
    const struct weight *(*stand_in)(const struct adapt *a, const struct adapt_site *s);
    /* What replaces x. first: position of the method's first placeholder row, where it has such rows. */
    struct mat *(*hook)(struct run *r, const struct adapt *a, uint32_t first, enum hook_site site, unsigned layer, struct mat *x);
    void (*prefix)(struct run *r, const struct adapt *a, unsigned layer, struct mat **k, struct mat **v);
    /* The weights as a file of t->layout has them. */
    enum sooth_status (*tensors)(const struct adapt *a, struct adapt_tensors *t, struct sooth_error *err);
    /* Adds to out [cols] what row i of the weight changes by; w [cols] is the model's own. NULL: cannot be merged. */
    void (*merge)(const struct adapt *a, const struct adapt_site *s, float strength, size_t i, const float *w, float *out);
};

/* adapt.c: a new trained weight of zeros, named by the format; NULL when out of memory. A vector has rows 1. */
struct weight *adapt_add(struct adapt *a, size_t rows, size_t cols, const char *format, ...) __attribute__((format(printf, 4, 5)));
struct weight *adapt_add_constant(struct adapt *a, size_t rows, size_t cols, const char *format, ...) __attribute__((format(printf, 4, 5)));
static inline float *adapt_numbers(const struct weight *w) { return (float *)w->q.data; } /* ours, so it may be written */
/* Draws that depend on the seed and the weight's name alone. */
void adapt_draw_uniform(const struct adapt *a, struct weight *w, float bound);
void adapt_draw_normal(const struct adapt *a, struct weight *w, float deviation);

uint64_t adapt_seed_of(const struct adapt *a, const char *name);   /* the seed of what is drawn for a name */

/* adapt_compute.c: what ops make outside of any model's forward: [rows, cols] copied out. */
typedef struct mat *adapt_making(const struct adapt *a, struct run *r);
enum sooth_status adapt_compute(struct adapt *a, adapt_making *make, float *out, struct sooth_error *err);
/* The token embeddings of o.start, or of tokens drawn from the vocabulary, as they enter the model: w [n, dim]. */
enum sooth_status adapt_embeddings(struct adapt *a, struct weight *w, struct sooth_error *err);
/* A linear with bias of the method's own, PyTorch's start: both uniform in ±1/√in. */
struct adapt_layer { struct weight *w, *b; };
bool adapt_layer_add(struct adapt *a, size_t rows, size_t cols, const char *name, struct adapt_layer *out);
static inline struct mat *adapt_layer_run(struct run *r, const struct adapt_layer *l, struct mat *x) { return op_linear(r, l->w, l->b, x); }

/* prompt.c: the one tensor of a soft prompt. */
enum sooth_status soft_prompt_tensor(struct weight *p, struct adapt_tensors *t, struct sooth_error *err);
/* full.c: weights whose part[0] stands in for the model's. */
enum sooth_status copies_tensors(const struct adapt *a, struct adapt_tensors *t, struct sooth_error *err);
/* lora.c: what DoRA shares. */
enum sooth_status lora_attach(struct adapt *a, struct sooth_error *err);
enum sooth_status lora_tensors(const struct adapt *a, struct adapt_tensors *t, struct sooth_error *err);
struct mat *lora_branch(struct run *r, const struct adapt_site *s, float scale, struct mat *x); /* scale·x AᵀBᵀ */
struct mat *lora_dropped(struct run *r, const struct adapt *a, const struct adapt_site *s, struct mat *x);
void lora_add_row(const struct adapt_site *s, float scale, size_t i, float *out);               /* out += scale·(BA)[i] */

bool adapt_rows_here(const struct adapt *a, const struct run *r, uint32_t first); /* this run has placeholder rows */

/* adapt_target.c: fills a->sites by o.targets, rank and alpha by the patterns. `all`: every weight of the list, vectors too; else
 * products and the lookup of tokens. An item that names nothing is an error with the nearest name. */
enum sooth_status adapt_find_sites(struct adapt *a, bool all, struct sooth_error *err);

/* adapt.c: as adapt_new, with a ceiling on its memory; 0 = none. */
enum sooth_status adapt_attach(const struct arch_model *model, const struct adapt_options *options, uint64_t max_bytes, struct adapt **out,
                               struct sooth_error *err);
/* adapt_set.c */
enum sooth_status adapt_alone(struct adapt *a, struct sooth_error *err);

#define ROW(x) extern const struct adapt_method adapt_row_##x;
#include "model/adapt/adapt_rows.inc"
#undef ROW
#endif
