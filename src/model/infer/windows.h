/* windows.h: a text cut into windows that are scored, for the files of this room. */
#ifndef INFER_WINDOWS_H
#define INFER_WINDOWS_H
#include "core/tensor/tensor.h"
#include "sooth/model.h"

/* The rows of one window: token and target change, the rest does not. Wanted: rows n/2 .. n-2, each with the next token as
 * target, that is n - 1 - n/2 of them (255 of 512). */
struct window {
    size_t n, scored;
    int32_t *token, *target;
    uint32_t *pos, *seq;
    uint8_t *want;
};
bool window_init(struct window *w, size_t n); /* false: no memory; release all the same */
void window_release(struct window *w);
/* n tokens from ids; start >= 0 stands in place of the first. */
struct rows window_rows(struct window *w, const int32_t *ids, int32_t start);

/* A text's tokens and how many windows they fill. */
struct windows {
    struct sooth_tokens tokens;
    size_t context, count;
    int32_t start; /* -1: none */
};
/* context 0 = 512; at most `most` windows (0 = all). SOOTH_ERR_ARG when the text does not fill one. */
enum sooth_status windows_open(struct windows *w, const struct sooth_model *m, const char *text, size_t len, size_t context,
                               size_t most, struct sooth_error *err);
void windows_close(struct windows *w);
#endif
