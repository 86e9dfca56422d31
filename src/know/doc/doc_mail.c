/* doc_mail.c: one mail message (.eml), or a web page saved as one (.mht). mime.c does the work. */
#include "know/doc/mime.h"

static enum sooth_status mail_parse(const struct doc_input *in, struct builder *b,
                                    struct sooth_error *err)
{
    return mime_message((const char *)in->data, in->len, "", b, err);
}

static int mail_sniff(const unsigned char *data, size_t len)
{
    return mime_header_count(data, len) >= 3 ? 60 : 0;
}

const struct docfmt docfmt_mail = {
    .name = "mail",
    .about = "e-mail with attachments, saved web pages (MHTML)",
    .extensions = "eml mht mhtml",
    .sniff = mail_sniff,
    .parse = mail_parse,
};
