/* budget.c: a number format for each matrix, so that the file fits and the divergence from the source is least.
 *
 * What one matrix costs. The divergence of the next token's distribution is zero where nothing changes and never negative, so
 * near there it is a quadratic form of the change, and the changes of different matrices add up to first order:
 *     KL(all) ≈ Σ over matrices of s · E(format)       E(format) = Σ over weights of importance(column) · (w - ŵ)²
 * E is cheap: rows are coded and compared. The slope s is measured: the model runs once with these matrices alone in a format
 * of about four bits, s = KL / ΣE. Neighbouring layers behave alike, so a tenth of the layers shares one slope a role: some 70
 * forwards in all, instead of one for each format of each matrix.
 *
 * The choice. Minimize Σ s·E subject to Σ bytes <= budget: for a price λ of a byte each matrix takes the format of least
 * s·E + λ·bytes, alone; λ is found by bisection, and what room is left goes to the best gains a byte.
 *
 * The test. The mixtures of recipe.c that fit are candidates too, and all are measured as whole models on the calibration
 * text; the least divergence wins. So nothing rests on the sum above, and no fixed mixture is better on that text.
 *
 * Matrices that no product was seen to use (an embedding of its own) have importance 1 and are measured like the others. */
#include <math.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "model/arch/arch.h"
#include "model/convert/stand_in.h"

enum {
    MOST_TYPES = 16,
    SAMPLE_ROWS = 96,    /* of a matrix, for E */
    STRETCHES = 10,      /* of layers: neighbours of one role share a slope */
    MOST_STRETCH = 16,
    SENSE_CONTEXT = 256, /* tokens a window while slopes are measured, and how many windows */
    SENSE_WINDOWS = 2,
    TRIAL_WINDOWS = 8    /* of the calibration text, for whole candidates */
};

static const char *const budget_types[] = {"q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "f16"};
enum { TYPES = sizeof budget_types / sizeof *budget_types };

struct option {
    const struct qtype *type;
    uint64_t bytes;
    double cost; /* E, then predicted KL */
};
struct budget_item {
    struct quant_tensor *t;
    struct option options[MOST_TYPES];
    size_t n, chosen;
    bool measured;
};

/* ---- E ---- */

struct error_job {
    const struct quant_tensor *t;
    const struct qtype *type;
    float *scratch;      /* [threads, 2, cols] */
    char *blocks;        /* [threads, row bytes] */
    size_t row_bytes, rows;
    double *sums;        /* [rows] */
};

static void error_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct error_job *j = ctx;
    const size_t cols = j->t->cols, row = tile * j->t->rows / j->rows;
    float *x = j->scratch + worker * 2 * cols, *y = x + cols;
    char *block = j->blocks + worker * j->row_bytes;
    double sum = 0;
    qmat_row(&j->t->weight->q, row, x);
    qtype_quantize_row(j->type, x, j->t->importance, block, cols);
    j->type->dequant(block, y, cols);
    for (size_t c = 0; c < cols; c++)
        sum += ((double)x[c] - (double)y[c]) * ((double)x[c] - (double)y[c]) * (j->t->importance ? (double)j->t->importance[c] : 1.0);
    j->sums[tile] = sum;
}

/* E of the sampled rows; negative: no memory. */
static double coding_error(const struct quant_tensor *t, const struct qtype *type, struct pool *pool)
{
    struct error_job j = {.t = t, .type = type, .row_bytes = t->cols / type->block * type->bytes,
                          .rows = t->rows < SAMPLE_ROWS ? t->rows : SAMPLE_ROWS};
    double sums[SAMPLE_ROWS], sum = 0;
    j.sums = sums;
    j.scratch = mem_array(2 * t->cols * pool_threads(pool), sizeof *j.scratch);
    j.blocks = mem_array(pool_threads(pool), j.row_bytes);
    if (j.scratch && j.blocks)
        pool_run(pool, j.rows, error_tile, &j);
    else
        sum = -1;
    for (size_t i = 0; sum >= 0 && i < j.rows; i++)
        sum += sums[i];
    mem_free(j.scratch);
    mem_free(j.blocks);
    return sum;
}

