/* merge.h: what the two halves of merging share: writing (merge.c) and measuring (merge_cost.c). */
#ifndef CONVERT_MERGE_H
#define CONVERT_MERGE_H
#include "model/adapt/adapt.h"
#include "sooth/adapter.h"

/* The base that wears the set against the merged model, on o->text. Both models are decoders with the base's tokenizer. */
enum sooth_status merge_cost(const struct sooth_merge_options *o, struct sooth_model *base, struct adapt_set *set, struct sooth_model *merged,
                             struct sooth_merge *out, struct sooth_error *err);
#endif
