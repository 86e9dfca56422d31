/* stop.h: text on its way out, in whole characters and never a byte of a stop string.
 *
 * The first stop is the stop string whose last byte comes first; of several that end there, the
 * longest. This depends on the text alone, so pieces may be cut anywhere: the streamed text is
 * always the text before it.
 *
 *   text so far   ...the answer is 42.\n\nUser
 *                 `------ given out -----'`- held: could still become "\n\nUser:"
 *
 * Thread use: one stop_stream, one thread at a time. */
#ifndef INFER_STOP_H
#define INFER_STOP_H
#include <stdbool.h>
#include <stddef.h>
#include "core/base/buf.h"
#include "sooth/model.h"

struct stop_string;
struct stop_stream {
    struct stop_string *stops;
    size_t n_stops;
    struct buf text; /* everything that is not part of a stop string, given out or held */
    size_t sent;     /* bytes of text already given to on_text */
    char pending[4]; /* start of an unfinished character */
    size_t n_pending;
    bool stopped;   /* a stop string was met; text ends before it */
    bool cancelled; /* on_text said no */
    bool failed;    /* out of memory */
    sooth_text_fn *on_text;
    void *user;
};

/* An empty stop string is SOOTH_ERR_ARG. The strings are copied. */
enum sooth_status stop_init(struct stop_stream *s, const char *const *stop, size_t n,
                            sooth_text_fn *on_text, void *user, struct sooth_error *err);
void stop_release(struct stop_stream *s);
/* Adds raw bytes (characters may be cut between calls; invalid bytes become U+FFFD). False: no more
 * is wanted. */
bool stop_add(struct stop_stream *s, const char *bytes, size_t len);
/* The end: gives out what was held. An unfinished character becomes U+FFFD. */
void stop_end(struct stop_stream *s);
#endif
