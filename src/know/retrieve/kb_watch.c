/* kb_watch.c: `add --watch`: a knowledge base that follows its folders.
 *
 *   inotify ─▶ paths that changed ─ quiet for half a second, or five seconds at most ─▶ add those, then
 *                                                                                      forget what is gone
 *
 * Watches are set before the first walk, so nothing is missed in between. Editors write a file in many
 * steps or write another and rename it: that is why it waits until it is quiet. What appeared is added
 * before what vanished is forgotten, so a file that moved keeps its vectors. A queue that ran over means
 * that changes were lost: then everything is walked again. Only what was watched is ever forgotten, and
 * nothing when a folder is all empty: a disk that is not mounted is not a deletion.
 *
 * A new folder is watched as it appears. Hidden files and folders and the store itself are left out, as in
 * any walk. What it leaves out: network file systems, whose changes by others the kernel does not see. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/map.h"
#include "know/retrieve/kbase.h"

enum { DEPTH_MAX = 200, TICK_MS = 100 };
#define QUIET_SECONDS 0.5
#define PATIENCE_SECONDS 5.0
#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ONLYDIR)

struct watched {
    int id;
    char *folder;
    char *only; /* one file of it; NULL = all */
};

struct watcher {
    struct sooth_kb *kb;
    const struct sooth_add_options *o;
    const char *const *roots;
    size_t n_roots;
    int fd;
    VEC(struct watched) folders;
    struct map changed; /* path -> 1 */
    double first, last; /* of the changes, seconds; 0 = none */
    bool everything;    /* events were lost */
    dev_t kb_dev;
    ino_t kb_ino;
    struct sooth_error *err;
};

static bool tick(const struct watcher *w)
{
    return !w->o->on_progress || w->o->on_progress(w->o->user, NULL, 0, 0);
}

/* --- watches */

static enum sooth_status folder_watch(struct watcher *w, const char *path, const char *only)
{
    int id = inotify_add_watch(w->fd, path, EVENTS);
    if (id < 0 && (errno == ENOENT || errno == ENOTDIR)) /* gone again */
        return SOOTH_OK;
    if (id < 0) {
        int code = errno;
        err_set(w->err, SOOTH_ERR_IO, "cannot watch '%s': %s", path, strerror(code));
        if (code == ENOSPC)
            err_hint(w->err, "the system's limit is fs.inotify.max_user_watches: raise it with sysctl");
        return SOOTH_ERR_IO;
    }
    for (size_t i = 0; i < w->folders.count; i++)
        if (w->folders.items[i].id == id && !w->folders.items[i].only)
            return SOOTH_OK; /* the whole folder is watched already */
    struct watched f = {id, mem_strdup(path), only ? mem_strdup(only) : NULL};
    if (!f.folder || (only && !f.only) || !vec_push(&w->folders, f)) {
        mem_free(f.folder);
        mem_free(f.only);
        return err_nomem(w->err);
    }
    return SOOTH_OK;
}

/* A folder and all below it. Links to folders are not followed, as in the walk. */
static enum sooth_status tree_watch(struct watcher *w, const char *path, int depth)
{
    struct stat st;
    if (depth > DEPTH_MAX || stat(path, &st) != 0 || !S_ISDIR(st.st_mode) ||
        (st.st_dev == w->kb_dev && st.st_ino == w->kb_ino))
        return SOOTH_OK;
    enum sooth_status status = folder_watch(w, path, NULL);
    DIR *d = status == SOOTH_OK ? opendir(path) : NULL;
    for (struct dirent *e; d && status == SOOTH_OK && (e = readdir(d));) {
        struct buf child = BUF_INIT;
        if (e->d_name[0] == '.' || (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN))
            continue;
        buf_printf(&child, "%s/%s", path, e->d_name);
        if (child.failed)
            status = err_nomem(w->err);
        else if (lstat(child.data, &st) == 0 && S_ISDIR(st.st_mode))
            status = tree_watch(w, child.data, depth + 1);
        buf_release(&child);
    }
    if (d)
        closedir(d);
    return status;
}

