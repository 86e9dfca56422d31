#include "model/token/token_vocab.h"
#include "core/base/error.h"
enum sooth_status tokenizer_from_json(const char *text, size_t len, const char *config, size_t config_len,
                                      struct tokenizer **out, struct sooth_error *err)
{ return err_set(err, SOOTH_ERR_UNSUPPORTED, "x"); }
