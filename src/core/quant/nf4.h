/* nf4.h: NF4's scales quantized once more ("double quantization"), as bitsandbytes stores them. */
#ifndef QUANT_NF4_H
#define QUANT_NF4_H
#include <stddef.h>
#include <stdint.h>

#define NF4_NEST 256 /* scales in a nested block */

/* The 16 levels of NF4, ascending, -1 .. 1. */
extern const float nf4_levels[16];
/* The signed dynamic map: 256 values, ascending, -0.993 .. 1: seven decades, each cut twice as finely as the one below it. */
void nf4_dynamic_map(float map[256]);
/* n scales: *offset = their mean; scale - offset over the largest magnitude of each 256 to the nearest of the map. peaks has
 * ceil(n / 256) entries. */
void nf4_nest(const float *scale, size_t n, const float map[256], float *offset, uint8_t *code, float *peaks);
#endif
