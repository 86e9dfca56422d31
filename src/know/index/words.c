/* words.c: the postings of a large store as arrays, and top-k search that skips what cannot win.
 *
 *   DIR/words.index   documents; term keys; for each term its passages, tf, and blocks of 64 of
 *                     them with the largest tf and the smallest length
 *
 * The rows of the database are the truth (postings.c); reading one row a document is what makes a
 * search over many documents slow. The file numbers passages as the snapshot did when it was made. A
 * document whose passages have the same ids now has the same terms, so documents are compared by a
 * hash of those ids: the rest of the file's are dead, the rest of the store's are read from the rows.
 *
 * The search (block-max scores: Ding and Suel, SIGIR 2011; term partition: MaxScore, Turtle and
 * Flood 1995) goes through windows of 2,048 passages. What a term can give at most in a window
 * follows from its blocks. With theta the k-th best score so far, the terms with the smallest bounds
 * whose sum stays below theta cannot bring a passage in by themselves: only the others are added up,
 * and the rest is looked up for those passages that can still reach theta. A window whose bounds
 * together stay below theta is passed over whole.
 *
 * Sums of the search are single precision with a margin; the k best and a few more are summed again
 * in double precision, term by term as the rows would be, so that both ways give the same bits.
 *
 * What it leaves out: compression (6 bytes a posting). */
#include "know/index/words.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/vec.h"
#include "know/index/storedb.h"

#define KIND "words"
#define NONE UINT32_MAX
#define MARGIN 1e-5f /* relative error of a sum in single precision, generously */
enum { WINDOW = 2048, TERMS_MAX = 64, SPARE = 8, FRESH_MIN = 64, FRESH_SHARE = 50, WORTH_SHARE = 8 };

/* --- the file against the snapshot
 * ------------------------------------------------------------------------------------- */

static uint64_t signature_of(const struct snapshot *v, const struct snapshot_doc *d)
{
    return hash64(v->chunk + d->first, d->count * sizeof *v->chunk, d->count);
}

void words_release(struct words *w)
{
    if (w->open)
        packfile_close(&w->file);
    mem_free(w->slot);
    mem_free(w->norm);
    mem_free(w->fresh);
    memset(w, 0, sizeof *w);
}

/* All arrays there, of the right size, and every place inside what it points into. */
static bool sections_read(struct words *w)
{
    const struct section *l = w->file.list, *s;
    size_t n = w->file.n;
    const uint64_t *head = section_find(l, n, "head", sizeof *head);
    if (!head || !(s = section_get(l, n, "docs")) || s->bytes % sizeof *w->docs)
        return false;
    w->n = *head;
    w->docs = s->data;
    w->n_docs = s->bytes / sizeof *w->docs;
    if (!(s = section_get(l, n, "key")) || s->bytes % 8)
        return false;
    w->key = s->data;
    w->n_terms = s->bytes / 8;
    w->start = section_find(l, n, "start", (w->n_terms + 1) * sizeof *w->start);
    w->block = section_find(l, n, "block", (w->n_terms + 1) * sizeof *w->block);
    if (!w->start || !w->block || w->n >= NONE)
        return false;
    w->n_postings = w->start[w->n_terms];
    w->blocks = section_find(l, n, "blocks", w->block[w->n_terms] * sizeof *w->blocks);
    w->place = section_find(l, n, "place", w->n_postings * sizeof *w->place);
    w->tf = section_find(l, n, "tf", w->n_postings * sizeof *w->tf);
    return w->blocks && w->place && w->tf;
}

