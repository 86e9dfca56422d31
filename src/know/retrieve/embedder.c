/* embedder.c: the two kinds of embedder behind one small interface.
 *
 * A model: everything goes to sooth/model.h. Its token limit counts the prefix and the model's own
 * tokens ([CLS], [SEP], <s>, </s>); what is left for a passage is worked out once here.
 *
 * "hash": feature hashing (Weinberger et al., 2009). Each term of the full-text segmenter adds +1
 * or -1 at a place its key picks; the sum is made a unit vector. Texts that share words are near.
 * It embeds what words say, not what they mean, needs no file, and is the same on every machine. A
 * "token" is one term, four letters of it at most. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/fsio.h"
#include "core/base/utf8.h"
#include "core/base/unicode.h"
#include "know/index/index.h"
#include "know/retrieve/retrieve.h"
#include "sooth/model.h"

enum { HASH_DIM = 256, HASH_LIMIT = 256, GOOD_TOKENS = 128, MARGIN = 2 };

static atomic_uint_fast64_t passages_embedded;

/* Plain questions about nothing in particular, the same in both languages. */
enum { QUESTIONS = 20 };
static const char *const questions[SCRIPTS][QUESTIONS] = {
    {"What is the name of the person who wrote this?",
     "How many items are there in total?",
     "When was it first released?",
     "Which command lists all files?",
     "Where can I find more information?",
     "How do I install the program?",
     "Why did the test fail?",
     "What does this option do?",
     "Who is responsible for the decision?",
     "How long does the process take?",
     "Which version is required?",
     "What is the difference between the two methods?",
     "Can it be used without a network?",
     "What is the maximum size allowed?",
     "In which year did the war end?",
     "What colour is the cover of the book?",
     "How should an error be reported?",
     "What are the main causes of the problem?",
     "Which country has the largest population?",
     "Is it safe to remove the old package?"},
    {"这是谁写的？",
     "一共有多少个？",
     "它是什么时候首次发布的？",
     "哪个命令可以列出所有文件？",
     "在哪里可以找到更多信息？",
     "怎样安装这个程序？",
     "测试为什么会失败？",
     "这个选项有什么作用？",
     "谁负责作出决定？",
     "整个过程需要多长时间？",
     "需要哪个版本？",
     "这两种方法有什么区别？",
     "没有网络能使用吗？",
     "允许的最大尺寸是多少？",
     "战争在哪一年结束？",
     "书的封面是什么颜色？",
     "应该怎样报告错误？",
     "问题的主要原因是什么？",
     "哪个国家人口最多？",
     "删除旧的软件包安全吗？"},
};

enum sooth_status embedder_centres(const struct embedder *e, float *centres,
                                   struct sooth_error *err)
{
    size_t lens[QUESTIONS], dim = e->dim;
    float *vectors = mem_array(QUESTIONS * dim, sizeof *vectors);
    enum sooth_status status = vectors ? SOOTH_OK : err_nomem(err);
    for (int s = 0; s < SCRIPTS && status == SOOTH_OK; s++) {
        float *mean = centres + (size_t)s * dim;
        for (int i = 0; i < QUESTIONS; i++)
            lens[i] = strlen(questions[s][i]);
        status = e->embed(e, true, questions[s], lens, QUESTIONS, vectors, err);
        for (size_t j = 0; j < dim && status == SOOTH_OK; j++) {
            mean[j] = 0;
            for (int i = 0; i < QUESTIONS; i++)
                mean[j] += vectors[(size_t)i * dim + j] / QUESTIONS;
        }
    }
    mem_free(vectors);
    return status;
}

uint64_t embedder_calls(void)
{
    return atomic_load(&passages_embedded);
}

/* --- hash
 * ---------------------------------------------------------------------------------------------------
 */

static size_t hash_count(const struct embedder *e, const char *text, size_t len)
{
    size_t tokens = 0, run = 0;
    for (size_t i = 0, size; i < len; i += size) {
        uint32_t c = utf8_decode(text + i, len - i, &size);
        bool word = c != UTF8_BAD && (uni_class(c) & (UNI_LETTER | UNI_NUMBER)) && !uni_is_cjk(c);
        run = word ? run + 1 : 0;
        tokens += word ? run % 4 == 1 : c != ' ' && c != '\n' && c != '\t';
    }
    return tokens;
}

static bool hash_term(void *user, enum term_kind kind, const char *term, size_t len)
{
    float *v = user;
    uint64_t key = term_key(term, len);
    v[key % HASH_DIM] += (key >> 32 & 1 ? 1.0f : -1.0f) * (kind == TERM_CHAR ? 0.3f : 1.0f);
    return true;
}

static enum sooth_status hash_one(const char *text, size_t len, float *v, struct sooth_error *err)
{
    double sum = 0;
    memset(v, 0, HASH_DIM * sizeof *v);
    enum sooth_status status = segment_text(text, len, hash_term, v, err);
    for (int i = 0; i < HASH_DIM; i++)
        sum += (double)v[i] * v[i];
    if (sum == 0)
        v[0] = 1, sum = 1; /* nothing but punctuation */
    for (int i = 0; i < HASH_DIM; i++)
        v[i] /= (float)sqrt(sum);
    return status;
}

static enum sooth_status hash_embed(const struct embedder *e, bool query, const char *const *texts,
                                    const size_t *lens, size_t n, float *out,
                                    struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < n && status == SOOTH_OK; i++)
        status = hash_one(texts[i], lens[i], out + i * HASH_DIM, err);
    if (!query)
        atomic_fetch_add(&passages_embedded, n);
    return status;
}

