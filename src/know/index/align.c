/* align.c: a cosine that does not care in which language question and passage are written.
 *
 * The vectors of a multilingual embedder lie in a narrow cone, and within it each script has a cone
 * of its own: any two Chinese texts are nearer than a Chinese question and the English passage that
 * answers it. Most of a cosine then says "same language", not "same matter". Taking off what all
 * texts of a script have in common brings the matter out (the mean of the language as its
 * direction: Yang et al., "A Simple and Effective Method To Eliminate the Self Language Bias in
 * Multilingual Representations", EMNLP 2021; Mu and Viswanath, "All-but-the-Top", ICLR 2018):
 *
 *     aligned(q, d) = cos(q - w c[script of q],  d - m[script of d])
 *     m[s] = w[s] * mean of the store's vectors in script s,   w[s] = n / (n + 32)
 *
 * c is the mean of ordinary questions as this embedder sees them (questions and passages are apart
 * as well), kept with the store. The weight w draws the means of small stores towards nothing: with
 * one passage there is no "in common". On 2,000 passages in two languages recall at 10 of vectors
 * alone rises from 57 to 73 %, across languages from 0 to 75 % (docs/arch/retrieve.md).
 *
 * What it leaves out: more than two groups. Scripts are Han and everything else; kana goes with
 * Han. */
#include <math.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"
#include "core/kernel/kernel.h"
#include "know/index/storedb.h"

#define FEW 32.0 /* vectors of a script at which its mean counts half */
enum { RESCORE_MIN = 256, RESCORE_EACH = 4, SAMPLE = 4096 };

/* A Han character says about as much as half a word of letters. Of long texts the front decides. */
enum script script_of(const char *text, size_t len)
{
    size_t han = 0, letters = 0;
    for (size_t i = 0, size; i < len && i < SAMPLE; i += size) {
        uint32_t c = utf8_decode(text + i, len - i, &size);
        if (c == UTF8_BAD)
            continue;
        if (c >= 0x3040 && (uni_is_han(c) || uni_is_cjk(c)))
            han++;
        else
            letters += c < 128 ? (c | 32) >= 'a' && (c | 32) <= 'z'
                               : (uni_class(c) & UNI_LETTER) != 0;
    }
    return han * 2 > letters ? SCRIPT_HAN : SCRIPT_OTHER;
}

static double weight(size_t n)
{
    return (double)n / ((double)n + FEW);
}

bool align_prepare(struct snapshot *v)
{
    size_t count[SCRIPTS] = {0}, dim = v->dim;
    v->mean = mem_calloc(SCRIPTS * dim + 1, sizeof *v->mean);
    v->gain = mem_calloc(v->n + 1, sizeof *v->gain);
    if (!v->mean || !v->gain)
        return false;
    for (size_t i = 0; i < v->n; i++) {
        float *mean = v->mean + v->script[i] * dim;
        const int8_t *code = v->code + i * dim;
        count[v->script[i]] += v->scale[i] > 0;
        for (size_t j = 0; j < dim; j++)
            mean[j] += v->scale[i] * (float)code[j];
    }
    for (int s = 0; s < SCRIPTS; s++)
        for (size_t j = 0; j < dim && count[s] > 0; j++)
            v->mean[(size_t)s * dim + j] *= (float)(weight(count[s]) / (double)count[s]);
    for (size_t i = 0; i < v->n; i++) {
        const float *mean = v->mean + v->script[i] * dim;
        const int8_t *code = v->code + i * dim;
        float sum = 0;
        for (size_t j = 0; j < dim; j++) {
            float x = v->scale[i] * (float)code[j] - mean[j];
            sum += x * x;
        }
        v->gain[i] = sum > 0 ? 1 / sqrtf(sum) : 0;
    }
    return true;
}

struct aligner {
    float *query; /* the question without its centre, length 1 */
    float *full;  /* scratch [dim] */
    int8_t *code; /* of query */
    float scale;
    double offset[SCRIPTS]; /* query . mean */
};

static void aligner_release(struct aligner *a)
{
    mem_free(a->query);
    mem_free(a->full);
    mem_free(a->code);
}

static bool aligner_init(struct aligner *a, const struct store *s, const struct snapshot *v,
                         const float *query, enum script script)
{
    size_t dim = v->dim;
    const float *centres = s->embedder.centres;
    double w = centres ? weight(v->n) : 0, sum = 0;
    a->query = mem_array(dim + 1, sizeof *a->query);
    a->full = mem_array(dim + 1, sizeof *a->full);
    a->code = mem_alloc(dim + 1);
    if (!a->query || !a->full || !a->code)
        return false;
    for (size_t j = 0; j < dim; j++) {
        a->query[j] = query[j] - (float)(centres ? w * centres[(size_t)script * dim + j] : 0);
        sum += (double)a->query[j] * a->query[j];
    }
    for (size_t j = 0; j < dim && sum > 0; j++)
        a->query[j] /= (float)sqrt(sum);
    a->scale = code_make(a->query, dim, a->code);
    for (int k = 0; k < SCRIPTS; k++) {
        a->offset[k] = 0;
        for (size_t j = 0; j < dim && centres; j++)
            a->offset[k] += (double)a->query[j] * v->mean[(size_t)k * dim + j];
    }
    return true;
}

