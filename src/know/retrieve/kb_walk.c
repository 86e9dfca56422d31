/* kb_walk.c: which files `add PATH...` means, and what each is called in the knowledge base.
 *
 * A file's identity is its real absolute path, so that the same file reached by another way is the
 * same document and two files of one name in two folders are two. Directories are walked in sorted
 * order; hidden entries, links to directories and the knowledge base itself are left out. */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/retrieve/kbase.h"

enum { DEPTH_MAX = 200 };

struct walker {
    const struct sooth_add_options *o;
    struct walk *out;
    dev_t kb_dev; /* the store's directory */
    ino_t kb_ino;
    bool have_kb, failed;
};

/* Removes ".", ".." and doubled slashes from an absolute path, in place. */
static void tidy(char *path)
{
    char *to = path;
    for (const char *p = path; *p;) {
        while (*p == '/')
            p++;
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            while (to > path && *--to != '/')
                ;
        } else if (n > 0 && !(n == 1 && p[0] == '.')) {
            *to++ = '/';
            memmove(to, p, n);
            to += n;
        }
        p += n;
    }
    if (to == path)
        *to++ = '/';
    *to = '\0';
}

char *walk_identity(const char *path)
{
    char *real = realpath(path, NULL), *out;
    if (real) {
        out = mem_strdup(real);
        free(real); /* allowed: realpath gave it */
        return out;
    }
    struct buf b = BUF_INIT; /* gone by now: the folder may still be there */
    const char *slash = strrchr(path, '/');
    char *parent = slash && slash > path ? mem_strndup(path, (size_t)(slash - path))
                                         : mem_strdup(slash ? "/" : ".");
    real = parent ? realpath(parent, NULL) : NULL;
    char cwd[PATH_MAX];
    if (real)
        buf_printf(&b, "%s/%s", real, slash ? slash + 1 : path);
    else if (*path != '/' && getcwd(cwd, sizeof cwd))
        buf_printf(&b, "%s/%s", cwd, path);
    else
        buf_puts(&b, path);
    mem_free(parent);
    free(real); /* allowed: realpath gave it */
    out = buf_take(&b);
    if (out && *out == '/')
        tidy(out);
    return out;
}

static bool any_match(const char *const *globs, size_t n, const char *path)
{
    const char *slash = strrchr(path, '/');
    for (size_t i = 0; i < n; i++)
        if (fnmatch(globs[i], path, 0) == 0 || fnmatch(globs[i], slash ? slash + 1 : path, 0) == 0)
            return true;
    return false;
}

static void add_file(struct walker *w, const char *path, const char *problem, bool named)
{
    struct walk_file f = {mem_strdup(path), walk_identity(path), mem_strdup(problem), named};
    if (!f.path || !f.doc || (problem && !f.problem) || !vec_push(&w->out->files, f)) {
        w->failed = true;
        mem_free(f.path);
        mem_free(f.doc);
        mem_free(f.problem);
    }
}

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void walk_entry(struct walker *w, const char *path, bool named, int depth);

static void walk_dir(struct walker *w, const char *path, int depth)
{
    struct dirent **entries;
    int n = scandir(path, &entries, visible, by_bytes);
    if (n < 0) {
        add_file(w, path, strerror(errno), true);
        return;
    }
    size_t len = strlen(path);
    for (int i = 0; i < n; i++) {
        struct buf child = BUF_INIT;
        if (buf_printf(&child, "%s%s%s", path, len > 0 && path[len - 1] == '/' ? "" : "/",
                       entries[i]->d_name))
            walk_entry(w, child.data, false, depth + 1);
        else
            w->failed = true;
        buf_release(&child);
        free(entries[i]); /* allowed: scandir gave it */
    }
    free(entries); /* allowed: scandir gave it */
}

static void walk_entry(struct walker *w, const char *path, bool named, int depth)
{
    struct stat st, link;
    if (stat(path, &st) != 0) {
        if (named)
            add_file(w, path, strerror(errno), true);
        return;
    }
    if (any_match(w->o->exclude, w->o->n_exclude, path))
        return;
    if (S_ISDIR(st.st_mode)) {
        bool is_kb = w->have_kb && st.st_dev == w->kb_dev && st.st_ino == w->kb_ino;
        bool is_link = !named && lstat(path, &link) == 0 && S_ISLNK(link.st_mode);
        if (!is_kb && !is_link && depth < DEPTH_MAX)
            walk_dir(w, path, depth);
    } else if (S_ISREG(st.st_mode)) {
        if (w->o->n_include == 0 || any_match(w->o->include, w->o->n_include, path))
            add_file(w, path, NULL, named);
    } else if (named) {
        add_file(w, path, "it is neither a file nor a directory", true);
    }
}

enum sooth_status walk_paths(const char *const *paths, size_t n, bool named,
                             const struct sooth_add_options *o, const char *kb_dir, struct walk *out, struct sooth_error *err)
{
    struct walker w = {.o = o, .out = out};
    struct stat st;
    w.have_kb = stat(kb_dir, &st) == 0;
    if (w.have_kb) {
        w.kb_dev = st.st_dev;
        w.kb_ino = st.st_ino;
    }
    for (size_t i = 0; i < n; i++)
        walk_entry(&w, paths[i], named, 0);
    return w.failed ? err_nomem(err) : SOOTH_OK;
}

void walk_release(struct walk *w)
{
    for (size_t i = 0; i < w->files.count; i++) {
        mem_free(w->files.items[i].path);
        mem_free(w->files.items[i].doc);
        mem_free(w->files.items[i].problem);
    }
    vec_free(&w->files);
}
