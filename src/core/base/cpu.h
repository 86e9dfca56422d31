/* cpu.h: what this processor can do, and how much of the machine we are granted. */
#ifndef BASE_CPU_H
#define BASE_CPU_H
#include <stdbool.h>

enum cpu_level { CPU_C, CPU_AVX2, CPU_AVX512 }; /* AVX2 implies FMA and F16C; AVX512 implies F, BW, DQ, VL */
struct cpu {
    enum cpu_level level;   /* after the mask SOOTH_CPU=c|avx2|avx512 */
    bool vnni;              /* AVX512_VNNI usable (level AVX512) */
    bool avx_vnni;          /* VEX-coded VNNI (level >= AVX2) */
    bool bf16;              /* AVX512_BF16 */
    bool amx_int8, amx_bf16;/* tiles usable: the kernel granted permission */
};
const struct cpu *cpu_get(void);  /* detected once; thread-safe */
unsigned cpu_granted(void);       /* cores really granted: affinity mask and cgroup v1/v2 quota, at least 1 */

/* Cores that the quotas of our control groups allow (INFINITY when unlimited). root goes before every path read:
 * "" means this machine, a test gives a directory with its own proc/self/{cgroup,mountinfo} and groups. */
double cpu_quota(const char *root);
/* Whole cores out of those the mask allows and the quota pays for, at least 1: 2 and 1.5 give 1. */
unsigned cpu_cores(unsigned allowed, double quota);
#endif
