/* test_adapt_golden.c: directories that PEFT wrote (tests/golden/adapt, made by tools/golden/adapt.py), over both containers of the
 * model: results, gradients of every trained number, ten losses of AdamW and the results after them. */
#include "adapt_fixture.h"
#include "model/adapt/adapt_tensor.h"

enum { STEPS = 10, IDS = 18 };

static const struct golden {
    const char *name, *model, *method, *variant; /* variant: trained with its network, whose numbers are in want.safetensors */
    size_t tokens, width;
} cases[] = {
    {"lora", "llama", "lora", NULL, 0, 0}, {"rslora", "llama", "lora", NULL, 0, 0}, {"patterns", "llama", "lora", NULL, 0, 0},
    {"rspatterns", "llama", "lora", NULL, 0, 0}, {"tables", "llama", "lora", NULL, 0, 0}, {"dora", "llama", "dora", NULL, 0, 0},
    {"prompt", "llama", "prompt", NULL, 5, 0}, {"ptuning2", "llama", "ptuning2", NULL, 4, 0}, {"prefix", "llama", "prefix", "mlp", 4, 6},
    {"ptuning_mlp", "llama", "ptuning", "mlp", 5, 7}, {"ptuning_lstm", "llama", "ptuning", "lstm", 5, 6},
    {"bert_lora", "bert", "lora", NULL, 0, 0}, {"bert_dora", "bert", "dora", NULL, 0, 0}, {"bert_prompt", "bert", "prompt", NULL, 3, 0},
};

static const char *golden_path(const char *name, const char *file)
{
    static char path[512];
    const char *source = getenv("SOOTH_SOURCE");
    snprintf(path, sizeof path, "%s/tests/golden/adapt/%s%s", source ? source : ".", name, file);
    return path;
}

static const float *numbers(const struct tensor_file *f, const char *name)
{
    const struct file_tensor *t = tensor_file_find(f, name);
    if (!t)
        fail_msg("no '%s'", name);
    return t->data;
}

/* One forward over the text, as the script's run(); y (may be NULL) gets the text's rows. */
static float forward(const struct arch_model *m, struct adapt *a, struct grads *g, const int32_t *ids, float *y)
{
    struct run_options o = {.tape = g != NULL, .grads = g};
    struct sooth_error err = {0};
    struct text t;
    float c[IDS * 64];
    assert_int_equal(adapt_apply(a, &o, &err), SOOTH_OK);
    struct run *r = run_new(&o);
    text_fill(&t, adapt_rows(a), adapt_start(a), ids, IDS);
    for (size_t i = 0; i < IDS; i++)
        t.target[adapt_rows(a) + i] = i + 1 < IDS ? ids[i + 1] : -1;
    run_begin(r, &t.rows);
    struct mat *h = arch_hidden(m, r), *z = arch_info(m)->decoder ? arch_logits(m, r, h) : h;
    struct mat *p = arch_info(m)->decoder ? op_target(r, NULL, z) : h;
    for (size_t i = 0; p && i < p->rows * p->cols; i++)
        c[i] = p->cols == 1 ? -1.0f / (IDS - 1) : (float)((int)(i * 7 % 11) - 5) / 16;
    struct mat *loss = op_weigh(r, c, p);
    if (run_end(r, &err) != SOOTH_OK || (g && run_backward(r, loss, 1, &err) != SOOTH_OK))
        fail_msg("%s", err.text);
    if (y)
        memcpy(y, z->v, z->rows * z->cols * sizeof *y);
    float value = loss->v[0];
    run_free(r);
    return value;
}

static void close_to(const struct golden *c, const char *what, const float *got, const float *want, size_t n, double bound)
{
    double top = 1;
    for (size_t i = 0; i < n; i++)
        top = fmax(top, fabs((double)want[i]));
    if (!(furthest(got, want, n) <= bound * top))
        fail_msg("%s: %s differs by %g of %g", c->name, what, furthest(got, want, n), top);
}

static struct adapt *open_case(const struct golden *c, const struct arch_model *m, const struct tensor_file *want)
{
    struct adapt *a;
    struct sooth_error err = {0};
    char name[128];
    if (!c->variant) {
        if (adapt_open(golden_path(c->name, ""), m, NULL, &a, &err) != SOOTH_OK)
            fail_msg("%s", err.text);
        return a;
    }
    struct adapt_options o = {.method = c->method, .variant = c->variant, .tokens = c->tokens, .width = c->width};
    a = adapt_open_new(m, &o);
    for (size_t i = 0; i < adapt_trained(a); i++) {
        const struct weight *w = adapt_weight(a, i);
        snprintf(name, sizeof name, "param.%s", w->name);
        memcpy(adapt_values(a, i), numbers(want, name), w->q.rows * w->q.cols * sizeof(float));
    }
    return a;
}

