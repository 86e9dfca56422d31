/* rewrite_multi.c: the same question in other words, all searched. By rules: its key words alone; its
 * names alone; what it says when it does not ask. */
#include "know/retrieve/rewrite.h"
#include <string.h>
#include "core/base/error.h"
#include "know/retrieve/graph.h"

static enum sooth_status names(struct rewriting *r)
{
    struct graph_found f;
    struct buf b = BUF_INIT;
    graph_found_init(&f);
    bool ok = graph_read(r->question, strlen(r->question), &f);
    for (size_t i = 0; i < f.entities.count && ok; i++)
        ok = buf_printf(&b, "%s%s", i ? " " : "", f.entities.items[i]);
    enum sooth_status status = ok ? rewrite_add(r, buf_str(&b), b.len) : err_nomem(r->err);
    graph_found_clear(&f);
    buf_release(&b);
    return status;
}

/* "What is the notice period?" -> "the notice period is" */
static enum sooth_status statement(struct rewriting *r)
{
    static const char *const starts[] = {"what is ", "what are ", "who is ", "who was ", "where is ", "when is ", "when was "};
    struct buf b = BUF_INIT;
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        size_t n = strlen(starts[i]);
        if (strncasecmp(r->question, starts[i], n) != 0)
            continue;
        size_t end = strcspn(r->question, "?");
        const char *verb = strchr(starts[i], ' ');
        if (end > n)
            buf_printf(&b, "%.*s%.*s", (int)(end - n), r->question + n, (int)(strlen(verb) - 1), verb);
        status = b.failed ? err_nomem(r->err) : rewrite_add(r, buf_str(&b), b.len);
        break;
    }
    buf_release(&b);
    return status;
}

static enum sooth_status multi_derive(struct rewriting *r)
{
    struct buf b = BUF_INIT;
    enum sooth_status status = rewrite_keywords(r->question, false, &b) ? rewrite_add(r, buf_str(&b), b.len)
                                                                         : err_nomem(r->err);
    buf_release(&b);
    if (status == SOOTH_OK)
        status = statement(r);
    return status == SOOTH_OK ? names(r) : status;
}

const struct rewrite_row rewrite_multi = {
    .name = "multi",
    .about = "the question in other words too; by rules: key words, statement, names",
    .share = 0.3,
    .prompt = "Write three other ways to ask the question, one a line.",
    .derive = multi_derive,
};
