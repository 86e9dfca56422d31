/* ocr.c: which pages and pictures are read by OCR, and what of it is believed.
 *
 * Each page of a PDF has a quality in 0..1 (builder.c): the share of its characters that make sense as
 * text. A page without text has 0, one whose font has no map to Unicode little more.
 *
 *   never    nothing
 *   auto     pages with quality < 1/2; pages with fewer than 25 characters, where what OCR finds is added
 *            if it is twice as much; pictures in documents of at least 2 KiB
 *   always   all pages and all pictures; a page keeps its old text only when OCR finds none
 *
 * What OCR finds has its own quality, the mean confidence of its words; a page below 0.4 and a picture
 * below 0.6 is not believed: leaves and faces are full of letters for who looks for them. Text of a page
 * takes the place of what was there; text of a picture follows its description, as a block of kind
 * "picture", once for each picture however often it is shown (a logo).
 *
 * Languages: English first, and that is all when its quality is 0.9 or more. Else Chinese with English is
 * tried, Simplified and Traditional, and the most confident reading wins. The Traditional model is as sure of
 * 橫 where 横 is printed (by 2 to 4 points surer on our pictures, by 12 where 橫 is), so it has to win by 6
 * points. One run with all three confuses the two, and one that begins with English reads 水泵 as "REF". Each call is a worker with tesseract in it: the same limits, the same walls. */
#include "know/doc/ocr.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/map.h"
#include "core/base/vec.h"
#include "know/doc/sandbox.h"
#include "know/doc/splice.h"

enum { FEW_CHARACTERS = 25, PICTURE_BYTES_LEAST = 2048, PICTURES_MAX = 500 };
#define PAGE_QUALITY_LEAST 0.5f
#define PAGE_BELIEVED 0.4f
#define PICTURE_BELIEVED 0.6f
#define ENGLISH_ENOUGH 0.9f

static bool tesseract_there(void)
{
    const char *path = getenv("PATH");
    char file[1024];
    for (const char *p = path != NULL ? path : "/usr/bin:/bin"; *p != '\0';) {
        size_t n = strcspn(p, ":");
        if (snprintf(file, sizeof file, "%.*s/tesseract", (int)n, p) < (int)sizeof file &&
            access(file, X_OK) == 0)
            return true;
        p += n + (p[n] == ':');
    }
    return false;
}

enum sooth_status ocr_mode_parse(const char *name, enum ocr_mode *out, struct sooth_error *err)
{
    static const char *const names[] = {"auto", "always", "never"};
    *out = OCR_AUTO;
    for (size_t i = 0; name != NULL && i < 3; i++)
        if (strcmp(name, names[i]) == 0)
            *out = (enum ocr_mode)i;
    if (name != NULL && strcmp(name, names[*out]) != 0) {
        err_set(err, SOOTH_ERR_ARG, "unknown way of OCR '%s'", name);
        return err_hint(err, "it is auto, always or never");
    }
    if (*out == OCR_ALWAYS && !tesseract_there()) {
        err_set(err, SOOTH_ERR_UNSUPPORTED, "text in pictures is read by the program 'tesseract', which is missing");
        return err_hint(err, "install the packages tesseract-ocr, tesseract-ocr-chi-sim, tesseract-ocr-chi-tra");
    }
    return SOOTH_OK;
}

enum sooth_status doc_ocr_check(const char *mode, struct sooth_error *err)
{
    enum ocr_mode unused;
    return ocr_mode_parse(mode, &unused, err);
}

bool doc_ocr_ready(void)
{
    return tesseract_there();
}

/* ---- one picture or page ---- */

static float quality_of(const struct document *d)
{
    return d->page_count > 0 ? d->pages[0].quality : 0;
}

static enum sooth_status read_once(int fd, uint32_t page, const char *languages,
                                   const struct doc_options *opt, struct document *out,
                                   struct sooth_error *err)
{
    const struct sandbox_job job = {
        .fd = fd,
        .name = "page",
        .format = "ocr",
        .page = page,
        .languages = languages,
        .max_memory = opt->max_memory ? opt->max_memory : (uint64_t)1 << 30,
        .max_seconds = opt->max_seconds ? opt->max_seconds : 60,
    };
    return sandbox_run(&job, out, err);
}

