/* sampler.c: the chain  repetition penalty -> top-k -> top-p -> min-p -> temperature -> draw.
 *
 *   penalty      a logit z of a token seen among the last N becomes z/r if positive, z*r if not
 * (Keskar 2019) top-k        the k most likely tokens stay top-p        the shortest prefix of the
 * sorted tokens whose probability reaches p of what is left (Holtzman 2019) min-p        tokens
 * with probability >= min_p * the best one's stay temperature  weights exp((z - max) / T); one
 * token is drawn in sorted order
 *
 * Every filter keeps a prefix of one sorted order, so the state of the chain is a set of items that
 * holds that prefix, and no stage sorts the vocabulary: select.h finds the crossing. Where nothing
 * has narrowed the set yet, the row is read in bands of logits from the top (max-6, max-12, ...),
 * and reading stops as soon as the crossing is inside; the total weight alone needs the whole row,
 * in one vectorizable pass.
 *
 * Ties go to the lowest id everywhere. Left out: other filters (typical, XTC, DRY, mirostat) and
 * grammars. */
#include "model/infer/sampler.h"
#include <math.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/kernel/kernel.h"
#include "model/infer/select.h"

enum {
    SAMPLER_HEAP = 1024, /* above this many a heap loses to reading bands */
    SAMPLER_BLOCK = 256  /* numbers exponentiated at once */
};
static const float sampler_band = 6.0f;

/* Sum of exp((logit - max) * scale) over the row, in double, in a fixed order. */
static double sampler_total(const float *logits, size_t n, float max, float scale)
{
    const struct kernel *k = kernel_get();
    double sum[8] = {0};
    for (size_t at = 0; at < n; at += SAMPLER_BLOCK) {
        float part[SAMPLER_BLOCK] = {0};
        size_t count = n - at < SAMPLER_BLOCK ? n - at : SAMPLER_BLOCK;
        for (size_t i = 0; i < count; i++)
            part[i] = (logits[at + i] - max) * scale;
        k->exp(part, part, count);
        for (size_t i = 0; i < SAMPLER_BLOCK; i += 8)
            for (size_t j = 0; j < 8; j++)
                sum[j] += (double)part[i + j];
    }
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/* The best token, lowest id on ties; -1 when a value is NaN or +infinity, or none is finite. */
static int32_t sampler_best(const float *logits, size_t n)
{
    float best = kernel_get()->max(logits, n);
    if (!(best < INFINITY) || best == -INFINITY)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (logits[i] == best)
            return (int32_t)i;
    return -1;
}

/* What the stages share. */
struct sampler_state {
    struct sampler *s;
    const float *logits;
    float max;
    bool narrowed; /* items hold the whole kept set; else it is the whole row */
    size_t n;      /* items kept, when narrowed */
};

static void sampler_weigh(struct select_item *items, size_t n, float max, float scale)
{
    const struct kernel *k = kernel_get();
    for (size_t at = 0; at < n; at += SAMPLER_BLOCK) {
        float part[SAMPLER_BLOCK];
        size_t count = n - at < SAMPLER_BLOCK ? n - at : SAMPLER_BLOCK;
        for (size_t i = 0; i < count; i++)
            part[i] = (items[at + i].logit - max) * scale;
        k->exp(part, part, count);
        for (size_t i = 0; i < count; i++)
            items[at + i].weight = part[i];
    }
}

static double sampler_sum(const struct select_item *items, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)items[i].weight;
    return sum;
}

/* Reads bands of the row from the top until the weights reach target; scale 0 makes every weight 1
 * (a count). Leaves the prefix that reaches it in items and returns its length (see select_prefix).
 */
static size_t sampler_reach(struct sampler_state *st, float scale, double target)
{
    struct select_item *items = st->s->items;
    float hi = st->max, step = scale > 0 ? sampler_band / scale : sampler_band;
    size_t n = 0;
    double sum = 0;
    for (unsigned band = 0; hi > -INFINITY; band++) {
        float lo = band < 8 ? hi - step : -INFINITY;
        size_t more = select_band(st->logits, st->s->vocab, lo, hi, items + n);
        sampler_weigh(items + n, more, st->max, scale);
        double mass = sampler_sum(items + n, more);
        if (more && (sum + mass >= target || lo == -INFINITY))
            return n + select_prefix(items + n, more, target - sum);
        n += more;
        sum += mass;
        hi = lo;
    }
    return n;
}

/* The share `target` of the kept set, as a prefix. */
static size_t sampler_share(struct sampler_state *st, float scale, double share)
{
    struct sampler *s = st->s;
    if (!st->narrowed)
        return sampler_reach(st, scale,
                             share * sampler_total(st->logits, s->vocab, st->max, scale));
    sampler_weigh(s->items, st->n, st->max, scale);
    /* The total is summed in id-independent, partition-dependent order: in double, so far below any
     * drawn number's resolution that the same token comes out. */
    return select_prefix(s->items, st->n, share * sampler_sum(s->items, st->n));
}

static void stage_top_k(struct sampler_state *st)
{
    size_t k = (size_t)st->s->p.top_k;
    if (st->s->p.top_k <= 0 || k >= st->s->vocab)
        return;
    st->n = k <= SAMPLER_HEAP ? select_largest(st->logits, st->s->vocab, k, st->s->items)
                              : sampler_reach(st, 0, (double)k);
    st->narrowed = true;
}

static void stage_top_p(struct sampler_state *st)
{
    if (st->s->p.top_p >= 1)
        return;
    st->n = sampler_share(st, 1, st->s->p.top_p);
    st->narrowed = true;
}

