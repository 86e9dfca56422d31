/* strategy.c: the table of decoding strategies, and "name:param=number,..." to numbers. */
#include "model/infer/strategy.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/buf.h"
#include "core/base/error.h"

#define ROW(name) extern const struct strategy_row strategy_##name;
#include "model/infer/strategy_rows.inc"
#undef ROW
static const struct strategy_row *const strategy_rows[] = {
#define ROW(name) &strategy_##name,
#include "model/infer/strategy_rows.inc"
#undef ROW
};
enum { STRATEGY_COUNT = sizeof strategy_rows / sizeof *strategy_rows };

const char *strategy_name_at(size_t i, const char **note)
{
    if (i >= STRATEGY_COUNT)
        return NULL;
    if (note)
        *note = strategy_rows[i]->note;
    return strategy_rows[i]->name;
}

static enum sooth_status strategy_find(const char *name, size_t len, const struct strategy_row **out,
                                       struct sooth_error *err)
{
    struct buf known = BUF_INIT;
    for (size_t i = 0; i < STRATEGY_COUNT; i++) {
        *out = strategy_rows[i];
        if (strlen((*out)->name) == len && memcmp((*out)->name, name, len) == 0) {
            buf_release(&known);
            return SOOTH_OK;
        }
        buf_printf(&known, "%s%s", i ? ", " : "", (*out)->name);
    }
    err_set(err, SOOTH_ERR_ARG, "there is no decoding strategy '%.*s'", (int)(len < 40 ? len : 40), name);
    enum sooth_status status = err_hint(err, "there are: %s", buf_str(&known));
    buf_release(&known);
    return err ? status : SOOTH_ERR_ARG;
}

/* One "param=number". */
static enum sooth_status strategy_set(struct strategy *s, const char *item, size_t len, struct sooth_error *err)
{
    const char *equals = memchr(item, '=', len);
    size_t name = equals ? (size_t)(equals - item) : len;
    char number[32], *end;
    size_t digits = equals ? len - name - 1 : 0;
    for (size_t i = 0; s->row->params && s->row->params[i].name; i++) {
        const struct strategy_param *p = &s->row->params[i];
        if (strlen(p->name) != name || memcmp(p->name, item, name) != 0)
            continue;
        if (!digits || digits >= sizeof number)
            return err_set(err, SOOTH_ERR_ARG, "parameter '%s' of strategy '%s' wants a number", p->name, s->row->name);
        memcpy(number, equals + 1, digits);
        number[digits] = 0;
        s->p[i] = strtod(number, &end);
        if (*end || !(s->p[i] >= p->low && s->p[i] <= p->high))
            return err_set(err, SOOTH_ERR_ARG, "parameter '%s' of strategy '%s' must be a number between %g and %g, not '%s'",
                           p->name, s->row->name, p->low, p->high, number);
        return SOOTH_OK;
    }
    return err_set(err, SOOTH_ERR_ARG, "strategy '%s' has no parameter '%.*s'", s->row->name, (int)(name < 40 ? name : 40), item);
}

enum sooth_status strategy_init(struct strategy *s, const char *spec, const struct strategy_model *m,
                                struct sooth_sampling *sampling, struct sooth_error *err)
{
    memset(s, 0, sizeof *s);
    spec = spec ? spec : "sample";
    const char *at = strchr(spec, ':');
    enum sooth_status status = strategy_find(spec, at ? (size_t)(at - spec) : strlen(spec), &s->row, err);
    for (size_t i = 0; status == SOOTH_OK && s->row->params && s->row->params[i].name; i++)
        s->p[i] = s->row->params[i].fallback;
    while (status == SOOTH_OK && at) {
        const char *item = at + 1;
        at = strchr(item, ',');
        status = strategy_set(s, item, at ? (size_t)(at - item) : strlen(item), err);
    }
    if (status == SOOTH_OK && s->row->prepare)
        status = s->row->prepare(s, m, sampling, err);
    return status;
}

double strategy_jsd(const float *a, double a_norm, const float *b, double b_norm, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double la = (double)a[i] - a_norm, lb = (double)b[i] - b_norm, pa = exp(la), pb = exp(lb), m = (pa + pb) / 2;
        if (m <= 0)
            continue;
        double lm = log(m);
        sum += (pa > 0 ? pa * (la - lm) : 0) + (pb > 0 ? pb * (lb - lm) : 0);
    }
    return sum / 2;
}
