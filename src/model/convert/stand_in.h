/* stand_in.h: one matrix of a loaded model in another number format, for as long as a measurement takes. */
#ifndef CONVERT_STAND_IN_H
#define CONVERT_STAND_IN_H
#include "core/tensor/tensor.h"
#include "model/convert/quantize.h"

struct stand_in {
    struct adapter adapter; /* to be attached to the weight; must stay first */
    struct weight weight;
    char *bytes;
};
/* The tensor's weight coded in `type`, by importance where it has one, and packed. Released also after a failure. */
enum sooth_status stand_in_make(struct stand_in *s, const struct quant_tensor *t, const struct qtype *type, struct pool *pool,
                                struct sooth_error *err);
/* The same from bytes that are made already, which become the stand-in's own (mem_free). */
enum sooth_status stand_in_take(struct stand_in *s, const struct quant_tensor *t, const struct qtype *type, char *bytes,
                                struct pool *pool, struct sooth_error *err);
void stand_in_release(struct stand_in *s);
#endif
