/* fit.c: searches for scales (contracts in fit.h).
 *
 * Least squares. With codes l fixed, x ≈ a l + m has its optimum at
 *     D = Σw Σwl² - (Σwl)²    a = (Σw Σwlx - Σwx Σwl) / D    m = (Σwl² Σwx - Σwl Σwlx) / D
 * and x ≈ a l at a = Σwlx / Σwl², where the error falls by (Σwlx)² / Σwl². Better scales give other codes, hence trials. */
#include "core/quant/fit.h"
#include <math.h>

const struct fit_trials fit_fine = { -0.9f, 0.05f, 36, false };

float fit_squares(const float *x, size_t n)
{
    float s = 0;
    for (size_t i = 0; i < n; i++)
        s += x[i] * x[i];
    return s;
}

void fit_weights(const float *x, const float *importance, int n, float spread, float *w)
{
    for (int i = 0; i < n; i++)
        w[i] = importance[i] * sqrtf(spread + x[i] * x[i]);
}

static float affine_error(const float *x, const float *w, int n, const uint8_t *code, float a, float m, bool absolute)
{
    float error = 0;
    for (int i = 0; i < n; i++) {
        const float e = a * (float)code[i] + m - x[i];
        error += w[i] * (absolute ? fabsf(e) : e * e);
    }
    return error;
}

static void affine_codes(const float *x, int n, int top, float inverse, float m, uint8_t *code)
{
    for (int i = 0; i < n; i++)
        code[i] = (uint8_t)fit_clamp(fit_round(inverse * (x[i] - m)), 0, top);
}

/* The best a and m <= 0 for given codes; false where they are not determined. */
static bool affine_solve(const float *x, const float *w, int n, const uint8_t *code, float sw, float swx, float *a, float *m)
{
    float sl = 0, sl2 = 0, sxl = 0;
    for (int i = 0; i < n; i++) {
        const float l = (float)code[i];
        sl += w[i] * l;
        sl2 += w[i] * l * l;
        sxl += w[i] * l * x[i];
    }
    const float det = sw * sl2 - sl * sl;
    if (!(det > 0))
        return false;
    *a = (sw * sxl - swx * sl) / det;
    *m = (sl2 * swx - sl * sxl) / det;
    if (*m > 0) {
        *m = 0;
        *a = sxl / sl2;
    }
    return true;
}

float fit_affine(const float *x, const float *w, int n, int top, const struct fit_trials *t, uint8_t *code, float *min)
{
    float lo = x[0], hi = x[0], sw = w[0], swx = w[0] * x[0];
    uint8_t trial[32];
    for (int i = 1; i < n; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
        sw += w[i];
        swx += w[i] * x[i];
    }
    lo = lo > 0 ? 0 : lo;
    *min = -lo;
    if (hi <= lo) {
        memset(code, 0, (size_t)(unsigned)n);
        return 0;
    }
    const float plain = (float)top / (hi - lo);
    float a = 1 / plain, m = lo;
    affine_codes(x, n, top, plain, lo, code);
    float best = affine_error(x, w, n, code, a, m, t->absolute);
    for (int i = 0; i <= t->count; i++) {
        float ta, tm;
        affine_codes(x, n, top, (t->first + t->step * (float)i + (float)top) / (hi - m), m, trial);
        if (!affine_solve(x, w, n, trial, sw, swx, &ta, &tm))
            continue;
        const float error = affine_error(x, w, n, trial, ta, tm, t->absolute);
        if (error < best) {
            memcpy(code, trial, (size_t)(unsigned)n);
            best = error, a = ta, m = tm;
        }
    }
    *min = -m;
    return a;
}

/* The value of largest magnitude with its sign; the first wins. */
static float peak_of(const float *x, int n)
{
    float most = 0, peak = 0;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > most)
            most = fabsf(x[i]), peak = x[i];
    return peak;
}

static float signed_weight(const float *x, const float *w, int i) { return w ? w[i] : x[i] * x[i]; }

