/* sample.c: the table of row kinds, reading files of rows, and what the kinds share.
 *
 * A file is a JSON array of objects or an object a line (JSONL): its first character tells. A row that no kind knows, or
 * that lacks what its kind needs, stops the reading with its number: data that is half understood trains half nonsense. */
#include "learn/train/sample.h"
#include <string.h>
#include <strings.h>
#include "core/base/error.h"
#include "core/base/fsio.h"

#define ROW(x) extern const struct sample_row sample_##x;
#include "learn/train/sample_rows.inc"
#undef ROW

static const struct sample_row *const kinds[] = {
#define ROW(x) &sample_##x,
#include "learn/train/sample_rows.inc"
#undef ROW
};

enum { FILE_MOST = 1 << 30, TURNS_MOST = 4096 };
static const size_t memory_most = (size_t)8 << 30;

const struct sample_row *sample_row_at(size_t i)
{
    return i < sizeof kinds / sizeof *kinds ? kinds[i] : NULL;
}

/* ---- what row files share ---- */

enum sooth_status sample_string(const struct json *row, const char *key, const char **out, struct sooth_error *err)
{
    const struct json *v = json_get(row, key);
    *out = v && v->type == JSON_STRING ? v->text : NULL;
    if (v && v->type != JSON_STRING && v->type != JSON_NULL)
        return err_set(err, SOOTH_ERR_FORMAT, "'%s' is not a text", key);
    if (*out && strlen(*out) != v->len)
        return err_set(err, SOOTH_ERR_FORMAT, "'%s' holds a NUL character", key);
    return SOOTH_OK;
}

static struct json *json_new(struct arena *a, enum json_type type)
{
    struct json *j = arena_calloc(a, 1, sizeof *j);
    if (j)
        j->type = type;
    return j;
}

static void json_append(struct json *parent, struct json *child)
{
    struct json **end = &parent->child;
    while (*end)
        end = &(*end)->next;
    *end = child;
    parent->len++;
}

static struct json *json_text(struct arena *a, const char *key, const char *text)
{
    struct json *j = json_new(a, JSON_STRING);
    if (!j)
        return NULL;
    j->key = key;
    j->key_len = strlen(key);
    j->text = text;
    j->len = strlen(text);
    return j;
}

struct json *message_list(struct arena *a)
{
    return json_new(a, JSON_ARRAY);
}

/* Lists are walked to their end at each step: they stay short (TURNS_MOST). */
bool message_add(struct arena *a, struct json *list, const char *role, const char *content)
{
    if (list && list->len >= TURNS_MOST)
        return false;
    struct json *m = json_new(a, JSON_OBJECT), *r = json_text(a, "role", role), *c = json_text(a, "content", content);
    if (!list || !m || !r || !c)
        return false;
    json_append(m, r);
    json_append(m, c);
    json_append(list, m);
    return true;
}

/* A content that is a list of parts: the texts of the parts that have one, joined. */
static enum sooth_status content_join(struct arena *a, const struct json *parts, const char **out, struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    enum sooth_status status = SOOTH_OK;
    for (const struct json *p = parts->child; p && !status; p = p->next) {
        const char *s = p->type == JSON_STRING ? p->text : json_string(p, "text", NULL);
        if (s)
            buf_puts(&text, s);
        else
            status = err_set(err, SOOTH_ERR_UNSUPPORTED, "a part of a message's content is not a text");
    }
    *out = status ? NULL : arena_strdup(a, buf_str(&text));
    if (!status && (text.failed || !*out))
        status = err_nomem(err);
    buf_release(&text);
    return status;
}

static enum sooth_status message_one(struct arena *a, const struct json *from, struct json *list, struct sooth_error *err)
{
    const struct json *content = json_get(from, "content");
    const char *role = json_string(from, "role", NULL), *text = NULL;
    enum sooth_status status = SOOTH_OK;
    if (from->type != JSON_OBJECT || !role || !*role)
        return err_set(err, SOOTH_ERR_FORMAT, "a message has no role");
    if (content && content->type == JSON_ARRAY)
        status = content_join(a, content, &text, err);
    else
        status = sample_string(from, "content", &text, err);
    if (status)
        return status;
    if (!text && !json_get(from, "tool_calls"))
        return err_set(err, SOOTH_ERR_FORMAT, "a message of '%.40s' has no content", role);
    struct json *m = json_new(a, JSON_OBJECT), *c = json_text(a, "content", text ? text : "");
    if (!m || !c)
        return err_nomem(err);
    json_append(m, c);
    for (const struct json *j = from->child; j; j = j->next) { /* tool_calls, name, train, ... as they are */
        struct json *copy = strcmp(j->key, "content") ? arena_alloc(a, sizeof *copy) : NULL;
        if (!copy && strcmp(j->key, "content"))
            return err_nomem(err);
        if (copy) {
            *copy = *j;
            copy->next = NULL;
            json_append(m, copy);
        }
    }
    json_append(list, m);
    return SOOTH_OK;
}

enum sooth_status message_read(struct arena *a, const struct json *from, struct json *list, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    if (!from || !list)
        return from ? err_nomem(err) : err_set(err, SOOTH_ERR_FORMAT, "messages are missing");
    if (from->type == JSON_OBJECT)
        return message_one(a, from, list, err);
    if (from->type != JSON_ARRAY || !from->len)
        return err_set(err, SOOTH_ERR_FORMAT, "messages are not a list");
    if (list->len + from->len > TURNS_MOST)
        return err_set(err, SOOTH_ERR_LIMIT, "a conversation of more than %d messages", TURNS_MOST);
    for (const struct json *m = from->child; m && !status; m = m->next)
        status = message_one(a, m, list, err);
    return status;
}

