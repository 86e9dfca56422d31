/* doc_mbox.c: mail folders (mbox, RFC 4155).
 *
 *   From ann@example.org Tue Mar  5 08:30:00 2024     a line that begins so, behind a blank line or
 *   From: Ann ...                                     first in the file, starts a message
 *   >From here on                                     was "From here on"
 *
 * Each message is a page, so that a quotation says which message it is from; attachments of message
 * 12 are the members "12/name". */
#include <stdio.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/doc/mime.h"

/* The message without the marks that hide "From " at the start of its lines. */
static enum sooth_status message_read(const char *s, size_t len, size_t number, struct builder *b,
                                      struct sooth_error *err)
{
    struct buf clean = BUF_INIT;
    char prefix[32];
    for (size_t i = 0; i < len;) {
        const char *nl = memchr(s + i, '\n', len - i);
        size_t n = nl != NULL ? (size_t)(nl - s) + 1 - i : len - i, marks = 0;
        while (marks < n && s[i + marks] == '>')
            marks++;
        bool hidden = marks > 0 && n - marks >= 5 && memcmp(s + i + marks, "From ", 5) == 0;
        buf_add(&clean, s + i + hidden, n - hidden);
        i += n;
    }
    builder_page(b);
    snprintf(prefix, sizeof prefix, "%zu/", number);
    enum sooth_status st = clean.failed ? err_nomem(err)
                                        : mime_message(buf_str(&clean), clean.len, prefix, b, err);
    buf_release(&clean);
    return st;
}

static bool starts(const char *s, size_t left)
{
    return left >= 5 && memcmp(s, "From ", 5) == 0;
}

static enum sooth_status mbox_parse(const struct doc_input *in, struct builder *b,
                                    struct sooth_error *err)
{
    const char *s = (const char *)in->data;
    size_t len = in->len, number = 0, from = 0;
    enum sooth_status st = SOOTH_OK;
    if (len > 0 && !starts(s, len))
        return err_set(err, SOOTH_ERR_FORMAT, "it does not begin with a 'From ' line");
    bool blank = false;
    for (size_t at = 0, end; at < len && st == SOOTH_OK; at = end) {
        const char *nl = memchr(s + at, '\n', len - at);
        end = nl != NULL ? (size_t)(nl - s) + 1 : len;
        if (at > 0 && blank && starts(s + at, len - at)) {
            st = message_read(s + from, at - from, ++number, b, err);
            from = end;
        } else if (at == 0) {
            from = end;
        }
        blank = end - at <= 2 && (s[at] == '\n' || s[at] == '\r');
    }
    if (st == SOOTH_OK && from < len)
        st = message_read(s + from, len - from, ++number, b, err);
    return st;
}

static int mbox_sniff(const unsigned char *data, size_t len)
{
    const unsigned char *nl = len > 5 ? memchr(data, '\n', len) : NULL;
    return nl != NULL && starts((const char *)data, len) &&
                   mime_header_count(nl + 1, len - (size_t)(nl + 1 - data)) >= 2
               ? 70
               : 0;
}

const struct docfmt docfmt_mbox = {
    .name = "mbox",
    .about = "folders of e-mail",
    .extensions = "mbox mbx",
    .sniff = mbox_sniff,
    .parse = mbox_parse,
};
