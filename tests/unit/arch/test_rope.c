/* test_rope.c: rotary positions of every kind, from both containers, against the reference's frequencies
 * (tests/golden/arch/rope.json) and figures computed by hand; and what they do to a vector far out. */
#include "arch_fixture.h"
#include <unistd.h>
#include "core/base/buf.h"
#include "core/base/json.h"
#include "model/arch/arch_model.h"

static char dir[64] = "/tmp/sooth_rope_XXXXXX";

static void path_in_dir(const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", dir, name);
}

/* A directory with this config.json and one tensor. */
static struct tensor_file *config_open(const char *config)
{
    char path[128];
    struct tensor_file *f;
    struct sooth_error err = {0};
    path_in_dir("config.json", path);
    assert_int_equal(file_write_atomic(path, config, strlen(config), &err), SOOTH_OK);
    if (tensor_file_open(dir, NULL, &f, &err) != SOOTH_OK)
        fail_msg("%s: %s", config, err.text);
    return f;
}

static int dir_open(void **state)
{
    char path[128];
    float x = 0;
    struct file_tensor t = {.name = "x", .type = TYPE_F32, .ndim = 1, .dims = {1, 1, 1, 1}, .data = &x, .bytes = 4};
    if (!mkdtemp(dir))
        return 1;
    path_in_dir("model.safetensors", path);
    return safetensors_write(path, &t, 1, NULL, 0, NULL) != SOOTH_OK;
}

static int dir_close(void **state)
{
    static const char *const names[] = {"config.json", "model.safetensors", "m.gguf"};
    char path[128];
    for (size_t i = 0; i < 3; i++) {
        path_in_dir(names[i], path);
        unlink(path);
    }
    return rmdir(dir);
}

struct subject {
    struct arch_model m;
    struct rope rope;
};

static enum sooth_status rope_of(struct subject *s, const struct tensor_file *f, size_t head_dim, size_t context, size_t session, bool local,
                                 struct sooth_error *err)
{
    *s = (struct subject){.m = {.file = f, .info = {.head_dim = head_dim, .context = context}, .session = session}};
    arena_init(&s->m.arena, 1 << 20);
    return arch_rope(&s->m, local, true, &s->rope, err);
}

/* A random head turned as row `pos` of a run. */
static void turn(const struct rope *rope, size_t head_dim, uint32_t pos, float *x)
{
    static const int32_t first[1];
    struct run_options o = {0};
    struct run *r = run_new(&o);
    struct weight w = {.name = "x"};
    struct rows rows = {.n = 1, .token = first, .pos = &pos, .seq = (const uint32_t[]){0}};
    for (size_t i = 0; i < head_dim; i++)
        x[i] = sinf((float)i + 1);
    qmat_init(&w.q, qtype_by_id(TYPE_F32), 1, head_dim, x);
    run_begin(r, &rows);
    struct mat *y = op_rope(r, rope, head_dim, op_lookup(r, &w, first, 1));
    assert_int_equal(run_end(r, NULL), SOOTH_OK);
    memcpy(x, y->v, head_dim * sizeof *x);
    run_free(r);
}

static void expect_turned(const struct rope *rope, size_t head_dim, uint32_t pos, const double *freq, double scale, double within)
{
    float x[256];
    size_t half = rope->dim / 2;
    turn(rope, head_dim, pos, x);
    for (size_t i = 0; i < half; i++) {
        double u = (double)sinf((float)i + 1), v = (double)sinf((float)(i + half) + 1), c = cos(pos * freq[i]) * scale, s = sin(pos * freq[i]) * scale;
        if (!(fabs(u * c - v * s - (double)x[i]) < within && fabs(u * s + v * c - (double)x[i + half]) < within))
            fail_msg("pair %zu at position %u is (%g, %g), not (%g, %g)", i, pos, (double)x[i], (double)x[i + half], u * c - v * s, u * s + v * c);
    }
}

