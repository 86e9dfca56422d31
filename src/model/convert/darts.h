/* darts.h: SentencePiece's precompiled character map, made from a list of replacements. */
#ifndef CONVERT_DARTS_H
#define CONVERT_DARTS_H
#include <stddef.h>
#include <stdint.h>
#include "core/base/buf.h"
#include "sooth/error.h"

struct file_string;
/* from[n]: code points, ascending; to[n]: what each becomes (may be empty). Appends the map to out.
 */
enum sooth_status darts_build(const uint32_t *from, const struct file_string *to, size_t n,
                              struct buf *out, struct sooth_error *err);
#endif
