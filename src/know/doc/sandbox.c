/* sandbox.c: the worker process that parses one file, and the parent's half of it.
 *
 *   parent                                 worker ("sooth-doc-worker", this program once more)
 *   opens the file, makes a memfd, a pipe
 *   posix_spawn(/proc/self/exe) ---------> the constructor below takes over before main
 *   waits for the pipe or the clock        limits memory, processor time, file size, core
 *                                          filter 1: no network, no tracing, no mounts ...
 *                                          runs the format's tool, if any, under the same limits
 *                                          filter 2: only memory and open descriptors
 *                                          parses, writes the document to the memfd, ends
 *   kills what is left, reads the memfd
 *
 * Executing anew instead of a bare fork: a program with threads may not run ordinary code after
 * fork (another thread may hold the lock of the allocator or of ICU), and a worker that starts
 * empty holds none of the parent's memory: no keys, no other documents. The answer travels in
 * memory, so the parent reads nothing while the worker lives and cannot be stalled by it.
 *
 * Left out: user namespaces (not available everywhere) and a worker that serves several files (one
 * hostile file could then speak for the next). */
#include "know/doc/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "know/doc/docfmt.h"
#include "know/doc/docwire.h"
#include "know/doc/jail.h"

#define WORKER_NAME "sooth-doc-worker"
#define ANSWER_MAX ((off_t)640 << 20)
enum { FD_INPUT = 3, FD_OUTPUT, FD_ALIVE, FD_END };
enum {
    ARG_NAME = 1,
    ARG_ENCODING,
    ARG_FORMAT,
    ARG_MEMORY,
    ARG_SECONDS,
    ARG_PAGE,
    ARG_LANGUAGES,
    ARG_COUNT
};
enum { TOOL_ARGS = 16 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* ---- the worker ---- */

static enum sooth_status parse_with(const struct docfmt *f, const struct doc_input *in,
                                    struct document *out, struct sooth_error *err)
{
    struct builder b;
    builder_init(&b);
    enum sooth_status s = f->parse(in, &b, err);
    if (s == SOOTH_OK)
        s = builder_finish(&b, out, err);
    if (s == SOOTH_OK)
        out->format = f->name;
    builder_release(&b);
    return s;
}

static enum sooth_status format_pick(const char *name, const void *data, size_t len,
                                     const char *format, const struct docfmt **f,
                                     struct sooth_error *err)
{
    if (format == NULL)
        return docfmt_choose(name, data, len, f, err);
    *f = docfmt_find(format);
    return *f != NULL ? SOOTH_OK : err_set(err, SOOTH_ERR_ARG, "unknown format '%s'", format);
}

enum sooth_status sandbox_parse_here(const char *name, const void *data, size_t len,
                                     const char *encoding, const char *format, struct document *out,
                                     struct sooth_error *err)
{
    const struct docfmt *f;
    memset(out, 0, sizeof *out);
    enum sooth_status s = format_pick(name, data, len, format, &f, err);
    if (s != SOOTH_OK)
        return s;
    if (f->tools != NULL)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "'%s' needs its own process", f->name);
    struct doc_input in = {name, data, len, encoding};
    return parse_with(f, &in, out, err);
}

