/* xml.h: a forward walk over an XML part: no DTD, no entities from outside, depth at most 256. */
#ifndef KNOW_DOC_XML_H
#define KNOW_DOC_XML_H
#include <stdbool.h>
#include <stddef.h>
#include "sooth/error.h"

struct xml;
enum xml_event { XML_OPEN, XML_CLOSE, XML_TEXT };
/* Called for each event; name is the local name ("p" of "w:p"), or the text. False ends the walk
 * early. */
struct xml_view {
    enum xml_event event;
    const char *name;
    const char *text;
    size_t len;
    bool empty;      /* XML_OPEN of <x/>: its XML_CLOSE follows */
    struct xml *xml; /* for xml_attribute */
};
typedef bool xml_fn(void *user, const struct xml_view *v);
enum sooth_status xml_walk(const char *data, size_t len, xml_fn *fn, void *user,
                           struct sooth_error *err);
/* The value of the open element's attribute by local name, or by its whole name where that has a
 * colon ("r:id"), copied to out (cut at size - 1); false
 * when absent. */
bool xml_attribute(struct xml *x, const char *name, char *out, size_t size);
#endif
