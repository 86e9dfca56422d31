/* convert.c: the way in: recognises what is asked for by the name of the output. */
#include <string.h>
#include "core/base/error.h"
#include "core/base/fsio.h"
#include "model/convert/convert.h"
#include "sooth/model.h"

enum { CONVERT_PATH = 4096 };

enum sooth_status sooth_convert(const char *in, const char *out, struct sooth_error *err)
{
    struct sooth_error own = {0};
    char path[CONVERT_PATH];
    struct tensor_file *f = NULL;
    size_t len = out ? strlen(out) : 0;
    err = err ? err : &own;
    if (!len)
        return err_set(err, SOOTH_ERR_ARG, "convert needs a name to write to");
    enum sooth_status status = sooth_model_find(in, path, sizeof path, err);
    if (status == SOOTH_OK)
        status = tensor_file_open(path, NULL, &f, err);
    if (status != SOOTH_OK)
        return status;
    if (out[len - 1] == '/' || file_is_dir(out))
        status = convert_to_hf(f, out, err);
    else
        status = convert_to_gguf(f, out, err);
    if (status == SOOTH_OK && !tensor_file_intact(f))
        status = err_set(err, SOOTH_ERR_IO, "'%s' changed while it was read", path);
    tensor_file_close(f);
    return status;
}
