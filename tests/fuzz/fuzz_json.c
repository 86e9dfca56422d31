/* fuzz_json.c: any bytes as JSON; what is read must be written and read again as the same. */
#include "fuzz.h"
#include <assert.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/json.h"

static void write_back(struct json_writer *w, const struct json *v)
{
    switch (v->type) {
    case JSON_NULL:
        jsonw_null(w);
        break;
    case JSON_FALSE:
    case JSON_TRUE:
        jsonw_bool(w, v->type == JSON_TRUE);
        break;
    case JSON_NUMBER:
        jsonw_double(w, v->number, 17);
        break;
    case JSON_STRING:
        jsonw_stringn(w, v->text, v->len);
        break;
    case JSON_ARRAY:
        jsonw_array(w);
        for (const struct json *c = v->child; c; c = c->next)
            write_back(w, c);
        jsonw_end_array(w);
        break;
    case JSON_OBJECT:
        jsonw_object(w);
        for (const struct json *c = v->child; c; c = c->next) {
            jsonw_stringn(w, c->key, c->key_len);
            buf_putc(w->out, ':');
            w->need_comma = false;
            write_back(w, c);
        }
        jsonw_end_object(w);
        break;
    }
}

static struct json *parse_and_write(struct arena *a, const char *text, size_t len, struct buf *out)
{
    struct json_writer w;
    struct json *v = json_parse(a, text, len, 0, NULL, NULL);
    jsonw_init(&w, out);
    if (v)
        write_back(&w, v);
    return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct buf once = BUF_INIT, twice = BUF_INIT;
    char *exact = mem_dup(data, size); /* nothing behind the last byte */
    arena_init(&a, 64 << 20);
    if (exact && parse_and_write(&a, exact, size, &once)) {
        struct json *again = parse_and_write(&a, once.data, once.len, &twice);
        assert(again && once.len == twice.len && !memcmp(once.data, twice.data, once.len));
    }
    json_parse(&a, exact ? exact : "", exact ? size : 0, JSON_UNIQUE_KEYS | JSON_ALLOW_TAIL, NULL,
               NULL);
    buf_release(&once);
    buf_release(&twice);
    arena_release(&a);
    mem_free(exact);
    return 0;
}