static enum sooth_status root_watch(struct watcher *w, const char *root)
{
    struct stat st;
    if (stat(root, &st) != 0)
        return err_set(w->err, SOOTH_ERR_NOTFOUND, "cannot watch '%s': %s", root, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return tree_watch(w, root, 0);
    const char *slash = strrchr(root, '/');
    char *folder = slash ? mem_strndup(root, slash > root ? (size_t)(slash - root) : 1) : mem_strdup(".");
    enum sooth_status status = folder ? folder_watch(w, folder, slash ? slash + 1 : root)
                                      : err_nomem(w->err);
    mem_free(folder);
    return status;
}

/* Forgets watches: of that id, or (id < 0) of a folder that moved away and all below it, whose events would
 * carry the old path. */
static void watch_drop(struct watcher *w, int id, const char *path)
{
    size_t kept = 0, len = path ? strlen(path) : 0;
    for (size_t i = 0; i < w->folders.count; i++) {
        struct watched *f = &w->folders.items[i];
        bool below = path && strncmp(f->folder, path, len) == 0 &&
                     (f->folder[len] == '/' || f->folder[len] == '\0');
        if (id >= 0 ? f->id != id : !below) {
            w->folders.items[kept++] = *f;
            continue;
        }
        if (id < 0)
            inotify_rm_watch(w->fd, f->id);
        mem_free(f->folder);
        mem_free(f->only);
    }
    w->folders.count = kept;
}

/* --- events */

static enum sooth_status event_take(struct watcher *w, const struct inotify_event *e)
{
    if (e->mask & IN_Q_OVERFLOW)
        w->everything = true;
    if (e->mask & IN_IGNORED)
        watch_drop(w, e->wd, NULL);
    if (e->len == 0 || e->name[0] == '.')
        return SOOTH_OK;
    for (size_t i = 0; i < w->folders.count; i++) {
        const struct watched *f = &w->folders.items[i];
        struct buf path = BUF_INIT;
        if (f->id != e->wd || (f->only && strcmp(f->only, e->name) != 0))
            continue;
        if ((e->mask & IN_CREATE) && !(e->mask & IN_ISDIR))
            continue; /* empty still: its closing tells */
        bool given = f->only && strcmp(f->folder, ".") == 0; /* as the user wrote it: "a.txt" */
        buf_printf(&path, "%s%s%s", given ? "" : f->folder, given || strcmp(f->folder, "/") == 0 ? "" : "/",
                   e->name);
        enum sooth_status status = path.failed || !map_put(&w->changed, path.data, path.len, 1)
                                       ? err_nomem(w->err)
                                       : SOOTH_OK;
        if (status == SOOTH_OK && (e->mask & IN_ISDIR) && (e->mask & (IN_CREATE | IN_MOVED_TO)))
            status = tree_watch(w, path.data, 0);
        else if (status == SOOTH_OK && (e->mask & IN_ISDIR) && (e->mask & IN_MOVED_FROM))
            watch_drop(w, -1, path.data);
        buf_release(&path);
        return status;
    }
    return SOOTH_OK;
}

static enum sooth_status events_read(struct watcher *w)
{
    char bytes[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n = read(w->fd, bytes, sizeof bytes);
    enum sooth_status status = SOOTH_OK;
    for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= n && status == SOOTH_OK;) {
        const struct inotify_event *e = (const struct inotify_event *)(const void *)(bytes + at);
        status = event_take(w, e);
        at += (ssize_t)(sizeof *e + e->len);
    }
    if (n > 0 && (w->changed.count > 0 || w->everything)) {
        w->last = clock_seconds();
        w->first = w->first > 0 ? w->first : w->last;
    }
    return status;
}

/* --- what vanished */

static void tell_forgotten(const struct watcher *w, const char *doc)
{
    const struct sooth_added gone = {.file = doc, .doc = doc, .status = SOOTH_FORGOTTEN};
    if (w->o->on_file)
        w->o->on_file(w->o->user, &gone);
}

struct gone {
    const char *root; /* identity of a watched file or folder */
    size_t len;
    VEC(char *) docs;
    bool failed;
};

/* Documents at the root or below it whose file is not there any more. A member of an archive
 * ("a.zip/b.txt") goes with its archive: ENOTDIR. */
static bool gone_see(void *user, const struct store_doc_info *d)
{
    struct gone *g = user;
    struct stat st;
    if (strncmp(d->doc, g->root, g->len) != 0 || (d->doc[g->len] != '/' && d->doc[g->len] != '\0') ||
        stat(d->doc, &st) == 0 || errno != ENOENT)
        return true;
    char *doc = mem_strdup(d->doc);
    if (!doc || !vec_push(&g->docs, doc)) {
        mem_free(doc);
        g->failed = true;
    }
    return !g->failed;
}

static enum sooth_status gone_forget(struct watcher *w, const char *path)
{
    char *root = walk_identity(path);
    struct gone g = {.root = root, .len = root ? strlen(root) : 0};
    enum sooth_status status = root ? store_docs(w->kb->store, gone_see, &g, w->err) : err_nomem(w->err);
    if (g.failed)
        status = err_nomem(w->err);
    for (size_t i = 0; i < g.docs.count; i++) {
        if (status == SOOTH_OK && (status = sooth_kb_forget(w->kb, g.docs.items[i], w->err)) == SOOTH_OK)
            tell_forgotten(w, g.docs.items[i]);
        if (status == SOOTH_ERR_NOTFOUND) /* went with its archive */
            status = SOOTH_OK;
        mem_free(g.docs.items[i]);
    }
    vec_free(&g.docs);
    mem_free(root);
    return status;
}

static bool folder_empty(const char *path)
{
    DIR *d = opendir(path);
    bool empty = d != NULL;
    for (struct dirent *e; d && empty && (e = readdir(d));)
        empty = e->d_name[0] == '.';
    if (d)
        closedir(d);
    return empty;
}

static enum sooth_status roots_forget(struct watcher *w)
{
    enum sooth_status status = SOOTH_OK;
    struct stat st;
    for (size_t i = 0; i < w->n_roots && status == SOOTH_OK; i++) {
        bool there = stat(w->roots[i], &st) == 0;
        if (there && !(S_ISDIR(st.st_mode) && folder_empty(w->roots[i])))
            status = gone_forget(w, w->roots[i]);
    }
    return status;
}

/* --- settling */

static enum sooth_status settle_all(struct watcher *w)
{
    enum sooth_status status = kb_add_paths(w->kb, w->roots, w->n_roots, true, w->o, NULL, w->err);
    return status == SOOTH_OK ? roots_forget(w) : status;
}

static enum sooth_status settle_changed(struct watcher *w, const struct map *changed)
{
    VEC(const char *) there = {0}, gone = {0};
    enum sooth_status status = SOOTH_OK;
    struct stat st;
    const char *key;
    size_t at = 0, len;
    uint64_t unused;
    bool failed = false;
    VEC(char *) names = {0};
    while (map_next(changed, &at, &key, &len, &unused)) {
        char *name = mem_strndup(key, len);
        bool kept = name && vec_push(&names, name);
        if (!kept)
            mem_free(name);
        failed = failed || !kept || !(stat(name, &st) == 0 ? vec_push(&there, name) : vec_push(&gone, name));
    }
    if (failed)
        status = err_nomem(w->err);
    if (status == SOOTH_OK && there.count > 0)
        status = kb_add_paths(w->kb, there.items, there.count, false, w->o, NULL, w->err);
    for (size_t i = 0; i < gone.count && status == SOOTH_OK; i++)
        status = gone_forget(w, gone.items[i]);
    for (size_t i = 0; i < names.count; i++)
        mem_free(names.items[i]);
    vec_free(&names);
    vec_free(&there);
    vec_free(&gone);
    return status;
}

static enum sooth_status settle(struct watcher *w)
{
    struct map changed = w->changed;
    bool everything = w->everything;
    map_init(&w->changed);
    w->everything = false;
    w->first = w->last = 0;
    enum sooth_status status = everything ? settle_all(w) : settle_changed(w, &changed);
    map_release(&changed);
    return status;
}

static enum sooth_status follow(struct watcher *w)
{
    enum sooth_status status = SOOTH_OK;
    while (status == SOOTH_OK && tick(w)) {
        struct pollfd p = {.fd = w->fd, .events = POLLIN};
        if (poll(&p, 1, TICK_MS) > 0)
            status = events_read(w);
        double now = clock_seconds();
        if (status == SOOTH_OK && w->first > 0 &&
            (now - w->last > QUIET_SECONDS || now - w->first > PATIENCE_SECONDS))
            status = settle(w);
    }
    return status;
}

enum sooth_status sooth_kb_watch(struct sooth_kb *kb, const char *const *paths, size_t n,
                                 const struct sooth_add_options *options, struct sooth_error *err)
{
    const struct sooth_add_options none = {0};
    struct watcher w = {.kb = kb, .o = options ? options : &none, .roots = paths, .n_roots = n, .err = err};
    struct stat st;
    if (stat(store_path(kb->store), &st) == 0) {
        w.kb_dev = st.st_dev;
        w.kb_ino = st.st_ino;
    }
    map_init(&w.changed);
    w.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    enum sooth_status status = w.fd >= 0 ? SOOTH_OK
                                         : err_set(err, SOOTH_ERR_IO, "cannot watch files: %s", strerror(errno));
    for (size_t i = 0; i < n && status == SOOTH_OK; i++)
        status = root_watch(&w, paths[i]);
    if (status == SOOTH_OK)
        status = settle_all(&w);
    if (status == SOOTH_OK)
        status = follow(&w);
    if (w.fd >= 0)
        close(w.fd);
    for (size_t i = 0; i < w.folders.count; i++) {
        mem_free(w.folders.items[i].folder);
        mem_free(w.folders.items[i].only);
    }
    vec_free(&w.folders);
    map_release(&w.changed);
    return status == SOOTH_ERR_CANCELLED ? SOOTH_OK : status;
}