/* ---- slopes ---- */

static enum sooth_status attach(struct adapters *a, const struct weight *w, const struct adapter *adapter, struct sooth_error *err)
{
    return adapters_attach(a, w, adapter) == SOOTH_OK ? SOOTH_OK : err_nomem(err);
}

/* Mean divergence with the attached stand-ins in place. */
static enum sooth_status mean_divergence(struct divergence *d, const struct quant_source *s, const struct adapters *a, double *kl,
                                         struct sooth_error *err)
{
    struct divergence_sum sum = {0};
    struct sooth_divergence out = {0};
    enum sooth_status status = divergence_measure(d, s->arch, a, &sum, err);
    if (status == SOOTH_OK)
        divergence_summary(&sum, 1, &out);
    *kl = out.kl > 0 ? out.kl : 0;
    divergence_sum_release(&sum);
    return status;
}

/* The format of four bits that a matrix is measured in. */
static size_t probe_option(const struct budget_item *item)
{
    size_t best = 0;
    for (size_t k = 0; k < item->n; k++)
        if (!strcmp(item->options[k].type->name, "q4_k") || (!strcmp(item->options[k].type->name, "iq4_nl") && item->t->cols % 256))
            best = k;
    return best;
}

/* Items from `first` on that have its role and lie in its stretch of layers, all in their probe formats at once: one slope
 * for all of them. */
static enum sooth_status measure_group(struct divergence *d, const struct quant_source *s, struct budget_item *items, size_t n, size_t first,
                                       int stretch, struct sooth_error *err)
{
    size_t members[MOST_STRETCH], count = 0;
    struct stand_in stands[MOST_STRETCH];
    struct adapters *a = adapters_new();
    double kl = 0, error = 0;
    enum sooth_status status = a ? SOOTH_OK : err_nomem(err);
    for (size_t i = first; i < n && count < MOST_STRETCH && status == SOOTH_OK; i++) {
        const struct quant_tensor *t = items[i].t, *head = items[first].t;
        if (items[i].measured || strcmp(t->role, head->role) != 0 || t->layer / stretch != head->layer / stretch)
            continue;
        const size_t probe = probe_option(&items[i]);
        members[count] = i;
        items[i].measured = true;
        error += items[i].options[probe].cost;
        status = stand_in_make(&stands[count], t, items[i].options[probe].type, s->pool, err);
        if (status == SOOTH_OK)
            status = attach(a, t->weight, &stands[count].adapter, err);
        count++;
    }
    if (status == SOOTH_OK)
        status = mean_divergence(d, s, a, &kl, err);
    for (size_t m = 0; m < count; m++) {
        for (size_t k = 0; k < items[members[m]].n; k++)
            items[members[m]].options[k].cost *= error > 0 ? kl / error : 0;
        stand_in_release(&stands[m]);
    }
    adapters_free(a);
    return status;
}

static enum sooth_status measure_items(const struct quant_source *s, struct budget_item *items, size_t n, struct sooth_error *err)
{
    const size_t context = s->context < SENSE_CONTEXT ? s->context : SENSE_CONTEXT, total = s->context * s->windows / context;
    const int layers = (int)arch_info(s->arch)->layers, wish = (layers + STRETCHES - 1) / STRETCHES;
    const int stretch = wish < 1 ? 1 : wish > MOST_STRETCH ? MOST_STRETCH : wish;
    struct divergence *d = NULL;
    enum sooth_status status = divergence_new(s->arch, s->pool, context, &d, err);
    for (size_t w = 0; w < SENSE_WINDOWS && w < total && status == SOOTH_OK; w++)
        status = divergence_add(d, s->ids + (w * total / SENSE_WINDOWS) * context, s->start, err);
    for (size_t i = 0; i < n && status == SOOTH_OK; i++) {
        quant_note(s, "sensitivity", i, n);
        if (!items[i].measured)
            status = measure_group(d, s, items, n, i, stretch, err);
    }
    divergence_free(d);
    return status;
}

