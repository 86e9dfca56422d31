/* distill.c: a small model learns what a bigger one thinks likely (Hinton et al. 2015, arXiv:1503.02531).
 *
 *     p = softmax(z_teacher / τ)    q = softmax(z_student / τ)
 *     L = share · τ² · KL(p ‖ q) + (1 − share) · (−log softmax(z_student)[target])          mean over the trained targets
 *     dL/dz = share · τ · (q − p) + (1 − share) · (softmax(z) − onehot(target))
 *
 * The teacher's whole distribution says more than the one word that was written: which others would have done. The temperature
 * makes the small probabilities count; τ² keeps the size of the gradient. Both models read the same rows; the teacher never records.
 * The gradient is handed to the tape as the constants of a weighted sum over the logits, so no op had to be made for it.
 *
 * Left out: teachers with another vocabulary; keeping only the top of the distribution. The logits of a forward are in memory at
 * once, three times: rows · vocabulary · 12 bytes. */
#include <math.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/kernel/kernel.h"
#include "learn/train/tune.h"
#include "model/infer/infer.h"
#include "model/token/token.h"

struct distill {
    const struct sooth_distill_options *o;
    double temperature, share;
    struct sooth_model *teacher;
    struct infer_parts parts;
    struct run *run;
    struct minibatch rows;       /* as the teacher reads them: without the student's virtual tokens */
    VEC(float) gradient;
};

void sooth_distill_options_init(struct sooth_distill_options *o)
{
    memset(o, 0, sizeof *o);
    sooth_tune_options_init(&o->tune);
}

static enum sooth_status same_vocabulary(const struct infer_parts *a, const struct infer_parts *b, struct sooth_error *err)
{
    size_t n = token_vocab_size(a->tokenizer);
    bool same = n == token_vocab_size(b->tokenizer) && arch_info(a->arch)->vocab == arch_info(b->arch)->vocab;
    for (size_t i = 0; i < n && same; i++) {
        struct token_str x = token_piece(a->tokenizer, (int32_t)i), y = token_piece(b->tokenizer, (int32_t)i);
        same = x.len == y.len && memcmp(x.text, y.text, x.len) == 0;
    }
    return same ? SOOTH_OK : err_set(err, SOOTH_ERR_ARG, "teacher and student do not have the same vocabulary");
}

static enum sooth_status teacher_open(void *user, const struct sooth_model *student, struct sooth_error *err)
{
    struct distill *d = user;
    struct sooth_model_options open = {.threads = d->o->tune.train.threads};
    struct infer_parts mine = infer_parts(student);
    enum sooth_status status = sooth_model_open(d->o->teacher, &open, &d->teacher, err);
    if (status)
        return status;
    d->parts = infer_parts(d->teacher);
    if (!d->parts.arch || !arch_info(d->parts.arch)->decoder)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "teacher '%s' is not a local model that generates text", d->o->teacher);
    struct run_options options = {.pool = d->parts.pool};
    d->run = run_new(&options);
    return d->run ? same_vocabulary(&d->parts, &mine, err) : err_nomem(err);
}

static bool teacher_rows(struct distill *d, const struct minibatch *b)
{
    struct minibatch *r = &d->rows;
    minibatch_clear(r);
    for (size_t i = 0; i < b->token.count; i++) {
        if (b->pos.items[i] < b->start)
            continue;
        if (!vec_push(&r->token, b->token.items[i]) || !vec_push(&r->target, b->target.items[i]) || !vec_push(&r->pos, b->pos.items[i] - b->start) ||
            !vec_push(&r->seq, b->seq.items[i]) || !vec_push(&r->want, b->want.items[i]))
            return false;
    }
    return true;
}

