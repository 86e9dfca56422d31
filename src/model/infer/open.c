/* open.c: opening and closing a model.
 *
 *   name -> path -> container (model/file) -> tokenizer (model/token) -> weights (model/arch) ->
 * facts
 *
 * Everything that can be wrong with a file is found here or below; a model that opened does not
 * fail later for want of a part. What is unusual but workable becomes a warning in the facts. */
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/kernel/kernel.h"
#include "model/arch/arch.h"
#include "model/file/file.h"
#include "model/grammar/grammar.h"
#include "model/infer/handle.h"
#include "model/infer/infer.h"
#include "model/infer/remote.h"

enum { OPEN_PATH = 4096 };

static enum sooth_status open_compute(const struct sooth_model *m, const char *name,
                                      enum qmat_compute *out, struct sooth_error *err)
{
    *out = QMAT_NATIVE;
    if (!name || strcmp(name, "auto") == 0) {
        /* Encoders read many tokens at once. On tiles bf16 is the fastest (cosine to f32 over
         * 0.9999, tested), elsewhere 8 bits (over 0.999) are about four times faster than f32; a
         * language model's file says itself how exact it wants to be. */
        *out = !arch_is_encoder(m->file) ? QMAT_NATIVE
               : kernel_get()->tiles     ? QMAT_BF16
                                         : QMAT_INT8;
        return SOOTH_OK;
    }
    if (strcmp(name, "int8") == 0)
        *out = QMAT_INT8;
    else if (strcmp(name, "bf16") == 0)
        *out = QMAT_BF16;
    else if (strcmp(name, "f32") != 0)
        return err_set(err, SOOTH_ERR_ARG,
                       "compute must be 'auto', 'f32', 'bf16' or 'int8', not '%.40s'", name);
    return SOOTH_OK;
}

static enum sooth_status open_cache(struct sooth_model *m, const char *name, struct sooth_error *err)
{
    m->cache_type = KV_F32;
    if (!name || kv_type_find(name, &m->cache_type))
        return SOOTH_OK;
    return err_set(err, SOOTH_ERR_ARG, "cache must be 'f32', 'f16', 'q8_0' or 'q4_0', not '%.40s'", name);
}

static enum sooth_status open_weights(struct sooth_model *m, const struct sooth_model_options *o,
                                      struct sooth_error *err)
{
    struct arch_options options = {.context = o->context, .no_pack = o->file_form};
    enum sooth_status status = open_compute(m, o->compute, &options.compute, err);
    if (status == SOOTH_OK)
        status = open_cache(m, o->cache, err);
    if (status != SOOTH_OK)
        return status;
    m->pool = pool_new(o->threads);
    if (!m->pool)
        return err_nomem(err);
    options.pool = m->pool;
    m->info.compute = options.compute == QMAT_INT8 ? "int8" : options.compute == QMAT_BF16 ? "bf16" : "native";
    return arch_load(m->file, &options, &m->arch, err);
}

static enum sooth_status open_local(struct sooth_model *m, const struct sooth_model_options *o,
                                    struct sooth_error *err)
{
    enum sooth_status status = tensor_file_open(m->info.path, NULL, &m->file, err);
    if (status == SOOTH_OK)
        status = tokenizer_from_file(m->file, &m->tokenizer, err);
    if (status == SOOTH_OK && token_template(m->tokenizer)) {
        const char *text = token_template(m->tokenizer);
        if (template_parse(text, strlen(text), &m->template, NULL) == SOOTH_ERR_NOMEM)
            status = err_nomem(err);
    }
    if (status == SOOTH_OK && !o->vocab_only)
        status = open_weights(m, o, err);
    if (status == SOOTH_OK)
        status = model_read_facts(m, o, err);
    return status;
}

static enum sooth_status open_remote(struct sooth_model *m, const struct sooth_model_options *o,
                                     struct sooth_error *err)
{
    enum sooth_status status = remote_open(m->info.path, o, &m->remote, err);
    if (status != SOOTH_OK)
        return status;
    m->info.kind = SOOTH_MODEL_REMOTE;
    m->info.format = "http";
    m->info.name = m->remote->model;
    m->info.arch = m->info.tokenizer = m->info.pretokenizer = m->info.pooling = m->info.weights =
        m->info.compute = "";
    m->info.context = o->context;
    m->info.has_template = true;
    m->embed_limit =
        512; /* what embedding servers take as a rule; they cut or refuse what is longer */
    return SOOTH_OK;
}

enum sooth_status sooth_model_open(const char *name, const struct sooth_model_options *options,
                                   struct sooth_model **out, struct sooth_error *err)
{
    static const struct sooth_model_options defaults = {0};
    struct sooth_error own = {0};
    char path[OPEN_PATH];
    err = err ? err : &own;
    *out = NULL;
    double start = clock_seconds();
    enum sooth_status status = sooth_model_find(name, path, sizeof path, err);
    if (status != SOOTH_OK)
        return status;
    struct sooth_model *m = mem_calloc(1, sizeof *m);
    if (!m)
        return err_nomem(err);
    arena_init(&m->arena, 1 << 20);
    pthread_mutex_init(&m->lock, NULL);
    options = options ? options : &defaults;
    m->info.path = arena_strdup(&m->arena, path);
    if (!m->info.path)
        status = err_nomem(err);
    else
        status = remote_is_url(path) ? open_remote(m, options, err) : open_local(m, options, err);
    m->load_seconds = clock_seconds() - start;
    if (status == SOOTH_OK)
        *out = m;
    else
        sooth_model_close(m);
    return status;
}

void sooth_model_close(struct sooth_model *m)
{
    if (!m)
        return;
    arch_free(m->arch);
    template_free(m->template);
    token_trie_free(m->trie);
    tokenizer_free(m->tokenizer);
    tensor_file_close(m->file);
    pool_free(m->pool);
    remote_close(m->remote);
    arena_release(&m->arena);
    pthread_mutex_destroy(&m->lock);
    mem_free(m);
}

struct infer_parts infer_parts(const struct sooth_model *m)
{
    return (struct infer_parts){m->arch, m->tokenizer, m->file, m->pool, m->template != NULL};
}

const struct sooth_model_info *sooth_model_info(const struct sooth_model *m)
{
    return &m->info;
}

void sooth_free(void *p)
{
    mem_free(p);
}
