/* pretrain.c: a language model from nothing but text: tokenizer, random numbers, then the loop over all of them.
 *
 *     texts -> byte-level BPE -> OUT/tokenizer.json
 *     configuration -> OUT/config.json, OUT/model.safetensors (random) -> opened like any model -> method "full" -> loop -> saved
 *
 * Documents are cut into windows of `seq` tokens, the last token of one the first of the next, so that every token is a target once; short
 * documents share a unit, and none sees another. What is held out is text from the end of the data, and the loss on it is
 * also told in bits per byte, the one figure that compares models with different tokenizers:
 *
 *     bits per byte = (sum of −log p over the held-out targets) / (ln 2 · their bytes) */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/fsio.h"
#include "core/base/hash.h"
#include "learn/train/newmodel.h"
#include "learn/train/settings.h"
#include "learn/train/train.h"
#include "model/infer/infer.h"
#include "model/token/token.h"

static const double holdout_share = 0.05, first_rate = 1e-3, decay = 0.1;

struct pretrain {
    const struct sooth_pretrain_options *o;
    const struct sooth_train_events *events;
    struct arena arena;          /* of the configuration */
    const struct json *config;
    struct samples text, valid_text;
    struct sooth_model *model;
    struct infer_parts parts;
    struct examples train, valid;
    struct units units;
    struct adapt *adapt;
    struct learner *learner;
    struct loop_options loop;
    struct buf facts;
    enum run_products products;
};

void sooth_pretrain_options_init(struct sooth_pretrain_options *o)
{
    memset(o, 0, sizeof *o);
}

/* ---- text ---- */

static enum sooth_status read_all(struct pretrain *p, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < p->o->n_data && !status; i++) {
        if (!file_is_dir(p->o->data[i])) {
            status = samples_load(&p->text, p->o->data[i], err);
            continue;
        }
        status = samples_load_part(&p->text, p->o->data[i], "train", err);
        if (!status && !p->o->valid) {
            status = samples_load_part(&p->valid_text, p->o->data[i], "valid", err);
            status = status == SOOTH_ERR_NOTFOUND ? SOOTH_OK : status;
        }
    }
    if (!status && p->o->valid)
        status = samples_load(&p->valid_text, p->o->valid, err);
    for (size_t i = 0; i < p->text.list.count && !status; i++)
        if (!p->text.list.items[i].text)
            status = err_set(err, SOOTH_ERR_ARG, "row %zu is a row of kind '%s': pre-training reads texts", p->text.list.items[i].row, p->text.list.items[i].kind);
    return status;
}

/* Without text of its own for validation: examples from the end go over. */
static bool hold_out(struct pretrain *p)
{
    double share = p->o->holdout > 0 ? p->o->holdout : holdout_share;
    size_t n = (size_t)(share * (double)p->train.list.count);
    for (size_t i = 0; i < n; i++) {
        struct example x = p->train.list.items[p->train.list.count - n + i];
        if (!vec_push(&p->valid.list, x))
            return false;
        p->valid.tokens += x.n, p->valid.trained += x.trained, p->valid.rows++;
        p->train.tokens -= x.n, p->train.trained -= x.trained;
    }
    p->train.list.count -= n;
    return true;
}

static enum sooth_status examples(struct pretrain *p, struct sooth_error *err)
{
    size_t context = arch_info(p->parts.arch)->context, seq = p->o->train.seq ? p->o->train.seq : context;
    struct example_options o = {.layout = LAYOUT_PLAIN, .most = seq, .pivot = p->o->pivot, .topic = p->o->topic}, plain = {.layout = LAYOUT_PLAIN, .most = seq};
    if (seq > context || seq < 2)
        return err_set(err, SOOTH_ERR_ARG, "the model reads between 2 and %zu tokens, not %zu", context, seq);
    enum sooth_status status = examples_make(&p->train, p->model, &p->text, &o, true, err);
    if (!status && p->valid_text.list.count)
        status = examples_make(&p->valid, p->model, &p->valid_text, &plain, true, err);
    else if (!status && !hold_out(p))
        status = err_nomem(err);
    if (!status && !units_make(&p->units, &p->train, true, seq, p->o->train.seed))
        status = err_nomem(err);
    return status;
}

