/* terminal.c: colour, width, wrapping, progress, Ctrl-C. Nothing here touches standard output's content when it is
 * not a terminal. */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "cli.h"
#include "core/base/clock.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"

bool cli_color(FILE *stream)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fileno(stream)) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

const char *cli_paint(FILE *stream, const char *code)
{
    return cli_color(stream) ? code : "";
}

unsigned cli_width(void)
{
    struct winsize w;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 20)
        return w.ws_col;
    return 80;
}

void cli_say(const struct common_args *c, const char *format, ...)
{
    va_list ap;
    if (c->quiet)
        return;
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
}

/* --- Ctrl-C -- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    if (interrupted)
        _exit(128 + signal_number);
    interrupted = 1;
}

void cli_catch_interrupt(void)
{
    struct sigaction action = { .sa_handler = on_interrupt };
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool cli_interrupted(void)
{
    return interrupted != 0;
}

/* --- text -- */

static bool is_safe(uint32_t c)
{
    return c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) && !(c >= 0x202a && c <= 0x202e) &&
                                      !(c >= 0x2066 && c <= 0x2069));
}

void cli_safe(FILE *out, const char *text, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        uint32_t c = utf8_decode(text + i, len - i, &n);
        if (c == UTF8_BAD)
            fputs("\xEF\xBF\xBD", out);
        else if (is_safe(c))
            fwrite(text + i, 1, n, out);
    }
}

static unsigned columns(uint32_t c)
{
    bool wide = uni_is_cjk(c) || (c >= 0x3000 && c <= 0x303f) || (c >= 0xff00 && c <= 0xff60) || c >= 0x1f300;
    return wide ? 2 : (uni_class(c) & UNI_MARK) ? 0 : 1;
}

/* The next piece that stays on one line: a Latin word, or one wide character with the marks that follow it. */
static size_t next_piece(const char *s, size_t len, unsigned *cols)
{
    size_t i = 0, n;
    *cols = 0;
    while (i < len) {
        uint32_t c = utf8_decode(s + i, len - i, &n);
        unsigned w = c == UTF8_BAD ? 1 : columns(c);
        if (i > 0 && (c == ' ' || c == '\n' || w == 2))
            break;
        i += n;
        *cols += w;
        if (w == 2) { /* closing marks do not begin a line */
            while (i < len && (c = utf8_decode(s + i, len - i, &n)) != UTF8_BAD && columns(c) == 2 && (uni_class(c) & UNI_PUNCT)) {
                i += n;
                *cols += 2;
            }
            break;
        }
    }
    return i;
}

void cli_wrap(FILE *out, const char *text, unsigned indent, unsigned width)
{
    size_t len = strlen(text);
    unsigned at = indent;
    bool space = false;
    fprintf(out, "%*s", (int)indent, "");
    for (size_t i = 0; i < len;) {
        if (text[i] == '\n') {
            fprintf(out, "\n%*s", (int)indent, "");
            at = indent;
            space = false;
            i++;
            continue;
        }
        if (text[i] == ' ' || text[i] == '\t') {
            space = at > indent;
            i++;
            continue;
        }
        unsigned cols;
        size_t n = next_piece(text + i, len - i, &cols);
        if (at + space + cols > width && at > indent) {
            fprintf(out, "\n%*s", (int)indent, "");
            at = indent;
            space = false;
        }
        if (space)
            fputc(' ', out);
        cli_safe(out, text + i, n);
        at += space + cols;
        space = false;
        i += n;
    }
    fputc('\n', out);
}

/* --- progress -- */

void progress_begin(struct progress *p, const struct common_args *c, const char *what)
{
    *p = (struct progress){ what, clock_seconds(), 0, !c->quiet && isatty(STDERR_FILENO), false };
}

void progress_set(struct progress *p, size_t done, size_t total)
{
    double now = clock_seconds();
    if (!p->on || now - p->started < 1.0 || now - p->drawn < 0.1 || total == 0)
        return;
    double left = done ? (now - p->started) * (double)(total - done) / (double)done : 0;
    char bar[25];
    size_t full = done >= total ? 24 : 24 * done / total;
    memset(bar, '#', full);
    memset(bar + full, '.', 24 - full);
    bar[24] = 0;
    fprintf(stderr, "\r\033[K%s [%s] %zu/%zu  %.0f s left", p->what, bar, done, total, left);
    fflush(stderr);
    p->drawn = now;
    p->shown = true;
}

void progress_end(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}

void cli_json_line(struct buf *line)
{
    buf_putc(line, '\n');
    if (line->failed)
        fprintf(stderr, "sooth: out of memory\n");
    else
        fwrite(line->data, 1, line->len, stdout);
    fflush(stdout);
    buf_clear(line);
}

int cli_fail(const struct sooth_error *err)
{
    fprintf(stderr, "sooth: ");
    cli_safe(stderr, err->text, strlen(err->text));
    fputc('\n', stderr);
    if (err->hint[0]) {
        fprintf(stderr, "hint: ");
        cli_safe(stderr, err->hint, strlen(err->hint));
        fputc('\n', stderr);
    }
    return err->status == SOOTH_ERR_ARG ? EXIT_USAGE : EXIT_FAILED;
}
