/* merge_cost.c: what merging costs: the base that wears the adapters against the merged file, token by token.
 *
 *     KL = Σ_v p(v) log (p(v) / q(v)),  p worn, q merged        perplexity = exp(mean −log p(next))
 *
 * over windows of a text, as both models are served. The base alone is measured too, so that the cost can be seen beside what the adapter changed.
 * Zero means that nobody can tell the two apart; the format's own rounding of activations is in it. */
#include <math.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "model/convert/merge.h"
#include "model/infer/infer.h"

enum { WINDOW = 128, TOKENS_MOST = 1024 };

/* When no text is given: a few plain sentences in two languages. */
static const char own_text[] =
    "The harbour master wrote the tide tables by hand each winter, and the fishermen copied them into their own books. A boat that left an "
    "hour late would wait outside the bar until the evening. In spring the council paid for a printed sheet, but the old captains kept to "
    "the written one, because it showed the wind as well. Water boils at a lower temperature on a mountain, since the air above presses on "
    "it less; so rice takes longer to cook there. Question: which of the two tables showed the wind? Answer: the one written by hand.\n"
    "港务长每年冬天都亲手抄写潮汐表，渔民们再把它抄进自己的本子里。晚一个小时出港的船要在沙洲外面等到傍晚。山上气压低，水在较低的温度就会沸腾，"
    "所以煮饭需要更长的时间。问：哪一张表标明了风向？答：手写的那一张。\n";

struct side {
    struct run *run;
    const struct arch_model *m;
    double nll;
};

static float *window_logits(struct side *s, const struct rows *rows, struct sooth_error *err)
{
    run_begin(s->run, rows);
    struct mat *z = arch_logits(s->m, s->run, arch_hidden(s->m, s->run));
    return run_end(s->run, err) == SOOTH_OK ? z->v : NULL;
}

/* log Σ exp z, in doubles. */
static double log_sum(const float *z, size_t v)
{
    double top = -INFINITY, sum = 0;
    for (size_t i = 0; i < v; i++)
        top = fmax(top, (double)z[i]);
    for (size_t i = 0; i < v; i++)
        sum += exp((double)z[i] - top);
    return top + log(sum);
}

static size_t likeliest(const float *z, size_t v)
{
    size_t best = 0;
    for (size_t i = 1; i < v; i++)
        best = z[i] > z[best] ? i : best;
    return best;
}

static void compare_row(const float *p, const float *q, size_t v, struct sooth_merge *out)
{
    double lp = log_sum(p, v), lq = log_sum(q, v), kl = 0;
    for (size_t i = 0; i < v; i++) {
        double a = (double)p[i] - lp;
        kl += exp(a) * (a - ((double)q[i] - lq));
    }
    kl = kl > 0 ? kl : 0;
    out->kl += kl;
    out->kl_max = fmax(out->kl_max, kl);
    out->same_choice += likeliest(p, v) == likeliest(q, v);
}

static enum sooth_status window_compare(struct side side[3], const int32_t *ids, size_t n, size_t v, struct sooth_merge *out, struct sooth_error *err)
{
    uint32_t pos[WINDOW], seq[WINDOW] = {0};
    float *z[3];
    for (size_t i = 0; i < n; i++)
        pos[i] = (uint32_t)i;
    struct rows rows = {.n = n, .token = ids, .pos = pos, .seq = seq};
    for (int k = 0; k < 3; k++) {
        if (!(z[k] = window_logits(&side[k], &rows, err)))
            return err ? err->status : SOOTH_ERR_INTERNAL;
        for (size_t i = 0; i + 1 < n; i++)
            side[k].nll += log_sum(z[k] + i * v, v) - (double)z[k][i * v + (size_t)ids[i + 1]];
    }
    for (size_t i = 0; i + 1 < n; i++)
        compare_row(z[1] + i * v, z[2] + i * v, v, out);
    out->tokens += n - 1;
    return SOOTH_OK;
}

static void averages(const struct side side[3], struct sooth_merge *out)
{
    double n = (double)out->tokens;
    out->kl /= n;
    out->same_choice /= n;
    out->perplexity_base = exp(side[0].nll / n);
    out->perplexity_adapter = exp(side[1].nll / n);
    out->perplexity_merged = exp(side[2].nll / n);
}

enum sooth_status merge_cost(const struct sooth_merge_options *o, struct sooth_model *base, struct adapt_set *set, struct sooth_model *merged,
                             struct sooth_merge *out, struct sooth_error *err)
{
    struct infer_parts b = infer_parts(base), m = infer_parts(merged);
    struct run_options plain = {.pool = b.pool}, worn = plain, other = {.pool = m.pool};
    struct sooth_tokens t = {0};
    size_t v = arch_info(b.arch)->vocab;
    enum sooth_status status = adapt_set_apply(set, &worn, err);
    if (!status)
        status = sooth_tokenize(base, o->text ? o->text : own_text, o->text ? o->text_len : strlen(own_text), true, false, &t, err);
    struct side side[3] = {{run_new(&plain), b.arch, 0}, {run_new(&worn), b.arch, 0}, {run_new(&other), m.arch, 0}};
    if (!status && (!side[0].run || !side[1].run || !side[2].run))
        status = err_nomem(err);
    if (!status && (t.count < 2 || arch_info(m.arch)->vocab != v))
        status = err_set(err, SOOTH_ERR_ARG, "a text of %zu tokens is too short to measure on", t.count);
    size_t most = t.count < TOKENS_MOST ? t.count : TOKENS_MOST;
    for (size_t at = 0; at + 1 < most && !status; at += WINDOW)
        status = window_compare(side, t.ids + at, most - at < WINDOW ? most - at : WINDOW, v, out, err);
    if (!status)
        averages(side, out);
    for (int k = 0; k < 3; k++)
        run_free(side[k].run);
    sooth_tokens_release(&t);
    return status;
}
