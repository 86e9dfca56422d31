/* fuzz_adapter.c: any bytes as an adapter of a tiny model: 'G' and a GGUF file; else two lengths (u16, little-endian), that many bytes of
 * adapter_config.json and of sooth.json, and adapter_model.safetensors. What opens is worn once. */
#include "fuzz.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/fsio.h"
#include "model/adapt/adapt.h"
#include "model/file/file.h"

static struct arch_model *model;
static char dir[64];

static void once(void)
{
    char path[4096];
    const char *source = getenv("SOOTH_SOURCE");
    struct tensor_file *f;
    struct sooth_error err;
    if (model)
        return;
    snprintf(path, sizeof path, "%s/tests/golden/arch/llama", source ? source : ".");
    strcpy(dir, "/tmp/sooth-fuzz-XXXXXX");
    if (tensor_file_open(path, NULL, &f, &err) || arch_load(f, NULL, &model, &err) || !mkdtemp(dir))
        abort(); /* not the input's fault: SOOTH_SOURCE is not the tree */
}

static void wear(struct adapt *a)
{
    enum { MOST = 64 };
    int32_t token[MOST] = {0};
    uint32_t pos[MOST], seq[MOST] = {0};
    struct run_options o = {.max_bytes = (size_t)64 << 20};
    size_t n = adapt_rows(a) + 2;
    if (n > MOST || adapt_apply(a, &o, NULL))
        return;
    for (size_t i = 0; i < n; i++)
        pos[i] = (uint32_t)(o.prefix_rows + i);
    struct rows rows = {.n = n, .token = token, .pos = pos, .seq = seq};
    struct run *r = run_new(&o);
    if (!r)
        return;
    run_begin(r, &rows);
    arch_logits(model, r, arch_hidden(model, r));
    run_end(r, NULL);
    run_free(r);
}

static void put(const char *name, const uint8_t *data, size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (f) {
        fwrite(data, 1, n, f);
        fclose(f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct adapt *a = NULL;
    struct adapt_open_options o = {.any_base = true};
    once();
    if (size < 5)
        return 0;
    if (data[0] == 'G') {
        const char *path = fuzz_path(data + 1, size - 1);
        if (path)
            adapt_open(path, model, &o, &a, NULL);
    } else {
        size_t config = data[1] | (size_t)data[2] << 8, meta = data[3] | (size_t)data[4] << 8, left = size - 5;
        config = config < left ? config : left;
        meta = meta < left - config ? meta : left - config;
        put("adapter_config.json", data + 5, config);
        put("sooth.json", meta ? data + 5 + config : (const uint8_t *)"{}", meta ? meta : 2);
        put("adapter_model.safetensors", data + 5 + config + meta, left - config - meta);
        adapt_open(dir, model, &o, &a, NULL);
    }
    if (a)
        wear(a);
    adapt_free(a);
    return 0;
}
