/* doc_code.c: source code and data notations, kept as they are: every line end and indent. Blocks
 * are cut at blank lines before a line that starts at the margin, which is where functions and
 * entries begin. */
#include <string.h>
#include "core/base/error.h"
#include "know/doc/docfmt.h"

#define BLOCK_SOFT                                                                                 \
    4000 /* bytes after which any blank line, and twice that any line end, may end a block */

static bool cut_here(const char *p, const char *end, size_t have, bool after_blank)
{
    if (!after_blank)
        return have > 2 * BLOCK_SOFT;
    return have > BLOCK_SOFT || (p < end && strchr(" \t}#)", *p) == NULL && *p != '\n');
}

static enum sooth_status code_parse(const struct doc_input *in, struct builder *b,
                                    struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    enum sooth_status s = docfmt_decode(in, b, &text, err);
    const char *p = buf_str(&text), *end = p + text.len, *start = p;
    bool blank = false;
    while (s == SOOTH_OK && p < end) {
        if (p > start && cut_here(p, end, (size_t)(p - start), blank)) {
            builder_open_raw(b, DOC_CODE, 0);
            builder_text(b, start, (size_t)(p - start));
            start = p;
        }
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        stop = stop ? stop + 1 : end;
        blank = true;
        for (; p < stop; p++)
            blank = blank && strchr(" \t\r\n", *p) != NULL && *p != '\0';
    }
    if (s == SOOTH_OK && start < end) {
        builder_open_raw(b, DOC_CODE, 0);
        builder_text(b, start, (size_t)(end - start));
    }
    builder_close(b);
    buf_release(&text);
    return s;
}

const struct docfmt docfmt_code = {
    .name = "code",
    .about = "source code, JSON, YAML and other notations, as they are",
    .extensions =
        "c h cc cpp cxx hpp hh py pyi js mjs ts tsx jsx java kt go rs rb pl pm php sh bash zsh "
        "fish ps1 "
        "lua r jl swift scala hs ml el lisp clj erl ex sql css scss yaml yml "
        "toml ini "
        "cfg conf properties cmake mk make diff patch proto vim Makefile Dockerfile meson",
    .parse = code_parse,
};