/* Gradients in the order of the file: the image of the weights while their numbers are the gradient. */
static void gradients(const struct golden *c, struct adapt *a, const struct grads *g, const struct tensor_file *want)
{
    struct adapt_tensors t;
    struct adapt_image im;
    struct sooth_error err = {0};
    char name[300];
    tensors_init(&t, LAYOUT_PEFT);
    for (size_t i = 0; c->variant && i < adapt_trained(a); i++)
        tensors_add(&t, a->trained.items[i], "%s", a->trained.items[i]->name);
    if (!c->variant)
        assert_int_equal(tensors_list(&t, a, &err), SOOTH_OK);
    const void **before = mem_calloc(t.list.count, sizeof *before);
    for (size_t i = 0; i < t.list.count; i++) {
        before[i] = t.list.items[i].w->q.data;
        t.list.items[i].w->q.data = grads_find(g, t.list.items[i].w);
    }
    assert_int_equal(image_make(&im, &t, &err), SOOTH_OK);
    for (size_t i = 0; i < t.list.count; i++)
        t.list.items[i].w->q.data = before[i];
    for (size_t i = 0; i < im.list.count; i++) {
        const struct file_tensor *e = &im.list.items[i];
        snprintf(name, sizeof name, "grad.%s", e->name);
        const float *ref = numbers(want, name);
        size_t n = e->bytes / sizeof(float);
        double top = 0;
        for (size_t j = 0; j < n; j++)
            top = fmax(top, fabs((double)ref[j]));
        if (!(furthest(e->data, ref, n) <= 2e-4 * top + 1e-6))
            fail_msg("%s: gradient of '%s' differs by %g of %g", c->name, e->name, furthest(e->data, ref, n), top);
    }
    mem_free((void *)before);
    image_release(&im);
    tensors_release(&t);
}

/* AdamW as PyTorch has it: decay first, then the step by the corrected moments. */
static void adamw(struct adapt *a, const struct grads *g, double *moments, int step)
{
    const double lr = 0.01, decay = 0.01, b1 = 0.9, b2 = 0.999;
    double *m = moments;
    for (size_t i = 0; i < adapt_trained(a); i++)
        for (size_t j = 0; j < adapt_weight(a, i)->q.rows * adapt_weight(a, i)->q.cols; j++, m += 2) {
            double d = (double)grads_find(g, adapt_weight(a, i))[j], x = (double)adapt_values(a, i)[j] * (1 - lr * decay);
            m[0] = b1 * m[0] + (1 - b1) * d;
            m[1] = b2 * m[1] + (1 - b2) * d * d;
            adapt_values(a, i)[j] = (float)(x - lr * m[0] / (1 - pow(b1, step)) / (sqrt(m[1] / (1 - pow(b2, step))) + 1e-8));
        }
}

static void like_peft(const struct golden *c, const char *model)
{
    struct tensor_file *f = arch_open(model), *want = NULL;
    struct sooth_error err = {0};
    assert_int_equal(tensor_file_open(golden_path(c->name, "/want.safetensors"), NULL, &want, &err), SOOTH_OK);
    struct arch_model *m = arch_open_model(f, NULL);
    struct adapt *a = open_case(c, m, want);
    assert_string_equal(adapt_method_of(a), c->method);
    const int32_t *ids = (const int32_t *)(const void *)numbers(want, "ids");
    size_t cols = arch_info(m)->decoder ? arch_info(m)->vocab : arch_info(m)->dim;
    float *y = mem_array(IDS * cols, sizeof *y), loss;
    double *moments = mem_calloc(2 * adapt_parameters(a), sizeof *moments);
    struct grads *g = adapt_grads(a);
    for (int step = 0; step < STEPS; step++) {
        grads_clear(g);
        loss = forward(m, a, g, ids, y);
        if (step == 0) {
            close_to(c, "the result", y, numbers(want, "out"), IDS * cols, 1e-5);
            gradients(c, a, g, want);
        }
        close_to(c, "a loss", &loss, numbers(want, "losses") + step, 1, step ? 1e-4 : 1e-5);
        adamw(a, g, moments, step + 1);
        assert_int_equal(adapt_refresh(a, &err), SOOTH_OK);
    }
    forward(m, a, NULL, ids, y);
    close_to(c, "the result after ten steps", y, numbers(want, "end"), IDS * cols, 1e-3);
    mem_free(y);
    mem_free(moments);
    grads_free(g);
    adapt_free(a);
    arch_free(m);
    tensor_file_close(f);
    tensor_file_close(want);
}

static void results_gradients_and_losses_equal_peft(void **state)
{
    char gguf[64];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        like_peft(&cases[i], cases[i].model);
        if (cases[i].variant && strcmp(cases[i].method, "prefix") == 0)
            continue; /* a projection makes keys in the order of its own model */
        snprintf(gguf, sizeof gguf, "%s.gguf", cases[i].model);
        like_peft(&cases[i], gguf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_gradients_and_losses_equal_peft),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
