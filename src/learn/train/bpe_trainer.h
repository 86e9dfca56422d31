/* bpe_trainer.h: learning the vocabulary of a byte-level BPE tokenizer from text.
 *
 * The result depends on the texts and their order alone: not on hashes, threads or time. */
#ifndef TRAIN_BPE_TRAINER_H
#define TRAIN_BPE_TRAINER_H
#include <stddef.h>
#include <stdint.h>
#include "core/base/buf.h"
#include "sooth/error.h"

struct bpe_trainer;
struct bpe_trainer *bpe_trainer_new(void); /* NULL when memory is out */
void bpe_trainer_free(struct bpe_trainer *t);
/* Counts the words of a text (any bytes). */
enum sooth_status bpe_trainer_add(struct bpe_trainer *t, const char *text, size_t len, struct sooth_error *err);
/* Merges until there are `size` pieces, or no pair occurs twice. specials come first, then the 256 bytes. Once a trainer. */
enum sooth_status bpe_trainer_run(struct bpe_trainer *t, size_t size, const char *const *specials, size_t n_specials, struct sooth_error *err);
size_t bpe_trainer_size(const struct bpe_trainer *t); /* pieces */
/* Hugging Face's tokenizer.json. */
enum sooth_status bpe_trainer_json(const struct bpe_trainer *t, struct buf *out, struct sooth_error *err);

#endif