/* Maps a whole descriptor; an empty one gives "". NULL on failure. */
static const void *fd_map(int fd, size_t *len)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size < 0)
        return NULL;
    *len = (size_t)st.st_size;
    if (*len == 0)
        return "";
    void *p = mmap(NULL, *len, PROT_READ, MAP_PRIVATE, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* What the tool wrote to its standard error: one line for the message. */
static void complaint_read(int fd, char *line, size_t size)
{
    ssize_t n = pread(fd, line, size - 1, 0);
    line[n > 0 ? n : 0] = '\0';
}

static bool wants_page(const char *const *tool)
{
    for (; *tool != NULL; tool++)
        if (strcmp(*tool, "{page}") == 0)
            return true;
    return false;
}

/* "{page}" and "{languages}" filled in. */
static void argv_fill(const char *const *from, char **argv, const char *out[TOOL_ARGS])
{
    size_t n = 0;
    for (; from[n] != NULL && n < TOOL_ARGS - 1; n++)
        out[n] = strcmp(from[n], "{page}") == 0        ? argv[ARG_PAGE]
                 : strcmp(from[n], "{languages}") == 0 ? argv[ARG_LANGUAGES]
                                                       : from[n];
    out[n] = NULL;
}

static int tool_spawn(const char *const *argv, int in, int out, int complain, pid_t *pid)
{
    posix_spawn_file_actions_t fa;
    int rc = posix_spawn_file_actions_init(&fa);
    if (rc != 0)
        return rc;
    lseek(in, 0, SEEK_SET);
    posix_spawn_file_actions_adddup2(&fa, in, 0);
    posix_spawn_file_actions_adddup2(&fa, out, 1);
    posix_spawn_file_actions_adddup2(&fa, complain, 2);
    posix_spawn_file_actions_addclose(&fa, FD_INPUT);
    posix_spawn_file_actions_addclose(&fa, FD_OUTPUT);
    rc = posix_spawnp(pid, argv[0], &fa, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&fa);
    return rc;
}

/* Runs one of the format's programs on what `in` holds; *out becomes what it printed. */
static enum sooth_status tool_run(const struct docfmt *f, const char *const *argv, int in, int *out,
                                  struct sooth_error *err)
{
    int complain = memfd_create("complaint", MFD_CLOEXEC), status;
    pid_t pid;
    *out = memfd_create("tool", MFD_CLOEXEC);
    if (*out < 0 || complain < 0)
        return err_set(err, SOOTH_ERR_IO, "cannot make room for '%s': %s", argv[0], strerror(errno));
    int rc = tool_spawn(argv, in, *out, complain, &pid);
    if (rc != 0) {
        err_set(err, SOOTH_ERR_UNSUPPORTED, "cannot run '%s': %s", argv[0], strerror(rc));
        return err_hint(err, "install the package '%s'", f->tool_package);
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_set(err, SOOTH_ERR_IO, "lost '%s': %s", argv[0], strerror(errno));
    char line[400];
    complaint_read(complain, line, sizeof line);
    close(complain);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "cannot run '%s'", argv[0]);
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return f->tool_failed(WEXITSTATUS(status), line, err);
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGXFSZ))
        return err_set(err, SOOTH_ERR_LIMIT, "'%s' went over its limit of time or size", argv[0]);
    if (!WIFEXITED(status))
        return err_set(err, SOOTH_ERR_FORMAT, "'%s' broke down on it (signal %d)", argv[0],
                       WTERMSIG(status));
    return SOOTH_OK;
}

/* All of them, one after the other. */
static enum sooth_status tools_run(const struct docfmt *f, char **argv, struct doc_input *in,
                                   struct sooth_error *err)
{
    const char *filled[TOOL_ARGS];
    int from = FD_INPUT, out = -1;
    enum sooth_status s = SOOTH_OK;
    for (size_t i = 0; f->tools[i] != NULL && s == SOOTH_OK; i++) {
        if (wants_page(f->tools[i]) && strcmp(argv[ARG_PAGE], "0") == 0)
            continue;
        argv_fill(f->tools[i], argv, filled);
        s = tool_run(f, filled, from, &out, err);
        if (from != FD_INPUT)
            close(from);
        from = out;
    }
    if (s != SOOTH_OK)
        return s;
    in->data = fd_map(out, &in->len);
    return in->data != NULL ? SOOTH_OK
                            : err_set(err, SOOTH_ERR_IO, "cannot read what '%s' printed", filled[0]);
}

static enum sooth_status worker_parse(char **argv, struct document *out, struct sooth_error *err)
{
    struct doc_input in = {argv[ARG_NAME], NULL, 0,
                           argv[ARG_ENCODING][0] ? argv[ARG_ENCODING] : NULL};
    in.data = fd_map(FD_INPUT, &in.len);
    if (in.data == NULL)
        return err_set(err, SOOTH_ERR_IO, "cannot map it: %s", strerror(errno));
    const struct docfmt *f;
    enum sooth_status s = format_pick(in.name, in.data, in.len,
                                      argv[ARG_FORMAT][0] ? argv[ARG_FORMAT] : NULL, &f, err);
    if (s == SOOTH_OK && f->tools != NULL)
        s = tools_run(f, argv, &in, err);
    if (s != SOOTH_OK)
        return s;
    if (!SANITIZED && !jail_close())
        return err_set(err, SOOTH_ERR_IO, "cannot close the parser in");
    return parse_with(f, &in, out, err);
}

static void limit(int resource, uint64_t soft, uint64_t hard)
{
    struct rlimit r = {(rlim_t)soft, (rlim_t)hard};
    setrlimit(resource, &r); /* a lower limit that is already there stays */
}

static void worker_limits(uint64_t memory, uint64_t seconds)
{
    if (!SANITIZED) /* shadow memory is terabytes of address space */
        limit(RLIMIT_AS, memory, memory);
    limit(RLIMIT_CPU, seconds, seconds + 1);
    limit(RLIMIT_FSIZE, (uint64_t)ANSWER_MAX, (uint64_t)ANSWER_MAX);
    limit(RLIMIT_CORE, 0, 0);
    limit(RLIMIT_NOFILE, 64, 64);
}

