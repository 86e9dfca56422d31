/* ooxml.h: what Word, PowerPoint and Excel files have in common (ECMA-376, Open Packaging
 * Conventions): parts in a ZIP, and relations from one part to another by id.
 *
 *   ppt/slides/slide1.xml   r:embed="rId2"
 *   ppt/slides/_rels/slide1.xml.rels   <Relationship Id="rId2" Type=".../image"
 *                                                    Target="../media/image1.png"/> */
#ifndef KNOW_DOC_OOXML_H
#define KNOW_DOC_OOXML_H
#include "core/base/vec.h"
#include "know/doc/builder.h"
#include "know/doc/zip.h"

struct ooxml_rel {
    char *id, *type, *target; /* target: path of the part in the ZIP */
};
struct ooxml_rels {
    VEC(struct ooxml_rel) items;
};

/* The relations of a part; none is no error. */
enum sooth_status ooxml_rels_read(const struct zip *z, const char *part, struct ooxml_rels *out,
                                  struct sooth_error *err);
void ooxml_rels_release(struct ooxml_rels *r);
const char *ooxml_rel_target(const struct ooxml_rels *r, const char *id); /* NULL */
/* The first relation whose type ends in "/what". */
const char *ooxml_rel_typed(const struct ooxml_rels *r, const char *what); /* NULL */

/* Title and author from docProps/core.xml. */
void ooxml_core(const struct zip *z, struct builder *b);
/* The picture behind a relation: its description (may be empty) as a block, its bytes as a part. */
void ooxml_picture(const struct zip *z, const char *target, const char *description,
                   struct builder *b);
bool ooxml_want_common(const char *name); /* core properties, relations, pictures */
#endif
