/* test_pretrain.c: tokenizers and models from nothing: by hand, the same every time, for every architecture that generates. */
#include "train_fixture.h"
#include "core/base/rng.h"
#include "learn/train/bpe_trainer.h"

static struct buf trained(const char *const *texts, size_t n, size_t size)
{
    static const char *const specials[] = {"<|endoftext|>"};
    struct bpe_trainer *t = bpe_trainer_new();
    struct buf out = BUF_INIT;
    struct sooth_error err = {0};
    for (size_t i = 0; i < n; i++)
        assert_int_equal(bpe_trainer_add(t, texts[i], strlen(texts[i]), &err), SOOTH_OK);
    if (bpe_trainer_run(t, size, specials, 1, &err) != SOOTH_OK || bpe_trainer_json(t, &out, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    assert_true(bpe_trainer_size(t) <= size);
    bpe_trainer_free(t);
    return out;
}

/* low x5, lower x2, newest x6, widest x3 (Sennrich et al.): e s, then es t, ... by frequency. */
static void merges_by_hand(void **state)
{
    const char *text = "low low low low low lower lower newest newest newest newest newest newest widest widest widest";
    struct buf json = trained(&text, 1, 257 + 6);
    struct arena a;
    arena_init(&a, 0);
    const struct json *merges = json_get(json_get(json_parse(&a, json.data, json.len, 0, NULL, NULL), "model"), "merges");
    static const char *const want[] = {"e s", "es t", "l o", "\xC4\xA0 n", "e w", "\xC4\xA0n ew"};
    assert_int_equal(merges->len, 6);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(json_at(merges, i)->text, want[i]);
    bool low = false;
    for (size_t i = 0; i < 6; i++)
        low |= strcmp(json_at(merges, i)->text, "l o") == 0;
    assert_true(low);
    arena_release(&a);
    buf_release(&json);
}

static void repeats_that_overlap_are_counted_right(void **state)
{
    const char *text = "aaaa aaaa aaaaa aaaaa aaa aaa";
    struct buf json = trained(&text, 1, 300);
    struct tokenizer *t;
    struct token_ids ids = {0};
    assert_int_equal(tokenizer_from_json(json.data, json.len, NULL, 0, &t, NULL), SOOTH_OK);
    assert_int_equal(token_encode_text(t, "aaaa", 4, 0, &ids, NULL), SOOTH_OK);
    assert_true(ids.count <= 2);
    vec_free(&ids);
    tokenizer_free(t);
    buf_release(&json);
}

/* Any bytes come back from the ids; the same texts give the same file. */
static void random_text_gives_the_same_tokenizer_and_comes_back(void **state)
{
    struct rng r;
    char text[20000], *texts = text;
    rng_seed(&r, 4);
    for (size_t i = 0; i + 1 < sizeof text; i++)
        text[i] = "ab cd\nef\xE4\xBD\xA0\xE5\xA5\xBD gh,"[rng_below(&r, 19)];
    text[sizeof text - 1] = 0;
    memset(text + 3000, 'x', 3000); /* a word longer than any cut */
    struct buf a = trained((const char *const *)&texts, 1, 700), b = trained((const char *const *)&texts, 1, 700);
    struct tokenizer *t;
    struct token_ids ids = {0};
    struct buf back = BUF_INIT;
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    assert_int_equal(tokenizer_from_json(a.data, a.len, NULL, 0, &t, NULL), SOOTH_OK);
    const char *plain = "ab cd ef 你好 gh, zzz 9";
    assert_int_equal(token_encode_text(t, plain, strlen(plain), 0, &ids, NULL), SOOTH_OK);
    token_decode(t, ids.items, ids.count, &back);
    assert_string_equal(buf_str(&back), plain);
    vec_free(&ids);
    buf_release(&back);
    tokenizer_free(t);
    buf_release(&a);
    buf_release(&b);
}

static void a_vocabulary_smaller_than_the_bytes_is_refused(void **state)
{
    struct bpe_trainer *t = bpe_trainer_new();
    struct sooth_error err = {0};
    assert_int_equal(bpe_trainer_run(t, 100, NULL, 0, &err), SOOTH_ERR_ARG);
    bpe_trainer_free(t);
}

/* ---- models ---- */

static const char poem[] =
    "The river runs over the stones and the stones lie under the river. The rain runs into the river and the river runs into the sea. "
    "The sea lies under the rain and the rain falls over the sea. The stones lie under the rain, the river runs, the rain falls.\n";

static void options(struct sooth_pretrain_options *o, const char *const *data, const char *out)
{
    sooth_pretrain_options_init(o);
    o->data = data;
    o->n_data = 1;
    o->train.out = out;
    o->train.threads = 1;
    o->train.seq = 64;
    o->train.batch = 4;
    o->train.steps = 3;
    o->vocab = 300;
    o->holdout = 0.25;
}

/* Every architecture that has a directory form: made, trained three steps, opened, run; the loss at the start is ln V. */
static void every_architecture_can_be_made_and_trained(void **state)
{
    const char *data = train_path("poem.txt"), *config = train_path("config.json"), *name;
    char text[4096] = "", keep_data[1024];
    size_t made = 0;
    for (size_t i = 0; i < 6; i++)
        strcat(text, poem);
    snprintf(keep_data, sizeof keep_data, "%s", data);
    data = keep_data;
    train_write(data, text);
    char keep_config[1024];
    snprintf(keep_config, sizeof keep_config, "%s", config);
    train_write(keep_config, "{\"hidden_size\":32,\"n_embd\":32,\"num_hidden_layers\":2,\"n_layer\":2,\"num_attention_heads\":2,\"n_head\":2,\"head_dim\":16,\"max_position_embeddings\":64,\"n_positions\":64,"
                             "\"intermediate_size\":64,\"attention_bias\":true,\"layer_norm_eps\":1e-5}");
    for (size_t i = 0; (name = arch_name_at(i, NULL)); i++) {
        struct sooth_pretrain_options o;
        struct sooth_train_result r;
        struct sooth_error err = {0};
        bool decoder;
        if (!arch_hf_of(name, &decoder) || !decoder)
            continue;
        char out[1024];
        snprintf(out, sizeof out, "%s", train_path(name));
        options(&o, &data, out);
        o.arch = name;
        o.config = keep_config;
        if (sooth_pretrain(&o, NULL, &r, &err) != SOOTH_OK)
            fail_msg("%s: %s", name, err.text);
        if (fabs(r.eval_before - log(300)) > 0.15)
            fail_msg("%s: the loss at the start is %g, not ln 300 = %g", name, r.eval_before, log(300));
        assert_true(r.eval_after < r.eval_before && r.bits_per_byte > 0 && r.bits_per_byte < 9);
        struct sooth_model *m = train_open(out, 1);
        struct sooth_session *s;
        struct sooth_generation g;
        struct sooth_generate_options go;
        sooth_generate_options_init(&go);
        go.max_tokens = 4;
        assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
        assert_int_equal(sooth_complete(s, "The river", 9, &go, &g, &err), SOOTH_OK);
        sooth_generation_release(&g);
        sooth_session_free(s);
        sooth_model_close(m);
        made++;
    }
    assert_true(made >= 3);
}

/* Overfitted: a model of 32 numbers a token learns a poem by heart, and what is saved says it. */
static void what_is_saved_is_what_was_trained(void **state)
{
    struct sooth_pretrain_options o;
    struct sooth_train_result r;
    struct sooth_error err = {0};
    static char data[1024], out[1024], config[1024];
    const char *list = data;
    snprintf(data, sizeof data, "%s", train_path("once.txt"));
    snprintf(out, sizeof out, "%s", train_path("once"));
    snprintf(config, sizeof config, "%s", train_path("once.json"));
    train_write(data, poem);
    train_write(config, "{\"hidden_size\":48,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"max_position_embeddings\":256,\"intermediate_size\":96}");
    options(&o, &list, out);
    o.config = config;
    o.valid = data;
    o.train.steps = 150;
    o.train.rate = 6e-3;
    o.train.seq = 0;
    o.train.threads = 2;
    if (sooth_pretrain(&o, NULL, &r, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    assert_true(r.loss < 0.05);
    struct sooth_model *m = train_open(out, 1);
    struct sooth_session *s;
    float *p;
    size_t n;
    assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
    assert_int_equal(sooth_score(s, "The", 3, poem + 3, strlen(poem) - 3, &p, &n, &err), SOOTH_OK);
    double sum = 0; /* lesson 10: served log-probabilities are those of training */
    for (size_t i = 0; i < n; i++)
        sum -= (double)p[i];
    assert_true(sum / (double)n < 0.06);
    sooth_free(p);
    sooth_session_free(s);
    sooth_model_close(m);
    assert_int_equal(sooth_pretrain(&o, NULL, NULL, &err), SOOTH_ERR_ARG); /* not overwritten */
    assert_non_null(strstr(err.text, "already holds a model"));
}

static void what_cannot_be_made_is_said(void **state)
{
    struct sooth_pretrain_options o;
    struct sooth_error err = {0};
    static char data[1024], rows[1024];
    const char *list = data;
    snprintf(data, sizeof data, "%s", train_path("words.txt"));
    snprintf(rows, sizeof rows, "%s", train_path("rows.jsonl"));
    train_write(data, poem);
    train_write(rows, "{\"prompt\":\"a\",\"completion\":\"b\"}\n");
    options(&o, &list, train_path("none"));
    o.arch = "bert";
    assert_int_equal(sooth_pretrain(&o, NULL, NULL, &err), SOOTH_ERR_ARG);
    o.arch = "lama";
    assert_int_equal(sooth_pretrain(&o, NULL, NULL, &err), SOOTH_ERR_ARG);
    options(&o, &list, train_path("none2"));
    list = rows;
    assert_int_equal(sooth_pretrain(&o, NULL, NULL, &err), SOOTH_ERR_ARG);
    assert_non_null(strstr(err.text, "pre-training reads texts"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_by_hand),
        cmocka_unit_test(repeats_that_overlap_are_counted_right),
        cmocka_unit_test(random_text_gives_the_same_tokenizer_and_comes_back),
        cmocka_unit_test(a_vocabulary_smaller_than_the_bytes_is_refused),
        cmocka_unit_test(every_architecture_can_be_made_and_trained),
        cmocka_unit_test(what_is_saved_is_what_was_trained),
        cmocka_unit_test(what_cannot_be_made_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, train_clean);
}
