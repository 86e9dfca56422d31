/* train_list.c: names in the tables of this room, for listings and help. */
#include <string.h>
#include "learn/train/train.h"
#include "model/adapt/adapt.h"
#include "sooth/train.h"

static const char *optimizer_name(size_t i, const char **note)
{
    const struct optimizer_row *row = optimizer_row_at(i);
    *note = row ? row->note : "";
    return row ? row->name : NULL;
}

static const char *schedule_name(size_t i, const char **note)
{
    const struct schedule_row *row = schedule_row_at(i);
    *note = row ? row->note : "";
    return row ? row->name : NULL;
}

static const char *sample_name(size_t i, const char **note)
{
    const struct sample_row *row = sample_row_at(i);
    *note = row ? row->keys : "";
    return row ? row->name : NULL;
}

static const struct {
    const char *name;
    const char *(*at)(size_t i, const char **note);
} tables[] = {{"method", adapt_method_at}, {"optimizer", optimizer_name}, {"row", sample_name}, {"schedule", schedule_name}};

const char *sooth_train_list(const char *table, size_t i, const char **note)
{
    const char *text = "", *name = NULL;
    for (size_t t = 0; t < sizeof tables / sizeof *tables && !name; t++)
        if (strcmp(tables[t].name, table) == 0)
            name = tables[t].at(i, &text);
    if (note)
        *note = text;
    return name;
}

const char *sooth_train_list_tables(size_t i)
{
    return i < sizeof tables / sizeof *tables ? tables[i].name : NULL;
}
