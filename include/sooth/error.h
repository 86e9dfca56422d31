/* sooth/error.h: the status every fallible function returns, and the sentence that goes with it.
 *
 * Thread use: a struct sooth_error belongs to its caller; nothing here is shared. */
#ifndef SOOTH_ERROR_H
#define SOOTH_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

enum sooth_status {
    SOOTH_OK = 0,
    SOOTH_ERR_NOMEM,       /* an allocation failed, or a stated memory ceiling was reached */
    SOOTH_ERR_IO,          /* the system refused: open, read, write, rename */
    SOOTH_ERR_NOTFOUND,    /* no such file, document, name or key */
    SOOTH_ERR_FORMAT,      /* bytes that are not what they claim to be */
    SOOTH_ERR_UNSUPPORTED, /* well formed, but outside what this build can do */
    SOOTH_ERR_ARG,         /* the caller asked for something impossible: wrong usage */
    SOOTH_ERR_LIMIT,       /* a stated bound (time, size, depth, context) was reached */
    SOOTH_ERR_BUSY,        /* somebody else holds it; trying again may help */
    SOOTH_ERR_CANCELLED,   /* the caller's callback said stop */
    SOOTH_ERR_NET,         /* a remote server failed or answered nonsense */
    SOOTH_ERR_INTERNAL     /* a broken invariant that was caught */
};

/* What failed, for a person: lower case, no full stop, what failed first, the subject in 'quotes'. */
struct sooth_error {
    enum sooth_status status;
    char text[512]; /* always NUL-terminated, valid UTF-8 */
    char hint[256]; /* "" when no cause is likely */
};

/* The status's own short name, such as "format"; never NULL. */
const char *sooth_status_name(enum sooth_status status);

#ifdef __cplusplus
}
#endif
#endif