static bool write_all(int fd, const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

static int worker_main(char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close_range(FD_END, ~0u, 0);
    fcntl(FD_ALIVE, F_SETFD, FD_CLOEXEC);
    setlocale(LC_CTYPE, "C.UTF-8"); /* names in archives; this process is a parser and nothing else */
    worker_limits(strtoull(argv[ARG_MEMORY], NULL, 10), strtoull(argv[ARG_SECONDS], NULL, 10));
    struct sooth_error err = {SOOTH_OK, "", ""};
    struct document d = {0};
    struct buf answer = BUF_INIT;
    enum sooth_status s = !SANITIZED && !jail_tools()
                              ? err_set(&err, SOOTH_ERR_IO, "cannot close the parser in")
                              : worker_parse(argv, &d, &err);
    bool put = docwire_put(&answer, s, &d, &err);
    if (!put) {
        buf_release(&answer);
        document_release(&d);
        s = err_nomem(&err);
        put = docwire_put(&answer, s, NULL, &err);
    }
    return put && write_all(FD_OUTPUT, answer.data, answer.len) ? 0 : 1;
}

/* Runs before main in every program that links the library; anything but a worker goes on at
 * once. */
__attribute__((constructor)) static void worker_check(int argc, char **argv)
{
    if (argc == ARG_COUNT && strcmp(argv[0], WORKER_NAME) == 0)
        _exit(worker_main(argv)); /* allowed: this process is the worker and nothing else */
}

/* ---- the parent ---- */

/* Descriptors moved out of the way of the numbers the worker wants. */
static int fd_high(int fd)
{
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FD_END + 4);
}

static int worker_actions(posix_spawn_file_actions_t *fa, const int fds[3])
{
    int rc = posix_spawn_file_actions_init(fa);
    if (rc != 0)
        return rc;
    posix_spawn_file_actions_addopen(fa, 0, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(fa, 0, 1);
    if (!SANITIZED)
        posix_spawn_file_actions_adddup2(fa, 0, 2);
    for (int i = 0; i < 3; i++)
        posix_spawn_file_actions_adddup2(fa, fds[i], FD_INPUT + i);
    return 0;
}

/* Keeps what the dynamic linker, the tool's search and the sanitizers need; secrets stay behind. */
static void environ_thin(char *out[16])
{
    static const char *const keep[] = {"PATH=",          "LD_LIBRARY_PATH=", "TESSDATA_PREFIX=", "ASAN_OPTIONS=",
                                       "UBSAN_OPTIONS=", "TSAN_OPTIONS=",    "LSAN_OPTIONS="};
    size_t n = 0;
    static char lang[] = "LC_ALL=C.UTF-8", threads[] = "OMP_THREAD_LIMIT=1"; /* threads of tools only */
    out[n++] = lang;
    out[n++] = threads;
    for (char **e = environ; e != NULL && *e != NULL; e++)
        for (size_t k = 0; k < sizeof keep / sizeof keep[0]; k++)
            if (n < 15 && strncmp(*e, keep[k], strlen(keep[k])) == 0)
                out[n++] = *e;
    out[n] = NULL;
}

static int worker_spawn(const struct sandbox_job *job, const int fds[3], pid_t *pid)
{
    char memory[24], seconds[24], page[16], name0[] = WORKER_NAME, *env[16];
    snprintf(memory, sizeof memory, "%llu", (unsigned long long)job->max_memory);
    snprintf(seconds, sizeof seconds, "%u", job->max_seconds);
    snprintf(page, sizeof page, "%u", job->page);
    const char *argv[ARG_COUNT + 1] = {name0,
                                       job->name,
                                       job->encoding ? job->encoding : "",
                                       job->format ? job->format : "",
                                       memory,
                                       seconds,
                                       page,
                                       job->languages ? job->languages : "",
                                       NULL};
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    environ_thin(env);
    int rc = posix_spawnattr_init(&attr);
    if (rc != 0)
        return rc;
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    rc = worker_actions(&fa, fds);
    if (rc == 0) {
        rc = posix_spawn(pid, "/proc/self/exe", &fa, &attr, (char *const *)argv, env);
        posix_spawn_file_actions_destroy(&fa);
    }
    posix_spawnattr_destroy(&attr);
    return rc;
}

/* True when the worker ended by itself in time. */
static bool worker_wait(int alive, double seconds)
{
    double end = clock_seconds() + seconds;
    for (;;) {
        double left = end - clock_seconds();
        struct pollfd p = {.fd = alive, .events = POLLIN};
        int rc = poll(&p, 1, left > 0 ? (int)(left * 1000) + 1 : 0);
        if (rc > 0)
            return true;
        if (rc == 0 || errno != EINTR)
            return false;
    }
}

static enum sooth_status answer_read(int fd, struct document *out, struct sooth_error *err)
{
    size_t len;
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size > ANSWER_MAX)
        return err_set(err, SOOTH_ERR_INTERNAL, "the parser's answer is too long");
    const void *p = fd_map(fd, &len);
    if (p == NULL)
        return err_set(err, SOOTH_ERR_IO, "cannot read the parser's answer: %s", strerror(errno));
    enum sooth_status s = docwire_get(p, len, out, err);
    if (len > 0)
        munmap((void *)(uintptr_t)p, len);
    return s;
}

