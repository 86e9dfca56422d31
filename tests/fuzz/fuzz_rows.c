/* fuzz_rows.c: any bytes as a file of rows: samples hold together, whatever their keys. */
#include "fuzz.h"
#include <assert.h>
#include <string.h>
#include "learn/train/train.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct samples s;
    struct sooth_error err = {0};
    samples_init(&s);
    if (samples_parse(&s, "rows", (const char *)data, size, &err) == SOOTH_OK)
        for (size_t i = 0; i < s.list.count; i++) {
            const struct sample *x = &s.list.items[i];
            assert(x->kind && x->row > 0);
            assert(x->text || (x->prompt && x->completion) || (x->messages && x->messages->type == JSON_ARRAY));
            for (const struct json *m = x->messages ? x->messages->child : NULL; m; m = m->next)
                assert(json_string(m, "role", NULL) && json_string(m, "content", NULL));
        }
    else
        assert(err.text[0]);
    samples_release(&s);
    return 0;
}