static void write_config(struct buf *out, const struct json *params, size_t head_dim, size_t context, bool old_schema)
{
    struct json_writer w;
    buf_clear(out);
    jsonw_init(&w, out);
    jsonw_object(&w);
    jsonw_key(&w, "model_type"), jsonw_string(&w, "llama");
    jsonw_key(&w, "hidden_size"), jsonw_int(&w, (int64_t)head_dim * 2);
    jsonw_key(&w, "max_position_embeddings"), jsonw_int(&w, (int64_t)context);
    if (old_schema)
        jsonw_key(&w, "rope_theta"), jsonw_double(&w, json_number(params, "rope_theta", 0), 9);
    jsonw_key(&w, old_schema ? "rope_scaling" : "rope_parameters");
    jsonw_object(&w);
    for (const struct json *p = params->child; p; p = p->next) {
        if (old_schema && !strcmp(p->key, "rope_theta"))
            continue;
        jsonw_key(&w, old_schema && !strcmp(p->key, "rope_type") ? "type" : p->key);
        if (p->type == JSON_ARRAY) {
            jsonw_array(&w);
            for (const struct json *e = p->child; e; e = e->next)
                jsonw_double(&w, e->number, 9);
            jsonw_end_array(&w);
        } else if (p->type == JSON_STRING) {
            jsonw_string(&w, p->text);
        } else if (p->type == JSON_NUMBER) {
            jsonw_double(&w, p->number, 12);
        } else {
            jsonw_bool(&w, p->type == JSON_TRUE);
        }
    }
    jsonw_end_object(&w);
    jsonw_end_object(&w);
}

/* The scaling is not only read but applied: a vector at position 20,000, for every kind and both schemas of config.json. */
static void lesson_serving_05_every_kind_far_out(void **state)
{
    struct arena a;
    struct buf text = BUF_INIT, config = BUF_INIT;
    struct sooth_error err = {0};
    size_t kinds = 0;
    arena_init(&a, 0);
    assert_int_equal(file_read(arch_path("rope.json"), 1 << 20, &text, &err), SOOTH_OK);
    const struct json *cases = json_parse(&a, text.data, text.len, 0, NULL, &err);
    assert_non_null(cases);
    for (const struct json *c = cases->child; c; c = c->next, kinds++)
        for (int old = 0; old < 2; old++) {
            struct subject s;
            double gold[128];
            size_t head_dim = (size_t)json_int(c, "head_dim", 0), context = (size_t)json_int(c, "context", 0);
            const struct json *params = json_get(c, "rope_parameters"), *freq = json_get(c, "freq");
            write_config(&config, params, head_dim, context, old == 1);
            struct tensor_file *f = config_open(config.data);
            if (rope_of(&s, f, head_dim, context, context, false, &err) != SOOTH_OK)
                fail_msg("%s: %s", config.data, err.text);
            assert_int_equal(s.rope.dim, 2 * freq->len);
            for (size_t i = 0; i < freq->len; i++) {
                gold[i] = json_at(freq, i)->number;
                if (!(fabs(s.rope.freq[i] / gold[i] - 1) < 1e-6))
                    fail_msg("%s: frequency %zu is %.9g, not %.9g", config.data, i, s.rope.freq[i], gold[i]);
            }
            if (!(fabs(s.rope.scale / json_number(c, "scale", 0) - 1) < 1e-6))
                fail_msg("%s: magnitude %.9g", config.data, s.rope.scale);
            expect_turned(&s.rope, head_dim, 20000, s.rope.freq, s.rope.scale, 2e-6);
            expect_turned(&s.rope, head_dim, 20000, gold, json_number(c, "scale", 0), 5e-3); /* the reference's are float */
            arena_release(&s.m.arena);
            tensor_file_close(f);
        }
    assert_true(kinds >= 9);
    arena_release(&a);
    buf_release(&text);
    buf_release(&config);
}

static void near(double got, double want)
{
    if (!(fabs(got / want - 1) < 2e-6))
        fail_msg("%.9g, not %.9g", got, want);
}

#define CONFIG(context, rest) "{\"model_type\":\"llama\",\"hidden_size\":256,\"max_position_embeddings\":" #context "," rest "}"

