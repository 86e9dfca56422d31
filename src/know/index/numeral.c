/* numeral.c: what a run of Chinese numerals is worth, so that 一百二十 is found as 120 and 二〇二四 as 2024.
 *
 *   value = sum over sections of (sum of digit * unit) * section unit      units 十 百 千, sections 万 亿
 *
 * A run without units is read digit by digit (years, telephone numbers). 两 is two, 〇 and 零 are
 * nothing but hold a place. A run that is no number (百十千) has no value. */
#include <string.h>
#include "know/index/segment.h"

int numeral_digit(uint32_t c)
{
    static const uint32_t digits[] = {0x3007, 0x4E00, 0x4E8C, 0x4E09, 0x56DB,
                                      0x4E94, 0x516D, 0x4E03, 0x516B, 0x4E5D};
    for (int i = 0; i < 10; i++)
        if (c == digits[i])
            return i;
    return c == 0x96F6 ? 0 : c == 0x4E24 ? 2 : -1; /* 零 两 */
}

uint64_t numeral_unit(uint32_t c)
{
    switch (c) {
    case 0x5341:
        return 10; /* 十 */
    case 0x767E:
        return 100; /* 百 */
    case 0x5343:
        return 1000; /* 千 */
    case 0x4E07:
        return 10000; /* 万 */
    case 0x4EBF:
        return 100000000; /* 亿 */
    default:
        return 0;
    }
}

static bool by_place(const uint32_t *c, size_t n, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        int d = numeral_digit(c[i]);
        if (d < 0)
            return false;
        *out = *out * 10 + (uint64_t)d;
    }
    return true;
}

bool numeral_value(const uint32_t *c, size_t n, uint64_t *out)
{
    uint64_t whole = 0, section = 0, last = UINT64_MAX, wide = UINT64_MAX;
    int digit = -1;
    if (n == 0 || n > NUMERAL_MAX)
        return false;
    if (by_place(c, n, out))
        return true;
    for (size_t i = 0; i < n; i++) {
        uint64_t unit = numeral_unit(c[i]);
        int d = numeral_digit(c[i]);
        if (d >= 0) {
            if (digit > 0) /* two digits without a unit between them */
                return false;
            digit = d;
        } else if (unit < 10000) {
            if (unit >= last || (digit < 0 && unit != 10))
                return false; /* units fall; 十 alone is ten */
            section += (uint64_t)(digit < 0 ? 1 : digit) * unit;
            last = unit;
            digit = -1;
        } else {
            section += (uint64_t)(digit < 0 ? 0 : digit);
            if (section == 0 || unit >= wide)
                return false;
            whole += section * unit;
            wide = unit;
            section = 0;
            last = UINT64_MAX;
            digit = -1;
        }
    }
    *out = whole + section + (uint64_t)(digit < 0 ? 0 : digit);
    return true;
}
