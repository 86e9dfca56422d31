/* fuzz_template.c: any bytes as a chat template, rendered on a fixed conversation. Input text stays input text: the user's
 * "<|" never stands in a control segment. */
#include "fuzz.h"
#include <assert.h>
#include <string.h>
#include "core/base/alloc.h"
#include "model/token/token.h"

static const char messages[] = "[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"\\u0001\\u0002 x\"},{\"role\":\"assistant\","
                               "\"content\":null,\"tool_calls\":[{\"id\":\"1\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":[1,2.5,true]}}}]}]";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct template *t;
    struct template_options o = {.add_generation_prompt = true, .bos = "<s>", .eos = "</s>", .now = 0};
    struct token_segments out;
    struct arena a;
    char *copy = mem_dup(data, size);
    /* Where the template itself holds byte 1 or an escape, or asks for it, nothing is to be shown. */
    bool clean = copy && !memchr(copy, 1, size) && !memchr(copy, '\\', size);
    arena_init(&a, 64 << 20);
    if (copy && !template_parse(copy, size, &t, NULL)) {
        const struct json *m = json_parse(&a, messages, sizeof messages - 1, 0, NULL, NULL);
        if (m && !template_render(t, m, NULL, &o, &a, &out, NULL))
            for (size_t i = 0; clean && i < out.count; i++)
                assert(out.items[i].kind == SEG_TEXT || !memchr(out.items[i].text, 1, out.items[i].len));
        template_free(t);
    }
    arena_release(&a);
    mem_free(copy);
    return 0;
}
