/* filter_text.h: which passages have a phrase, or a word that begins so. */
#ifndef RETRIEVE_FILTER_TEXT_H
#define RETRIEVE_FILTER_TEXT_H
#include "know/retrieve/retrieve.h"

enum sooth_status filter_phrase(struct store *s, const struct snapshot *v, const char *phrase,
                                unsigned char *found, struct sooth_error *err);
enum sooth_status filter_prefix(struct store *s, const struct snapshot *v, const char *prefix,
                                unsigned char *found, struct sooth_error *err);
#endif