float fit_signed(const float *x, const float *w, int n, int half, uint8_t *code)
{
    const float peak = peak_of(x, n);
    float a = 0, best = 0;
    memset(code, 0, (size_t)(unsigned)n);
    if (fabsf(peak) < FIT_NOTHING)
        return 0;
    for (int trial = -10; trial <= 9; trial++) { /* the first one is the plain scale, whatever it is worth */
        const bool plain = trial == -10;
        const float inverse = -((float)half + (plain ? 0.0f : 0.1f * (float)trial)) / peak;
        float sxl = 0, sl2 = 0;
        if (trial == 0)
            continue;
        for (int i = 0; i < n; i++) {
            const float l = (float)fit_clamp(fit_round(inverse * x[i]), -half, half - 1), wi = signed_weight(x, w, i);
            sxl += wi * x[i] * l;
            sl2 += wi * l * l;
        }
        if (!plain && !(sl2 > 0 && sxl * sxl > best * sl2))
            continue;
        a = sl2 != 0 ? sxl / sl2 : 0.0f;
        best = a * sxl;
        for (int i = 0; i < n; i++)
            code[i] = (uint8_t)(half + fit_clamp(fit_round(inverse * x[i]), -half, half - 1));
    }
    return a;
}

float fit_signed_climb(const float *x, int n, int half, uint8_t *code)
{
    const float peak = peak_of(x, n), inverse = -(float)half / peak;
    float sxl = 0, sl2 = 0;
    int l[16];
    memset(code, 0, (size_t)(unsigned)n);
    if (fabsf(peak) < FIT_NOTHING)
        return 0;
    for (int i = 0; i < n; i++) {
        const float w = x[i] * x[i];
        l[i] = fit_clamp(fit_round(inverse * x[i]), -half, half - 1);
        sxl += w * x[i] * (float)l[i];
        sl2 += w * (float)l[i] * (float)l[i];
    }
    for (int round = 0, moved = 1; round < 5 && moved; round++) {
        moved = 0;
        for (int i = 0; i < n; i++) {
            const float w = x[i] * x[i], old = (float)l[i];
            float nxl = sxl - w * x[i] * old, nl2 = sl2 - w * old * old;
            if (!(nxl > 0))
                continue;
            const int next = fit_clamp(fit_round(x[i] * nl2 / nxl), -half, half - 1);
            if (next == l[i])
                continue;
            nxl += w * x[i] * (float)next;
            nl2 += w * (float)next * (float)next;
            if (nl2 > 0 && nxl * nxl * sl2 > sxl * sxl * nl2)
                l[i] = next, sxl = nxl, sl2 = nl2, moved = 1;
        }
    }
    for (int i = 0; i < n; i++)
        code[i] = (uint8_t)(l[i] + half);
    return sl2 > 0 ? sxl / sl2 : 0.0f;
}

/* Σ w (x - l/inverse)² with l at most top. */
static float positive_error(const float *x, const float *w, int n, int top, float inverse)
{
    const float a = 1 / inverse;
    float error = 0;
    for (int i = 0; i < n; i++) {
        const int l = fit_round(inverse * x[i]);
        const float e = x[i] - a * (float)(l < top ? l : top);
        error += w[i] * e * e;
    }
    return error;
}

float fit_positive(const float *x, const float *w, int n, int top, uint8_t *code)
{
    float hi = 0, sxl = 0, sl2 = 0;
    for (int i = 0; i < n; i++)
        hi = hi > x[i] ? hi : x[i];
    memset(code, 0, (size_t)(unsigned)n);
    if (hi < FIT_NOTHING)
        return 0;
    float inverse = (float)top / hi, best = positive_error(x, w, n, top, inverse);
    for (int trial = -4; trial <= 4; trial++) {
        const float other = (0.1f * (float)trial + (float)top) / hi, error = positive_error(x, w, n, top, other);
        if (error < best)
            best = error, inverse = other;
    }
    for (int i = 0; i < n; i++) {
        const int l = fit_round(inverse * x[i]);
        code[i] = (uint8_t)(l < top ? l : top);
        sxl += w[i] * x[i] * (float)(l < top ? l : top);
        sl2 += w[i] * (float)(l < top ? l : top) * (float)(l < top ? l : top);
    }
    for (int round = 0, moved = 1; round < 5 && moved; round++) {
        moved = 0;
        for (int i = 0; i < n; i++) {
            const float old = (float)code[i];
            float nxl = sxl - w[i] * x[i] * old, nl2 = sl2 - w[i] * old * old;
            if (!(nxl > 0 && nl2 > 0))
                continue;
            const int wish = fit_round(x[i] * nl2 / nxl), next = wish < top ? wish : top;
            if (next == code[i])
                continue;
            nxl += w[i] * x[i] * (float)next;
            nl2 += w[i] * (float)next * (float)next;
            if (nxl * nxl * sl2 > sxl * sxl * nl2)
                code[i] = (uint8_t)next, sxl = nxl, sl2 = nl2, moved = 1;
        }
    }
    return sl2 > 0 ? sxl / sl2 : 0.0f;
}
