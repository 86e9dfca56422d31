/* chunk.c: cuts a parsed document into passages of a size counted in the embedder's own tokens.
 *
 *   document   [heading][sentence sentence sentence][row][row][code       ]
 *   units          u0       u1       u2       u3     u4   u5     u6            each fits a passage
 *
 * 1. Units: the sentences of prose (core/base/sentence.h: Latin and Chinese ends, closing marks
 * stay), table rows, headings, and code blocks, which stay whole unless longer than the limit, then
 * their lines. What is longer than a passage is cut by chunk_cut.
 * 2. Passages are runs of units; which, is the business of a row of the table of splitters
 * (split_NAME.c).
 * 3. What is embedded and indexed is the context: title, heading path, the table's header row, then
 * the passage. All of it is counted. What is shown is exactly text[start, end).
 *
 * What holds for every row: passages ascend, none is over the limit, none ends inside a character, and
 * what no passage holds is blank. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/sentence.h"
#include "core/base/utf8.h"
#include "know/retrieve/split.h"

enum {
    MARGIN = 4,
    CONTEXT_SHARE = 4
}; /* tokens kept free; title, headings and header row take a quarter each at most */

#define ROW(x) extern const struct splitter splitter_##x;
#include "know/retrieve/split_rows.inc"
#undef ROW
#define ROW(x) &splitter_##x,
static const struct splitter *const splitters[] = {
#include "know/retrieve/split_rows.inc"
};
#undef ROW
#define SPLITTERS (sizeof splitters / sizeof *splitters)

const struct splitter *splitter_find(const char *name)
{
    for (size_t i = 0; i < SPLITTERS; i++)
        if (!name || strcmp(splitters[i]->name, name) == 0)
            return splitters[i]; /* the first is the way of the house */
    return NULL;
}

const char *splitter_at(size_t i, const char **about)
{
    if (i >= SPLITTERS)
        return NULL;
    if (about)
        *about = splitters[i]->about;
    return splitters[i]->name;
}

unsigned splitter_family(const char *name)
{
    const struct splitter *s = splitter_find(name);
    return s ? s->family : 0;
}

size_t chunker_count(const struct chunker *c, size_t start, size_t end)
{
    return c->e->count(c->e, c->d->text + start, end - start);
}

static bool is_space(char ch)
{
    return ch == ' ' || ch == '\n' || ch == '\t' || ch == '\r';
}

/* --- units
 * ----------------------------------------------------------------------------------------------------
 */

/* Adds text[start, end), cut into pieces where it is over the budget of its block. */
bool chunker_unit(struct chunker *c, size_t block, size_t start, size_t end, size_t budget,
                  bool prose)
{
    const char *text = c->d->text;
    while (start < end && is_space(text[start]))
        start++;
    while (end > start && is_space(text[end - 1]))
        end--;
    while (start < end) {
        size_t to = end;
        if (end - start > budget) /* a token has a byte at least */
            to = start + chunk_cut(c->e, text + start, end - start, budget);
        size_t stop = to;
        while (stop > start && is_space(text[stop - 1]))
            stop--;
        if (stop > start &&
            !vec_push(&c->units, ((struct unit){start, stop, chunker_count(c, start, stop), block, prose})))
            return false;
        start = to;
        while (start < end && is_space(text[start]))
            start++;
    }
    return true;
}

static bool add_lines(struct chunker *c, size_t block, size_t start, size_t end, size_t budget)
{
    while (start < end) {
        const char *nl = memchr(c->d->text + start, '\n', end - start);
        size_t stop = nl ? (size_t)(nl - c->d->text) : end;
        if (!chunker_unit(c, block, start, stop, budget, false))
            return false;
        start = stop + (nl != NULL);
    }
    return true;
}

static bool add_sentences(struct chunker *c, size_t block, size_t start, size_t end, size_t budget)
{
    struct sentence s;
    size_t at = 0;
    while (sentence_next(c->d->text + start, end - start, &at, &s))
        if (!chunker_unit(c, block, start + s.start, start + s.end, budget, true))
            return false;
    return true;
}

static size_t header_tokens(const struct chunker *c, const struct doc_block *b)
{
    if (b->header < 0)
        return 0;
    const struct doc_block *h = &c->d->blocks[b->header];
    size_t n = chunker_count(c, h->start, h->end);
    return n <= c->limit / CONTEXT_SHARE ? n : 0;
}

static const struct chunk_head *head_of(struct chunker *c, size_t block);

size_t chunker_budget(struct chunker *c, size_t block)
{
    const struct doc_block *b = &c->d->blocks[block];
    size_t used = MARGIN + c->title_tokens + head_of(c, block)->tokens + header_tokens(c, b);
    return c->limit > used + 8 ? c->limit - used : 8;
}

