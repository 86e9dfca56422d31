/* xml.c: XML through libxml2's pull reader, the one file that sees it. */
#include "know/doc/xml.h"
#include <libxml/xmlreader.h>
#include <string.h>
#include "core/base/error.h"

#define DEPTH_MAX 256

struct xml {
    xmlTextReaderPtr reader;
};

bool xml_attribute(struct xml *x, const char *name, char *out, size_t size)
{
    bool found = false, whole = strchr(name, ':') != NULL;
    if (xmlTextReaderMoveToFirstAttribute(x->reader) == 1) {
        do {
            const xmlChar *local = whole ? xmlTextReaderConstName(x->reader)
                                         : xmlTextReaderConstLocalName(x->reader),
                          *value = xmlTextReaderConstValue(x->reader);
            if (local && value && strcmp((const char *)local, name) == 0) {
                size_t n = strlen((const char *)value);
                n = n < size ? n : size - 1;
                memcpy(out, value, n);
                out[n] = '\0';
                found = true;
            }
        } while (!found && xmlTextReaderMoveToNextAttribute(x->reader) == 1);
        xmlTextReaderMoveToElement(x->reader);
    }
    return found;
}

static void quiet(void *user, const char *text, xmlParserSeverities severity,
                  xmlTextReaderLocatorPtr where)
{
}

static bool deliver(struct xml *x, xml_fn *fn, void *user)
{
    struct xml_view v = {.xml = x, .name = (const char *)xmlTextReaderConstLocalName(x->reader)};
    switch (xmlTextReaderNodeType(x->reader)) {
    case XML_READER_TYPE_ELEMENT:
        v.event = XML_OPEN;
        v.empty = xmlTextReaderIsEmptyElement(x->reader) == 1;
        if (!fn(user, &v))
            return false;
        v.event = XML_CLOSE;
        return v.empty ? fn(user, &v) : true;
    case XML_READER_TYPE_END_ELEMENT:
        v.event = XML_CLOSE;
        return fn(user, &v);
    case XML_READER_TYPE_TEXT:
    case XML_READER_TYPE_CDATA:
    case XML_READER_TYPE_SIGNIFICANT_WHITESPACE:
        v.event = XML_TEXT;
        v.text = (const char *)xmlTextReaderConstValue(x->reader);
        v.len = v.text ? strlen(v.text) : 0;
        return fn(user, &v);
    default:
        return true;
    }
}

enum sooth_status xml_walk(const char *data, size_t len, xml_fn *fn, void *user,
                           struct sooth_error *err)
{
    int rc = 1;
    if (len > INT32_MAX)
        return err_set(err, SOOTH_ERR_LIMIT, "an XML part of over 2 GiB");
    struct xml x = {xmlReaderForMemory(data, (int)len, NULL, NULL,
                                       XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                           XML_PARSE_COMPACT)};
    if (!x.reader)
        return err_nomem(err);
    xmlTextReaderSetErrorHandler(x.reader, quiet, NULL);
    enum sooth_status s = SOOTH_OK;
    while (!s && (rc = xmlTextReaderRead(x.reader)) == 1) {
        if (xmlTextReaderNodeType(x.reader) == XML_READER_TYPE_DOCUMENT_TYPE)
            s = err_set(err, SOOTH_ERR_FORMAT,
                        "it declares a document type of its own, which is not read");
        else if (xmlTextReaderDepth(x.reader) > DEPTH_MAX)
            s = err_set(err, SOOTH_ERR_LIMIT, "its XML is nested deeper than %d", DEPTH_MAX);
        else if (!deliver(&x, fn, user))
            break;
    }
    if (!s && rc < 0)
        s = err_set(err, SOOTH_ERR_FORMAT, "its XML is damaged");
    xmlFreeTextReader(x.reader);
    return s;
}
