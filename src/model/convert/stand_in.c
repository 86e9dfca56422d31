/* stand_in.c: quantizes one weight of a loaded model and puts it in the weight's place, by the seam that trained copies use:
 * every op that would read the weight (products, embedding, head) reads the stand-in. The model itself is not touched. */
#include "model/convert/stand_in.h"
#include "core/base/alloc.h"
#include "core/base/error.h"
#include <string.h>

enum { TILE_ROWS = 16 };

struct coding {
    const struct quant_tensor *t;
    const struct qtype *type;
    size_t row_bytes;
    char *out;
    float *scratch; /* [threads, cols] */
};

static void code_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct coding *c = ctx;
    const size_t from = tile * TILE_ROWS, to = from + TILE_ROWS < c->t->rows ? from + TILE_ROWS : c->t->rows;
    float *x = c->scratch + worker * c->t->cols;
    for (size_t r = from; r < to; r++) {
        qmat_row(&c->t->weight->q, r, x);
        qtype_quantize_row(c->type, x, c->t->importance, c->out + r * c->row_bytes, c->t->cols);
    }
}

static const struct weight *stand_in_weight(const struct adapter *a, const struct weight *w)
{
    return &((const struct stand_in *)(const void *)a)->weight;
}

enum sooth_status stand_in_take(struct stand_in *s, const struct quant_tensor *t, const struct qtype *type, char *bytes,
                                struct pool *pool, struct sooth_error *err)
{
    *s = (struct stand_in){.adapter = {.stand_in = stand_in_weight}, .weight = {.name = t->weight->name}, .bytes = bytes};
    qmat_init(&s->weight.q, type, t->rows, t->cols, bytes);
    return qmat_pack(&s->weight.q, pool, QMAT_NATIVE, err);
}

enum sooth_status stand_in_make(struct stand_in *s, const struct quant_tensor *t, const struct qtype *type, struct pool *pool,
                                struct sooth_error *err)
{
    struct coding c = {.t = t, .type = type, .row_bytes = t->cols / type->block * type->bytes};
    memset(s, 0, sizeof *s);
    c.out = mem_array(t->rows, c.row_bytes);
    c.scratch = mem_array(t->cols * pool_threads(pool), sizeof *c.scratch);
    enum sooth_status status = c.out && c.scratch ? SOOTH_OK : err_nomem(err);
    if (status == SOOTH_OK) {
        pool_run(pool, (t->rows + TILE_ROWS - 1) / TILE_ROWS, code_tile, &c);
        status = stand_in_take(s, t, type, c.out, pool, err);
    } else {
        mem_free(c.out);
    }
    mem_free(c.scratch);
    return status;
}

void stand_in_release(struct stand_in *s)
{
    qmat_release(&s->weight.q);
    mem_free(s->bytes);
    memset(s, 0, sizeof *s);
}