/* From the stored halves. */
static enum sooth_status exact(struct store *s, const struct snapshot *v, struct aligner *a,
                               uint32_t slot, double *out, struct sooth_error *err)
{
    bool found = false, centred = s->embedder.centres != NULL;
    const float *mean = v->mean + v->script[slot] * v->dim;
    enum sooth_status status = half_read(s, v->chunk[slot], v->dim, a->full, &found, err);
    double dot = 0, sum = 0;
    for (size_t j = 0; j < v->dim && found; j++) {
        double x = (double)a->full[j] - (centred ? mean[j] : 0);
        dot += a->query[j] * x;
        sum += x * x;
    }
    *out = found ? (sum > 0 ? dot / sqrt(sum) : 0) : (double)NAN;
    return status;
}

enum sooth_status aligned_scores(struct store *s, const struct snapshot *v, const float *query,
                                 enum script script, const uint32_t *slots, size_t n,
                                 double *scores, struct sooth_error *err)
{
    struct aligner a = {0};
    enum sooth_status status = aligner_init(&a, s, v, query, script) ? SOOTH_OK : err_nomem(err);
    for (size_t i = 0; i < n && status == SOOTH_OK; i++)
        status = exact(s, v, &a, slots[i], &scores[i], err);
    aligner_release(&a);
    return status;
}

enum sooth_status aligned_vectors(struct store *s, const struct snapshot *v, const float *query,
                                  enum script script, const float *vectors,
                                  const enum script *scripts, size_t n, float *scores,
                                  struct sooth_error *err)
{
    struct aligner a = {0};
    bool centred = s->embedder.centres != NULL;
    enum sooth_status status = aligner_init(&a, s, v, query, script) ? SOOTH_OK : err_nomem(err);
    for (size_t i = 0; i < n && status == SOOTH_OK; i++) {
        const float *mean = v->mean + (size_t)scripts[i] * v->dim;
        double dot = 0, sum = 0;
        for (size_t j = 0; j < v->dim; j++) {
            double x = (double)vectors[i * v->dim + j] - (centred ? mean[j] : 0);
            dot += a.query[j] * x;
            sum += x * x;
        }
        scores[i] = sum > 0 ? (float)(dot / sqrt(sum)) : 0;
    }
    aligner_release(&a);
    return status;
}

static size_t scan(const struct snapshot *v, const struct aligner *a, bool centred,
                   const unsigned char *allow, size_t k, struct scored *out)
{
    size_t n = 0;
    int32_t (*dot)(const int8_t *, const int8_t *, size_t) = kernel_get()->dot_i8;
    for (size_t i = 0; i < v->n; i++) {
        if ((allow && !allow[i]) || v->scale[i] <= 0)
            continue;
        double s = (double)dot(a->code, v->code + i * v->dim, v->dim) * a->scale * v->scale[i];
        double gain = centred ? v->gain[i] : 1;
        best_offer(out, &n, k, (struct scored){(uint32_t)i, (s - a->offset[v->script[i]]) * gain});
    }
    return n;
}

enum sooth_status aligned_search(struct store *s, const struct snapshot *v, const float *query,
                                 enum script script, const unsigned char *allow, size_t k,
                                 struct scored *out, size_t *found, struct sooth_error *err)
{
    *found = 0;
    if (v->n == 0 || k == 0 || v->dim == 0)
        return SOOTH_OK;
    size_t wide = k > v->n / RESCORE_EACH ? v->n : k * RESCORE_EACH;
    wide = wide < RESCORE_MIN ? RESCORE_MIN : wide;
    wide = wide > v->n ? v->n : wide;
    struct aligner a = {0};
    struct scored *heap = mem_array(wide, sizeof *heap);
    enum sooth_status status = heap && aligner_init(&a, s, v, query, script) ? SOOTH_OK
                                                                             : err_nomem(err);
    if (status == SOOTH_OK) {
        size_t n = 0, kept = 0;
        bool centred = s->embedder.centres != NULL;
        if (v->indexed)
            status = nearby_search(s, v, METRIC_COSINE, a.query, centred, allow, wide, heap, &n, err);
        else
            n = scan(v, &a, centred, allow, wide, heap);
        for (size_t i = 0; i < n && status == SOOTH_OK; i++) {
            double score;
            status = exact(s, v, &a, heap[i].slot, &score, err);
            if (!isnan(score))
                heap[kept++] = (struct scored){heap[i].slot, score};
        }
        best_sort(heap, kept);
        *found = status == SOOTH_OK ? (kept < k ? kept : k) : 0;
        memcpy(out, heap, *found * sizeof *out);
    }
    aligner_release(&a);
    mem_free(heap);
    return status;
}