static enum sooth_status hash_rerank(const struct embedder *e, const char *query, size_t query_len,
                                     const char *const *passages, const size_t *lens, size_t n,
                                     float *scores, struct sooth_error *err)
{
    float q[HASH_DIM], p[HASH_DIM];
    enum sooth_status status = hash_one(query, query_len, q, err);
    for (size_t i = 0; i < n && status == SOOTH_OK; i++) {
        status = hash_one(passages[i], lens[i], p, err);
        scores[i] = 0;
        for (int j = 0; j < HASH_DIM; j++)
            scores[i] += q[j] * p[j];
    }
    return status;
}

static const struct embedder hash_embedder = {
    .name = "hash",
    .fingerprint = "hash-256-v1",
    .query_prefix = "",
    .passage_prefix = "",
    .dim = HASH_DIM,
    .limit = HASH_LIMIT,
    .chunk_tokens = HASH_LIMIT,
    .count = hash_count,
    .embed = hash_embed,
    .rerank = hash_rerank,
};

/* --- models
 * --------------------------------------------------------------------------------------------------
 */

static size_t model_count(const struct embedder *e, const char *text, size_t len)
{
    return sooth_count_tokens(e->model, text, len);
}

static enum sooth_status model_embed(const struct embedder *e, bool query, const char *const *texts,
                                     const size_t *lens, size_t n, float *out,
                                     struct sooth_error *err)
{
    if (!query)
        atomic_fetch_add(&passages_embedded, n);
    return sooth_embed(e->model, query ? SOOTH_EMBED_QUERY : SOOTH_EMBED_PASSAGE, texts, lens, n,
                       out, NULL, err);
}

static enum sooth_status model_rerank(const struct embedder *e, const char *query, size_t query_len,
                                      const char *const *passages, const size_t *lens, size_t n,
                                      float *scores, struct sooth_error *err)
{
    return sooth_rerank(e->model, query, query_len, passages, lens, n, scores, err);
}

/* What the prefix and the model's own tokens take of its limit. */
static size_t model_overhead(const struct sooth_model *model)
{
    const char *prefix = sooth_embed_prefix(model, SOOTH_EMBED_PASSAGE);
    struct sooth_tokens tokens;
    size_t n = MARGIN + sooth_count_tokens(model, prefix, strlen(prefix));
    if (sooth_tokenize(model, prefix, strlen(prefix), true, false, &tokens, NULL) == SOOTH_OK) {
        n = tokens.count > n ? tokens.count : n;
        sooth_tokens_release(&tokens);
    }
    return n;
}

static enum sooth_status model_fill(struct embedder *e, const char *name, struct sooth_error *err)
{
    size_t limit = sooth_embed_limit(e->model), overhead = model_overhead(e->model);
    e->name = mem_strdup(name);
    if (!e->name)
        return err_nomem(err);
    e->fingerprint = sooth_model_fingerprint(e->model);
    e->query_prefix = sooth_embed_prefix(e->model, SOOTH_EMBED_QUERY);
    e->passage_prefix = sooth_embed_prefix(e->model, SOOTH_EMBED_PASSAGE);
    e->dim = sooth_embed_dim(e->model);
    if (e->dim == 0 || e->dim >= 1 << 16 || limit <= overhead + 16)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "model '%s' does not embed texts", name);
    e->limit = limit - overhead;
    e->chunk_tokens = e->limit < GOOD_TOKENS ? e->limit : GOOD_TOKENS;
    e->count = model_count;
    e->embed = model_embed;
    e->rerank = model_rerank;
    return SOOTH_OK;
}

enum sooth_status embedder_open(const char *name, unsigned threads, struct embedder **out,
                                struct sooth_error *err)
{
    *out = NULL;
    struct embedder *e = mem_calloc(1, sizeof *e);
    if (!e)
        return err_nomem(err);
    if (strcmp(name, hash_embedder.name) == 0) {
        *e = hash_embedder;
        *out = e;
        return SOOTH_OK;
    }
    const struct sooth_model_options options = {.threads = threads};
    enum sooth_status status = sooth_model_open(name, &options, &e->model, err);
    if (status == SOOTH_OK)
        status = model_fill(e, name, err);
    if (status != SOOTH_OK) {
        embedder_close(e);
        return status;
    }
    *out = e;
    return SOOTH_OK;
}

enum sooth_status embedder_reader(const struct embedder *e, struct sooth_reader **out, struct sooth_error *err)
{
    *out = NULL;
    const struct sooth_model_info *info = e->model ? sooth_model_info(e->model) : NULL;
    if (!info || info->kind != SOOTH_MODEL_ENCODER)
        return SOOTH_OK;
    const char *path = info->path;
    size_t len = strlen(path);
    while (len && path[len - 1] == '/')
        len--;
    if (len > 5 && memcmp(path + len - 5, ".gguf", 5) == 0)
        len -= 5;
    struct buf name = BUF_INIT;
    buf_add(&name, path, len);
    buf_puts(&name, "-reader.gguf");
    enum sooth_status status = name.failed ? err_nomem(err) : SOOTH_OK;
    if (status == SOOTH_OK && file_exists(buf_str(&name)))
        status = sooth_reader_open(e->model, buf_str(&name), out, err);
    buf_release(&name);
    return status;
}

void embedder_close(struct embedder *e)
{
    if (!e)
        return;
    if (e->model) {
        mem_free((char *)e->name);
        sooth_model_close(e->model);
    }
    mem_free(e);
}
