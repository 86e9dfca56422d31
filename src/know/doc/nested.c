/* nested.c: the files inside a file.
 *
 *   worker of "mail.zip" ─▶ document (a list of names) + part "a.eml" (bytes)
 *   worker of "a.eml"    ─▶ document (the mail)        + part "b.pdf"
 *   worker of "b.pdf"    ─▶ document                      members: a.eml, a.eml/b.pdf
 *
 * The parent never looks into a file: it only carries bytes from one worker to the next, so a member is
 * read under the same limits and behind the same walls as a file of its own. All members of one file,
 * however deep, share one budget: 4 levels, 10,000 members, 512 MiB unpacked, ten times the time that a
 * single file has. That is what meets archives within archives that grow at each step. */
#include "know/doc/nested.h"
#include <string.h>
#include <unistd.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/vec.h"
#include "know/doc/docfmt.h"
#include "know/doc/ocr.h"
#include "know/doc/sandbox.h"

enum { LEVELS_MAX = 4, MEMBERS_MAX = 10000 };
#define BYTES_MAX ((size_t)512 << 20)

struct nest {
    VEC(struct doc_member) members;
    const struct doc_options *opt;
    const char *name; /* of the outermost file */
    size_t bytes, unknown, beyond;
    double deadline;
    bool failed;
};

static void parts_free(struct document *d)
{
    for (size_t i = 0; i < d->part_count; i++) {
        mem_free(d->parts[i].name);
        mem_free(d->parts[i].data);
    }
    mem_free(d->parts);
    d->parts = NULL;
    d->part_count = 0;
}

static bool hidden_name(const char *name)
{
    const char *slash = strrchr(name, '/');
    return (slash != NULL ? slash[1] : name[0]) == '.';
}

static void member_parse(struct nest *n, const struct doc_part *part, struct doc_member *m)
{
    struct doc_options own = *n->opt;
    unsigned char digest[32];
    struct sha256 h;
    own.format = NULL; /* what was forced was meant for the file itself */
    m->bytes = part->len;
    sha256_init(&h);
    sha256_add(&h, part->data, part->len);
    sha256_end(&h, digest);
    hash_hex(digest, m->hash);
    int fd = sandbox_memory(part->data, part->len, &m->why);
    m->status = fd < 0 ? SOOTH_ERR_IO : sandbox_file(fd, m->name, &own, &m->document, &m->why);
    if (m->status == SOOTH_OK)
        m->status = ocr_read(&m->document, fd, m->name, &own, &m->why);
    if (fd >= 0)
        close(fd);
    if (m->status != SOOTH_OK) {
        document_release(&m->document);
        err_prefix(&m->why, "cannot read '%s/%s'", n->name, m->name);
    }
}

static void parts_walk(struct nest *n, struct document *d, const char *prefix, unsigned level);

static void member_add(struct nest *n, const struct doc_part *part, const char *prefix,
                       unsigned level)
{
    struct doc_member m = {0};
    struct buf name = BUF_INIT;
    if (level > LEVELS_MAX || n->members.count >= MEMBERS_MAX || part->len > BYTES_MAX - n->bytes ||
        clock_seconds() > n->deadline) {
        n->beyond++;
        return;
    }
    n->bytes += part->len;
    buf_printf(&name, "%s%s", prefix, part->name);
    m.name = buf_take(&name);
    if (m.name == NULL) {
        n->failed = true;
        return;
    }
    member_parse(n, part, &m);
    if (!vec_push(&n->members, m)) {
        mem_free(m.name);
        document_release(&m.document);
        n->failed = true;
        return;
    }
    size_t at = n->members.count - 1;
    if (m.document.part_count == 0)
        return;
    struct document inner = m.document; /* the list may move while its own members are added */
    buf_printf(&name, "%s/", m.name);
    parts_walk(n, &inner, buf_str(&name), level + 1);
    n->members.items[at].document = inner;
    n->failed = n->failed || name.failed;
    buf_release(&name);
}

static void parts_walk(struct nest *n, struct document *d, const char *prefix, unsigned level)
{
    for (size_t i = 0; i < d->part_count && !n->failed; i++) {
        const struct doc_part *p = &d->parts[i];
        if (p->kind != DOC_PART_MEMBER || hidden_name(p->name))
            continue;
        if (doc_name_known(p->name))
            member_add(n, p, prefix, level);
        else
            n->unknown++;
    }
    parts_free(d);
}

enum sooth_status nested_read(struct document *d, const char *name, const struct doc_options *opt,
                              struct sooth_error *err)
{
    struct nest n = {.opt = opt, .name = name};
    if (d->part_count == 0)
        return SOOTH_OK;
    n.deadline = clock_seconds() + 10.0 * (opt->max_seconds ? opt->max_seconds : 60);
    parts_walk(&n, d, "", 1);
    d->members = n.members.items;
    d->member_count = n.members.count;
    if (n.unknown > 0)
        n.failed = !document_warn(d, "%zu files inside are of kinds not read here", n.unknown) || n.failed;
    if (n.beyond > 0)
        n.failed = !document_warn(d, "%zu files inside were left out: too many, too deep, too large "
                                     "or too slow", n.beyond) || n.failed;
    if (!n.failed)
        return SOOTH_OK;
    document_release(d);
    return err_nomem(err);
}