static bool holds_together(const struct words *w)
{
    bool ok = w->start[0] == 0 && w->block[0] == 0;
    size_t at = 0;
    for (size_t d = 0; d < w->n_docs; d++) {
        ok &= w->docs[d].first == at && (d == 0 || w->docs[d - 1].id < w->docs[d].id);
        at += w->docs[d].count;
    }
    ok &= at == w->n;
    for (size_t t = 0; t < w->n_terms && ok; t++) {
        size_t count = w->start[t + 1] - (size_t)w->start[t];
        ok = w->start[t + 1] >= w->start[t] && (t == 0 || w->key[t - 1] < w->key[t]) &&
             w->block[t + 1] - (size_t)w->block[t] == (count + WORDS_BLOCK - 1) / WORDS_BLOCK;
        for (size_t i = w->start[t]; i < w->start[t + 1] && ok; i++)
            ok = w->place[i] < w->n && (i == w->start[t] || w->place[i - 1] < w->place[i]);
    }
    return ok;
}

/* Who of both is the same: slots for the file's passages, the store's documents it lacks. */
static bool compare(struct words *w, const struct snapshot *v)
{
    size_t at = 0;
    w->slot = mem_array(w->n + 1, sizeof *w->slot);
    w->fresh = mem_array(v->n_docs + 1, sizeof *w->fresh);
    if (!w->slot || !w->fresh)
        return false;
    memset(w->slot, 0xFF, (w->n + 1) * sizeof *w->slot);
    w->dead = w->n;
    for (size_t d = 0; d < v->n_docs; d++) {
        const struct snapshot_doc *now = &v->docs[d];
        while (at < w->n_docs && w->docs[at].id < now->id)
            at++;
        const struct words_doc *then = at < w->n_docs ? &w->docs[at] : NULL;
        bool same = then && then->id == now->id && then->count == now->count &&
                    then->signature == signature_of(v, now);
        for (size_t i = 0; same && i < now->count; i++)
            w->slot[then->first + i] = (uint32_t)(now->first + i);
        w->dead -= same ? now->count : 0;
        if (!same && now->count > 0)
            w->fresh[w->n_fresh++] = (uint32_t)d;
    }
    return true;
}

static size_t fresh_passages(const struct words *w, const struct snapshot *v)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_fresh; i++)
        n += v->docs[w->fresh[i]].count;
    return n;
}

bool words_attach(struct store *s, const struct snapshot *v)
{
    struct words *w = &s->words;
    struct buf path = BUF_INIT;
    words_release(w);
    w->open = v->n >= s->words_from && buf_printf(&path, "%s/" WORDS_NAME, s->dir) &&
              packfile_open(path.data, KIND, &w->file, NULL) == SOOTH_OK;
    bool ok = w->open && sections_read(w) && holds_together(w) && compare(w, v) &&
              w->dead <= w->n / 2 && w->n_fresh <= FRESH_MIN + v->n_docs / FRESH_SHARE &&
              fresh_passages(w, v) <= v->n / WORTH_SHARE;
    if (!ok)
        words_release(w);
    buf_release(&path);
    return ok;
}

/* --- searching
 * ------------------------------------------------------------------------------------------------
 */