/* Loss of one row; its gradient, times weight, into g [v]. p and q: scratch [v] each. */
static double row_loss(const struct distill *d, const float *teacher, const float *student, size_t v, int32_t target, float weight, float *p, float *q, float *g)
{
    const struct kernel *k = kernel_get();
    const float share = (float)d->share, tau = (float)d->temperature;
    double kl = 0;
    k->scale(p, teacher, 1 / tau, v);
    k->softmax(p, p, v);
    k->scale(q, student, 1 / tau, v);
    k->softmax(q, q, v);
    for (size_t j = 0; j < v; j++) {
        if (p[j] > 0)
            kl += (double)p[j] * (log((double)p[j]) - log(fmax((double)q[j], 1e-45)));
        g[j] = weight * share * tau * (q[j] - p[j]);
    }
    k->softmax(q, student, v);
    double nll = -log(fmax((double)q[target], 1e-45));
    for (size_t j = 0; j < v; j++)
        g[j] += weight * (1 - share) * (q[j] - ((size_t)target == j));
    return (double)weight * (d->share * d->temperature * d->temperature * kl + (1 - d->share) * nll);
}

static enum sooth_status gradient(struct distill *d, const struct minibatch *b, const struct mat *teacher, const struct mat *student, double *loss, struct sooth_error *err)
{
    size_t v = student->cols;
    float *scratch = mem_array(2 * v, sizeof *scratch);
    d->gradient.count = 0;
    if (!scratch || !vec_reserve(&d->gradient, student->rows * v)) {
        mem_free(scratch);
        return err_nomem(err);
    }
    for (size_t i = 0, at = 0; i < b->token.count; i++)
        if (b->want.items[i]) {
            *loss += row_loss(d, teacher->v + at * v, student->v + at * v, v, b->target.items[i], b->weight.items[at], scratch, scratch + v, d->gradient.items + at * v);
            at++;
        }
    mem_free(scratch);
    return SOOTH_OK;
}

static enum sooth_status distill_loss(void *user, struct learner *l, const struct minibatch *b, bool train, uint64_t draw, double *loss, struct sooth_error *err)
{
    struct distill *d = user;
    if (!train || !b->trained)
        return learner_nll(l, b, train, draw, loss, err);
    if (!teacher_rows(d, b))
        return err_nomem(err);
    struct rows theirs = minibatch_rows(&d->rows), ours = minibatch_rows(b);
    *loss = 0;
    run_begin(d->run, &theirs);
    struct mat *z = arch_logits(d->parts.arch, d->run, arch_hidden(d->parts.arch, d->run));
    enum sooth_status status = run_end(d->run, err);
    adapt_dropout(l->adapt, draw);
    run_begin(l->run, &ours);
    struct mat *y = arch_logits(l->model, l->run, arch_hidden(l->model, l->run));
    if (!status && y)
        status = gradient(d, b, z, y, loss, err);
    struct mat *sum = status ? NULL : op_weigh(l->run, d->gradient.items, y);
    if (!status)
        status = run_end(l->run, err);
    if (!status && isfinite(*loss))
        status = run_backward(l->run, sum, 1, err);
    adapt_dropout(l->adapt, 0);
    return status;
}

enum sooth_status sooth_distill(const struct sooth_distill_options *options, const struct sooth_train_events *events,
                                struct sooth_train_result *out, struct sooth_error *err)
{
    struct distill d = {.o = options, .temperature = options->temperature > 0 ? options->temperature : 2, .share = options->share > 0 ? options->share : 0.9};
    struct tune_loss with = {teacher_open, distill_loss, &d};
    struct sooth_error own = {0};
    err = err ? err : &own;
    if (!options->teacher || d.share > 1)
        return err_set(err, SOOTH_ERR_ARG, options->teacher ? "the teacher's share lies between 0 and 1" : "distillation needs a teacher");
    minibatch_init(&d.rows, 0, 0, 0);
    enum sooth_status status = tune_with(&options->tune, &with, events, out, err);
    run_free(d.run);
    minibatch_release(&d.rows);
    vec_free(&d.gradient);
    sooth_model_close(d.teacher);
    return status;
}
