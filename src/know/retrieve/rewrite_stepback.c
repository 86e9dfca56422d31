/* rewrite_stepback.c: a more general question first (Zheng et al., ICLR 2024): names, numbers and dates
 * give way to what they are an instance of. By rules that is the heading under which the first passages
 * stand, with the question's common words. */
#include "know/retrieve/rewrite.h"
#include <string.h>
#include "core/base/error.h"

static enum sooth_status stepback_derive(struct rewriting *r)
{
    struct buf words = BUF_INIT, b = BUF_INIT;
    enum sooth_status status = rewrite_keywords(r->question, true, &words) ? SOOTH_OK : err_nomem(r->err);
    for (size_t i = 0; i < r->n_best && status == SOOTH_OK; i++) {
        const char *heading = r->best[i].heading && *r->best[i].heading ? r->best[i].heading : r->best[i].title;
        buf_clear(&b);
        buf_printf(&b, "%s %s", heading ? heading : "", buf_str(&words));
        status = b.failed ? err_nomem(r->err) : rewrite_add(r, buf_str(&b), b.len);
    }
    buf_release(&words);
    buf_release(&b);
    return status;
}

const struct rewrite_row rewrite_stepback = {
    .name = "stepback",
    .about = "a more general question too; by rules: headings and common words",
    .feedback = 2,
    .share = 0.2,
    .prompt = "Write one more general question whose answer helps to answer this one.",
    .derive = stepback_derive,
};
