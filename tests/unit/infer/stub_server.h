/* stub_server.h: an HTTP server on loopback that plays a script, one line of it a connection. */
#ifndef TEST_STUB_SERVER_H
#define TEST_STUB_SERVER_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct stub_reply {
    const char
        *head; /* status line and headers without Content-Length; NULL = hang until stopped */
    const char *body;
    size_t repeat; /* send body this many times more (for huge answers) */
    size_t
        declare; /* Content-Length to claim; 0 = the true one; (size_t)-1 = none, close ends it */
};
struct stub_server {
    int listener;
    unsigned port;
    pthread_t thread;
    const struct stub_reply *script;
    size_t n_script;
    atomic_uint served;
    atomic_bool stop;
    char request[8][16384]; /* what came in, by connection */
};
void stub_start(struct stub_server *s, const struct stub_reply *script, size_t n);
void stub_stop(struct stub_server *s);
#endif
