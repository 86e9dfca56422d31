/* log.c: the log sink. The sink is called outside the lock, so that it may itself log or change the
 * sink. */
#include "core/base/log.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "core/base/utf8.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static log_sink *current;
static void *current_user;
static atomic_bool listening; /* spares the silent default the lock */

void log_set(log_sink *sink, void *user)
{
    pthread_mutex_lock(&lock);
    current = sink;
    current_user = user;
    atomic_store(&listening, sink != NULL);
    pthread_mutex_unlock(&lock);
}

void log_write(enum log_level level, const char *format, ...)
{
    char line[1024];
    log_sink *sink;
    void *user;
    va_list ap;
    if (!atomic_load_explicit(&listening, memory_order_relaxed))
        return;
    pthread_mutex_lock(&lock);
    sink = current;
    user = current_user;
    pthread_mutex_unlock(&lock);
    if (!sink)
        return;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    line[strlen(line) - utf8_pending(line, strlen(line))] = 0; /* cut at a character */
    for (char *p = line; *p; p++) /* one call, one line: text from files cannot forge another */
        if ((unsigned char)*p < 0x20)
            *p = ' ';
    sink(user, level, line);
}
