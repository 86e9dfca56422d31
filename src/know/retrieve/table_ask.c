/* table_ask.c: a question over the tables of a knowledge base: planned, worked out, cited to rows.
 *
 *   question -- table_plan --> statement with parameters -- tabledb --> numbers -- a sentence
 *                                             the same conditions --> rows    -- what it rests on
 *
 * The sentence says what was worked out and over which rows, so that a person can see when a plan
 * misread the question: "The average of body_mass_g where species is Adelie is 3700.66 (151 rows of
 * penguins.csv)." */
#include "know/retrieve/table_ask.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/retrieve/kbase.h"

struct asking {
    struct sooth_kb *kb;
    struct tables tables;
    struct table_plan plan;
    struct arena arena;
    struct buf said;  /* the groups or the number */
    size_t rows, groups;
    VEC(size_t) ids; /* of the rows it rests on */
    struct sooth_error *err;
};

static void put_number(struct buf *out, double v)
{
    if (v == floor(v) && fabs(v) < 9e15)
        buf_printf(out, "%lld", (long long)v);
    else
        buf_printf(out, "%.10g", v);
}

/* Rows of an aggregate: [group,] value, count. */
static bool take_value(void *user, const struct tabledb_value *row, size_t columns)
{
    struct asking *a = user;
    const struct tabledb_value *value = &row[columns - 2];
    if (columns == 3)
        buf_printf(&a->said, "%s%s: ", a->groups ? "; " : "", row[0].null ? "-" : row[0].text);
    if (value->null)
        buf_puts(&a->said, "-");
    else if (value->number)
        put_number(&a->said, value->value);
    else
        buf_puts(&a->said, value->text);
    a->rows += (size_t)row[columns - 1].value;
    a->groups++;
    return !a->said.failed;
}

static bool take_row(void *user, const struct tabledb_value *row, size_t columns)
{
    struct asking *a = user;
    (void)columns;
    return vec_push(&a->ids, (size_t)row[0].value);
}

static enum sooth_status run(struct asking *a, bool rows, char **sql)
{
    const struct table_plan *p = &a->plan;
    const char *texts[CONDITIONS];
    double numbers[CONDITIONS];
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < p->n_conditions; i++) {
        texts[i] = p->conditions[i].text;
        numbers[i] = p->conditions[i].number;
    }
    enum sooth_status status = table_sql(p, rows, &b) ? SOOTH_OK : err_nomem(a->err);
    if (status == SOOTH_OK)
        status = tabledb_query(a->tables.db, b.data, texts, numbers, p->n_conditions,
                               rows ? take_row : take_value, a, a->err);
    if (status == SOOTH_ERR_CANCELLED)
        status = err_nomem(a->err);
    if (status == SOOTH_OK && sql && !(*sql = mem_strdup(b.data)))
        status = err_nomem(a->err);
    buf_release(&b);
    return status;
}

/* --- the sentence
 * --------------------------------------------------------------------------------------------- */

static const char *file_name(const struct table *t)
{
    const char *slash = strrchr(t->doc->doc, '/');
    return slash ? slash + 1 : t->doc->doc;
}

static void put_conditions(const struct table_plan *p, struct buf *out)
{
    static const struct {
        const char *op, *en, *zh;
    } words[] = {{"=", "is", "为"}, {"<", "is below", "小于"}, {">", "is over", "大于"},
                 {"<=", "is at most", "不超过"}, {">=", "is at least", "不少于"}};
    for (size_t i = 0; i < p->n_conditions; i++) {
        const struct condition *c = &p->conditions[i];
        const char *op = "";
        for (size_t j = 0; j < sizeof words / sizeof *words; j++)
            if (strcmp(c->op, words[j].op) == 0)
                op = p->chinese ? words[j].zh : words[j].en;
        buf_printf(out, p->chinese ? "%s%s%s" : "%s%s %s ", i ? (p->chinese ? "、" : " and ") : (p->chinese ? "" : " where "),
                   p->table->names[c->column], op);
        if (c->text)
            buf_puts(out, c->text);
        else
            put_number(out, c->number);
    }
}

static void put_row(const struct asking *a, size_t id, struct buf *out)
{
    const struct table *t = a->plan.table;
    for (size_t c = 0; c < t->columns; c++)
        buf_printf(out, "%s%s: %s", c ? ", " : "", t->names[c], t->rows.items[id - 1].cells[c]);
}

