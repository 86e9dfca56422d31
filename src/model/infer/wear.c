/* wear.c: adapters as the public header has them: opened for a model, worn by a session or a batch.
 *
 * An adapter's numbers and scale do not change once it is open, so any number of sessions may wear it at once. What a session
 * has in its cache was read with a certain set of adapters; each adapter has a number of its own, and their hash is the key that
 * cached tokens are remembered by. */
#include <stdatomic.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "model/adapt/adapt.h"
#include "model/infer/handle.h"
#include "model/infer/infer.h"

enum { WEAR_MOST = 64 };

struct sooth_adapter {
    struct sooth_model *model;
    struct adapt *adapt;
    uint64_t serial;
};

enum sooth_status sooth_adapter_open(struct sooth_model *model, const char *path, double scale, struct sooth_adapter **out, struct sooth_error *err)
{
    static atomic_uint_fast64_t serial = 1;
    struct adapt_open_options o = {.pool = model->pool};
    *out = NULL;
    if (!model->arch)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "model '%s' cannot wear an adapter: it is not loaded here", model->info.path);
    if (!(scale >= -100 && scale <= 100))
        return err_set(err, SOOTH_ERR_ARG, "the scale of an adapter must be between -100 and 100, not %g", scale);
    struct sooth_adapter *a = mem_calloc(1, sizeof *a);
    if (!a)
        return err_nomem(err);
    a->model = model;
    a->serial = atomic_fetch_add(&serial, 1);
    enum sooth_status status = adapt_open(path, model->arch, &o, &a->adapt, err);
    if (status == SOOTH_OK)
        status = adapt_settle(a->adapt, err);
    if (status != SOOTH_OK) {
        sooth_adapter_close(a);
        return status;
    }
    adapt_scale(a->adapt, (float)scale);
    *out = a;
    return SOOTH_OK;
}

void sooth_adapter_close(struct sooth_adapter *a)
{
    if (!a)
        return;
    adapt_free(a->adapt);
    mem_free(a);
}

enum sooth_status wear_adapters(struct sooth_model *model, struct infer_batch *b, struct sooth_adapter *const *list, size_t n,
                                struct sooth_error *err)
{
    uint64_t key = 0;
    if (!n)
        return infer_wear(b, NULL, 0, err);
    if (n > WEAR_MOST)
        return err_set(err, SOOTH_ERR_LIMIT, "at most %d adapters at once", (int)WEAR_MOST);
    struct adapt_set *set = adapt_set_new();
    enum sooth_status status = set ? SOOTH_OK : err_nomem(err);
    for (size_t i = 0; i < n && status == SOOTH_OK; i++) {
        if (list[i]->model != model)
            status = err_set(err, SOOTH_ERR_ARG, "an adapter was opened for another model");
        else
            status = adapt_set_add(set, list[i]->adapt, err);
        key = hash64(&list[i]->serial, sizeof list[i]->serial, key + 1);
    }
    if (status == SOOTH_OK)
        status = infer_wear(b, set, key, err);
    if (status != SOOTH_OK)
        adapt_set_free(set);
    return status;
}