static void ntk_and_dynamic_by_hand(void **state)
{
    struct subject s;
    struct sooth_error err = {0};
    double freq[64];
    struct tensor_file *f = config_open(CONFIG(4096, "\"rope_theta\":10000,\"rope_scaling\":{\"type\":\"ntk\",\"factor\":4}"));
    assert_int_equal(rope_of(&s, f, 128, 4096, 4096, false, &err), SOOTH_OK);
    near(s.rope.freq[0], 1);
    near(s.rope.freq[1], pow(40889.94, -2.0 / 128));
    near(s.rope.freq[63], pow(10000, -126.0 / 128) / 4); /* the last is divided by exactly s */
    arena_release(&s.m.arena);
    tensor_file_close(f);
    f = config_open(CONFIG(4096, "\"rope_theta\":10000,\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2}"));
    assert_int_equal(rope_of(&s, f, 128, 4096, 4096, false, &err), SOOTH_OK);
    for (size_t i = 0; i < 64; i++)
        freq[i] = pow(10000, -2.0 * (double)i / 128);
    expect_turned(&s.rope, 128, 4095, freq, 1, 2e-6); /* L = M: the original base */
    for (size_t i = 0; i < 64; i++)
        freq[i] = pow(30527.736, -2.0 * (double)i / 128);
    expect_turned(&s.rope, 128, 8191, freq, 1, 1e-3); /* L = 8192 */
    arena_release(&s.m.arena);
    tensor_file_close(f);
}

