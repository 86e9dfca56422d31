/* test_norms.c: norms as the papers have them: DeepNorm's constants; RMSNorm is LayerNorm where the mean is zero; and what depth does to the
 * gradient of the last block at the start of training, after the norm (flat) and before it (falling with the root of the depth;
 * Xiong et al. 2020). */
#include "arch_fixture.h"
#include <unistd.h>
#include "core/base/fsio.h"
#include "core/base/rng.h"
#include "core/base/vec.h"
#include "model/arch/arch_model.h"

static char dir[64] = "/tmp/sooth_norms_XXXXXX";

static int dir_open(void **state) { return mkdtemp(dir) ? 0 : 1; }

static int dir_close(void **state)
{
    char path[128];
    snprintf(path, sizeof path, "%s/config.json", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    unlink(path);
    return rmdir(dir);
}

struct parts {
    VEC(struct file_tensor) list;
    struct arena arena;
};

/* Matrices by Xavier with gain 1, deep ones with `beta`; norms 1, biases 0. */
struct drawing {
    struct parts *parts;
    double beta;
};

static enum sooth_status draw(void *user, const struct arch_part *p, struct sooth_error *err)
{
    struct drawing *d = user;
    size_t n = p->rows * p->cols;
    float *v = arena_array(&d->parts->arena, n, sizeof *v);
    bool turned = p->change == ARCH_TRANSPOSED;
    struct rng rng;
    double bound = (p->init == INIT_XAVIER_DEEP ? d->beta : 1) * sqrt(6.0 / (double)(p->rows + p->cols));
    if (p->optional)
        return SOOTH_OK;
    rng_seed(&rng, d->parts->list.count + 1);
    for (size_t i = 0; i < n; i++)
        v[i] = p->vector ? (p->init == INIT_ONE ? 1.0f : 0.0f) : (float)(bound * (2 * rng_double(&rng) - 1));
    struct file_tensor t = {arena_strdup(&d->parts->arena, p->name), TYPE_F32, p->vector ? 1 : 2,
                            {turned ? p->rows : p->cols, p->vector ? 1 : turned ? p->cols : p->rows, 1, 1}, v, n * sizeof *v};
    assert_true(vec_push(&d->parts->list, t));
    return SOOTH_OK;
}

static struct tensor_file *model_of(const char *config, double beta)
{
    char path[128];
    struct tensor_file *f;
    struct sooth_error err = {0};
    struct parts parts = {0};
    struct drawing d = {&parts, beta};
    arena_init(&parts.arena, 0);
    snprintf(path, sizeof path, "%s/config.json", dir);
    assert_int_equal(file_write_atomic(path, config, strlen(config), &err), SOOTH_OK);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    assert_int_equal(safetensors_write(path, NULL, 0, NULL, 0, &err), SOOTH_OK);
    if (tensor_file_open(dir, NULL, &f, &err) != SOOTH_OK || arch_parts(f, draw, &d, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    tensor_file_close(f);
    assert_int_equal(safetensors_write(path, parts.list.items, parts.list.count, NULL, 0, &err), SOOTH_OK);
    assert_int_equal(tensor_file_open(dir, NULL, &f, &err), SOOTH_OK);
    vec_free(&parts.list);
    arena_release(&parts.arena);
    return f;
}

#define SIZES(layers) "\"hidden_size\":32,\"intermediate_size\":128,\"num_hidden_layers\":" layers ",\"num_attention_heads\":2,\"num_key_value_heads\":2," \
    "\"max_position_embeddings\":64,\"vocab_size\":96,\"layer_norm_eps\":1e-5,\"tie_word_embeddings\":true"

static void deepnorm_constants(void **state)
{
    static const struct {
        const char *config;
        double alpha;
    } known[] = {{"{\"model_type\":\"deepnorm\"," SIZES("12") "}", 2.213364}, {"{\"model_type\":\"deepnorm\"," SIZES("24") "}", 2.632148},
                 {"{\"model_type\":\"deepnorm\"," SIZES("100") "}", 3.760603},
                 {"{\"model_type\":\"deepnorm\",\"residual_scale\":1," SIZES("12") "}", 1}};
    for (size_t i = 0; i < 4; i++) {
        struct tensor_file *f = model_of(known[i].config, 1);
        struct arch_options o = {.no_pack = true};
        struct arch_model *m = arch_open_model(f, &o);
        assert_true(fabs((double)m->residual / known[i].alpha - 1) < 1e-6);
        arch_free(m);
        tensor_file_close(f);
    }
    static const char wrong[] = "{\"model_type\":\"deepnorm\",\"residual_scale\":-1," SIZES("1") "}";
    char path[128];
    struct tensor_file *f;
    struct arch_model *m;
    struct sooth_error err = {0};
    snprintf(path, sizeof path, "%s/config.json", dir);
    assert_int_equal(file_write_atomic(path, wrong, strlen(wrong), &err), SOOTH_OK);
    assert_int_equal(tensor_file_open(dir, NULL, &f, &err), SOOTH_OK);
    assert_int_equal(arch_load(f, NULL, &m, &err), SOOTH_ERR_FORMAT);
    assert_non_null(strstr(err.text, "residual_scale"));
    tensor_file_close(f);
}

/* On rows of mean zero the two norms are one, without the bias. */
static void rms_is_layer_where_the_mean_is_zero(void **state)
{
    enum { ROWS = 5, COLS = 48 };
    static const int32_t ids[ROWS] = {0, 1, 2, 3, 4};
    float x[ROWS * COLS], g[COLS], b[COLS] = {0};
    struct rng rng;
    rng_seed(&rng, 3);
    for (size_t i = 0; i < ROWS; i++) {
        double mean = 0;
        for (size_t j = 0; j < COLS; j++)
            mean += (double)(x[i * COLS + j] = rng_normal(&rng)) / COLS;
        for (size_t j = 0; j < COLS; j++)
            x[i * COLS + j] -= (float)mean;
    }
    for (size_t j = 0; j < COLS; j++)
        g[j] = rng_normal(&rng);
    struct weight wx = {.name = "x"}, wg = {.name = "g"}, wb = {.name = "b"};
    qmat_init(&wx.q, qtype_by_id(TYPE_F32), ROWS, COLS, x);
    qmat_init(&wg.q, qtype_by_id(TYPE_F32), 1, COLS, g);
    qmat_init(&wb.q, qtype_by_id(TYPE_F32), 1, COLS, b);
    struct run_options o = {0};
    struct run *r = run_new(&o);
    uint32_t pos[ROWS] = {0, 1, 2, 3, 4}, seq[ROWS] = {0};
    struct rows rows = {.n = ROWS, .token = ids, .pos = pos, .seq = seq};
    run_begin(r, &rows);
    struct mat *h = op_lookup(r, &wx, ids, ROWS), *layer = op_layernorm(r, &wg, &wb, 1e-5f, h), *rms = op_rmsnorm(r, &wg, 1e-5f, h);
    assert_int_equal(run_end(r, NULL), SOOTH_OK);
    for (size_t i = 0; i < ROWS * COLS; i++)
        assert_true(fabsf(layer->v[i] - rms->v[i]) < 1e-5f);
    run_free(r);
}

/* Length of the gradient of the last block's second feed-forward matrix, by the loss of one random text. */
static double last_gradient(const char *config, double beta, const char *name)
{
    struct tensor_file *f = model_of(config, beta);
    struct arch_options ao = {.no_pack = true};
    struct arch_model *m = arch_open_model(f, &ao);
    const struct weight *w = arch_weight_find(m, name);
    struct grads *g = grads_new(&w, 1);
    struct run_options o = {.grads = g, .tape = true};
    struct run *r = run_new(&o);
    struct sooth_error err = {0};
    int32_t ids[32], target[32];
    uint32_t pos[32], seq[32] = {0};
    float c[32];
    double sum = 0;
    assert_non_null(w);
    for (size_t i = 0; i < 32; i++) {
        ids[i] = (int32_t)(i * 37 % 90) + 3;
        target[i] = (int32_t)(i * 53 % 90) + 3;
        pos[i] = (uint32_t)i;
        c[i] = -1.0f / 32;
    }
    struct rows rows = {.n = 32, .token = ids, .pos = pos, .seq = seq, .target = target};
    run_begin(r, &rows);
    struct mat *loss = op_weigh(r, c, arch_logprobs(m, r, arch_hidden(m, r)));
    if (run_end(r, &err) != SOOTH_OK || run_backward(r, loss, 1, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    const float *v = grads_find(g, w);
    for (size_t i = 0; i < w->q.rows * w->q.cols; i++)
        sum += (double)v[i] * (double)v[i];
    run_free(r);
    grads_free(g);
    arch_free(m);
    tensor_file_close(f);
    return sqrt(sum);
}

/* Slope of log ‖∇W‖ over log depth, least squares over 6, 12, 24, 48 layers. */
static double slope(const char *kind)
{
    static const int depths[4] = {6, 12, 24, 48};
    double sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (size_t i = 0; i < 4; i++) {
        char config[512], name[64];
        int l = depths[i];
        bool pre = !strcmp(kind, "pre");
        if (pre)
            snprintf(config, sizeof config, "{\"model_type\":\"gpt2\",\"n_embd\":32,\"n_inner\":128,\"n_layer\":%d,\"n_head\":2,\"n_positions\":64,"
                     "\"vocab_size\":96,\"activation_function\":\"gelu\"}", l);
        else
            snprintf(config, sizeof config, "{\"model_type\":\"deepnorm\"%s,\"hidden_size\":32,\"intermediate_size\":128,\"num_hidden_layers\":%d,"
                     "\"num_attention_heads\":2,\"max_position_embeddings\":64,\"vocab_size\":96,\"layer_norm_eps\":1e-5}",
                     !strcmp(kind, "post") ? ",\"residual_scale\":1" : "", l);
        snprintf(name, sizeof name, "blk.%d.ffn_down.weight", l - 1);
        double x = log(l), y = log(last_gradient(config, !strcmp(kind, "deep") ? pow(8.0 * l, -0.25) : 1, name));
        print_message("# %s, %d layers: %.4f\n", kind, l, exp(y));
        sx += x, sy += y, sxx += x * x, sxy += x * y;
    }
    return (4 * sxy - sx * sy) / (4 * sxx - sx * sx);
}

static void depth_and_the_last_gradient(void **state)
{
    double post = slope("post"), pre = slope("pre"), deep = slope("deep");
    print_message("# slopes: post %.3f, pre %.3f, deep %.3f\n", post, pre, deep);
    assert_true(fabs(post) < 0.15);
    assert_true(fabs(pre + 0.5) < 0.15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deepnorm_constants),
        cmocka_unit_test(rms_is_layer_where_the_mean_is_zero),
        cmocka_unit_test(depth_and_the_last_gradient),
    };
    return cmocka_run_group_tests(tests, dir_open, dir_close);
}
