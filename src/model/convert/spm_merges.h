/* spm_merges.h: from the scores of a SentencePiece vocabulary to a list of merges. */
#ifndef CONVERT_SPM_MERGES_H
#define CONVERT_SPM_MERGES_H
#include "core/base/vec.h"
#include "model/file/file.h"

struct spm_merge {
    float score;              /* of the piece that it makes */
    uint32_t left_len;        /* bytes */
    uint32_t left, right;     /* ids of the two parts */
};
struct spm_merges { struct spm_merge *items; size_t count, cap; bool failed; };
/* Best first. out starts zeroed, vec_free by the caller, also after a failure. */
enum sooth_status spm_merges_make(const struct file_string *pieces, const int32_t *kinds, const float *scores, size_t n, struct spm_merges *out,
                                  struct sooth_error *err);
#endif