/* page 0: the file is a picture. */
static enum sooth_status read_best(int fd, uint32_t page, const struct doc_options *opt,
                                   struct document *out, struct sooth_error *err)
{
    static const struct {
        const char *languages;
        float margin;
    } others[] = {{"chi_sim+eng", 0}, {"chi_tra+eng", 0.06f}};
    enum sooth_status s = read_once(fd, page, "eng", opt, out, err);
    if (s != SOOTH_OK || quality_of(out) >= ENGLISH_ENOUGH)
        return s;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct document other;
        struct sooth_error ignored;
        if (read_once(fd, page, others[i].languages, opt, &other, &ignored) != SOOTH_OK)
            continue; /* the language is not installed */
        bool better = quality_of(&other) > quality_of(out) + others[i].margin;
        document_release(better ? out : &other);
        if (better)
            *out = other;
    }
    return SOOTH_OK;
}

/* ---- pages ---- */

struct reading {
    struct document *d;
    const struct doc_options *opt;
    enum ocr_mode mode;
    VEC(struct splice) splices;
    VEC(struct document *) texts;
    size_t done, total;
    size_t pages; /* read */
    double quality; /* their sum */
};

static bool page_wants(const struct reading *r, const struct doc_page *p)
{
    return r->mode == OCR_ALWAYS ||
           (r->mode == OCR_AUTO && (p->quality < PAGE_QUALITY_LEAST || p->chars < FEW_CHARACTERS));
}

static bool page_believed(const struct reading *r, const struct doc_page *p, const struct document *text)
{
    if (text->no_text || quality_of(text) < PAGE_BELIEVED)
        return false;
    return r->mode == OCR_ALWAYS || p->quality < PAGE_QUALITY_LEAST ||
           text->pages[0].chars > 2 * p->chars;
}

static bool go_on(struct reading *r)
{
    return r->opt->on_page == NULL || r->opt->on_page(r->opt->user, r->done, r->total);
}

/* Keeps the text until the splice; the reading owns it. */
static bool text_keep(struct reading *r, struct document *text, size_t after, uint32_t page, bool picture)
{
    struct document *kept = mem_dup(text, sizeof *text);
    if (kept == NULL || !vec_push(&r->texts, kept)) {
        mem_free(kept);
        document_release(text);
        return false;
    }
    return vec_push(&r->splices, ((struct splice){after, page, kept, picture}));
}

static size_t blocks_before(const struct document *d, size_t page)
{
    size_t i = 0;
    while (i < d->block_count && d->blocks[i].page < page)
        i++;
    return i;
}

/* What the parser said of the page is no longer so. */
static void warning_drop(struct document *d, size_t page)
{
    char line[64];
    snprintf(line, sizeof line, "page %zu has no text", page);
    for (size_t i = 0; i < d->warning_count; i++)
        if (strcmp(d->warnings[i], line) == 0) {
            mem_free(d->warnings[i]);
            memmove(d->warnings + i, d->warnings + i + 1, (--d->warning_count - i) * sizeof *d->warnings);
            return;
        }
}

static enum sooth_status pages_read(struct reading *r, int fd, bool *drop, struct sooth_error *err)
{
    struct document *d = r->d;
    enum sooth_status s = SOOTH_OK;
    for (size_t p = 0; p < d->page_count; p++)
        r->total += page_wants(r, &d->pages[p]);
    for (size_t p = 0; p < d->page_count && s == SOOTH_OK; p++) {
        struct document text;
        struct doc_page *page = &d->pages[p];
        if (!page_wants(r, page))
            continue;
        s = read_best(fd, (uint32_t)p + 1, r->opt, &text, err);
        r->done++;
        if (s == SOOTH_OK && page_believed(r, page, &text)) {
            bool added = r->mode == OCR_AUTO && page->quality >= PAGE_QUALITY_LEAST;
            page->quality = quality_of(&text);
            r->quality += page->quality;
            r->pages++;
            for (size_t i = blocks_before(d, p + 1);
                 i < d->block_count && d->blocks[i].page == p + 1 && !added; i++)
                drop[i] = true;
            warning_drop(d, p + 1);
            if (!text_keep(r, &text, blocks_before(d, p + 2), (uint32_t)p + 1, added))
                return err_nomem(err);
        } else {
            document_release(&text);
        }
        if (!go_on(r))
            return err_set(err, SOOTH_ERR_CANCELLED, "stopped at page %zu", p + 1);
    }
    return s;
}

/* ---- pictures ---- */

static bool picture_wanted(const struct reading *r, const struct doc_part *p)
{
    return p->kind == DOC_PART_PICTURE &&
           (r->mode == OCR_ALWAYS || p->len >= PICTURE_BYTES_LEAST ||
            strcmp(r->d->format, "picture") == 0);
}

