/* find.c: from a short model name to a path.
 *
 * Order: a URL or an existing path as it stands; then NAME and NAME.gguf under $SOOTH_MODELS,
 * $SOOTH_HOME/models (default ~/.local/share/sooth/models), ./models, and models/ beside the
 * program and one level above it (a build tree's program finds its checkout's models). A name with
 * a slash is a path and is not searched for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/base/error.h"
#include "core/base/fsio.h"
#include "model/infer/remote.h"
#include "sooth/model.h"

enum { FIND_PATH = 4096 };

static bool find_present(const char *path)
{
    return file_exists(path) || file_is_dir(path);
}

/* dir/NAME or dir/NAME.gguf. out is untouched unless found. */
static bool find_in(const char *dir, const char *name, char *out, size_t size)
{
    static const char *const suffixes[] = {"", ".gguf"};
    char path[FIND_PATH];
    for (size_t i = 0; i < 2; i++) {
        int n = snprintf(path, sizeof path, "%s/%s%s", dir, name, suffixes[i]);
        if (n <= 0 || (size_t)n >= sizeof path || (size_t)n >= size || !find_present(path))
            continue;
        memcpy(out, path, (size_t)n + 1);
        return true;
    }
    return false;
}

/* The program's folder, without its last `up` parts, then /models. */
static bool find_beside(unsigned up, const char *name, char *out, size_t size)
{
    char path[FIND_PATH];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof "/models");
    if (n <= 0)
        return false;
    path[n] = 0;
    for (unsigned i = 0; i <= up; i++) {
        char *slash = strrchr(path, '/');
        if (!slash)
            return false;
        *slash = 0;
    }
    size_t len = strlen(path);
    memcpy(path + len, "/models", sizeof "/models");
    return find_in(path, name, out, size);
}

static bool find_search(const char *name, char *out, size_t size)
{
    const char *models = getenv("SOOTH_MODELS"), *home = getenv("SOOTH_HOME"),
               *user = getenv("HOME");
    char dir[FIND_PATH] = "";
    if (models && models[0] && find_in(models, name, out, size))
        return true;
    if (home && home[0])
        snprintf(dir, sizeof dir, "%s/models", home);
    else if (user && user[0])
        snprintf(dir, sizeof dir, "%s/.local/share/sooth/models", user);
    if (dir[0] && find_in(dir, name, out, size))
        return true;
    return find_in("models", name, out, size) || find_beside(0, name, out, size) ||
           find_beside(1, name, out, size);
}

enum sooth_status sooth_model_find(const char *name, char *out, size_t size,
                                   struct sooth_error *err)
{
    size_t len = name ? strlen(name) : 0;
    if (!len)
        return err_set(err, SOOTH_ERR_ARG, "a model needs a name");
    if (len >= size)
        return err_set(err, SOOTH_ERR_LIMIT, "model name of %zu bytes is too long", len);
    if (remote_is_url(name) || find_present(name)) {
        memcpy(out, name, len + 1);
        return SOOTH_OK;
    }
    if (!strchr(name, '/') && find_search(name, out, size))
        return SOOTH_OK;
    err_set(err, SOOTH_ERR_NOTFOUND, "no model '%.200s'", name);
    return err_hint(err, strchr(name, '/') ? "is the path right?"
                                           : "`make models` fetches the known ones into models/");
}
