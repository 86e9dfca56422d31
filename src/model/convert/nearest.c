/* nearest.c: the formats' own quantizers: each block on its own, with the scale that loses least, errors weighed by the
 * importance of their columns where it is known. */
#include "model/convert/quantize.h"

extern const struct quantizer quantizer_nearest;
const struct quantizer quantizer_nearest = { "nearest", "each block on its own; errors weighed by importance where a text gives it", false, NULL, NULL };
