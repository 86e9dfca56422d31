/* replay.c: gives a fuzz target every file of its corpus, as a test. usage: replay_NAME
 * FILE-OR-DIRECTORY... */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include "core/base/buf.h"
#include "core/base/fsio.h"
#include "fuzz.h"

static unsigned long inputs, unreadable;

static void replay_file(const char *path)
{
    struct buf b = BUF_INIT;
    struct sooth_error e;
    if (file_read(path, (size_t)256 << 20, &b, &e)) {
        printf("# %s\n", e.text);
        unreadable++;
    } else {
        LLVMFuzzerTestOneInput((const uint8_t *)buf_str(&b), b.len);
        inputs++;
    }
    buf_release(&b);
}

static void replay(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    if (!dir) {
        replay_file(path);
        return;
    }
    while ((entry = readdir(dir))) {
        struct buf inner = BUF_INIT;
        if (entry->d_name[0] != '.' && buf_printf(&inner, "%s/%s", path, entry->d_name))
            replay_file(buf_str(&inner));
        buf_release(&inner);
    }
    closedir(dir);
}

int main(int argc, char **argv)
{
    printf("1..1\n");
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    printf("%sok 1 - %lu inputs replayed\n", inputs && !unreadable ? "" : "not ", inputs);
    return inputs && !unreadable ? 0 : 1;
}
