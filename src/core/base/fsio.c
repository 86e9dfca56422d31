/* fsio.c: whole files: mapped, read, or replaced in one step.
 *
 * Replacing: write a temporary beside the target, fsync it, rename it over the target, fsync the
 * directory. After a crash at any point the name holds either the old bytes or the new ones. */
#include "core/base/fsio.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/base/alloc.h"
#include "core/base/error.h"

static atomic_uint_fast64_t calls, armed; /* as in alloc.c */

void file_fail_at(uint64_t n)
{
    atomic_store(&armed, n ? atomic_load(&calls) + n : 0);
}

/* True when the test wants this system call to fail. */
static bool injected(void)
{
    if (atomic_fetch_add(&calls, 1) + 1 != atomic_load(&armed))
        return false;
    errno = EIO;
    return true;
}

/* Gives back fd when it is open and a regular file; else closes it, -1. */
static enum sooth_status check_regular(int *fd, const char *path, struct stat *st,
                                       struct sooth_error *err)
{
    int failed;
    if (*fd < 0)
        return err_set(err, errno == ENOENT ? SOOTH_ERR_NOTFOUND : SOOTH_ERR_IO,
                       "cannot open '%s': %s", path, strerror(errno));
    failed = fstat(*fd, st) ? errno : 0;
    if (!failed && S_ISREG(st->st_mode))
        return SOOTH_OK;
    close(*fd);
    *fd = -1;
    return err_set(err, SOOTH_ERR_IO, "cannot read '%s': %s", path,
                   failed ? strerror(failed) : "not a regular file");
}

/* O_NONBLOCK: opening a FIFO must not hang; it means nothing for regular files. */
enum { OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK };

static enum sooth_status open_regular(const char *path, int *fd, struct stat *st,
                                      struct sooth_error *err)
{
    *fd = open(path, OPEN_FLAGS);
    return check_regular(fd, path, st, err);
}

static enum sooth_status map_fd(int fd, const char *path, const struct stat *st,
                                struct map_file *out, struct sooth_error *err)
{
    static const unsigned char nothing[1];
    enum sooth_status status;
    void *p;
    *out = (struct map_file){nothing, (size_t)st->st_size, fd};
    if (st->st_size == 0)
        return SOOTH_OK;
    p = injected() ? MAP_FAILED : mmap(NULL, (size_t)st->st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED) {
        out->data = p;
        return SOOTH_OK;
    }
    status = err_set(err, SOOTH_ERR_IO, "cannot map '%s': %s", path, strerror(errno));
    close(fd);
    *out = (struct map_file){NULL, 0, -1};
    return status;
}

enum sooth_status map_file_open(const char *path, struct map_file *out, struct sooth_error *err)
{
    struct stat st = {0};
    int fd;
    enum sooth_status status = open_regular(path, &fd, &st, err);
    *out = (struct map_file){NULL, 0, -1};
    return status ? status : map_fd(fd, path, &st, out, err);
}

static bool name_is_plain(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return name[0] && name[0] != '.' && !name[strspn(name, allowed)];
}

enum sooth_status map_file_open_beneath(const char *dir, const char *name, struct map_file *out,
                                        struct sooth_error *err)
{
    struct stat st = {0};
    enum sooth_status status;
    int at, fd;
    *out = (struct map_file){NULL, 0, -1};
    if (!name_is_plain(name))
        return err_set(err, SOOTH_ERR_FORMAT, "'%s' is not a plain file name", name);
    at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return err_set(err, SOOTH_ERR_IO, "cannot open '%s': %s", dir, strerror(errno));
    fd = openat(at, name, OPEN_FLAGS | O_NOFOLLOW);
    status =
        fd < 0 && errno == ELOOP
            ? err_set(err, SOOTH_ERR_FORMAT, "'%s' is a symbolic link, which is not followed", name)
            : check_regular(&fd, name, &st, err);
    close(at);
    return status ? status : map_fd(fd, name, &st, out, err);
}

bool map_file_intact(const struct map_file *m)
{
    struct stat st;
    return m->fd >= 0 && !fstat(m->fd, &st) && (size_t)st.st_size == m->size;
}

void map_file_close(struct map_file *m)
{
    if (m->size)
        munmap((void *)(uintptr_t)m->data, m->size);
    if (m->fd >= 0)
        close(m->fd);
    *m = (struct map_file){NULL, 0, -1};
}

static ssize_t read_some(int fd, void *p, size_t len)
{
    ssize_t n;
    if (injected())
        return -1;
    do
        n = read(fd, p, len);
    while (n < 0 && errno == EINTR);
    return n;
}

