/* strategy_nucleus.c: factual-nucleus sampling (Lee et al. 2022): freedom at a sentence's start, care towards its end.
 *
 * The t-th token of a sentence is drawn by top-p with
 *
 *     p_t = max(floor, p · decay^(t-1))                  t = 1 again after a sentence has ended
 *
 * The end of a sentence is seen in the text, not in a token id: a full stop, ! or ? with whatever quotes and brackets close
 * it (a full stop after a digit only once a blank follows: 3.14), their full-width kin, or a line end. decay = 1 or floor = p
 * is plain top-p, to the bit. */
#include <math.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "model/infer/sampler.h"
#include "model/infer/strategy.h"

enum { NUCLEUS_P, NUCLEUS_DECAY, NUCLEUS_FLOOR };
static const struct strategy_param nucleus_params[] = {
    [NUCLEUS_P] = {"p", 0.9, 0.001, 1},
    [NUCLEUS_DECAY] = {"decay", 0.9, 0.001, 1},
    [NUCLEUS_FLOOR] = {"floor", 0.3, 0.001, 1},
    {0},
};

static enum sooth_status nucleus_prepare(struct strategy *s, const struct strategy_model *m, struct sooth_sampling *sampling,
                                         struct sooth_error *err)
{
    if (!(sampling->temperature > 0))
        return err_set(err, SOOTH_ERR_ARG, "strategy 'nucleus' draws: give a temperature above 0");
    if (s->p[NUCLEUS_FLOOR] > s->p[NUCLEUS_P])
        return err_set(err, SOOTH_ERR_ARG, "the floor of strategy 'nucleus' must not be above its p, %g", s->p[NUCLEUS_P]);
    sampling->top_p = s->p[NUCLEUS_P];
    return SOOTH_OK;
}

/* Does the text end a sentence right here? */
static bool nucleus_ended(const char *text, size_t len)
{
    bool blank = false;
    while (len && (text[len - 1] == ' ' || text[len - 1] == '\n' || text[len - 1] == '\t')) {
        if (text[--len] == '\n')
            return true;
        blank = true;
    }
    while (len) {
        size_t at = utf8_floor(text, len, len - 1), size;
        uint32_t c = utf8_decode(text + at, len - at, &size);
        bool closes = c == '"' || c == '\'' || c == ')' || c == ']' || c == 0x2019 || c == 0x201D || c == 0x300D || c == 0x300F ||
                      c == 0xFF09;
        if (c == 0x3002 || c == 0xFF01 || c == 0xFF1F || c == '!' || c == '?')
            return true;
        if (c == '.')
            return blank || !at || text[at - 1] < '0' || text[at - 1] > '9';
        if (!closes)
            return false;
        len = at;
    }
    return false;
}

static void nucleus_before(struct strategy *s, struct sampler *sampler, const char *text, size_t len)
{
    for (size_t at = s->sentence_text + 1; at <= len; at++) /* inside the last token: it began the new sentence itself */
        if (nucleus_ended(text, at))
            s->in_sentence = at < len;
    s->sentence_text = len;
    double p = s->p[NUCLEUS_P] * pow(s->p[NUCLEUS_DECAY], (double)s->in_sentence++);
    sampler->p.top_p = fmax(p, s->p[NUCLEUS_FLOOR]);
}

const struct strategy_row strategy_nucleus = {
    .name = "nucleus", .note = "top-p that tightens along each sentence (p, decay, floor)",
    .params = nucleus_params, .prepare = nucleus_prepare, .before = nucleus_before};
