/* kb_add.c: `add`: files through a short pipeline into the store.
 *
 *   reader thread:  hash file -> unchanged? else parse (in its sandbox)  --queue of 4-->
 *   this thread:    cut, look up vectors, collect passages of several files -> embed together ->
 * one transaction a file
 *
 * While the cores embed, the next file is already being parsed. Files are reported in order, each
 * after its transaction, so what was reported as added is in the store. What is killed halfway is
 * done by the next run. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <errno.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "know/retrieve/kbase.h"

enum { QUEUE = 4, GROUP_FILES = 32, GROUP_PASSAGES = 128 };

/* What the reader thread works on; the queue between it and us. */
struct reader {
    const struct walk *walk;
    const struct doc_options *parse;
    const char *parse_key;
    const struct map *known; /* identity -> 64-bit digest of (hash, parse key) */
    struct intake *items;    /* [files] */
    size_t made, taken;      /* under lock, as all that follows */
    bool stop;
    const char *file;        /* being read by OCR: its pages so far and in all */
    size_t pages_done, pages;
    bool skip_pictures;      /* nothing here can read them */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
};

struct adding {
    struct sooth_kb *kb;
    const struct sooth_add_options *o;
    struct sooth_add_totals *totals;
    const char *parse_key;
    size_t done, total;
    bool stop;
    struct intake *group[GROUP_FILES];
    size_t n_group, passages;
    struct sooth_error *err;
};

const char *sooth_add_status_name(enum sooth_add_status s)
{
    static const char *const names[] = {"added",   "unchanged", "updated",
                                        "no_text", "failed",    "skipped",
                                        "forgotten"};
    return (unsigned)s < sizeof names / sizeof *names ? names[s] : "unknown";
}

/* --- reading
 * --------------------------------------------------------------------------------------------------
 */

static enum sooth_status hash_file(const char *path, struct intake *in)
{
    static const size_t piece = 1 << 16;
    struct sha256 h;
    unsigned char digest[32];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *buffer = fd >= 0 ? mem_alloc(piece) : NULL;
    ssize_t n = -1;
    if (!buffer) {
        enum sooth_status status =
            fd >= 0 ? err_nomem(&in->why)
                    : err_set(&in->why, errno == ENOENT ? SOOTH_ERR_NOTFOUND : SOOTH_ERR_IO,
                              "cannot open '%s': %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return status;
    }
    sha256_init(&h);
    while ((n = read(fd, buffer, piece)) > 0) {
        sha256_add(&h, buffer, (size_t)n);
        in->source_bytes += (size_t)n;
    }
    int code = errno;
    mem_free(buffer);
    close(fd);
    if (n < 0)
        return err_set(&in->why, SOOTH_ERR_IO, "cannot read '%s': %s", path, strerror(code));
    sha256_end(&h, digest);
    hash_hex(digest, in->hash);
    return SOOTH_OK;
}

static uint64_t state_key(const char *hash, const char *parse)
{
    return hash64(parse, strlen(parse), hash64(hash, strlen(hash), 0));
}

static bool is_known(const struct map *known, const struct intake *in, const char *parse)
{
    uint64_t state;
    return map_find(known, in->doc, strlen(in->doc), &state) && state == state_key(in->hash, parse);
}

static void read_one(struct reader *r, const struct walk_file *f, struct intake *in)
{
    in->started = clock_seconds();
    in->file = f->path;
    in->doc = f->doc;
    if (f->problem)
        in->status = err_set(&in->why, SOOTH_ERR_IO, "cannot open '%s': %s", f->path, f->problem);
    else if (!f->named && (!doc_name_known(f->path) ||
                           (r->skip_pictures && doc_name_picture(f->path))))
        in->skipped = true;
    else if ((in->status = hash_file(f->path, in)) == SOOTH_OK &&
             !(in->same = is_known(r->known, in, r->parse_key)))
        in->status = doc_parse_file(f->path, r->parse, &in->parsed, &in->why);
}

/* In the reader's thread, after each page that OCR took its time for. */
static bool on_page(void *user, size_t done, size_t total)
{
    struct reader *r = user;
    pthread_mutex_lock(&r->lock);
    r->pages_done = done;
    r->pages = total;
    bool go_on = !r->stop;
    pthread_mutex_unlock(&r->lock);
    return go_on;
}

static void *reader_main(void *arg)
{
    struct reader *r = arg;
    for (size_t i = 0; i < r->walk->files.count; i++) {
        pthread_mutex_lock(&r->lock);
        while (r->made - r->taken >= QUEUE && !r->stop)
            pthread_cond_wait(&r->changed, &r->lock);
        bool stop = r->stop;
        r->file = r->walk->files.items[i].path;
        r->pages = 0;
        pthread_mutex_unlock(&r->lock);
        if (stop)
            break;
        read_one(r, &r->walk->files.items[i], &r->items[i]);
        pthread_mutex_lock(&r->lock);
        r->made++;
        pthread_cond_broadcast(&r->changed);
        pthread_mutex_unlock(&r->lock);
    }
    return NULL;
}

/* Waits for the reader a little; tells of pages meanwhile. Called and returns with the lock held. False to
 * stop. */
static bool reader_wait(struct reader *r, const struct sooth_add_options *o)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 200000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&r->changed, &r->lock, &until);
    if (r->made > r->taken || !o->on_progress)
        return true;
    const char *file = r->file;
    size_t done = r->pages_done, pages = r->pages;
    pthread_mutex_unlock(&r->lock);
    bool go_on = o->on_progress(o->user, file, done, pages);
    pthread_mutex_lock(&r->lock);
    return go_on;
}