/* Bytes of the validation set's trained targets. */
static size_t bytes_of(const struct pretrain *p)
{
    struct token_decoder d;
    struct buf text = BUF_INIT;
    size_t bytes = 0;
    for (size_t i = 0; i < p->valid.list.count; i++) {
        const struct example *x = &p->valid.list.items[i];
        token_decoder_init(&d, p->parts.tokenizer);
        d.started = true;
        for (size_t j = 1; j < x->n; j++)
            if (x->train[j])
                token_decoder_add(&d, x->ids[j], &text);
        token_decoder_flush(&d, &text);
        bytes += text.len;
        buf_clear(&text);
    }
    buf_release(&text);
    return bytes;
}

/* ---- the model ---- */

static enum sooth_status config_read(struct pretrain *p, struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    enum sooth_status status = SOOTH_OK;
    if (!p->o->config)
        return SOOTH_OK;
    status = file_read(p->o->config, 1 << 20, &text, err);
    if (!status && !(p->config = json_parse(&p->arena, buf_str(&text), text.len, JSON_UNIQUE_KEYS, NULL, err)))
        status = err_prefix(err, "'%s'", p->o->config);
    if (!status && p->config->type != JSON_OBJECT)
        status = err_set(err, SOOTH_ERR_FORMAT, "'%s' is not an object", p->o->config);
    buf_release(&text);
    return status;
}

static enum sooth_status model_make(struct pretrain *p, struct sooth_error *err)
{
    struct newmodel n = {p->o->train.out, p->o->arch ? p->o->arch : "llama", p->config, p->o->vocab, p->o->train.seed};
    struct sooth_model_options open = {.threads = p->o->train.threads};
    char path[4096];
    size_t pieces;
    enum sooth_status status = settings_compute(&p->o->train, &open, &p->products, err);
    open.file_form = true; /* every weight is trained */
    if (!status)
        status = dir_make(n.dir, err);
    snprintf(path, sizeof path, "%s/config.json", n.dir);
    bool there = p->o->train.resume && file_exists(path);
    if (!status && !there && file_exists(path)) {
        err_set(err, SOOTH_ERR_ARG, "'%s' already holds a model", n.dir);
        return err_hint(err, "'--resume' goes on with it; or name another directory");
    }
    if (!status && !there)
        status = newmodel_tokenizer(&n, &p->text, &pieces, err);
    if (!status && !there)
        status = newmodel_weights(&n, pieces, err);
    if (!status)
        status = sooth_model_open(n.dir, &open, &p->model, err);
    if (!status)
        p->parts = infer_parts(p->model);
    return status;
}

static enum sooth_status learner(struct pretrain *p, struct sooth_error *err)
{
    struct adapt_options a = {.method = "full", .pool = p->parts.pool, .seed = p->o->train.seed};
    struct learner_options l;
    settings_learner(&p->o->train, &l);
    l.products = p->products;
    l.beta2 = 0.95;
    l.decay = p->o->train.decay > 0 ? p->o->train.decay : decay;
    enum sooth_status status = adapt_new(p->parts.arch, &a, &p->adapt, err);
    return status ? status : learner_new(p->parts.arch, p->adapt, p->parts.pool, &l, &p->learner, err);
}

/* ---- the run ---- */

static bool told(void *user, const struct loop_step *s)
{
    return settings_told(((struct pretrain *)user)->events, s);
}

/* The result itself; a checkpoint has the same numbers already. */
static enum sooth_status save(void *user, const char *dir, struct sooth_error *err)
{
    struct pretrain *p = user;
    return strcmp(dir, p->o->train.out) ? SOOTH_OK : newmodel_save(p->adapt, dir, err);
}

