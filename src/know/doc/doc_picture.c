/* doc_picture.c: a picture file. What it says is what OCR finds in it (ocr.c); here it is only handed on. */
#include <string.h>
#include "know/doc/docfmt.h"

static enum sooth_status picture_parse(const struct doc_input *in, struct builder *b,
                                       struct sooth_error *err)
{
    builder_part(b, DOC_PART_PICTURE, "picture", in->data, in->len);
    return SOOTH_OK;
}

static int picture_sniff(const unsigned char *data, size_t len)
{
    static const struct {
        const char *magic;
        size_t len;
    } kinds[] = {{"\x89PNG\r\n\x1a\n", 8}, {"\xff\xd8\xff", 3}, {"GIF8", 4}, {"II*\0", 4}, {"MM\0*", 4}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (len >= kinds[i].len && memcmp(data, kinds[i].magic, kinds[i].len) == 0)
            return 95;
    return len >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0 ? 95 : 0;
}

const struct docfmt docfmt_picture = {
    .name = "picture",
    .about = "pictures and scans: the text in them, by OCR",
    .extensions = "png jpg jpeg tif tiff gif bmp webp pnm pbm",
    .sniff = picture_sniff,
    .parse = picture_parse,
};
