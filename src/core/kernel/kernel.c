/* kernel.c: which level of kernels this machine gets, and the few functions that need no speed. */
#include "core/kernel/kernel.h"
#include "core/base/cpu.h"
#include "core/kernel/half.h"
#include <string.h>

const struct panel_size panel_sizes[PANEL_KINDS] = {
    [PANEL_F32] = { 1, 64 },   [PANEL_F16] = { 1, 32 },    [PANEL_BF16] = { 1, 32 },
    [PANEL_PAIRS] = { 32, 1024 },
    [PANEL_Q4] = { 32, 288 },  [PANEL_Q4M] = { 32, 320 },  [PANEL_Q5] = { 32, 352 },
    [PANEL_Q5M] = { 32, 384 }, [PANEL_Q8] = { 32, 544 },   [PANEL_NL4] = { 32, 288 },
    [PANEL_NF4] = { 32, 288 }, [PANEL_MX4] = { 32, 272 },
    [PANEL_K2] = { 256, 64 + 8 * 160 },                    [PANEL_K3] = { 256, 32 + 8 * 224 },
    [PANEL_K4] = { 256, 64 + 8 * 288 },                    [PANEL_K5] = { 256, 64 + 8 * 352 },
    [PANEL_K6] = { 256, 32 + 8 * 416 },
};

const uint8_t panel_book_nl4[16] = { 1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241 };
const uint8_t panel_book_nf4[16] = { 16, 50, 69, 84, 96, 107, 118, 128, 137, 146, 156, 166, 177, 191, 209, 240 };
const uint8_t panel_book_mx4[16] = { 12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0 };

extern const struct kernel kernel_c;
#if defined(KERNEL_X86)
extern const struct kernel kernel_avx2, kernel_avx512, kernel_vnni, kernel_bf16, kernel_amx;
#endif

const struct kernel *kernel_at(size_t i)
{
    const struct kernel *list[6] = { &kernel_c };
    size_t n = 1;
#if defined(KERNEL_X86)
    const struct cpu *cpu = cpu_get();
    if (cpu->level >= CPU_AVX2)
        list[n++] = &kernel_avx2;
    if (cpu->level >= CPU_AVX512)
        list[n++] = &kernel_avx512;
    if (cpu->level >= CPU_AVX512 && cpu->vnni)
        list[n++] = &kernel_vnni;
    if (cpu->level >= CPU_AVX512 && cpu->vnni && cpu->bf16)
        list[n++] = &kernel_bf16;
    if (cpu->level >= CPU_AVX512 && cpu->vnni && cpu->amx_int8 && cpu->amx_bf16)
        list[n++] = &kernel_amx;
#endif
    return i < n ? list[i] : NULL;
}

const struct kernel *kernel_get(void)
{
    const struct kernel *best = &kernel_c;
    for (size_t i = 1; kernel_at(i); i++)
        best = kernel_at(i);
    return best;
}