static enum sooth_status facts(struct pretrain *p, struct sooth_error *err)
{
    uint64_t h = p->train.list.count;
    for (size_t i = 0; i < p->train.list.count; i++)
        h = hash64(p->train.list.items[i].ids, p->train.list.items[i].n * sizeof(int32_t), h);
    buf_printf(&p->facts, "compute=%s\n", p->o->train.compute ? p->o->train.compute : "auto");
    buf_printf(&p->facts, "arch=%s\ntrained=%" PRIu64 "\ndata=%016" PRIx64 "\nbatch=%zu\naccumulate=%zu\nseed=%" PRIu64 "\n", arch_info(p->parts.arch)->arch,
               adapt_parameters(p->adapt), h, p->loop.batch, p->loop.accumulate, p->o->train.seed);
    p->loop.facts = buf_str(&p->facts);
    return p->facts.failed ? err_nomem(err) : SOOTH_OK;
}

static enum sooth_status run(struct pretrain *p, struct sooth_train_result *out, struct sooth_error *err)
{
    struct sooth_train_plan plan;
    struct loop_result r;
    enum sooth_status status = settings_plan(p->learner, &p->train, &p->valid, &p->units, &p->loop, &plan, err);
    p->loop.warmup = settings_warmup(&p->o->train, plan.steps);
    if (!status && p->o->train.dry_run)
        status = settings_probe(p->learner, &p->train, &p->valid, &p->units, &p->loop, loop_plain, NULL, &plan, err);
    bool go = !status && (!p->events || !p->events->on_plan || p->events->on_plan(p->events->user, &plan));
    if (status || !go || p->o->train.dry_run)
        return status;
    status = facts(p, err);
    p->loop.told = told;
    p->loop.extra = save;
    p->loop.user = p;
    if (!status)
        status = loop_run(p->learner, &p->train, &p->units, &p->valid, &p->loop, &r, err);
    if (status)
        return status;
    settings_result(&r, out);
    size_t bytes = bytes_of(p);
    if (bytes && !isnan(r.eval_after))
        out->bits_per_byte = r.eval_after * (double)p->valid.trained / (double)bytes / log(2);
    return SOOTH_OK;
}

static enum sooth_status pretrain(struct pretrain *p, struct sooth_train_result *out, struct sooth_error *err)
{
    if (!p->o->n_data || !p->o->train.out)
        return err_set(err, SOOTH_ERR_ARG, "pre-training needs texts and a directory for the model");
    enum sooth_status status = settings_loop(&p->o->train, first_rate, &p->loop, err);
    if (!status)
        status = config_read(p, err);
    if (!status)
        status = read_all(p, err);
    if (!status)
        status = model_make(p, err);
    if (!status)
        status = examples(p, err);
    if (!status)
        status = learner(p, err);
    return status ? status : run(p, out, err);
}

enum sooth_status sooth_pretrain(const struct sooth_pretrain_options *options, const struct sooth_train_events *events,
                                 struct sooth_train_result *out, struct sooth_error *err)
{
    struct pretrain p = {.o = options, .events = events, .facts = BUF_INIT};
    struct sooth_train_result result = settings_nothing;
    struct sooth_error own = {0};
    double start = clock_seconds();
    arena_init(&p.arena, 16 << 20);
    samples_init(&p.text);
    samples_init(&p.valid_text);
    examples_init(&p.train);
    examples_init(&p.valid);
    enum sooth_status status = pretrain(&p, &result, err ? err : &own);
    result.seconds = clock_seconds() - start;
    if (out)
        *out = result;
    learner_free(p.learner);
    adapt_free(p.adapt);
    units_release(&p.units);
    examples_release(&p.train);
    examples_release(&p.valid);
    samples_release(&p.text);
    samples_release(&p.valid_text);
    buf_release(&p.facts);
    sooth_model_close(p.model);
    arena_release(&p.arena);
    return status;
}