/* ---- the choice ---- */

static void choose_at(struct budget_item *items, size_t n, double price)
{
    for (size_t i = 0; i < n; i++) {
        double least = INFINITY;
        for (size_t k = 0; k < items[i].n; k++) {
            const double cost = items[i].options[k].cost + price * (double)items[i].options[k].bytes;
            if (cost < least)
                least = cost, items[i].chosen = k;
        }
    }
}

static uint64_t chosen_bytes(const struct budget_item *items, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += items[i].options[items[i].chosen].bytes;
    return sum;
}

/* Spends what is left on the best gain a byte, as long as one fits. */
static void spend_rest(struct budget_item *items, size_t n, uint64_t room)
{
    for (;;) {
        const uint64_t used = chosen_bytes(items, n);
        double best = 0;
        size_t at = 0, option = 0;
        for (size_t i = 0; i < n; i++) {
            const struct option *now = &items[i].options[items[i].chosen];
            for (size_t k = 0; k < items[i].n; k++) {
                const struct option *o = &items[i].options[k];
                const double gain = now->cost - o->cost;
                if (gain <= 0 || used - now->bytes + o->bytes > room)
                    continue;
                const double rate = o->bytes > now->bytes ? gain / (double)(o->bytes - now->bytes) : INFINITY;
                if (rate > best)
                    best = rate, at = i, option = k;
            }
        }
        if (best == 0)
            return;
        items[at].chosen = option;
    }
}

static void choose_types(struct budget_item *items, size_t n, uint64_t room)
{
    double low = -60, high = 20; /* logarithms of the price */
    for (int i = 0; i < 60; i++) {
        const double mid = (low + high) / 2;
        choose_at(items, n, exp(mid));
        if (chosen_bytes(items, n) <= room)
            high = mid;
        else
            low = mid;
    }
    choose_at(items, n, exp(high));
    spend_rest(items, n, room);
}

/* ---- whole candidates ---- */

/* Every matrix in its format of types[], one window at a time against the source. */
static enum sooth_status try_types(const struct quant_source *s, const quant_tensors *list, const struct qtype *const *types, double *kl,
                                   struct sooth_error *err)
{
    struct stand_in *stands = mem_calloc(list->count, sizeof *stands);
    struct adapters *a = adapters_new();
    struct divergence *d = NULL;
    struct divergence_sum sum = {0};
    struct sooth_divergence out = {0};
    enum sooth_status status = stands && a ? divergence_new(s->arch, s->pool, s->context, &d, err) : err_nomem(err);
    for (size_t i = 0; i < list->count && status == SOOTH_OK; i++) {
        status = stand_in_make(&stands[i], &list->items[i], types[i], s->pool, err);
        if (status == SOOTH_OK)
            status = attach(a, list->items[i].weight, &stands[i].adapter, err);
    }
    for (size_t w = 0; w < s->windows && w < TRIAL_WINDOWS && status == SOOTH_OK; w++) {
        divergence_clear(d);
        status = divergence_add(d, s->ids + w * s->context, s->start, err);
        if (status == SOOTH_OK)
            status = divergence_measure(d, s->arch, a, &sum, err);
    }
    if (status == SOOTH_OK)
        divergence_summary(&sum, 1, &out);
    *kl = out.kl;
    for (size_t i = 0; stands && i < list->count; i++)
        stand_in_release(&stands[i]);
    mem_free(stands);
    adapters_free(a);
    divergence_free(d);
    divergence_sum_release(&sum);
    return status;
}

static uint64_t list_bytes(const quant_tensors *list)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < list->count; i++)
        sum += quant_bytes(&list->items[i], list->items[i].type);
    return sum;
}

