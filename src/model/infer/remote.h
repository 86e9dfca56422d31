/* remote.h: any OpenAI-compatible server standing in for a model.
 *
 * The transport (remote.c, the one file that sees libcurl) knows requests, time-outs and retries;
 * the API (remote_api.c) knows JSON. Thread use: a struct remote is immutable but for the dimension
 * probe, which takes its own lock; each request has its own connection. */
#ifndef INFER_REMOTE_H
#define INFER_REMOTE_H
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include "core/base/buf.h"
#include "sooth/model.h"

struct remote {
    char *url;            /* base, no trailing slash: "http://host:port/v1" */
    char *key;            /* NULL = none */
    char *model;          /* the server's name */
    double timeout;       /* seconds for a whole request, retries included */
    double backoff;       /* seconds before the first retry; doubled each time, with jitter */
    unsigned attempts;    /* at most */
    size_t max_bytes;     /* of a response */
    pthread_mutex_t lock; /* guards dim */
    size_t dim;           /* 0 = not known yet */
};

bool remote_is_url(const char *name);
bool remote_loopback(const char *url); /* of such a URL: is it this machine by name? */
bool remote_ready(void);               /* the HTTP client is started; false: it cannot be */
/* Checks the URL and key, and asks the server for its model's name unless told. */
enum sooth_status remote_open(const char *url, const struct sooth_model_options *options,
                              struct remote **out, struct sooth_error *err);
void remote_close(struct remote *r);

/* One request with retries on 429, 5xx and broken connections. body NULL = GET. path such as
 * "/models". on_bytes, if not NULL, gets the body of a 200 answer as it comes (nothing is kept in
 * out then, and once bytes have been passed on there is no retry); returning false ends the request
 * with SOOTH_ERR_CANCELLED. */
typedef bool remote_bytes_fn(void *user, const char *bytes, size_t len);
enum sooth_status remote_request(const struct remote *r, const char *path, const struct buf *body,
                                 struct buf *out, remote_bytes_fn *on_bytes, void *user,
                                 struct sooth_error *err);

enum sooth_status remote_generate(struct remote *r, const struct sooth_message *messages, size_t n,
                                  const char *prompt, size_t prompt_len,
                                  const struct sooth_generate_options *options,
                                  struct sooth_generation *out, struct sooth_error *err);
size_t remote_dim(struct remote *r); /* asks once; 0 when the server does not embed */
enum sooth_status remote_embed(struct remote *r, const char *const *texts, const size_t *lens,
                               size_t n, float *out, struct sooth_error *err);
#endif
