/* kb_list.c: names in the tables of this floor, for listings and help. */
#include <string.h>
#include "know/retrieve/retrieve.h"

static const char *list_format(size_t i, const char **note)
{
    const char *name = NULL;
    return doc_format_at(i, &name, NULL, note) ? name : NULL;
}

static const char *list_split(size_t i, const char **note)
{
    return splitter_at(i, note);
}

static const char *list_rewrite(size_t i, const char **note)
{
    const char *name;
    return sooth_rewrite_at(i, &name, note) ? name : NULL;
}

static const char *list_mode(size_t i, const char **note)
{
    const char *name;
    return sooth_search_mode_at(i, &name, note) ? name : NULL;
}

static const char *list_index(size_t i, const char **note)
{
    return vector_index_at(i, note);
}

static const char *list_bm25(size_t i, const char **note)
{
    *note = "";
    return bm25_at(i) ? bm25_at(i)->name : NULL;
}

static const struct list_table {
    const char *name;
    const char *(*at)(size_t i, const char **note);
} tables[] = {
    {"format", list_format},
    {"splitter", list_split},
    {"search", list_mode},
    {"rewrite", list_rewrite},
    {"index", list_index},
    {"bm25", list_bm25},
};

const char *sooth_kb_list_tables(size_t i)
{
    return i < sizeof tables / sizeof *tables ? tables[i].name : NULL;
}

const char *sooth_kb_list(const char *table, size_t i, const char **note)
{
    *note = "";
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        if (strcmp(tables[t].name, table) == 0)
            return tables[t].at(i, note);
    return NULL;
}
