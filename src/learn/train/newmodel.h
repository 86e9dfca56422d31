/* newmodel.h: a model that was not there before: a directory with a tokenizer, a configuration and random numbers. */
#ifndef TRAIN_NEWMODEL_H
#define TRAIN_NEWMODEL_H
#include "core/base/json.h"
#include "learn/train/sample.h"
#include "model/adapt/adapt.h"
#include "model/file/file.h"
#include "sooth/error.h"

struct newmodel {
    const char *dir;
    const char *arch;           /* a row of the architectures */
    const struct json *config;  /* config.json's keys as a person gave them; NULL = a small model */
    size_t vocab;               /* pieces wanted; 0 = config's vocab_size, else 4096 */
    uint64_t seed;
};
/* tokenizer.json and its companion, learnt from the texts of the samples. *pieces: how many there are. */
enum sooth_status newmodel_tokenizer(const struct newmodel *n, const struct samples *s, size_t *pieces, struct sooth_error *err);
/* config.json for a vocabulary of that size, and model.safetensors of f32 numbers as the architecture's list says. */
enum sooth_status newmodel_weights(const struct newmodel *n, size_t pieces, struct sooth_error *err);
/* The numbers of a model all of whose weights were trained (method "full"), into dir/model.safetensors. */
enum sooth_status newmodel_save(struct adapt *full, const char *dir, struct sooth_error *err);

#endif