/* The next file; NULL when `wait` is false and none is ready, or when told to stop. */
static struct intake *reader_take(struct reader *r, const struct sooth_add_options *o, bool wait)
{
    struct intake *in = NULL;
    pthread_mutex_lock(&r->lock);
    while (wait && r->made == r->taken && !r->stop)
        if (!reader_wait(r, o))
            r->stop = true;
    if (r->made > r->taken) {
        in = &r->items[r->taken++];
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    return in;
}

static void reader_stop(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->changed);
}

/* --- reporting
 * ------------------------------------------------------------------------------------------------
 */

static void report(struct adding *a, const struct intake *in, enum sooth_add_status status,
                   size_t chunks, size_t pages, const char *error)
{
    struct sooth_add_totals *t = a->totals;
    size_t *const counters[] = {&t->added,   &t->unchanged, &t->updated,
                                &t->no_text, &t->failed,    &t->skipped};
    ++*counters[status];
    t->chunks += chunks;
    t->embedded += in->embedded;
    a->done++;
    const struct sooth_added file = {
        .file = in->file,
        .doc = in->doc,
        .status = status,
        .pages = pages,
        .chunks = chunks,
        .embedded = in->embedded,
        .bytes = in->source_bytes,
        .encoding = in->parsed.encoding,
        .error = error,
        .seconds = clock_seconds() - in->started,
        .done = a->done,
        .total = a->total,
    };
    if (a->o->on_file && !a->o->on_file(a->o->user, &file))
        a->stop = true;
}

static bool has_tags(const char *stored, const struct sooth_tag *tags, size_t n)
{
    struct arena arena;
    bool all = true;
    arena_init(&arena, 0);
    const struct json *j = json_parse(&arena, stored, strlen(stored), 0, NULL, NULL);
    for (size_t i = 0; i < n && all; i++)
        all = strcmp(json_string(j, tags[i].key, "\1"), tags[i].value) == 0;
    arena_release(&arena);
    return all;
}