/* Rope over heads of d numbers with this scaling, trained for `context`. */
static void rope_from(struct subject *s, size_t d, size_t context, const char *scaling)
{
    char config[512];
    struct sooth_error err = {0};
    snprintf(config, sizeof config, "{\"model_type\":\"llama\",\"hidden_size\":256,\"max_position_embeddings\":%zu,\"rope_theta\":10000%s%s}", context,
             scaling ? ",\"rope_scaling\":" : "", scaling ? scaling : "");
    struct tensor_file *f = config_open(config);
    if (rope_of(s, f, d, context, context, false, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    tensor_file_close(f);
}

/* NTK-aware: the base that each factor comes to; positions divided is frequencies divided. */
static void bases_of_ntk_and_linear(void **state)
{
    static const struct {
        int factor;
        double base;
    } known[] = {{2, 20221.26}, {4, 40889.94}, {8, 82684.62}};
    struct subject s;
    char scaling[64];
    for (size_t k = 0; k < 3; k++) {
        snprintf(scaling, sizeof scaling, "{\"type\":\"ntk\",\"factor\":%d}", known[k].factor);
        rope_from(&s, 128, 4096, scaling);
        near(pow(s.rope.freq[1], -64), known[k].base); /* θ_1 = b^(−2/128); the figure has seven digits */
        near(s.rope.freq[63], pow(10000, -126.0 / 128) / known[k].factor);
        arena_release(&s.m.arena);
        snprintf(scaling, sizeof scaling, "{\"type\":\"linear\",\"factor\":%d}", known[k].factor);
        rope_from(&s, 128, 4096, scaling);
        for (size_t i = 0; i < 64; i++)
            near(s.rope.freq[i], pow(10000, -2.0 * (double)i / 128) / known[k].factor);
        arena_release(&s.m.arena);
    }
}

/* YaRN's ramp runs over the index: untouched to `low`, divided from `high` on, between them in between; the magnitude beside it. */
static void ramps_of_yarn(void **state)
{
    static const struct {
        size_t d;
        const char *scaling;
        double factor, magnitude;
        size_t low, high;
    } known[] = {
        {128, "{\"type\":\"yarn\",\"factor\":16,\"original_max_position_embeddings\":4096}", 16, 1.27726, 20, 46},
        {64, "{\"type\":\"yarn\",\"factor\":4,\"original_max_position_embeddings\":2048}", 4, 1.13863, 8, 21},
    };
    for (size_t k = 0; k < 2; k++) {
        struct subject s;
        rope_from(&s, known[k].d, 65536, known[k].scaling);
        assert_true(fabs(s.rope.scale - known[k].magnitude) < 5e-6);
        for (size_t i = 0; i < known[k].d / 2; i++) {
            double plain = pow(10000, -2.0 * (double)i / (double)known[k].d), part = s.rope.freq[i] / plain;
            if (i <= known[k].low)
                near(part, 1);
            else if (i >= known[k].high)
                near(part, 1 / known[k].factor);
            else
                assert_true(part < 1 - 1e-6 && part > 1 / known[k].factor + 1e-6);
        }
        arena_release(&s.m.arena);
    }
}

/* A rotation keeps lengths, does nothing at position 0, and products depend on the distance alone, however far out. */
static void products_depend_on_the_distance(void **state)
{
    static const uint32_t pairs[][2] = {{0, 0}, {5, 3}, {17, 17}, {100, 1}, {63, 62}};
    struct subject s;
    rope_from(&s, 128, 4096, NULL);
    for (size_t k = 0; k < 5; k++) {
        float q[2][128], v[2][128];
        double near_by = 0, far_out = 0, before = 0, after = 0;
        for (unsigned shift = 0; shift < 2; shift++) {
            turn(&s.rope, 128, pairs[k][0] + 1000 * shift, q[shift]);
            turn(&s.rope, 128, pairs[k][1] + 1000 * shift, v[shift]);
        }
        for (size_t i = 0; i < 128; i++) {
            near_by += (double)q[0][i] * (double)v[0][i];
            far_out += (double)q[1][i] * (double)v[1][i];
            before += pow((double)sinf((float)i + 1), 2);
            after += (double)q[1][i] * (double)q[1][i];
            if (!pairs[k][0])
                assert_true(q[0][i] == sinf((float)i + 1));
        }
        assert_true(fabs(near_by - far_out) <= 1e-4);
        near(after, before);
    }
    arena_release(&s.m.arena);
}

/* The bound of a product falls with the distance: mean over j of |Σ_{i<j} e^{iΔθ_i}|. */
static void far_words_count_less(void **state)
{
    static const struct {
        int distance;
        double bound;
    } known[] = {{0, 32.5}, {1, 31.54}, {2, 28.96}, {5, 20.85}, {10, 17.95}, {20, 15.24}, {50, 12.63}, {100, 10.23}, {256, 6.54}, {1000, 4.47}, {4000, 5.04}};
    struct subject s;
    rope_from(&s, 128, 4096, NULL);
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        double re = 0, im = 0, sum = 0;
        for (size_t i = 0; i < 64; i++) {
            re += cos(known[k].distance * s.rope.freq[i]);
            im += sin(known[k].distance * s.rope.freq[i]);
            sum += hypot(re, im) / 64;
        }
        assert_true(fabs(sum - known[k].bound) < 0.006);
    }
    arena_release(&s.m.arena);
}

static void longrope_chooses_by_the_session(void **state)
{
    const char *config = CONFIG(131072, "\"original_max_position_embeddings\":4096,\"rope_theta\":10000,\"rope_scaling\":{\"rope_type\":\"longrope\","
                                        "\"short_factor\":[1,2],\"long_factor\":[3,4]}");
    struct tensor_file *f = config_open(config);
    struct subject s;
    struct sooth_error err = {0};
    assert_int_equal(rope_of(&s, f, 4, 131072, 4096, false, &err), SOOTH_OK);
    near(s.rope.freq[1], 0.01 / 2);
    near(s.rope.scale, 1.190238);
    arena_release(&s.m.arena);
    assert_int_equal(rope_of(&s, f, 4, 131072, 4097, false, &err), SOOTH_OK);
    near(s.rope.freq[1], 0.01 / 4);
    arena_release(&s.m.arena);
    tensor_file_close(f);
}

/* A GGUF file with these facts; the tensor of divisors when there are some. */
static struct tensor_file *gguf_of(const char *type, float base, float factor, uint32_t original, const float *divisors, size_t n)
{
    char path[128];
    struct sooth_error err = {0};
    struct gguf_writer *w = gguf_writer_new();
    struct tensor_file *f;
    static const float one = 1;
    uint64_t dims[1] = {divisors ? n : 1};
    gguf_put_string(w, "general.architecture", "llama");
    gguf_put_float(w, "llama.rope.freq_base", base);
    if (type)
        gguf_put_string(w, "llama.rope.scaling.type", type);
    gguf_put_float(w, "llama.rope.scaling.factor", factor);
    if (original)
        gguf_put_uint(w, "llama.rope.scaling.original_context_length", original);
    gguf_put_tensor(w, divisors ? "rope_freqs.weight" : "x", TYPE_F32, 1, dims);
    path_in_dir("m.gguf", path);
    assert_int_equal(gguf_writer_open(w, path, &err), SOOTH_OK);
    assert_int_equal(gguf_writer_add(w, divisors ? divisors : &one, dims[0] * 4, &err), SOOTH_OK);
    assert_int_equal(gguf_writer_commit(w, &err), SOOTH_OK);
    gguf_writer_free(w);
    if (tensor_file_open(path, NULL, &f, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return f;
}

/* The magnitude of YaRN once, not squared (1.6314), whichever container says so. */
static void lesson_serving_07_yarn_magnitude_once(void **state)
{
    struct subject s;
    struct sooth_error err = {0};
    struct tensor_file *f = gguf_of("yarn", 1e4f, 16, 4096, NULL, 0);
    float x[128];
    double before = 0, after = 0;
    assert_int_equal(rope_of(&s, f, 128, 65536, 65536, false, &err), SOOTH_OK);
    near(s.rope.scale, 1.277259);
    turn(&s.rope, 128, 777, x);
    for (size_t i = 0; i < 128; i++) {
        before += pow((double)sinf((float)i + 1), 2);
        after += pow((double)x[i], 2);
    }
    near(sqrt(after / before), 1.277259);
    arena_release(&s.m.arena);
    tensor_file_close(f);
    f = gguf_of("yarn", 1e6f, 4, 32768, NULL, 0);
    assert_int_equal(rope_of(&s, f, 128, 131072, 131072, false, &err), SOOTH_OK);
    near(s.rope.scale, 1.138629);
    near(s.rope.freq[24], 5.375321e-3);
    near(s.rope.freq[32], 6.029412e-4);
    near(s.rope.freq[40], 4.445699e-5);
    arena_release(&s.m.arena);
    tensor_file_close(f);
    f = config_open(CONFIG(65536, "\"rope_theta\":10000,\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":16,\"attention_factor\":1.277259,"
                                  "\"original_max_position_embeddings\":4096}"));
    assert_int_equal(rope_of(&s, f, 128, 65536, 65536, false, &err), SOOTH_OK);
    near(s.rope.scale, 1.277259);
    arena_release(&s.m.arena);
    tensor_file_close(f);
}

static void llama3_divisors_from_gguf(void **state)
{
    static const float divisors[4] = {1, 1.651329f, 9.666729f, 32};
    struct subject s;
    struct sooth_error err = {0};
    struct tensor_file *f = gguf_of(NULL, 5e5f, 1, 0, divisors, 4);
    assert_int_equal(rope_of(&s, f, 8, 131072, 131072, false, &err), SOOTH_OK);
    for (size_t i = 0; i < 4; i++)
        near(s.rope.freq[i], pow(5e5, -(double)i / 4) / (double)divisors[i]);
    arena_release(&s.m.arena);
    assert_int_equal(rope_of(&s, f, 16, 131072, 131072, false, &err), SOOTH_ERR_FORMAT);
    assert_non_null(strstr(err.text, "4 numbers for 8 pairs"));
    arena_release(&s.m.arena);
    tensor_file_close(f);
    /* the same from config.json: anchors of two sizes */
    f = config_open(CONFIG(131072, "\"rope_parameters\":{\"rope_type\":\"llama3\",\"rope_theta\":500000.0,\"factor\":32,\"low_freq_factor\":1,"
                                   "\"high_freq_factor\":4,\"original_max_position_embeddings\":8192}"));
    assert_int_equal(rope_of(&s, f, 64, 131072, 131072, false, &err), SOOTH_OK);
    for (size_t i = 0; i < 32; i++) {
        double d = pow(5e5, -(double)i / 32) / s.rope.freq[i];
        near(d, i < 15 ? 1 : i == 15 ? 1.651329 : i == 16 ? 3.292262 : i == 17 ? 9.666729 : 32);
    }
    arena_release(&s.m.arena);
    tensor_file_close(f);
}

/* ---- schemas ---- */

static void copy_model(void)
{
    char path[128];
    struct buf b = BUF_INIT;
    assert_int_equal(file_read(arch_path("llama/model.safetensors"), 1 << 20, &b, NULL), SOOTH_OK);
    path_in_dir("model.safetensors", path);
    assert_int_equal(file_write_atomic(path, b.data, b.len, NULL), SOOTH_OK);
    buf_release(&b);
}

#define BODY "\"model_type\":\"llama\",\"hidden_size\":32,\"intermediate_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":4," \
             "\"num_key_value_heads\":2,\"head_dim\":16,\"max_position_embeddings\":256,\"rms_norm_eps\":1e-5,\"vocab_size\":96,"
#define SCALING "\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,\"original_max_position_embeddings\":64"

static void lesson_serving_06_both_schemas_and_unknown_types(void **state)
{
    static const char *const same[] = {
        "{" BODY "\"rope_parameters\":{\"rope_type\":\"llama3\",\"rope_theta\":100.0," SCALING "}}",
        "{" BODY "\"rope_theta\":100.0,\"rope_scaling\":{\"rope_type\":\"llama3\"," SCALING "}}",
        "{" BODY "\"rope_theta\":100,\"rope_scaling\":{\"type\":\"llama3\"," SCALING "}}",
        "{" BODY "\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"llama3\",\"rope_theta\":100.0," SCALING "}}}",
        "{" BODY "\"rope_theta\":100.0}", /* the control: another model */
    };
    static const char *const wrong[][2] = {
        {"{" BODY "\"rope_parameters\":{\"rope_type\":\"spiral\",\"rope_theta\":100.0}}", "rope_type 'spiral'"},
        {"{" BODY "\"rope_scaling\":{\"type\":\"mrope\",\"factor\":2}}", "rope_type 'mrope'"},
        {"{" BODY "\"rope_scaling\":{\"type\":\"linear\",\"factor\":-2}}", "rope scaling 'linear'"},
        {"{" BODY "\"rope_scaling\":{\"type\":\"yarn\",\"factor\":1e999}}", "rope scaling"},
        {"{" BODY "\"rope_theta\":0}", "rope base"},
        {"{" BODY "\"partial_rotary_factor\":0.1}", "rotary positions over 1"},
        {"{" BODY "\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1,2],\"long_factor\":[1]}}", "for 8 pairs"},
        {"{" BODY "\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1,2,3,4,5,6,7,0],\"long_factor\":[1,2,3,4,5,6,7,0]}}", "factor 7"},
        {"{" BODY "\"hidden_act\":\"xielu\"}", "hidden_act 'xielu'"},
        {"{" BODY "\"tie_word_embeddings\":false}", "'lm_head.weight' is missing"},
    };
    static const int32_t ids[12] = {5, 9, 90, 17, 33, 61, 8, 8, 20, 41, 77, 6};
    float *first = NULL;
    copy_model();
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct tensor_file *f = config_open(same[i]);
        struct arch_model *m = arch_open_model(f, NULL);
        struct run_options o = {0};
        struct run *r = run_new(&o);
        float *y = arch_run(r, m, ids, 12, 0, 0, NULL, true);
        if (!first)
            first = mem_dup(y, 12 * 96 * sizeof *y);
        if ((memcmp(first, y, 12 * 96 * sizeof *y) == 0) != (i < 4))
            fail_msg("%s", same[i]);
        mem_free(y);
        run_free(r);
        arch_free(m);
        tensor_file_close(f);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct tensor_file *f = config_open(wrong[i][0]);
        struct arch_model *m;
        struct sooth_error err = {0};
        assert_int_not_equal(arch_load(f, NULL, &m, &err), SOOTH_OK);
        assert_null(m);
        if (!strstr(err.text, wrong[i][1]))
            fail_msg("%s: '%s'", wrong[i][0], err.text);
        tensor_file_close(f);
    }
    mem_free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lesson_serving_05_every_kind_far_out),
        cmocka_unit_test(ntk_and_dynamic_by_hand),
        cmocka_unit_test(bases_of_ntk_and_linear),
        cmocka_unit_test(ramps_of_yarn),
        cmocka_unit_test(products_depend_on_the_distance),
        cmocka_unit_test(far_words_count_less),
        cmocka_unit_test(longrope_chooses_by_the_session),
        cmocka_unit_test(lesson_serving_07_yarn_magnitude_once),
        cmocka_unit_test(llama3_divisors_from_gguf),
        cmocka_unit_test(lesson_serving_06_both_schemas_and_unknown_types),
    };
    return cmocka_run_group_tests(tests, dir_open, dir_close);
}