static void stage_min_p(struct sampler_state *st)
{
    struct sampler *s = st->s;
    if (s->p.min_p <= 0)
        return;
    float least = st->max + (float)log(s->p.min_p);
    if (!st->narrowed) {
        st->n = select_band(st->logits, s->vocab, nextafterf(least, -INFINITY), st->max, s->items);
        st->narrowed = true;
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < st->n; i++)
        if (s->items[i].logit >= least)
            s->items[kept++] = s->items[i];
    st->n = kept;
}

static const struct sampler_stage {
    const char *name, *note;
    void (*run)(struct sampler_state *st);
} sampler_stages[] = {
    {"repeat-penalty", "weakens tokens seen among the last N",
     NULL}, /* works on logits, before the best is known */
    {"top-k", "the k most likely tokens", stage_top_k},
    {"top-p", "the shortest prefix with probability p", stage_top_p},
    {"min-p", "tokens at least min-p times as likely as the best", stage_min_p},
    {"temperature", "flattens or sharpens, then draws", NULL},
};

const char *sampler_stage_name(size_t i, const char **note)
{
    if (i >= sizeof sampler_stages / sizeof *sampler_stages)
        return NULL;
    if (note)
        *note = sampler_stages[i].note;
    return sampler_stages[i].name;
}

static void sampler_penalize(struct sampler *s, float *logits)
{
    float r = (float)s->p.repeat_penalty;
    for (size_t i = 0; i < s->recent_count; i++) {
        int32_t id = s->recent[i];
        bool seen = false; /* each distinct token is weakened once */
        for (size_t j = 0; j < i && !seen; j++)
            seen = s->recent[j] == id;
        if (!seen)
            logits[id] = logits[id] > 0 ? logits[id] / r : logits[id] * r;
    }
}

int32_t sampler_pick(struct sampler *s, float *logits)
{
    if (s->recent)
        sampler_penalize(s, logits);
    int32_t best = sampler_best(logits, s->vocab);
    if (best < 0 || s->p.temperature <= 0)
        return best;
    struct sampler_state st = {s, logits, logits[best], false, 0};
    for (size_t i = 0; i < sizeof sampler_stages / sizeof *sampler_stages; i++)
        if (sampler_stages[i].run)
            sampler_stages[i].run(&st);
    size_t m = sampler_share(&st, (float)(1 / s->p.temperature), rng_double(&s->rng));
    return m ? s->items[m - 1].id : best;
}

enum sooth_status sampler_init(struct sampler *s, const struct sooth_sampling *p, size_t vocab,
                               struct sooth_error *err)
{
    memset(s, 0, sizeof *s);
    if (!(p->temperature >= 0 && p->temperature <= 100))
        return err_set(err, SOOTH_ERR_ARG, "temperature must be between 0 and 100, not %g",
                       p->temperature);
    if (p->top_k < 0)
        return err_set(err, SOOTH_ERR_ARG, "top-k must not be negative, not %d", p->top_k);
    if (!(p->top_p > 0 && p->top_p <= 1))
        return err_set(err, SOOTH_ERR_ARG, "top-p must be above 0 and at most 1, not %g", p->top_p);
    if (!(p->min_p >= 0 && p->min_p <= 1))
        return err_set(err, SOOTH_ERR_ARG, "min-p must be between 0 and 1, not %g", p->min_p);
    if (!(p->repeat_penalty > 0 && p->repeat_penalty <= 100))
        return err_set(err, SOOTH_ERR_ARG, "repeat penalty must be above 0 and at most 100, not %g",
                       p->repeat_penalty);
    if (p->repeat_last < 0 || p->repeat_last > 1 << 16)
        return err_set(err, SOOTH_ERR_ARG,
                       "the repeat penalty's window must be between 0 and 65536, not %d",
                       p->repeat_last);
    s->p = *p;
    /* So small that exp((z - max) / T) is 0 for all but ties of the best: greedy, and no infinite
     * scale. */
    if (s->p.temperature < 1e-4)
        s->p.temperature = 0;
    s->vocab = vocab;
    rng_seed(&s->rng, p->seed);
    if (s->p.temperature > 0 && !(s->items = mem_array(vocab + 1, sizeof *s->items)))
        return err_nomem(err);
    if (p->repeat_penalty != 1 && p->repeat_last > 0 &&
        !(s->recent = mem_array((size_t)p->repeat_last, sizeof *s->recent))) {
        sampler_release(s);
        return err_nomem(err);
    }
    return SOOTH_OK;
}

void sampler_release(struct sampler *s)
{
    mem_free(s->items);
    mem_free(s->recent);
    s->items = NULL;
    s->recent = NULL;
}

void sampler_accept(struct sampler *s, int32_t id)
{
    if (!s->recent || id < 0 || (size_t)id >= s->vocab)
        return;
    s->recent[s->recent_at] = id;
    s->recent_at = (s->recent_at + 1) % (size_t)s->p.repeat_last;
    if (s->recent_count < (size_t)s->p.repeat_last)
        s->recent_count++;
}

double logprob_norm(const float *logits, size_t n)
{
    float max = kernel_get()->max(logits, n);
    return (double)max + log(sampler_total(logits, n, max, 1));
}

float logprob_of(float logit, double norm)
{
    double p = (double)logit - norm;
    if (!(p > (double)LOGPROB_FLOOR)) /* also NaN: a masked token over an empty row */
        return LOGPROB_FLOOR;
    return p > 0 ? 0.0f : (float)p;
}

void logprob_top(const float *logits, size_t n, double norm, struct sooth_logprob *top,
                 size_t n_top)
{
    struct select_item items[32];
    size_t count = select_largest(logits, n, n_top < 32 ? n_top : 32, items);
    for (size_t i = 0; i < n_top; i++) {
        top[i].id = i < count ? items[i].id : -1;
        top[i].logprob = i < count ? logprob_of(items[i].logit, norm) : LOGPROB_FLOOR;
    }
}
