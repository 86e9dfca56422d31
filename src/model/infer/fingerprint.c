/* fingerprint.c: what makes two models embed alike: 64 hex digits that a store remembers.
 *
 *     SHA-256 over   "sooth-model-1", arch, pooling, limit, prefixes,
 *                    every fact of the file (key and bytes), the parts of a directory that hold the
 * tokenizer, every tensor: name, type, dims, hash64 of its bytes with two seeds
 *
 * The weights go through the fast hash (several GB a second), so that the first question does not
 * wait for a hash of the whole file; 128 bits of it are plenty against accident. Computed when
 * first asked for. */
#include <pthread.h>
#include <string.h>
#include "core/base/hash.h"
#include "model/file/file.h"
#include "model/infer/handle.h"
#include "model/infer/remote.h"

static void print_text(struct sha256 *h, const char *text)
{
    sha256_add(h, text ? text : "", text ? strlen(text) + 1 : 1);
}

static void print_u64(struct sha256 *h, uint64_t v)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(v >> (8 * i));
    sha256_add(h, bytes, 8);
}

static void print_value(struct sha256 *h, const struct file_value *v)
{
    static const size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    print_text(h, v->key);
    print_u64(h, (uint64_t)v->type);
    if (v->type == VALUE_STRING) {
        print_u64(h, v->s.len);
        sha256_add(h, v->s.text, v->s.len);
    } else if (v->type != VALUE_ARRAY) {
        print_u64(h, v->u);
    } else if (v->item != VALUE_STRING) {
        print_u64(h, v->count);
        print_u64(h, hash64(v->items, v->count * sizes[v->item], 1));
    } else {
        uint64_t mixed = v->count;
        for (size_t i = 0; i < v->count; i++)
            mixed = hash64(v->strings[i].text, v->strings[i].len, mixed);
        print_u64(h, mixed);
    }
}

/* False when a part could not be read: half a fingerprint would name another model. */
static bool print_local(struct sha256 *h, const struct sooth_model *m)
{
    const struct tensor_file *f = m->file;
    print_text(h, m->info.arch);
    print_text(h, m->info.pooling);
    print_u64(h, m->embed_limit);
    print_text(h, m->query_prefix);
    print_text(h, m->passage_prefix);
    for (size_t i = 0; i < tensor_file_values(f); i++)
        print_value(h, tensor_file_value_at(f, i));
    static const char *const parts[] = {"tokenizer.json", "vocab.txt", "tokenizer_config.json"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct buf part = BUF_INIT;
        enum sooth_status status = tensor_file_part(f, parts[i], &part, NULL);
        if (status == SOOTH_OK)
            print_u64(h, hash64(buf_str(&part), part.len, i));
        buf_release(&part);
        if (status != SOOTH_OK && status != SOOTH_ERR_NOTFOUND)
            return false;
    }
    for (size_t i = 0; i < tensor_file_count(f); i++) {
        const struct file_tensor *t = tensor_file_at(f, i);
        print_text(h, t->name);
        print_u64(h, t->type);
        for (size_t d = 0; d < TENSOR_DIMS; d++)
            print_u64(h, t->dims[d]);
        print_u64(h, hash64(t->data, t->bytes, 1));
        print_u64(h, hash64(t->data, t->bytes, 2));
    }
    return true;
}

const char *sooth_model_fingerprint(const struct sooth_model *model)
{
    struct sooth_model *m = (struct sooth_model *)
        model; /* the cached answer is the one thing that may change, under its lock */
    pthread_mutex_lock(&m->lock);
    if (!m->fingerprint[0]) {
        struct sha256 h;
        unsigned char digest[32];
        bool whole = true;
        sha256_init(&h);
        print_text(&h, "sooth-model-1");
        if (m->remote) {
            print_text(&h, m->remote->url);
            print_text(&h, m->remote->model);
        } else {
            whole = print_local(&h, m);
        }
        sha256_end(&h, digest);
        if (whole)
            hash_hex(digest, m->fingerprint);
    }
    pthread_mutex_unlock(&m->lock);
    return m->fingerprint;
}
