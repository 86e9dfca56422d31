/* schedule.c: how the learning rate goes over a run: up in a straight line while the moments are still young, then
 *
 *     constant   1
 *     linear     1 − (1 − f) p
 *     cosine     f + (1 − f) (1 + cos π p) / 2          p: share of the steps after warm-up that are done, f: floor */
#include <math.h>
#include <string.h>
#include "learn/train/optimizer.h"

static double constant_factor(double p, double floor)
{
    return 1;
}

static double linear_factor(double p, double floor)
{
    return 1 - (1 - floor) * p;
}

static double cosine_factor(double p, double floor)
{
    return floor + (1 - floor) * 0.5 * (1 + cos(3.14159265358979323846 * p));
}

static const struct schedule_row schedules[] = {
    {"constant", "the same to the end", constant_factor},
    {"linear", "falls in a straight line", linear_factor},
    {"cosine", "falls along half a cosine", cosine_factor},
};

const struct schedule_row *schedule_row_at(size_t i)
{
    return i < sizeof schedules / sizeof *schedules ? &schedules[i] : NULL;
}

const struct schedule_row *schedule_row_find(const char *name)
{
    for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++)
        if (strcmp(schedules[i].name, name) == 0)
            return &schedules[i];
    return NULL;
}

double schedule_factor(const struct schedule_row *row, uint64_t step, uint64_t total, uint64_t warmup, double floor)
{
    if (step < warmup)
        return (double)(step + 1) / (double)warmup;
    if (total <= warmup)
        return 1;
    double p = (double)(step - warmup) / (double)(total - warmup);
    return row->factor(p > 1 ? 1 : p, floor);
}