/* The user's tags anew; what the file says of itself stays. */
static enum sooth_status tags_change(struct adding *a, struct intake *in, const char *stored)
{
    struct arena arena;
    struct document d = {0};
    struct sooth_tag *tags = NULL;
    size_t n = 0;
    arena_init(&arena, 0);
    enum sooth_status status = meta_recall(&arena, stored, &d) &&
                                       tags_merge(&d, a->o->tags, a->o->n_tags, &tags, &n)
                                   ? store_set_tags(a->kb->store, in->doc, tags, n, a->err)
                                   : err_nomem(a->err);
    mem_free(tags);
    document_release(&d);
    arena_release(&arena);
    return status;
}

/* The very same bytes: only the tags may be new. */
static enum sooth_status finish_same(struct adding *a, struct intake *in)
{
    struct store_doc_info info;
    enum sooth_status status = store_find(a->kb->store, in->doc, &info, a->err);
    if (status != SOOTH_OK)
        return status;
    size_t chunks = info.chunks, pages = info.pages;
    char *note = mem_strdup(info.note);
    if (a->o->n_tags > 0 && !has_tags(info.tags, a->o->tags, a->o->n_tags))
        status = tags_change(a, in, info.tags);
    if (status == SOOTH_OK)
        report(a, in, chunks ? SOOTH_UNCHANGED : SOOTH_NO_TEXT, chunks, pages, note);
    mem_free(note);
    return status;
}

static enum sooth_status finish_one(struct adding *a, struct intake *in)
{
    if (in->skipped)
        return report(a, in, SOOTH_SKIPPED, 0, 0, "no parser for this kind of file"), SOOTH_OK;
    if (in->status != SOOTH_OK)
        return report(a, in, SOOTH_FAILED, 0, 0, in->why.text), SOOTH_OK;
    if (in->same)
        return finish_same(a, in);
    struct store_put put;
    enum sooth_status status =
        intake_store(a->kb, in, a->o->tags, a->o->n_tags, a->parse_key, false, &put, a->err);
    if (status != SOOTH_OK)
        return status;
    const char *warning = in->parsed.warning_count ? in->parsed.warnings[0] : NULL;
    size_t chunks = in->chunks.count;
    enum sooth_add_status done = put.unchanged ? SOOTH_UNCHANGED
                                 : put.updated ? SOOTH_UPDATED
                                               : SOOTH_ADDED;
    if (chunks == 0) {
        done = SOOTH_NO_TEXT;
        warning = warning ? warning : "no text found";
    }
    report(a, in, done, chunks, in->parsed.page_count, warning);
    return SOOTH_OK;
}

/* Embeds and stores the files collected so far. */
static enum sooth_status group_flush(struct adding *a)
{
    const struct embedder *e = NULL;
    enum sooth_status status = SOOTH_OK;
    if (a->passages > 0) {
        struct intake *need[GROUP_FILES];
        size_t n = 0;
        for (size_t i = 0; i < a->n_group; i++)
            if (a->group[i]->missing > 0)
                need[n++] = a->group[i];
        status = kb_embedder(a->kb, &e, a->err);
        if (status == SOOTH_OK)
            status = intake_embed(e, need, n, a->o->on_progress, a->o->user, a->err);
    }
    for (size_t i = 0; i < a->n_group; i++) {
        if (status == SOOTH_OK && !a->stop)
            status = finish_one(a, a->group[i]);
        intake_free(a->group[i]);
    }
    a->n_group = a->passages = 0;
    return status;
}

static enum sooth_status group_add(struct adding *a, struct intake *in)
{
    enum sooth_status status = SOOTH_OK;
    if (!in->skipped && !in->same && in->status == SOOTH_OK) {
        const struct embedder *e;
        status = kb_embedder_claim(a->kb, &e, a->err);
        if (status == SOOTH_OK)
            status = intake_prepare(a->kb, e, in, a->err);
    }
    a->group[a->n_group++] = in;
    a->passages += in->missing;
    if (status != SOOTH_OK || a->n_group == GROUP_FILES || a->passages >= GROUP_PASSAGES) {
        if (status != SOOTH_OK) {
            for (size_t i = 0; i < a->n_group; i++)
                intake_free(a->group[i]);
            a->n_group = a->passages = 0;
            return status;
        }
        return group_flush(a);
    }
    return SOOTH_OK;
}

