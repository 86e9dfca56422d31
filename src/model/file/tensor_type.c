/* tensor_type.c: how many bytes a tensor of each number format takes.
 *
 * This is a fact of the containers: sizes must be known also for formats nobody here computes with,
 * or the offsets of a file could not be checked. Formats that can be computed with are rows of
 * core/quant. Numbers 4, 5, 31-33 and 36-38 once meant formats that no longer exist. */
#include "core/base/checked.h"
#include "model/file/file.h"

static const struct tensor_type types[] = {
    {TYPE_F32, "f32", 1, 4},
    {TYPE_F16, "f16", 1, 2},
    {TYPE_Q4_0, "q4_0", 32, 18},
    {3, "q4_1", 32, 20},
    {6, "q5_0", 32, 22},
    {7, "q5_1", 32, 24},
    {8, "q8_0", 32, 34},
    {9, "q8_1", 32, 36},
    {10, "q2_k", 256, 84},
    {11, "q3_k", 256, 110},
    {12, "q4_k", 256, 144},
    {13, "q5_k", 256, 176},
    {14, "q6_k", 256, 210},
    {15, "q8_k", 256, 292},
    {16, "iq2_xxs", 256, 66},
    {17, "iq2_xs", 256, 74},
    {18, "iq3_xxs", 256, 98},
    {19, "iq1_s", 256, 50},
    {20, "iq4_nl", 32, 18},
    {21, "iq3_s", 256, 110},
    {22, "iq2_s", 256, 82},
    {23, "iq4_xs", 256, 136},
    {TYPE_I8, "i8", 1, 1},
    {TYPE_I16, "i16", 1, 2},
    {TYPE_I32, "i32", 1, 4},
    {TYPE_I64, "i64", 1, 8},
    {TYPE_F64, "f64", 1, 8},
    {29, "iq1_m", 256, 56},
    {TYPE_BF16, "bf16", 1, 2},
    {34, "tq1_0", 256, 54},
    {35, "tq2_0", 256, 66},
    {39, "mxfp4", 32, 17},
    {TYPE_U8, "u8", 1, 1},
    {TYPE_BOOL, "bool", 1, 1},
    {TYPE_U16, "u16", 1, 2},
    {TYPE_U32, "u32", 1, 4},
    {TYPE_U64, "u64", 1, 8},
    {TYPE_F8_E4M3, "f8_e4m3", 1, 1},
    {TYPE_F8_E5M2, "f8_e5m2", 1, 1},
};

const struct tensor_type *tensor_type_find(uint32_t id)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].id == id)
            return &types[i];
    return NULL;
}

bool tensor_type_size(const struct tensor_type *t, uint32_t ndim, const uint64_t *dims,
                      size_t *bytes)
{
    size_t numbers = 1;
    if ((ndim ? dims[0] : 1) % t->block)
        return false;
    for (uint32_t i = 0; i < ndim; i++) {
        size_t d;
        if (!size_from_u64(dims[i], &d) || !size_mul(numbers, d, &numbers))
            return false;
    }
    return size_mul(numbers / t->block, t->bytes, bytes);
}