static size_t term_find(const struct words *w, uint64_t key)
{
    size_t lo = 0, hi = w->n_terms;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (w->key[mid] < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < w->n_terms && w->key[lo] == key ? lo : w->n_terms;
}

size_t words_count(const struct words *w, uint64_t key)
{
    size_t t = term_find(w, key), n = 0;
    if (t == w->n_terms)
        return 0;
    if (w->dead == 0)
        return w->start[t + 1] - w->start[t];
    for (size_t i = w->start[t]; i < w->start[t + 1]; i++)
        n += w->slot[w->place[i]] != NONE;
    return n;
}

bool words_postings(const struct words *w, uint64_t key, struct posting_list *out)
{
    size_t t = term_find(w, key);
    for (size_t i = t < w->n_terms ? w->start[t] : 0; t < w->n_terms && i < w->start[t + 1]; i++)
        if (w->slot[w->place[i]] != NONE &&
            !vec_push(out, ((struct posting){w->slot[w->place[i]], w->tf[i]})))
            return false;
    return true;
}

struct cursor { /* one term of the question */
    const uint32_t *place;
    const uint16_t *tf;
    const struct words_block *blocks;
    size_t at, n, block;
    float weight;
    float bound; /* in the window at hand */
};

struct searching {
    struct words *w;
    const struct snapshot *v;
    const struct bm25 *p;
    struct cursor *terms[TERMS_MAX], all[TERMS_MAX];
    size_t n;
    const unsigned char *allow;
    struct scored *heap;
    size_t kept, k;
    float theta;
    float sum[WINDOW];
    uint64_t touched[WINDOW / 64];
};

static inline float part(const struct searching *s, unsigned tf, float norm)
{
    float f = (float)tf;
    if (s->p->top == 0)
        return (float)s->p->part(s->p, f, norm);
    return (float)s->p->top * f / (f + (float)s->p->k1 * norm);
}

/* The first at or behind `from` whose place is at least `place`: doubling steps, then bisection. */
static size_t gallop(const uint32_t *list, size_t from, size_t n, uint32_t place)
{
    size_t step = 1, lo = from, hi = from;
    while (hi < n && list[hi] < place) {
        lo = hi + 1;
        hi += step;
        step *= 2;
    }
    hi = hi < n ? hi : n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (list[mid] < place)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* What the term can give at most to a passage of [lo, hi). */
static float window_bound(const struct searching *s, struct cursor *c, uint32_t lo, uint32_t hi)
{
    size_t n_blocks = (c->n + WORDS_BLOCK - 1) / WORDS_BLOCK;
    float most = 0;
    while (c->block < n_blocks && c->blocks[c->block].last < lo)
        c->block++;
    for (size_t b = c->block; b < n_blocks && c->place[b * WORDS_BLOCK] < hi; b++) {
        float norm = (float)bm25_norm(s->p, c->blocks[b].least, s->v->average);
        float p = part(s, c->blocks[b].most, norm);
        most = p > most ? p : most;
    }
    return c->weight * most * (1 + MARGIN);
}

/* Insertion sort of a handful, smallest bound first. */
static void sort_terms(struct searching *s)
{
    for (size_t i = 1; i < s->n; i++) {
        struct cursor *c = s->terms[i];
        size_t j = i;
        for (; j > 0 && s->terms[j - 1]->bound > c->bound; j--)
            s->terms[j] = s->terms[j - 1];
        s->terms[j] = c;
    }
}

static void add_up(struct searching *s, struct cursor *c, uint32_t lo, uint32_t hi)
{
    const float *norm = s->w->norm;
    c->at = gallop(c->place, c->at, c->n, lo);
    for (; c->at < c->n && c->place[c->at] < hi; c->at++) {
        uint32_t place = c->place[c->at], i = place - lo;
        s->sum[i] += c->weight * part(s, c->tf[c->at], norm[place]);
        s->touched[i / 64] |= (uint64_t)1 << (i % 64);
    }
}

static void consider(struct searching *s, uint32_t place, float sum, size_t rest)
{
    uint32_t slot = s->w->slot[place];
    if (slot == NONE || (s->allow && !s->allow[slot]))
        return;
    float left = 0;
    for (size_t t = 0; t < rest; t++)
        left += s->terms[t]->bound;
    for (size_t t = rest; t-- > 0;) {
        struct cursor *c = s->terms[t];
        if (sum + left <= s->theta)
            return;
        left -= c->bound;
        c->at = gallop(c->place, c->at, c->n, place);
        if (c->at < c->n && c->place[c->at] == place)
            sum += c->weight * part(s, c->tf[c->at], s->w->norm[place]);
    }
    if (s->kept == s->k && sum <= s->theta)
        return;
    best_offer(s->heap, &s->kept, s->k, (struct scored){slot, (double)sum});
    if (s->kept == s->k)
        s->theta = (float)s->heap[0].score * (1 - MARGIN);
}

static void window(struct searching *s, uint32_t lo, uint32_t hi)
{
    float below = 0;
    size_t rest = 0;
    for (size_t t = 0; t < s->n; t++)
        s->terms[t]->bound = window_bound(s, s->terms[t], lo, hi);
    sort_terms(s);
    while (rest < s->n && below + s->terms[rest]->bound <= s->theta)
        below += s->terms[rest++]->bound;
    if (rest == s->n)
        return;
    for (size_t t = rest; t < s->n; t++)
        add_up(s, s->terms[t], lo, hi);
    for (size_t word = 0; word < WINDOW / 64; word++) {
        for (uint64_t bits = s->touched[word]; bits; bits &= bits - 1) {
            uint32_t i = (uint32_t)(word * 64 + (size_t)__builtin_ctzll(bits));
            float sum = s->sum[i];
            s->sum[i] = 0;
            if (sum + below > s->theta)
                consider(s, lo + i, sum, rest);
        }
        s->touched[word] = 0;
    }
}

/* The lengths as the formula wants them, once a snapshot and variant. */
static bool norms_ready(struct words *w, const struct snapshot *v, const struct bm25 *p)
{
    if (w->norm && w->norm_b == p->b)
        return true;
    if (!w->norm && !(w->norm = mem_array(w->n + 1, sizeof *w->norm)))
        return false;
    for (size_t i = 0; i < w->n; i++)
        w->norm[i] =
            w->slot[i] == NONE ? 1 : (float)bm25_norm(p, v->length[w->slot[i]], v->average);
    w->norm_b = p->b;
    return true;
}

static uint32_t place_of(const struct words *w, const struct snapshot *v, uint32_t slot)
{
    const struct snapshot_doc *d = &v->docs[v->doc[slot]];
    size_t lo = 0, hi = w->n_docs;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (w->docs[mid].id < d->id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return w->docs[lo].first + (slot - (uint32_t)d->first);
}

/* The same sums in double precision, in the order of the terms. */
static void sum_again(const struct searching *s, const struct words_term *terms)
{
    for (size_t i = 0; i < s->kept; i++) {
        uint32_t slot = s->heap[i].slot, place = place_of(s->w, s->v, slot);
        double norm = bm25_norm(s->p, s->v->length[slot], s->v->average), sum = 0;
        for (size_t t = 0; t < s->n; t++) {
            const struct cursor *c = &s->all[t];
            size_t at = gallop(c->place, 0, c->n, place);
            if (at < c->n && c->place[at] == place)
                sum += terms[t].weight * s->p->part(s->p, c->tf[at], norm);
        }
        s->heap[i].score = sum;
    }
}

enum sooth_status words_search(struct words *w, const struct snapshot *v, const struct bm25 *p,
                               const struct words_term *terms, size_t n,
                               const unsigned char *allow, size_t k, struct scored *out,
                               size_t *found, struct sooth_error *err)
{
    struct searching *s = mem_calloc(1, sizeof *s);
    *found = 0;
    struct scored *heap = mem_array(k + SPARE + 1, sizeof *heap);
    bool ok = s && heap && norms_ready(w, v, p);
    if (ok) {
        *s = (struct searching){
            .w = w, .v = v, .p = p, .n = n, .allow = allow, .heap = heap, .k = k + SPARE};
        for (size_t t = 0; t < n; t++) {
            size_t at = term_find(w, terms[t].key);
            struct cursor *c = s->terms[t] = &s->all[t];
            *c = (struct cursor){.weight = (float)terms[t].weight};
            if (at < w->n_terms) {
                c->place = w->place + w->start[at];
                c->tf = w->tf + w->start[at];
                c->blocks = w->blocks + w->block[at];
                c->n = w->start[at + 1] - w->start[at];
            }
        }
        for (size_t lo = 0; lo < w->n; lo += WINDOW)
            window(s, (uint32_t)lo, (uint32_t)(lo + WINDOW < w->n ? lo + WINDOW : w->n));
        sum_again(s, terms);
        if (s->kept)
            best_sort(heap, s->kept);
        *found = s->kept < k ? s->kept : k;
        memcpy(out, heap, *found * sizeof *out);
    }
    mem_free(heap);
    mem_free(s);
    return ok ? SOOTH_OK : err_nomem(err);
}

/* --- writing
 * --------------------------------------------------------------------------------------------------
 */

struct writing {
    VEC(struct words_doc) docs;
    VEC(uint64_t) key;
    VEC(uint32_t) start;
    VEC(uint32_t) block;
    VEC(struct words_block) blocks;
    VEC(uint32_t) place;
    VEC(uint16_t) tf;
};

static bool write_blocks(struct writing *x, const struct snapshot *v)
{
    size_t from = x->start.items[x->start.count - 1];
    bool ok = true;
    for (size_t i = from; i < x->place.count && ok; i += WORDS_BLOCK) {
        struct words_block b = {.least = UINT32_MAX};
        for (size_t j = i; j < i + WORDS_BLOCK && j < x->place.count; j++) {
            uint32_t length = v->length[x->place.items[j]];
            b.last = x->place.items[j];
            b.most = x->tf.items[j] > b.most ? x->tf.items[j] : b.most;
            b.least = length < b.least ? length : b.least;
        }
        ok = vec_push(&x->blocks, b);
    }
    return ok && vec_push(&x->start, (uint32_t)x->place.count) &&
           vec_push(&x->block, (uint32_t)x->blocks.count);
}

/* All rows in order of (term, document), which is the order of the table. */
static enum sooth_status read_rows(struct store *s, const struct snapshot *v, struct writing *x,
                                   struct sooth_error *err)
{
    enum sooth_status status = SOOTH_ERR_NOMEM;
    struct posting_list list = {0};
    sqlite3_stmt *q = sql_bind(s, SQL_POST_ALL, err, "");
    if (!q)
        return err ? err->status : status;
    bool ok = vec_push(&x->start, 0) && vec_push(&x->block, 0), some = false;
    int64_t last = 0;
    while (ok && sql_row(s, q, &status, err)) {
        int64_t key = sqlite3_column_int64(q, 0);
        const struct snapshot_doc *d = snapshot_doc_by_id(v, sqlite3_column_int64(q, 1));
        if (some && key != last)
            ok = write_blocks(x, v) && vec_push(&x->key, (uint64_t)last);
        last = key;
        some = true;
        list.count = 0;
        if (d && ok)
            ok = posting_decode(d, sqlite3_column_blob(q, 2), (size_t)sqlite3_column_bytes(q, 2),
                                &list);
        for (size_t i = 0; i < list.count && ok; i++)
            ok = vec_push(&x->place, list.items[i].slot) &&
                 vec_push(&x->tf, (uint16_t)(list.items[i].tf < 65535 ? list.items[i].tf : 65535));
        ok = ok && x->place.count < NONE;
    }
    sql_done(q);
    if (ok && some)
        ok = write_blocks(x, v) && vec_push(&x->key, (uint64_t)last);
    vec_free(&list);
    return ok ? status : err_nomem(err);
}

/* SQLite orders signed numbers; the file's keys ascend as unsigned ones: the second half first. */
static bool unsigned_order(struct writing *x)
{
    size_t n = x->key.count, split = 0;
    while (split < n && (int64_t)x->key.items[split] < 0)
        split++;
    struct writing y = {0};
    bool ok = vec_push(&y.start, 0) && vec_push(&y.block, 0);
    for (size_t i = 0; i < n && ok; i++) {
        size_t t = (i + split) % n;
        size_t posts = x->start.items[t + 1] - x->start.items[t],
               blocks = x->block.items[t + 1] - x->block.items[t];
        ok = vec_reserve(&y.place, y.place.count + posts) &&
             vec_reserve(&y.tf, y.tf.count + posts) &&
             vec_reserve(&y.blocks, y.blocks.count + blocks) &&
             vec_push(&y.key, x->key.items[t]);
        if (!ok)
            break;
        memcpy(y.place.items + y.place.count, x->place.items + x->start.items[t], posts * 4);
        memcpy(y.tf.items + y.tf.count, x->tf.items + x->start.items[t], posts * 2);
        memcpy(y.blocks.items + y.blocks.count, x->blocks.items + x->block.items[t],
               blocks * sizeof *y.blocks.items);
        y.place.count += posts;
        y.tf.count += posts;
        y.blocks.count += blocks;
        ok = vec_push(&y.start, (uint32_t)y.place.count) &&
             vec_push(&y.block, (uint32_t)y.blocks.count);
    }
    vec_free(&x->key);
    vec_free(&x->start);
    vec_free(&x->block);
    vec_free(&x->blocks);
    vec_free(&x->place);
    vec_free(&x->tf);
    y.docs.items = x->docs.items;
    y.docs.count = x->docs.count;
    y.docs.cap = x->docs.cap;
    *x = y;
    return ok;
}

static enum sooth_status write_file(const struct writing *x, size_t n, const char *path,
                                    struct sooth_error *err)
{
    uint64_t head = n;
    const struct section list[] = {
        {"head", &head, sizeof head},
        {"docs", x->docs.items, x->docs.count * sizeof *x->docs.items},
        {"key", x->key.items, x->key.count * sizeof *x->key.items},
        {"start", x->start.items, x->start.count * sizeof *x->start.items},
        {"block", x->block.items, x->block.count * sizeof *x->block.items},
        {"blocks", x->blocks.items, x->blocks.count * sizeof *x->blocks.items},
        {"place", x->place.items, x->place.count * sizeof *x->place.items},
        {"tf", x->tf.items, x->tf.count * sizeof *x->tf.items},
    };
    return packfile_write(path, KIND, list, sizeof list / sizeof *list, err);
}

static enum sooth_status make(struct store *s, const struct snapshot *v, const char *path,
                              struct sooth_error *err)
{
    struct writing x = {0};
    bool ok = true;
    for (size_t d = 0; d < v->n_docs && ok; d++) {
        const struct snapshot_doc *doc = &v->docs[d];
        if (doc->count > 0)
            ok = vec_push(&x.docs,
                          ((struct words_doc){doc->id, signature_of(v, doc), (uint32_t)doc->first,
                                              (uint32_t)doc->count}));
    }
    enum sooth_status status = ok ? read_rows(s, v, &x, err) : err_nomem(err);
    if (status == SOOTH_OK)
        status = unsigned_order(&x) ? write_file(&x, v->n, path, err) : err_nomem(err);
    vec_free(&x.docs);
    vec_free(&x.key);
    vec_free(&x.start);
    vec_free(&x.block);
    vec_free(&x.blocks);
    vec_free(&x.place);
    vec_free(&x.tf);
    return status;
}

enum sooth_status words_refresh(struct store *s, const struct snapshot *v, bool tidy,
                                struct sooth_error *err)
{
    struct buf path = BUF_INIT;
    enum sooth_status status = SOOTH_OK;
    if (!buf_printf(&path, "%s/" WORDS_NAME, s->dir))
        return err_nomem(err);
    bool attached = words_attach(s, v), few = false;
    if (attached)
        few = s->words.n_fresh <= FRESH_MIN / 2 && s->words.dead <= s->words.n / 10 &&
              fresh_passages(&s->words, v) <= v->n / FRESH_SHARE;
    bool exact = attached && s->words.n_fresh == 0 && s->words.dead == 0;
    words_release(&s->words);
    if (v->n < s->words_from)
        unlink(path.data);
    else if (!exact && !(few && !tidy))
        status = make(s, v, path.data, err);
    buf_release(&path);
    return status;
}