/* A file and what is inside it; members that are gone from it are forgotten. */
static enum sooth_status group_add_all(struct adding *a, struct intake *in)
{
    struct inner inner = {0};
    enum sooth_status status = SOOTH_OK;
    if (in->status == SOOTH_OK && !in->same && !in->skipped) {
        status = inner_take(a->kb, in, a->parse_key, &inner, a->err);
        if (status == SOOTH_OK)
            status = inner_forget_stale(a->kb, in, &inner, a->err);
    }
    if (status != SOOTH_OK) {
        inner_release(&inner, 0);
        return status;
    }
    a->total += inner.items.count;
    status = group_add(a, in);
    size_t i = 0;
    while (i < inner.items.count && status == SOOTH_OK && !a->stop)
        status = group_add(a, inner.items.items[i++]);
    inner_release(&inner, i);
    return status;
}

/* --- the two ways in
 * ------------------------------------------------------------------------------------------ */

struct known {
    struct map map;
    bool failed;
};

static bool learn(void *user, const struct store_doc_info *d)
{
    struct known *k = user;
    k->failed |= !map_put(&k->map, d->doc, strlen(d->doc), state_key(d->hash, d->parse));
    return !k->failed;
}

static void parse_key_of(const struct sooth_add_options *o, char *out, size_t size)
{
    bool ocr = o->ocr && strcmp(o->ocr, "auto") != 0; /* what decides the text is remembered with it */
    snprintf(out, size, "%s%.60s%s%s", o->encoding ? "encoding=" : "", o->encoding ? o->encoding : "",
             ocr ? " ocr=" : "", ocr ? o->ocr : "");
}

static enum sooth_status run_queue(struct adding *a, struct reader *r)
{
    enum sooth_status status = SOOTH_OK;
    size_t files = a->total; /* grows by what is inside them */
    for (size_t i = 0; i < files && status == SOOTH_OK && !a->stop; i++) {
        struct intake *in = reader_take(r, a->o, a->n_group == 0);
        if (!in) { /* the reader is behind: use the time */
            status = group_flush(a);
            in = status == SOOTH_OK && !a->stop ? reader_take(r, a->o, true) : NULL;
        }
        if (in)
            status = group_add_all(a, in);
        else if (status == SOOTH_OK)
            a->stop = true;
    }
    if (status == SOOTH_OK && !a->stop)
        status = group_flush(a);
    reader_stop(r);
    for (size_t i = 0; i < files; i++)
        intake_release(&r->items[i]);
    if (status == SOOTH_OK && a->stop && a->done < a->total)
        return err_set(a->err, SOOTH_ERR_CANCELLED, "stopped after %zu of %zu files", a->done,
                       a->total);
    return status;
}

/* The documents are in. Searches are right without these files, only slower, and the next writer
 * tries again: so a failure is told and fails nothing. */
static void refresh_indexes(struct sooth_kb *kb)
{
    struct sooth_error why = {0};
    if (store_index_refresh(kb->store, kb->threads, false, &why) != SOOTH_OK)
        log_write(LOG_WARN, "the index files were not brought up to date: %s", why.text);
}

