/* rewrite_sub.c: a question about two things is two questions.
 *
 *   "notice period for tenants and landlords"  ->  "notice period for tenants", "notice period for landlords"
 *   "甲方和乙方的义务是什么"                      ->  "甲方的义务是什么", "乙方的义务是什么"
 *
 * Passages are ordered by the best of the parts, so that one thing's passages do not crowd out the
 * other's. */
#include "know/retrieve/rewrite.h"
#include <string.h>
#include "core/base/error.h"

static const char *const joints[] = {" compared with ", " compared to ", " versus ", " vs. ", " vs ", " as well as ",
                                     " and ", "以及", "还有", "和", "与", "、"};

static enum sooth_status put(struct rewriting *r, const char *a, size_t an, const char *b, size_t bn)
{
    struct buf x = BUF_INIT;
    buf_add(&x, a, an);
    buf_add(&x, b, bn);
    enum sooth_status status = x.failed ? err_nomem(r->err) : rewrite_add(r, buf_str(&x), x.len);
    buf_release(&x);
    return status;
}

/* English: the right side takes the left one's front but for its last word, unless it asks itself. */
static enum sooth_status split_words(struct rewriting *r, const char *at, size_t joint)
{
    const char *q = r->question, *right = at + joint;
    size_t left = (size_t)(at - q), last = left;
    static const char *const asks[] = {"what", "who", "when", "where", "why", "how", "which", "is", "are", "does", "do", "can"};
    bool own = false;
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        size_t n = strlen(asks[i]);
        own |= strncasecmp(right, asks[i], n) == 0 && right[n] == ' ';
    }
    while (last > 0 && q[last - 1] != ' ')
        last--;
    enum sooth_status status = rewrite_add(r, q, left);
    return status == SOOTH_OK ? put(r, q, own ? 0 : last, right, strlen(right)) : status;
}

/* Chinese: what stands behind the two things belongs to both. */
static enum sooth_status split_han(struct rewriting *r, const char *at, size_t joint)
{
    const char *q = r->question, *right = at + joint, *of = strstr(right, "的");
    if (!of)
        return split_words(r, at, joint);
    enum sooth_status status = put(r, q, (size_t)(at - q), of, strlen(of));
    return status == SOOTH_OK ? rewrite_add(r, right, strlen(right)) : status;
}

static enum sooth_status sub_derive(struct rewriting *r)
{
    for (size_t i = 0; i < sizeof joints / sizeof *joints; i++) {
        const char *at = strstr(r->question, joints[i]);
        if (at && at > r->question)
            return joints[i][0] == ' ' ? split_words(r, at, strlen(joints[i])) : split_han(r, at, strlen(joints[i]));
    }
    return SOOTH_OK;
}

const struct rewrite_row rewrite_sub = {
    .name = "sub",
    .about = "one question for each of the things asked about",
    .share = 0.5,
    .prompt = "Break the question into simpler questions, one a line. One line if it is simple.",
    .derive = sub_derive,
};
