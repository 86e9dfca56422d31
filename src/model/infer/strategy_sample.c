/* strategy_sample.c: what the sampling options say: with temperature 0 the likeliest token, else a draw. */
#include "model/infer/strategy.h"

const struct strategy_row strategy_sample = {
    .name = "sample", .note = "as temperature, top-k, top-p and min-p say (the default)"};