enum sooth_status sample_tools(struct arena *a, const struct json *row, const struct json **out, struct sooth_error *err)
{
    const struct json *tools = json_get(row, "tools");
    *out = NULL;
    if (tools && tools->type == JSON_STRING) {
        if (!tools->text[strspn(tools->text, " \t\r\n")])
            return SOOTH_OK;
        tools = json_parse(a, tools->text, tools->len, 0, NULL, err);
        if (!tools)
            return err_prefix(err, "'tools'");
    }
    if (!tools || tools->type == JSON_NULL || (tools->type == JSON_ARRAY && !tools->len))
        return SOOTH_OK;
    if (tools->type != JSON_ARRAY)
        return err_set(err, SOOTH_ERR_FORMAT, "'tools' is not a list");
    *out = tools;
    return SOOTH_OK;
}

/* ---- rows ---- */

enum sooth_status sample_read(struct arena *a, const struct json *row, struct sample *out, struct sooth_error *err)
{
    struct buf keys = BUF_INIT;
    *out = (struct sample){.label = -1};
    if (!row || row->type != JSON_OBJECT)
        return err_set(err, SOOTH_ERR_FORMAT, "the row is not an object");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i]->match(row)) {
            out->kind = kinds[i]->name;
            return kinds[i]->read(a, row, out, err);
        }
    for (const struct json *j = row->child; j && keys.len < 80; j = j->next)
        buf_printf(&keys, "%s%.30s", keys.len ? ", " : "", j->key);
    err_set(err, SOOTH_ERR_FORMAT, "no kind of row has the keys %s", buf_str(&keys));
    buf_release(&keys);
    return err_hint(err, "'sooth list rows' shows the kinds and their keys");
}

void samples_init(struct samples *s)
{
    memset(s, 0, sizeof *s);
    arena_init(&s->arena, memory_most);
}

void samples_release(struct samples *s)
{
    vec_free(&s->list);
    arena_release(&s->arena);
}

static enum sooth_status add_row(struct samples *s, const struct json *row, size_t number, const char *name, struct sooth_error *err)
{
    struct sample one;
    enum sooth_status status = sample_read(&s->arena, row, &one, err);
    if (status)
        return s->arena.failed ? err_nomem(err) : err_prefix(err, "row %zu of '%s'", number, name);
    one.row = number;
    return vec_push(&s->list, one) ? SOOTH_OK : err_nomem(err);
}

static enum sooth_status parse_lines(struct samples *s, const char *name, const char *text, size_t len, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    size_t number = 0;
    for (size_t at = 0; at < len && !status; number++) {
        const char *nl = memchr(text + at, '\n', len - at);
        size_t n = nl ? (size_t)(nl - text) - at : len - at, blank = 0;
        while (blank < n && strchr(" \t\r", text[at + blank]))
            blank++;
        if (blank < n) {
            const struct json *row = json_parse(&s->arena, text + at, n, JSON_UNIQUE_KEYS, NULL, err);
            status = row ? add_row(s, row, number + 1, name, err) : err_prefix(err, "row %zu of '%s'", number + 1, name);
        }
        at += n + 1;
    }
    return status;
}

enum sooth_status samples_parse(struct samples *s, const char *name, const char *text, size_t len, struct sooth_error *err)
{
    struct sooth_error own;
    enum sooth_status status = SOOTH_OK;
    size_t at = 0, number = 0;
    err = err ? err : &own;
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) /* a byte order mark */
        text += 3, len -= 3;
    while (at < len && strchr(" \t\r\n", text[at]) && text[at])
        at++;
    if (at == len)
        return err_set(err, SOOTH_ERR_FORMAT, "'%s' holds no rows", name);
    if (text[at] != '[')
        return parse_lines(s, name, text, len, err);
    const struct json *list = json_parse(&s->arena, text, len, JSON_UNIQUE_KEYS, NULL, err);
    if (!list)
        return err_prefix(err, "'%s'", name);
    for (const struct json *row = list->child; row && !status; row = row->next)
        status = add_row(s, row, ++number, name, err);
    return status;
}

static bool ends(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n >= m && strcasecmp(path + n - m, end) == 0;
}

enum sooth_status samples_load(struct samples *s, const char *path, struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    enum sooth_status status = file_read(path, FILE_MOST, &text, err);
    if (!status && (ends(path, ".txt") || ends(path, ".md"))) {
        struct sample one = {.kind = "text", .row = 1, .label = -1, .text = arena_strndup(&s->arena, buf_str(&text), text.len)};
        if (!one.text || !vec_push(&s->list, one))
            status = err_nomem(err);
    } else if (!status) {
        status = samples_parse(s, path, buf_str(&text), text.len, err);
    }
    buf_release(&text);
    return status;
}

enum sooth_status samples_load_part(struct samples *s, const char *path, const char *part, struct sooth_error *err)
{
    static const char *const ends_with[] = {"jsonl", "json", "txt"};
    for (size_t i = 0; i < sizeof ends_with / sizeof *ends_with; i++) {
        struct buf file = BUF_INIT;
        enum sooth_status status = buf_printf(&file, "%s/%s.%s", path, part, ends_with[i]) ? SOOTH_OK : err_nomem(err);
        bool there = !status && file_exists(buf_str(&file));
        if (there)
            status = samples_load(s, buf_str(&file), err);
        buf_release(&file);
        if (there || status)
            return status;
    }
    return err_set(err, SOOTH_ERR_NOTFOUND, "directory '%s' holds no %s.jsonl", path, part);
}
