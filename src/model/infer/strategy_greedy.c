/* strategy_greedy.c: the likeliest token, always; of equals the one with the lowest id. */
#include "model/infer/strategy.h"

static enum sooth_status greedy_prepare(struct strategy *s, const struct strategy_model *m, struct sooth_sampling *sampling,
                                        struct sooth_error *err)
{
    sampling->temperature = 0;
    return SOOTH_OK;
}

const struct strategy_row strategy_greedy = {
    .name = "greedy", .note = "the likeliest token, always", .prepare = greedy_prepare};