/* One picture; *fatal is for what is no fault of the picture. */
static enum sooth_status picture_read(struct reading *r, const struct doc_part *p, struct map *seen,
                                      struct sooth_error *err)
{
    unsigned char digest[32];
    struct document text;
    struct sha256 h;
    bool fresh = false;
    sha256_init(&h);
    sha256_add(&h, p->data, p->len);
    sha256_end(&h, digest);
    if (!map_add(seen, digest, sizeof digest, 1, &fresh))
        return err_nomem(err);
    int fd = fresh ? sandbox_memory(p->data, p->len, err) : -1;
    if (fd < 0)
        return fresh ? SOOTH_ERR_IO : SOOTH_OK;
    enum sooth_status s = read_best(fd, 0, r->opt, &text, err);
    close(fd);
    bool whole = strcmp(r->d->format, "picture") == 0; /* the file is the picture */
    if (s != SOOTH_OK)
        return s;
    if (text.no_text || (quality_of(&text) < PICTURE_BELIEVED && !whole)) {
        document_release(&text);
        return SOOTH_OK;
    }
    uint32_t page = p->after > 0                ? r->d->blocks[p->after - 1].page
                    : r->d->block_count > 0     ? r->d->blocks[0].page
                                                : 0;
    return text_keep(r, &text, p->after, page, true) ? SOOTH_OK : err_nomem(err);
}

static enum sooth_status pictures_read(struct reading *r, struct sooth_error *err)
{
    struct document *d = r->d;
    struct map seen;
    enum sooth_status s = SOOTH_OK;
    size_t read = 0;
    for (size_t i = 0; i < d->part_count; i++)
        r->total += picture_wanted(r, &d->parts[i]);
    map_init(&seen);
    for (size_t i = 0; i < d->part_count && s == SOOTH_OK && read < PICTURES_MAX; i++) {
        if (!picture_wanted(r, &d->parts[i]))
            continue;
        struct sooth_error why = {0};
        enum sooth_status one = picture_read(r, &d->parts[i], &seen, &why);
        bool alone = strcmp(d->format, "picture") == 0;
        if (one == SOOTH_ERR_NOMEM || (one != SOOTH_OK && alone)) {
            *err = why;
            s = one;
        }
        read++;
        r->done++;
        if (s == SOOTH_OK && !go_on(r))
            s = err_set(err, SOOTH_ERR_CANCELLED, "stopped at picture %zu", read);
    }
    map_release(&seen);
    return s;
}

static void pictures_free(struct document *d)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->part_count; i++) {
        if (d->parts[i].kind == DOC_PART_PICTURE) {
            mem_free(d->parts[i].name);
            mem_free(d->parts[i].data);
        } else {
            d->parts[kept++] = d->parts[i];
        }
    }
    d->part_count = kept;
    if (kept == 0) {
        mem_free(d->parts);
        d->parts = NULL;
    }
}

/* A person should know that what is quoted was read off a picture, or why it was not. */
static bool result_tell(struct reading *r, bool alone, bool ready)
{
    if (r->pages > 0)
        return document_warn(r->d, "%zu %s read by OCR with quality %.2f", r->pages,
                             r->pages == 1 ? "page was" : "pages were", r->quality / (double)r->pages);
    if (!alone || !r->d->no_text)
        return true;
    return document_warn(r->d, r->mode == OCR_NEVER ? "it is a picture, and OCR is off"
                               : ready              ? "no text was found in the picture"
                                                    : "it is a picture, and 'tesseract' is not installed");
}

enum sooth_status ocr_read(struct document *d, int fd, const char *name,
                           const struct doc_options *opt, struct sooth_error *err)
{
    struct reading r = {.d = d, .opt = opt};
    enum sooth_status s = ocr_mode_parse(opt->ocr, &r.mode, err);
    bool pages = strcmp(d->format, "pdf") == 0 && d->page_count > 0, ready = tesseract_there();
    bool alone = strcmp(d->format, "picture") == 0;
    if (s == SOOTH_OK && r.mode != OCR_NEVER && (pages || d->part_count > 0) && ready) {
        bool *drop = mem_calloc(d->block_count + 1, sizeof *drop);
        s = drop == NULL ? err_nomem(err) : pages ? pages_read(&r, fd, drop, err) : pictures_read(&r, err);
        if (s == SOOTH_OK && r.splices.count > 0)
            s = document_splice(d, r.splices.items, r.splices.count, drop, err);
        mem_free(drop);
    }
    pictures_free(d);
    if (s == SOOTH_OK && !result_tell(&r, alone, ready))
        s = err_nomem(err);
    for (size_t i = 0; i < r.texts.count; i++) {
        document_release(r.texts.items[i]);
        mem_free(r.texts.items[i]);
    }
    vec_free(&r.texts);
    vec_free(&r.splices);
    return s;
}
