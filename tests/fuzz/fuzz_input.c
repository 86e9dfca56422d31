/* fuzz_input.c: input as a file, shared by the targets. */
#include "fuzz.h"
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "core/base/hash.h"
#include "model/file/file.h"

const char *fuzz_path(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0)
        fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
        return NULL;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

static volatile uint64_t sink; /* keeps the reads from being optimized away */

void fuzz_model_file(const uint8_t *data, size_t size)
{
    struct tensor_file_options options = {.max_memory = 64 << 20};
    struct tensor_file *f;
    const char *path = fuzz_path(data, size);
    if (!path || tensor_file_open(path, &options, &f, NULL))
        return;
    for (size_t i = 0; i < tensor_file_values(f); i++) {
        const struct file_value *v = tensor_file_value_at(f, i);
        if (v->type == VALUE_STRING)
            sink += hash64(v->s.text, v->s.len + 1, 0);
        if (v->type == VALUE_ARRAY && v->item == VALUE_STRING)
            for (size_t k = 0; k < v->count; k++)
                sink += hash64(v->strings[k].text, v->strings[k].len, 0);
    }
    for (size_t i = 0; i < tensor_file_count(f); i++)
        sink += hash64(tensor_file_at(f, i)->data, tensor_file_at(f, i)->bytes, 0);
    tensor_file_close(f);
}