static bool add_block(struct chunker *c, size_t i)
{
    const struct doc_block *b = &c->d->blocks[i];
    size_t budget = chunker_budget(c, i);
    switch (b->kind) {
    case DOC_CODE:
        if (b->end - b->start <= budget ||
            (b->end - b->start <= budget * 16 && chunker_count(c, b->start, b->end) <= budget))
            return chunker_unit(c, i, b->start, b->end, budget, false);
        return add_lines(c, i, b->start, b->end, budget);
    case DOC_TABLE_ROW:
    case DOC_HEADING:
        return chunker_unit(c, i, b->start, b->end, budget, false);
    default:
        return add_sentences(c, i, b->start, b->end, budget);
    }
}

bool chunker_units(struct chunker *c)
{
    bool ok = true;
    for (size_t i = 0; i < c->d->block_count; i++)
        ok = add_block(c, i) && ok;
    return ok;
}

/* --- context
 * --------------------------------------------------------------------------------------------------
 */

/* "A > B > C" within a quarter of the limit: the outermost headings go first, the innermost is cut.
 */
static const struct chunk_head *head_of(struct chunker *c, size_t block)
{
    static const struct chunk_head none = {"", 0, true};
    int32_t heading = c->d->blocks[block].heading;
    struct chunk_head *h = &c->heads[heading + 1];
    if (h->made)
        return h;
    struct buf path = BUF_INIT;
    size_t most = c->limit / CONTEXT_SHARE, from = 0;
    if (!doc_heading_path(c->d, block, " > ", &path) || path.failed) {
        buf_release(&path);
        c->out->arena.failed = true;
        return &none;
    }
    while (path.len > from && c->e->count(c->e, path.data + from, path.len - from) > most) {
        const char *next = strstr(path.data + from, " > ");
        if (!next)
            break;
        from = (size_t)(next - path.data) + 3;
    }
    size_t len = path.len - from;
    if (len > most)
        len = chunk_cut(c->e, path.data + from, len, most);
    char *kept = arena_strndup(&c->out->arena, buf_str(&path) + from, len);
    h->path = kept ? kept : "";
    h->tokens = c->e->count(c->e, h->path, kept ? len : 0);
    h->made = true;
    buf_release(&path);
    return h;
}

static enum sooth_status context_of(struct chunker *c, struct store_chunk *item, struct buf *out)
{
    buf_clear(out);
    return store_context(c->out->title, item->heading, c->d->text + item->header_start,
                         item->header_end - item->header_start, c->d->text + item->start,
                         item->end - item->start, out)
               ? SOOTH_OK
               : err_nomem(c->err);
}

/* --- passages
 * -------------------------------------------------------------------------------------------------
 */

static void item_set(struct chunker *c, struct store_chunk *item, size_t first, size_t last)
{
    const struct unit *u = &c->units.items[first];
    const struct doc_block *b = &c->d->blocks[u->block];
    *item = (struct store_chunk){
        .start = u->start, .end = c->units.items[last].end, .heading = head_of(c, u->block)->path};
    if (b->header >= 0 && c->d->blocks[b->header].end <= u->start && header_tokens(c, b) > 0) {
        item->header_start = c->d->blocks[b->header].start;
        item->header_end = c->d->blocks[b->header].end;
    }
    item->page = c->d->page_count ? doc_page_at(c->d, u->start) : 0;
}

size_t chunker_pack(struct chunker *c, size_t first, bool structure)
{
    const struct unit *u = c->units.items;
    const struct doc_block *b = c->d->blocks;
    size_t n = first, used = 0;
    size_t room = MARGIN + c->title_tokens + head_of(c, u[first].block)->tokens +
                  header_tokens(c, &b[u[first].block]);
    room = c->limit > room ? c->limit - room : 1;
    for (; n < c->units.count && used + u[n].tokens <= room; used += u[n++].tokens) {
        if (n == first || !structure)
            continue;
        const struct doc_block *now = &b[u[n].block], *last = &b[u[n - 1].block];
        if (now->kind == DOC_HEADING && u[n].block != u[n - 1].block && used >= c->limit / 4)
            break;
        if (now->page != last->page && used >= c->limit / 2)
            break;
    }
    return n > first ? n - first : 1;
}

