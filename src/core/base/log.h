/* log.h: the library's one voice: a sink that the program sets; NULL (the default) is silence. */
#ifndef BASE_LOG_H
#define BASE_LOG_H
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN };
typedef void log_sink(void *user, enum log_level level, const char *line); /* line has no newline */
void log_set(log_sink *sink, void *user);
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#endif