static enum sooth_status read_all(int fd, size_t max, struct buf *out, const char *path,
                                  struct sooth_error *err)
{
    size_t got = 0, chunk = 65536;
    for (;;) {
        ssize_t n;
        /* One byte over the limit is asked for, so that a file that grew is noticed. */
        size_t want = max - got < chunk ? max - got + 1 : chunk;
        if (!buf_reserve(out, want))
            return err_nomem(err);
        n = read_some(fd, out->data + out->len, want);
        if (n < 0)
            return err_set(err, SOOTH_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
        if (!n)
            return SOOTH_OK;
        got += (size_t)n;
        if (got > max)
            return err_set(err, SOOTH_ERR_LIMIT, "'%s' is larger than %zu bytes", path, max);
        out->len += (size_t)n;
        out->data[out->len] = 0;
    }
}

enum sooth_status file_read(const char *path, size_t max, struct buf *out, struct sooth_error *err)
{
    struct stat st = {0};
    int fd;
    size_t before = out->len;
    enum sooth_status status = open_regular(path, &fd, &st, err);
    if (status)
        return status;
    if (max > SIZE_MAX - 1)
        max = SIZE_MAX - 1;
    if (st.st_size > 0 && (uint64_t)st.st_size > max)
        status = err_set(err, SOOTH_ERR_LIMIT, "'%s' is larger than %zu bytes", path, max);
    else if (!buf_reserve(out, (size_t)st.st_size + 1))
        status = err_nomem(err);
    else
        status = read_all(fd, max, out, path, err);
    close(fd);
    if (status) { /* all or nothing */
        out->len = before;
        if (out->data)
            out->data[before] = 0;
    } else {
        out->data[out->len] = 0;
    }
    return status;
}

enum sooth_status file_writer_open(struct file_writer *w, const char *path, struct sooth_error *err)
{
    static atomic_uint serial; /* two writers of one path must not share a temporary */
    struct buf temp = BUF_INIT;
    *w = (struct file_writer){.fd = -1, .path = mem_strdup(path)};
    for (int tries = 0; tries < 100; tries++) {
        buf_clear(&temp);
        buf_printf(&temp, "%s.tmp-%d-%u", path, (int)getpid(), atomic_fetch_add(&serial, 1));
        if (!w->path || temp.failed)
            break;
        w->fd = open(buf_str(&temp), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd >= 0 || errno != EEXIST)
            break;
    }
    if (w->path && !temp.failed && w->fd >= 0 && (w->temp = buf_take(&temp)))
        return SOOTH_OK;
    if (w->path && !temp.failed && w->fd < 0)
        err_set(err, SOOTH_ERR_IO, "cannot create '%s': %s", buf_str(&temp), strerror(errno));
    else
        err_nomem(err);
    buf_release(&temp);
    file_writer_abort(w);
    return err ? err->status : SOOTH_ERR_IO;
}

enum sooth_status file_writer_add(struct file_writer *w, const void *data, size_t len,
                                  struct sooth_error *err)
{
    const char *p = data;
    while (len && !w->failed) {
        ssize_t n = injected() ? -1 : write(w->fd, p, len < 1 << 30 ? len : 1 << 30);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            w->failed = true;
            return err_set(err, SOOTH_ERR_IO, "cannot write '%s': %s", w->temp, strerror(errno));
        }
        p += n;
        len -= (size_t)n;
        w->bytes += (uint64_t)n;
    }
    if (w->failed)
        return err_set(err, SOOTH_ERR_IO, "cannot write '%s': an earlier write failed", w->temp);
    return SOOTH_OK;
}

/* A rename lasts only once its directory is on disk. Some file systems cannot fsync a directory: no
 * error then. */
static void sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = !slash ? mem_strdup(".")
                       : mem_strndup(path, slash == path ? 1 : (size_t)(slash - path));
    int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    mem_free(dir);
}

enum sooth_status file_writer_commit(struct file_writer *w, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    int fd = w->fd;
    if (w->failed)
        status = err_set(err, SOOTH_ERR_IO, "cannot write '%s': an earlier write failed", w->path);
    else if (injected() || fsync(fd))
        status = err_set(err, SOOTH_ERR_IO, "cannot write '%s': %s", w->temp, strerror(errno));
    if (!status) {
        w->fd = -1;
        if (close(fd) || injected() || rename(w->temp, w->path))
            status =
                err_set(err, SOOTH_ERR_IO, "cannot replace '%s': %s", w->path, strerror(errno));
    }
    if (!status) {
        sync_parent(w->path);
        mem_free(w->temp);
        w->temp = NULL; /* it is the file now: nothing to remove */
    }
    file_writer_abort(w);
    return status;
}

void file_writer_abort(struct file_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    if (w->temp)
        unlink(w->temp);
    mem_free(w->temp);
    mem_free(w->path);
    *w = (struct file_writer){.fd = -1, .failed = true};
}

enum sooth_status file_write_atomic(const char *path, const void *data, size_t len,
                                    struct sooth_error *err)
{
    struct file_writer w;
    enum sooth_status status = file_writer_open(&w, path, err);
    if (status)
        return status;
    status = file_writer_add(&w, data, len, err);
    if (!status)
        return file_writer_commit(&w, err);
    file_writer_abort(&w);
    return status;
}

bool file_exists(const char *path)
{
    struct stat st;
    return !stat(path, &st);
}

bool file_is_dir(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

enum sooth_status dir_make(const char *path, struct sooth_error *err)
{
    char *copy = mem_strdup(path);
    enum sooth_status status = SOOTH_OK;
    if (!copy)
        return err_nomem(err);
    for (char *p = copy; *p && !status; p++) {
        char after = p[1];
        if (after != '/' && after != 0)
            continue;
        p[1] = 0;
        if (mkdir(copy, 0777) && !file_is_dir(copy))
            status =
                err_set(err, SOOTH_ERR_IO, "cannot make directory '%s': %s", copy, strerror(errno));
        p[1] = after;
    }
    mem_free(copy);
    return status;
}