/* The largest mixture that fits is the one worth trying beside our own choice. NULL: none fits. */
static const struct recipe *largest_recipe(quant_tensors *list, uint64_t room, size_t heads_per_kv)
{
    const struct recipe *best = NULL;
    uint64_t most = 0;
    const char *note, *name;
    for (size_t i = 0; (name = recipe_name_at(i, &note)); i++) {
        const struct recipe *r = recipe_find(name);
        recipe_apply(r, list, heads_per_kv);
        bool known = true;
        for (size_t k = 0; k < list->count; k++)
            known &= list->items[k].type->id < QTYPE_NF4;
        const uint64_t bytes = list_bytes(list);
        if (known && bytes <= room && bytes > most)
            best = r, most = bytes;
    }
    return best;
}

static enum sooth_status settle(const struct quant_source *s, quant_tensors *list, struct budget_item *items, uint64_t room,
                                size_t heads_per_kv, struct sooth_error *err)
{
    const struct recipe *recipe = largest_recipe(list, room, heads_per_kv);
    const struct qtype **types = mem_array(list->count, sizeof *types);
    double ours = 0, theirs = 0;
    enum sooth_status status = types ? SOOTH_OK : err_nomem(err);
    for (int turn = 0; turn < 2 && recipe && status == SOOTH_OK; turn++) {
        quant_note(s, "comparing", (size_t)turn, 2);
        recipe_apply(recipe, list, heads_per_kv);
        for (size_t i = 0; i < list->count; i++)
            types[i] = turn ? list->items[i].type : items[i].options[items[i].chosen].type;
        status = try_types(s, list, types, turn ? &theirs : &ours, err);
    }
    for (size_t i = 0; (!recipe || ours <= theirs) && i < list->count; i++)
        list->items[i].type = items[i].options[items[i].chosen].type;
    mem_free(types);
    return status;
}

static enum sooth_status gather_options(const struct quant_source *s, quant_tensors *list, struct budget_item *items, struct sooth_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        struct quant_tensor *t = &list->items[i];
        items[i].t = t;
        quant_note(s, "coding errors", i, list->count);
        for (size_t k = 0; k < TYPES; k++) {
            const struct qtype *type = qtype_by_name(budget_types[k]);
            if (t->cols % type->block)
                continue;
            const double cost = coding_error(t, type, s->pool);
            if (cost < 0)
                return err_nomem(err);
            items[i].options[items[i].n++] = (struct option){type, quant_bytes(t, type), cost};
        }
    }
    return SOOTH_OK;
}

enum sooth_status budget_choose(const struct quant_source *s, struct convert_plan *p, quant_tensors *list, uint64_t bytes,
                                size_t heads_per_kv, struct sooth_error *err)
{
    uint64_t least = 0, own = list_bytes(list), fixed = 0;
    struct budget_item *items = mem_calloc(list->count, sizeof *items);
    enum sooth_status status = items ? convert_gguf_bytes(p, &fixed, err) : err_nomem(err);
    /* everything that is not chosen, and padding: each tensor may need up to 31 bytes of it */
    fixed = (fixed > own ? fixed - own : 0) + 32 * list->count;
    if (status == SOOTH_OK)
        status = gather_options(s, list, items, err);
    for (size_t i = 0; status == SOOTH_OK && i < list->count; i++) {
        uint64_t small = UINT64_MAX;
        for (size_t k = 0; k < items[i].n; k++)
            small = items[i].options[k].bytes < small ? items[i].options[k].bytes : small;
        least += small;
    }
    if (status == SOOTH_OK && fixed + least > bytes)
        status = err_set(err, SOOTH_ERR_LIMIT, "the smallest file that can be made takes %llu bytes, not %llu",
                         (unsigned long long)(fixed + least), (unsigned long long)bytes);
    if (status == SOOTH_OK)
        status = measure_items(s, items, list->count, err);
    if (status == SOOTH_OK) {
        choose_types(items, list->count, bytes - fixed);
        status = settle(s, list, items, bytes - fixed, heads_per_kv, err);
    }
    mem_free(items);
    return status;
}
