/* train_fixture.h: the tiny ChatML model, copies of it with another template, and scratch directories. */
#ifndef TEST_TRAIN_FIXTURE_H
#define TEST_TRAIN_FIXTURE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "learn/train/train.h"
#include "model/file/file.h"
#include "model/infer/infer.h"
#include "model/token/token.h"
#include "sooth/model.h"
#include "sooth/train.h"

static inline const char *train_golden(const char *name)
{
    static char path[4][1024];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/tests/golden/%s", getenv("SOOTH_SOURCE") ? getenv("SOOTH_SOURCE") : ".", name);
    return path[turn];
}

static inline const char *train_dir(void)
{
    static char dir[64];
    snprintf(dir, sizeof dir, "/tmp/sooth-train-%d", (int)getpid());
    struct sooth_error err;
    if (dir_make(dir, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return dir;
}

static inline const char *train_path(const char *name)
{
    static char path[4][1024];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", train_dir(), name);
    return path[turn];
}

static inline int train_clean(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", train_dir());
    return system(command) == 0 ? 0 : 1;
}

static inline void train_write(const char *path, const char *text)
{
    struct sooth_error err;
    if (file_write_atomic(path, text, strlen(text), &err) != SOOTH_OK)
        fail_msg("%s", err.text);
}

static inline struct sooth_model *train_open(const char *path, unsigned threads)
{
    struct sooth_model *m;
    struct sooth_error err = {0};
    struct sooth_model_options o = {.threads = threads};
    if (sooth_model_open(path, &o, &m, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return m;
}

#define TINY train_golden("infer/tiny-llama.gguf")

/* A copy of the tiny model with facts replaced: template (NULL keeps it), pad = eos where asked. */
static inline const char *train_copy(const char *name, const char *template, bool pad_is_eos, bool add_bos)
{
    struct tensor_file *f;
    struct sooth_error err = {0};
    const char *path = train_path(name);
    if (tensor_file_open(TINY, NULL, &f, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    struct gguf_writer *w = gguf_writer_new();
    uint32_t eos = (uint32_t)tensor_file_uint(f, "tokenizer.ggml.eos_token_id", 0);
    for (size_t i = 0; i < tensor_file_values(f); i++) {
        const struct file_value *v = tensor_file_value_at(f, i);
        if (strcmp(v->key, "tokenizer.chat_template") == 0 && template)
            continue;
        if ((strcmp(v->key, "tokenizer.ggml.padding_token_id") == 0 && pad_is_eos) || (strcmp(v->key, "tokenizer.ggml.add_bos_token") == 0 && add_bos))
            continue;
        gguf_put_value(w, v);
    }
    if (template && *template)
        gguf_put_string(w, "tokenizer.chat_template", template);
    if (pad_is_eos)
        gguf_put_uint(w, "tokenizer.ggml.padding_token_id", eos);
    if (add_bos)
        gguf_put_bool(w, "tokenizer.ggml.add_bos_token", true);
    for (size_t i = 0; i < tensor_file_count(f); i++) {
        const struct file_tensor *t = tensor_file_at(f, i);
        gguf_put_tensor(w, t->name, t->type, t->ndim, t->dims);
    }
    enum sooth_status status = gguf_writer_open(w, path, &err);
    for (size_t i = 0; i < tensor_file_count(f) && !status; i++)
        status = gguf_writer_add(w, tensor_file_at(f, i)->data, tensor_file_at(f, i)->bytes, &err);
    if (!status)
        status = gguf_writer_commit(w, &err);
    if (status)
        fail_msg("%s", err.text);
    gguf_writer_free(w);
    tensor_file_close(f);
    return path;
}

/* The examples of rows written as JSON Lines. */
static inline void train_examples(struct examples *e, const struct sooth_model *m, const char *rows, struct example_options o)
{
    struct samples s;
    struct sooth_error err = {0};
    samples_init(&s);
    examples_init(e);
    if (!o.most)
        o.most = 256;
    if (samples_parse(&s, "rows", rows, strlen(rows), &err) != SOOTH_OK || examples_make(e, m, &s, &o, true, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    samples_release(&s);
}

/* The trained tokens' text, control tokens and all. */
static inline const char *train_trained(const struct sooth_model *m, const struct example *x)
{
    static char out[2048];
    struct token_decoder d;
    struct buf text = BUF_INIT;
    token_decoder_init(&d, infer_parts(m).tokenizer);
    d.with_control = d.started = true;
    for (size_t i = 0; i < x->n; i++)
        if (x->train[i])
            token_decoder_add(&d, x->ids[i], &text);
    token_decoder_flush(&d, &text);
    snprintf(out, sizeof out, "%s", buf_str(&text));
    buf_release(&text);
    return out;
}
#endif