static enum sooth_status worker_verdict(int status, const struct sandbox_job *job,
                                        struct sooth_error *err)
{
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL))
        return err_set(err, SOOTH_ERR_LIMIT, "parsing took more than %u seconds", job->max_seconds);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS)
        return err_set(err, SOOTH_ERR_IO, "it became shorter while it was read");
    if (WIFSIGNALED(status))
        return err_set(err, SOOTH_ERR_FORMAT, "the parser broke down on it (signal %d)",
                       WTERMSIG(status));
    return err_set(err, SOOTH_ERR_NOMEM, "the parser could not finish within %llu MiB",
                   (unsigned long long)(job->max_memory >> 20));
}

static enum sooth_status sandbox_drive(const struct sandbox_job *job, int input, int output,
                                       int pipe_fds[2], struct document *out,
                                       struct sooth_error *err)
{
    const int fds[3] = {input, output, pipe_fds[1]};
    pid_t pid;
    int rc = worker_spawn(job, fds, &pid), status = 0;
    close(pipe_fds[1]);
    pipe_fds[1] = -1;
    if (rc != 0)
        return err_set(err, SOOTH_ERR_IO, "cannot start a parser: %s", strerror(rc));
    bool in_time = worker_wait(pipe_fds[0], job->max_seconds + 1.0);
    if (!in_time)
        kill(pid, SIGKILL);
    siginfo_t ended;
    while (waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        continue;
    kill(-pid,
         SIGKILL); /* a tool that outlived its worker; the zombie still holds the group's number */
    while ((rc = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
        continue;
    if (!in_time)
        return err_set(err, SOOTH_ERR_LIMIT, "parsing took more than %u seconds", job->max_seconds);
    if (rc > 0 &&
        status != 0) /* rc < 0: the program ignores SIGCHLD; then the answer alone decides */
        return worker_verdict(status, job, err);
    return answer_read(output, out, err);
}

enum sooth_status sandbox_file(int fd, const char *name, const struct doc_options *opt,
                               struct document *out, struct sooth_error *err)
{
    static const struct doc_options none = {0};
    const struct doc_options *o = opt != NULL ? opt : &none;
    const struct sandbox_job job = {
        .fd = fd,
        .name = name,
        .encoding = o->encoding,
        .format = o->format,
        .max_memory = o->max_memory ? o->max_memory : (uint64_t)1 << 30,
        .max_seconds = o->max_seconds ? o->max_seconds : 60,
    };
    return sandbox_run(&job, out, err);
}

int sandbox_memory(const void *bytes, size_t len, struct sooth_error *err)
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    for (size_t at = 0; fd >= 0 && at < len;) {
        ssize_t n = write(fd, (const char *)bytes + at, len - at);
        if (n < 0 && errno != EINTR) {
            int code = errno;
            close(fd);
            errno = code;
            fd = -1;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    if (fd < 0)
        err_set(err, SOOTH_ERR_IO, "cannot make room for it: %s", strerror(errno));
    return fd;
}

enum sooth_status sandbox_run(const struct sandbox_job *job, struct document *out,
                              struct sooth_error *err)
{
    int pipe_low[2] = {-1, -1}, pipe_fds[2];
    int memfd = memfd_create("document", MFD_CLOEXEC);
    int input = fd_high(job->fd), output = fd_high(memfd);
    int rc = pipe2(pipe_low, O_CLOEXEC);
    pipe_fds[0] = fd_high(pipe_low[0]);
    pipe_fds[1] = fd_high(pipe_low[1]);
    const int low[] = {memfd, pipe_low[0], pipe_low[1]};
    for (size_t i = 0; i < 3; i++)
        if (low[i] >= 0)
            close(low[i]);
    enum sooth_status s;
    memset(out, 0, sizeof *out);
    if (rc != 0 || input < 0 || output < 0 || pipe_fds[0] < 0 || pipe_fds[1] < 0)
        s = err_set(err, SOOTH_ERR_IO, "cannot start a parser: %s", strerror(errno));
    else
        s = sandbox_drive(job, input, output, pipe_fds, out, err);
    const int high[] = {input, output, pipe_fds[0], pipe_fds[1]};
    for (size_t i = 0; i < 4; i++)
        if (high[i] >= 0)
            close(high[i]);
    return s;
}