/* Counts what will be embedded; gives back units, then bytes, until it fits. */
enum sooth_status chunker_emit(struct chunker *c, size_t first, size_t *n)
{
    struct buf *context = &c->context;
    struct store_chunk item;
    struct unit *u = c->units.items;
    enum sooth_status status;
    for (;;) {
        item_set(c, &item, first, first + *n - 1);
        status = context_of(c, &item, context);
        if (status != SOOTH_OK || (context->len <= c->e->limit && context->len <= c->limit) ||
            c->e->count(c->e, context->data, context->len) <= c->limit)
            break;
        if (*n > 1) {
            --*n;
            continue;
        }
        size_t len = u[first].end - u[first].start,
               size; /* one unit, and the context tips it over: cut off its end */
        size_t cut = chunk_cut(c->e, c->d->text + u[first].start, len,
                               u[first].tokens > 8 ? u[first].tokens * 3 / 4 : 6);
        utf8_decode(c->d->text + u[first].start, len, &size);
        if (cut >= len || len <= size)
            break; /* a single character: no limit can be kept below that */
        struct unit rest = u[first];
        rest.start += cut;
        u[first].end = u[first].start + cut;
        u[first].tokens = chunker_count(c, u[first].start, u[first].end);
        rest.tokens = chunker_count(c, rest.start, rest.end);
        if (!vec_push(&c->units, rest))
            return err_nomem(c->err);
        u = c->units.items;
        memmove(u + first + 2, u + first + 1, (c->units.count - first - 2) * sizeof *u);
        u[first + 1] = rest;
    }
    if (status != SOOTH_OK)
        return status;
    store_hash(context->data, context->len, item.hash);
    item.context = arena_strndup(&c->out->arena, context->data, context->len);
    item.context_len = context->len;
    return item.context && vec_push(&c->items, item) ? SOOTH_OK : err_nomem(c->err);
}

/* The first unit of the passage behind [first, next). */
static size_t step_back(const struct chunker *c, size_t first, size_t next)
{
    const struct unit *u = c->units.items;
    size_t used = 0, at = next;
    int32_t section = c->d->blocks[u[next].block].heading;
    if (!u[next].prose)
        return next;
    while (at > first + 1 && u[at - 1].prose && c->d->blocks[u[at - 1].block].heading == section &&
           used + u[at - 1].tokens <= c->overlap)
        used += u[--at].tokens;
    return at;
}

enum sooth_status chunker_all(struct chunker *c, bool structure)
{
    enum sooth_status status = SOOTH_OK;
    size_t fresh = 0; /* the first unit that no passage holds yet */
    for (size_t first = 0; first < c->units.count && status == SOOTH_OK;) {
        size_t n = chunker_pack(c, first, structure), before = c->units.count;
        status = chunker_emit(c, first, &n);
        fresh += first < fresh ? c->units.count - before : 0; /* a unit was cut in two */
        if (status == SOOTH_OK && first + n <= fresh) {       /* the overlap left no room: without it */
            c->items.count--;
            first = fresh;
            continue;
        }
        fresh = first + n;
        if (fresh >= c->units.count)
            break;
        first = step_back(c, first, fresh);
    }
    return status;
}

enum sooth_status chunker_run(struct chunker *c, size_t from, size_t *to)
{
    enum sooth_status status = SOOTH_OK;
    while (from < *to && status == SOOTH_OK) {
        size_t n = chunker_pack(c, from, false), before = c->units.count;
        n = n < *to - from ? n : *to - from;
        status = chunker_emit(c, from, &n);
        *to += c->units.count - before; /* a unit may have been cut in two */
        from += n;
    }
    return status;
}

enum sooth_status chunk_document(const struct document *d, const struct embedder *e,
                                 const char *split, size_t tokens, size_t overlap,
                                 struct chunks *out, struct sooth_error *err)
{
    const struct splitter *how = splitter_find(split);
    memset(out, 0, sizeof *out);
    arena_init(&out->arena, 0);
    if (!how)
        return err_set(err, SOOTH_ERR_ARG, "unknown way of splitting '%s'", split);
    struct doc_block whole = {
        .start = 0, .end = d->text_len, .heading = -1, .header = -1, .kind = DOC_PARAGRAPH};
    struct document plain = *d;
    if (d->block_count == 0 && d->text_len > 0) { /* a parser that found no structure */
        plain.blocks = &whole;
        plain.block_count = 1;
    }
    struct chunker c = {.d = &plain,
                        .e = e,
                        .limit = tokens < e->limit ? tokens : e->limit,
                        .overlap = overlap,
                        .out = out,
                        .err = err};
    c.heads = mem_calloc(plain.block_count + 1, sizeof *c.heads);
    if (!c.heads)
        return err_nomem(err);
    if (d->title && *d->title) {
        size_t len = chunk_cut(e, d->title, strlen(d->title), c.limit / CONTEXT_SHARE);
        out->title = arena_strndup(&out->arena, d->title, len);
        c.title_tokens = e->count(e, d->title, len);
    }
    enum sooth_status status = how->cut(&c);
    if (status == SOOTH_OK && (out->arena.failed || c.items.failed))
        status = err_nomem(err);
    buf_release(&c.context);
    mem_free(c.heads);
    vec_free(&c.units);
    out->items = c.items.items;
    out->count = c.items.count;
    if (status != SOOTH_OK)
        chunks_release(out);
    return status;
}

void chunks_release(struct chunks *c)
{
    mem_free(c->items);
    arena_release(&c->arena);
    c->items = NULL;
    c->count = 0;
}