enum sooth_status kb_add_paths(struct sooth_kb *kb, const char *const *paths, size_t n, bool named,
                               const struct sooth_add_options *options,
                               struct sooth_add_totals *totals, struct sooth_error *err)
{
    const struct sooth_add_options none = {0};
    struct sooth_add_totals unused;
    struct adding a = {
        .kb = kb, .o = options ? options : &none, .totals = totals ? totals : &unused, .err = err};
    struct walk walk = {0};
    struct known known = {0};
    char parse_key[96];
    double started = clock_seconds();
    memset(a.totals, 0, sizeof *a.totals);
    enum sooth_status status = doc_ocr_check(a.o->ocr, err);
    if (status != SOOTH_OK)
        return status;
    parse_key_of(a.o, parse_key, sizeof parse_key);
    a.parse_key = parse_key;
    map_init(&known.map);
    status = walk_paths(paths, n, named, a.o, store_path(kb->store), &walk, err);
    if (status == SOOTH_OK)
        status = store_docs(kb->store, learn, &known, err);
    if (status == SOOTH_ERR_CANCELLED)
        status = err_nomem(err);
    struct reader r = {.walk = &walk, .parse_key = parse_key, .known = &known.map};
    const struct doc_options parse = {
        .encoding = a.o->encoding, .ocr = a.o->ocr, .on_page = on_page, .user = &r};
    r.parse = &parse;
    r.skip_pictures = (a.o->ocr && strcmp(a.o->ocr, "never") == 0) || !doc_ocr_ready();
    a.total = walk.files.count;
    r.items = mem_calloc(a.total + 1, sizeof *r.items);
    if (status == SOOTH_OK && !r.items)
        status = err_nomem(err);
    if (status == SOOTH_OK && a.total > 0) {
        pthread_mutex_init(&r.lock, NULL);
        pthread_cond_init(&r.changed, NULL);
        int code = pthread_create(&r.thread, NULL, reader_main, &r);
        status = code ? err_set(err, SOOTH_ERR_NOMEM, "cannot start a thread: %s", strerror(code))
                      : run_queue(&a, &r);
    }
    if (status == SOOTH_OK)
        refresh_indexes(kb);
    mem_free(r.items);
    map_release(&known.map);
    walk_release(&walk);
    a.totals->seconds = clock_seconds() - started;
    return status;
}

enum sooth_status sooth_kb_add(struct sooth_kb *kb, const char *const *paths, size_t n,
                               const struct sooth_add_options *options,
                               struct sooth_add_totals *totals, struct sooth_error *err)
{
    return kb_add_paths(kb, paths, n, true, options, totals, err);
}

enum sooth_status sooth_kb_add_bytes(struct sooth_kb *kb, const char *name, const void *bytes,
                                     size_t len, const struct sooth_add_options *options,
                                     struct sooth_add_totals *totals, struct sooth_error *err)
{
    const struct sooth_add_options none = {0};
    struct sooth_add_totals unused;
    struct adding a = {.kb = kb,
                       .o = options ? options : &none,
                       .totals = totals ? totals : &unused,
                       .total = 1,
                       .err = err};
    struct intake in = {.file = name, .doc = name, .source_bytes = len, .started = clock_seconds()};
    struct store_doc_info info;
    char parse_key[96];
    memset(a.totals, 0, sizeof *a.totals);
    enum sooth_status status = doc_ocr_check(a.o->ocr, err);
    if (status != SOOTH_OK)
        return status;
    if (!name || !*name)
        return err_set(err, SOOTH_ERR_ARG, "text without a file needs a name");
    parse_key_of(a.o, parse_key, sizeof parse_key);
    a.parse_key = parse_key;
    sha256_hex(bytes, len, in.hash);
    in.same = store_find(kb->store, name, &info, NULL) == SOOTH_OK &&
              strcmp(info.hash, in.hash) == 0 && strcmp(info.parse, parse_key) == 0;
    const struct doc_options parse = {.encoding = a.o->encoding, .ocr = a.o->ocr};
    if (!in.same)
        in.status = doc_parse_bytes(name, bytes, len, &parse, &in.parsed, &in.why);
    status = group_add_all(&a, &in);
    if (status == SOOTH_OK)
        status = group_flush(&a);
    if (status == SOOTH_OK)
        refresh_indexes(kb);
    a.totals->seconds = clock_seconds() - in.started;
    return status;
}
