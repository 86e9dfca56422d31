/* level.c: one level of the kernel table. Compiled once per instruction set with LEVEL naming it; see meson.build. */
#include "core/kernel/attend_back_ops.h"
#include "core/kernel/attend_ops.h"
#include "core/kernel/kernel.h"
#include "core/kernel/pair_ops.h"
#include "core/kernel/panel_ops.h"
#include "core/kernel/vector_ops.h"
#if defined(__AMX_INT8__)
#include "core/kernel/amx_ops.h"
#define LEVEL_INT(kind) amx_mul_##kind
#else
#define LEVEL_INT(kind) panel_mul_##kind
#endif

#define LEVEL_JOIN2(a, b) a##b
#define LEVEL_JOIN(a, b) LEVEL_JOIN2(a, b)
#define LEVEL_TEXT2(a) #a
#define LEVEL_TEXT(a) LEVEL_TEXT2(a)

extern const struct kernel LEVEL_JOIN(kernel_, LEVEL);
const struct kernel LEVEL_JOIN(kernel_, LEVEL) = {
    .name = LEVEL_TEXT(LEVEL),
#if defined(__AMX_BF16__) || defined(__AVX512BF16__)
    .pairs_fast = true,
#endif
#if defined(__AMX_BF16__)
    .tiles = true,
#endif
    .dot = vec_dot,
    .sum = vec_sum,
    .sum_squares = vec_sum_squares,
    .max = vec_max,
    .dot_i8 = vec_dot_i8,
    .dot_rows = vec_dot_rows,
    .dot_rows_i8 = vec_dot_rows_i8,
    .dot_some_i8 = vec_dot_some_i8,
    .add = vec_add,
    .add_rows = vec_add_rows,
    .mul = vec_mul,
    .scale = vec_scale,
    .axpy = vec_axpy,
    .exp = vec_exp,
    .exp_from = vec_shift_exp,
    .tanh = vec_tanh,
    .silu = vec_silu,
    .gelu = vec_gelu,
    .gelu_tanh = vec_gelu_tanh,
    .silu_mul = vec_silu_mul,
    .gelu_tanh_mul = vec_gelu_tanh_mul,
    .softcap = vec_softcap,
    .mul_add = vec_mul_add,
    .silu_slope = vec_silu_slope,
    .gelu_slope = vec_gelu_slope,
    .gelu_tanh_slope = vec_gelu_tanh_slope,
    .rmsnorm = vec_rmsnorm,
    .layernorm = vec_layernorm,
    .norm_back = vec_norm_back,
    .softmax = vec_softmax,
    .rope = vec_rope,
    .f16_to_f32 = vec_f16_to_f32,
    .f32_to_f16 = vec_f32_to_f16,
    .bf16_to_f32 = vec_bf16_to_f32,
    .f32_to_bf16 = vec_f32_to_bf16,
    .gemm = gemm_f32,
    .gemm_pairs = PANEL_PAIR_GEMM,
    .pair_rows = pair_rows,
    .pair_rows_turned = pair_rows_turned,
    .pair_pack = pair_pack,
    .pair_pack_turned = pair_pack_turned,
    .act_quantize = panel_act_quantize,
    .panel_mul = {
        [PANEL_F32] = panel_mul_F32, [PANEL_F16] = panel_mul_F16, [PANEL_BF16] = panel_mul_BF16,
        [PANEL_PAIRS] = panel_mul_PAIRS,
        [PANEL_Q4] = LEVEL_INT(Q4), [PANEL_Q4M] = LEVEL_INT(Q4M), [PANEL_Q5] = LEVEL_INT(Q5), [PANEL_Q5M] = LEVEL_INT(Q5M),
        [PANEL_Q8] = LEVEL_INT(Q8), [PANEL_NL4] = LEVEL_INT(NL4), [PANEL_NF4] = LEVEL_INT(NF4),
        [PANEL_MX4] = LEVEL_INT(MX4), [PANEL_K2] = LEVEL_INT(K2), [PANEL_K3] = LEVEL_INT(K3), [PANEL_K4] = LEVEL_INT(K4), [PANEL_K5] = LEVEL_INT(K5), [PANEL_K6] = LEVEL_INT(K6),
    },
    .attend = attend_run,
    .attend_back = attend_back_run,
};
