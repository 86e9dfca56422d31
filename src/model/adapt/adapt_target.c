/* adapt_target.c: which weights an adapter sits on, from words a person writes.
 *
 * A word is a role ("attn_q"), a module's last name as Hugging Face has it ("q_proj"), the end of its path, or a pattern with * over the
 * GGUF name or the path. "all-linear" is every product inside the blocks, "all" is everything there is. A tied table of embeddings
 * is offered twice, as the lookup ("token_embd", "embed_tokens") and as the output product ("output", "lm_head").
 * "word?" may fit nothing (defaults that serve several architectures); any other word that fits nothing is an error: an adapter without effect must not be trained or loaded in silence. */
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/near.h"
#include "model/adapt/adapt_method.h"

enum { WORD_MOST = 256 };

static const char *last_name(const char *module)
{
    const char *dot = strrchr(module, '.');
    return dot ? dot + 1 : module;
}

static bool fits(const char *word, const struct adapt_site *s)
{
    size_t n = strlen(word), m = strlen(s->module);
    if (strcmp(word, "all") == 0 || (strcmp(word, "all-linear") == 0 && s->layer >= 0))
        return true;
    if (strcmp(word, s->role) == 0 || strcmp(word, last_name(s->module)) == 0)
        return true;
    if (m > n && s->module[m - n - 1] == '.' && strcmp(s->module + m - n, word) == 0)
        return true;
    return fnmatch(word, s->name, 0) == 0 || fnmatch(word, s->module, 0) == 0;
}

/* The next word of a list, without blanks; NULL at its end. */
static const char *next_word(const char **at, char word[WORD_MOST])
{
    while (**at == ',' || **at == ' ')
        ++*at;
    size_t n = strcspn(*at, ", ");
    if (n == 0 || n >= WORD_MOST)
        return NULL;
    memcpy(word, *at, n);
    word[n] = 0;
    *at += n;
    return word;
}

/* The number of the first "word=number" that fits; fallback when none does. */
static double pattern(const char *list, const struct adapt_site *s, double fallback)
{
    char word[WORD_MOST];
    for (const char *at = list; at && next_word(&at, word);) {
        char *equals = strrchr(word, '=');
        if (!equals)
            continue;
        *equals = 0;
        if (fits(word, s))
            return strtod(equals + 1, NULL);
    }
    return fallback;
}

static enum sooth_status patterns_check(const char *list, struct sooth_error *err)
{
    char word[WORD_MOST], *end;
    for (const char *at = list; at && next_word(&at, word);) {
        char *equals = strrchr(word, '=');
        double v = equals ? strtod(equals + 1, &end) : 0;
        if (!equals || *end || !(v > 0 && v <= 1e6))
            return err_set(err, SOOTH_ERR_ARG, "'%s' is not NAME=NUMBER", word);
    }
    return SOOTH_OK;
}

static const char *module_of(struct adapt *a, const char *hf)
{
    size_t n = strlen(hf);
    return n > 7 && strcmp(hf + n - 7, ".weight") == 0 ? arena_strndup(&a->arena, hf, n - 7) : hf;
}

/* Entry i of the model's list as a site; false: not one that an adapter of products or tokens can have. */
static bool offer(struct adapt *a, size_t i, bool all, struct adapt_site *out)
{
    const struct arch_weight *w = arch_weight_at(a->model, i);
    bool table = strcmp(w->role, "token_embd") == 0;
    *out = (struct adapt_site){.on = w->weight, .use = table ? ADAPT_LOOKUP : ADAPT_PRODUCT, .role = w->role, .name = w->weight->name, .layer = w->layer, .entry = w};
    out->module = module_of(a, w->hf_name);
    return out->module && (all || !(w->vector || strcmp(w->role, "position_embd") == 0 || strcmp(w->role, "token_types") == 0));
}

static bool tied_head(const struct adapt *a, const struct adapt_site *table, struct adapt_site *out)
{
    if (table->use != ADAPT_LOOKUP || !arch_info(a->model)->decoder || arch_weight_find(a->model, "output.weight"))
        return false;
    *out = *table;
    out->use = ADAPT_PRODUCT;
    out->role = "output";
    out->module = "lm_head";
    out->name = "output.weight";
    return true;
}

static bool take(struct adapt *a, const char *word, struct adapt_site *s)
{
    if (!fits(word, s))
        return false;
    for (size_t i = 0; i < a->sites.count; i++)
        if (a->sites.items[i].on == s->on && a->sites.items[i].use == s->use)
            return true;
    s->rank = (size_t)pattern(a->o.ranks, s, (double)a->o.rank);
    s->alpha = pattern(a->o.alphas, s, a->o.alpha);
    s->scale = (float)(s->alpha / (a->o.rslora ? sqrt((double)s->rank) : (double)s->rank));
    return vec_push(&a->sites, *s);
}

static enum sooth_status nothing_fits(struct adapt *a, const char *word, struct sooth_error *err)
{
    const char *near = NULL;
    unsigned best = NEAR_NONE;
    struct adapt_site s;
    for (size_t i = 0; i < arch_weights(a->model); i++)
        if (offer(a, i, false, &s)) {
            if (near_better(word, s.role, &best))
                near = s.role;
            if (near_better(word, last_name(s.module), &best))
                near = last_name(s.module);
        }
    err_set(err, SOOTH_ERR_ARG, "no weight of the model is called '%s'", word);
    if (near)
        err_hint(err, "did you mean '%s'", near);
    return SOOTH_ERR_ARG;
}

/* The order of the model's list, whatever the order of the words: files and checkpoints agree on it. */
static int by_entry(const void *a, const void *b)
{
    const struct adapt_site *x = a, *y = b;
    if (x->entry != y->entry)
        return x->entry < y->entry ? -1 : 1;
    return (int)x->use - (int)y->use;
}

enum sooth_status adapt_find_sites(struct adapt *a, bool all, struct sooth_error *err)
{
    char word[WORD_MOST];
    enum sooth_status status = patterns_check(a->o.ranks, err);
    if (!status)
        status = patterns_check(a->o.alphas, err);
    for (const char *at = a->o.targets; !status && next_word(&at, word);) {
        bool any = word[strlen(word) - 1] == '?';
        word[strlen(word) - any] = 0;
        for (size_t i = 0; i < arch_weights(a->model); i++) {
            struct adapt_site s, head;
            if (!offer(a, i, all, &s))
                continue;
            any |= take(a, word, &s);
            if (!all && tied_head(a, &s, &head))
                any |= take(a, word, &head);
        }
        if (a->sites.failed || a->arena.failed)
            status = err_nomem(err);
        else if (!any)
            status = nothing_fits(a, word, err);
    }
    if (a->sites.count)
        qsort(a->sites.items, a->sites.count, sizeof *a->sites.items, by_entry);
    if (!status && !a->sites.count)
        status = err_set(err, SOOTH_ERR_ARG, "no weights are named to adapt");
    return status;
}