static bool sentence(const struct asking *a, struct buf *out)
{
    static const char *const en[] = {"", "number of rows", "sum", "average", "highest", "lowest"};
    static const char *const zh[] = {"", "行数", "总和", "平均值", "最大值", "最小值"};
    const struct table_plan *p = &a->plan;
    bool extreme = p->aggregate == AGG_MAX || p->aggregate == AGG_MIN;
    struct buf where = BUF_INIT;
    put_conditions(p, &where);
    const char *conditions = buf_str(&where), *name = file_name(p->table),
               *column = p->column == SIZE_MAX ? "" : p->table->names[p->column];
    if (extreme && p->group == SIZE_MAX && a->ids.count) {
        const struct table_row *best = &p->table->rows.items[a->ids.items[0] - 1];
        if (p->chinese)
            buf_printf(out, "%s 中%s%s %s 的%s是 %s：", name, conditions, *conditions ? "的" : "", column,
                       zh[p->aggregate], best->cells[p->column]);
        else
            buf_printf(out, "The %s %s%s in %s is %s: ", en[p->aggregate], column, conditions, name,
                       best->cells[p->column]);
        for (size_t i = 0; i < a->ids.count; i++) {
            buf_puts(out, i ? "; " : "");
            put_row(a, a->ids.items[i], out);
        }
        buf_puts(out, p->chinese ? "。" : ".");
    } else if (p->chinese) {
        buf_printf(out, "%s 中%s%s %s%s%s是 %s（%zu 行）。", name, conditions, *conditions ? "的" : "", column,
                   *column ? " 的" : "", zh[p->aggregate], buf_str(&a->said), a->rows);
    } else {
        buf_printf(out, "The %s%s%s%s%s%s is %s (%zu row%s of %s).", en[p->aggregate], *column ? " of " : "",
                   column, conditions, p->group != SIZE_MAX ? " by " : "",
                   p->group != SIZE_MAX ? p->table->names[p->group] : "", buf_str(&a->said), a->rows,
                   a->rows == 1 ? "" : "s", name);
    }
    if (p->table->skipped)
        buf_printf(out, p->chinese ? "另有 %zu 行因格式不符未计入。" : " %zu rows of another shape were left out.",
                   p->table->skipped);
    bool ok = !where.failed && !out->failed;
    buf_release(&where);
    return ok;
}

/* --- the rows
 * ------------------------------------------------------------------------------------------------- */

static enum sooth_status row_hit(struct asking *a, const struct snapshot *v, size_t id,
                                 struct sooth_hit *h)
{
    const struct table *t = a->plan.table;
    const struct table_row *r = &t->rows.items[id - 1];
    struct buf text = BUF_INIT;
    (void)v;
    enum sooth_status status =
        store_text(a->kb->store, t->doc->id, r->span.start, r->span.end, &text, a->err);
    if (status == SOOTH_OK)
        status = store_chunk_at(a->kb->store, t->doc->id, r->span.start, &h->chunk, a->err);
    h->score = 1;
    h->vector_score = h->text_score = h->rerank_score = NAN;
    h->doc = mem_strdup(t->doc->doc);
    h->title = mem_strdup(t->doc->title);
    h->heading = mem_strdup("");
    h->page = r->page;
    h->start = r->span.start;
    h->end = r->span.end;
    h->text = buf_take(&text);
    if (status == SOOTH_OK && (!h->doc || !h->title || !h->heading || !h->text))
        status = err_nomem(a->err);
    return status;
}

static enum sooth_status answer(struct asking *a, const struct snapshot *v, size_t k,
                                struct sooth_hits *out)
{
    bool extreme = a->plan.aggregate == AGG_MAX || a->plan.aggregate == AGG_MIN;
    bool by_rows = extreme && a->plan.group == SIZE_MAX;
    enum sooth_status status = by_rows ? SOOTH_OK : run(a, false, &out->sql);
    if (status == SOOTH_OK)
        status = run(a, true, by_rows ? &out->sql : NULL);
    if (status != SOOTH_OK || (by_rows && a->ids.count == 0))
        return status;
    struct buf text = BUF_INIT;
    status = sentence(a, &text) ? SOOTH_OK : err_nomem(a->err);
    out->answer = buf_take(&text);
    size_t n = a->ids.count < k ? a->ids.count : k;
    out->items = mem_calloc(n + 1, sizeof *out->items);
    if (status == SOOTH_OK && (!out->answer || !out->items))
        status = err_nomem(a->err);
    for (size_t i = 0; i < n && status == SOOTH_OK; i++) {
        out->items[i].rank = i + 1;
        out->count = i + 1;
        status = row_hit(a, v, a->ids.items[i], &out->items[i]);
    }
    out->candidates = a->ids.count;
    return status;
}

enum sooth_status table_answer(struct sooth_kb *kb, const struct snapshot *v, const char *question,
                               const unsigned char *allow, size_t k, struct sooth_hits *out,
                               struct sooth_error *err)
{
    struct asking a = {.kb = kb, .err = err};
    arena_init(&a.arena, (size_t)256 << 20);
    enum sooth_status status = tables_load(&a.tables, kb->store, v, allow, err);
    if (status == SOOTH_OK && table_plan(&a.tables, question, &a.plan, &a.arena))
        status = answer(&a, v, k, out);
    else if (status == SOOTH_OK) {
        out->reason = mem_strdup(a.tables.list.count ? "no table has what the question asks for"
                                                     : "there are no tables among the documents");
        status = out->reason ? SOOTH_OK : err_nomem(err);
    }
    buf_release(&a.said);
    vec_free(&a.ids);
    tables_release(&a.tables);
    arena_release(&a.arena);
    return status;
}
