/* test_example.c: rows of every kind to ids and masks: what is trained is the answer with its end token, to the token. */
#include "train_fixture.h"

static const char chat[] =
    "{\"messages\":[{\"role\":\"user\",\"content\":\"who is it\"},{\"role\":\"assistant\",\"content\":\"the one\"},"
    "{\"role\":\"user\",\"content\":\"and then\"},{\"role\":\"assistant\",\"content\":\"on and on\"},"
    "{\"role\":\"user\",\"content\":\"or\"},{\"role\":\"assistant\",\"content\":\"in the tank\"}]}\n";

static size_t tokens_of(const struct sooth_model *m, const char *text)
{
    return sooth_count_tokens(m, text, strlen(text));
}

/* ---- row kinds ---- */

static void every_kind_of_row_is_recognised(void **state)
{
    static const struct { const char *kind, *row; } rows[] = {
        {"text", "{\"text\":\"a\",\"title\":\"t\"}"},
        {"completion", "{\"prompt\":\"a\",\"completion\":\"b\"}"},
        {"completion", "{\"question\":\"a\",\"answer\":\"b\"}"},
        {"completion", "{\"prompt\":[{\"role\":\"user\",\"content\":\"a\"}],\"completion\":[{\"role\":\"assistant\",\"content\":\"b\"}],\"label\":true}"},
        {"messages", "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]},{\"role\":\"assistant\",\"content\":\"b\"}]}"},
        {"alpaca", "{\"instruction\":\"a\",\"input\":\"\",\"output\":\"b\",\"history\":[[\"x\",\"y\"]],\"system\":\"s\"}"},
        {"sharegpt", "{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"},{\"from\":\"function_call\",\"value\":\"b\"},{\"from\":\"observation\",\"value\":\"c\"}],\"tools\":\"[]\"}"},
        {"preference", "{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\"}"},
        {"preference", "{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"}],\"chosen\":{\"from\":\"gpt\",\"value\":\"b\"},\"rejected\":{\"from\":\"gpt\",\"value\":\"c\"}}"},
        {"preference", "{\"chosen\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}],\"rejected\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"c\"}]}"},
        {"preference", "{\"question\":\"a\",\"chosen_response\":\"b\",\"rejected_response\":\"c\",\"system\":\"s\"}"},
    };
    struct samples s;
    struct sooth_error err = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        samples_init(&s);
        if (samples_parse(&s, "rows", rows[i].row, strlen(rows[i].row), &err) != SOOTH_OK)
            fail_msg("%s", err.text);
        assert_string_equal(s.list.items[0].kind, rows[i].kind);
        if (s.list.items[0].chosen) {
            assert_string_equal(json_string(s.list.items[0].chosen->child, "content", ""), "b");
            assert_string_equal(json_string(s.list.items[0].rejected->child, "content", ""), "c");
            assert_true(s.list.items[0].messages->len >= 1);
        }
        samples_release(&s);
    }
    samples_init(&s); /* an array of rows is as good as lines */
    assert_int_equal(samples_parse(&s, "rows", "[{\"text\":\"a\"},{\"text\":\"b\"}]", 27, &err), SOOTH_OK);
    assert_int_equal(s.list.count, 2);
    samples_release(&s);
}

static void a_bad_row_is_named(void **state)
{
    static const struct { const char *rows, *says; } bad[] = {
        {"{\"text\":\"a\"}\n{\"txt\":\"b\"}\n", "row 2 of 'rows': no kind of row has the keys txt"},
        {"{\"text\":\"a\"}\n{\"text\":\n", "row 2 of 'rows'"},
        {"{\"prompt\":\"a\",\"completion\":3}", "'completion' is not a text"},
        {"{\"messages\":[{\"content\":\"a\"}]}", "a message has no role"},
        {"{\"messages\":[{\"role\":\"user\"}]}", "has no content"},
        {"{\"messages\":\"hello\"}", "messages are not a list"},
        {"{\"conversations\":[{\"from\":\"cat\",\"value\":\"a\"}]}", "'cat'"},
        {"{\"instruction\":null,\"output\":\"a\"}", "null"},
        {"[1,2]", "row 1 of 'rows': the row is not an object"},
        {"{\"text\":\"a\\u0000b\"}", "NUL"},
        {"", "holds no rows"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct samples s;
        struct sooth_error err = {0};
        samples_init(&s);
        assert_int_not_equal(samples_parse(&s, "rows", bad[i].rows, strlen(bad[i].rows), &err), SOOTH_OK);
        if (!strstr(err.text, bad[i].says))
            fail_msg("'%s' does not say '%s'", err.text, bad[i].says);
        samples_release(&s);
    }
}

/* ---- masks ---- */

static void lesson_training_02_the_end_token_is_trained_though_it_is_the_padding(void **state)
{
    struct sooth_model *m = train_open(train_copy("pad.gguf", NULL, true, false), 1);
    struct examples e;
    train_examples(&e, m, chat, (struct example_options){0});
    const struct example *x = &e.list.items[0];
    size_t ends = 0;
    for (size_t i = 0; i < x->n; i++)
        ends += x->train[i] && token_is_end(infer_parts(m).tokenizer, x->ids[i]);
    assert_int_equal(ends, 3);
    examples_release(&e);
    sooth_model_close(m);
}

static void lesson_training_03_trained_is_answer_and_end_exactly(void **state)
{
    struct sooth_model *m = train_open(TINY, 1);
    struct examples e;
    train_examples(&e, m, chat, (struct example_options){0});
    assert_int_equal(e.trained, tokens_of(m, "the one") + tokens_of(m, "on and on") + tokens_of(m, "in the tank") + 3);
    assert_int_equal(e.list.count, 1);
    examples_release(&e);
    sooth_model_close(m);
}

/* The notes' scheme: ones = len(answer) + 1, the first at the token after BOS, the last at EOS. */
static void the_scheme_of_the_notes_to_the_token(void **state)
{
    struct sooth_model *m = train_open(TINY, 1);
    const struct tokenizer *t = infer_parts(m).tokenizer;
    const char *row = "{\"prompt\":\"who is it\",\"completion\":\"the one in the tank\"}";
    struct examples e;
    train_examples(&e, m, row, (struct example_options){.layout = LAYOUT_NOTES});
    const struct example *x = &e.list.items[0];
    size_t p = tokens_of(m, "who is it"), n = tokens_of(m, "the one in the tank");
    assert_int_equal(x->n, p + 1 + n + 1);
    assert_int_equal(x->trained, n + 1);
    assert_int_equal(x->ids[p], token_special(t, ROLE_BOS));
    assert_int_equal(x->ids[x->n - 1], token_special(t, ROLE_EOS));
    for (size_t i = 0; i < x->n; i++)
        assert_int_equal(x->train[i], i > p);
    struct minibatch b; /* on the rows' side: wanted are BOS .. answer[-1] */
    minibatch_init(&b, 0, 0, 0);
    assert_true(minibatch_add(&b, x, 1));
    assert_int_equal(b.trained, n + 1);
    for (size_t i = 0; i < b.token.count; i++)
        assert_int_equal(b.want.items[i], i >= p);
    assert_int_equal(b.token.items[p], token_special(t, ROLE_BOS));
    minibatch_release(&b);
    examples_release(&e);
    sooth_model_close(m);
}

static const char *const templates[] = {
    NULL, /* the model's own: ChatML */
    "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% if m.role == 'assistant' %}<|im_end|>{% endif %}{{ '\n' }}{% endfor %}{% if add_generation_prompt %}[assistant] {% endif %}",
    "{% for m in messages %}{% if m.role == 'user' %}Q: {{ m.content | trim }}\nA:{% else %} {{ m.content }}<|endoftext|>\n{% endif %}{% endfor %}",
    "{{ '<|im_start|>' }}{% for m in messages %}### {{ m.role | upper }}\n\n{{ m.content }}{{ '<|im_end|>' if m.role == 'assistant' else '' }}\n\n{% endfor %}{% if add_generation_prompt %}### ASSISTANT\n\n{% endif %}",
    "", /* none: the plain one, which writes no end token */
};

static void lesson_training_06_the_trained_text_is_the_answers(void **state)
{
    static const char *const want[] = {"the one<|im_end|>on and on<|im_end|>in the tank<|im_end|>", "the one<|im_end|>on and on<|im_end|>in the tank<|im_end|>",
                                       " the one<|endoftext|> on and on<|endoftext|> in the tank<|endoftext|>",
                                       "the one<|im_end|>on and on<|im_end|>in the tank<|im_end|>",
                                       " the one\n\n on and on\n\n in the tank<|im_end|>"};
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++) {
        struct sooth_model *m = train_open(train_copy("template.gguf", templates[i], false, false), 1);
        struct examples e;
        train_examples(&e, m, chat, (struct example_options){0});
        const char *got = train_trained(m, &e.list.items[0]);
        assert_string_equal(got, want[i]);
        examples_release(&e);
        sooth_model_close(m);
    }
    /* A template whose generation prompt is not what it writes before answers: refused. */
    struct sooth_model *m = train_open(train_copy("odd.gguf", "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}>>> {% endif %}", false, false), 1);
    struct samples s;
    struct examples e;
    struct sooth_error err = {0};
    struct example_options o = {.most = 256};
    samples_init(&s);
    examples_init(&e);
    assert_int_equal(samples_parse(&s, "rows", chat, strlen(chat), &err), SOOTH_OK);
    assert_int_equal(examples_make(&e, m, &s, &o, false, &err), SOOTH_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "row 1: the chat template does not tell"));
    samples_release(&s);
    examples_release(&e);
    sooth_model_close(m);
}

static void lesson_training_07_every_turn_or_the_last(void **state)
{
    struct sooth_model *m = train_open(TINY, 1);
    struct examples e;
    train_examples(&e, m, chat, (struct example_options){.on = TRAIN_LAST});
    assert_string_equal(train_trained(m, &e.list.items[0]), "in the tank<|im_end|>");
    examples_release(&e);
    train_examples(&e, m, chat, (struct example_options){.on = TRAIN_TURNS});
    assert_int_equal(e.list.count, 3);
    assert_string_equal(train_trained(m, &e.list.items[1]), "on and on<|im_end|>");
    examples_release(&e);
    train_examples(&e, m, chat, (struct example_options){.on = TRAIN_ALL});
    assert_int_equal(e.trained, e.list.items[0].n - 1);
    examples_release(&e);
    train_examples(&e, m, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"it\",\"train\":false},{\"role\":\"user\",\"content\":\"b\"},{\"role\":\"assistant\",\"content\":\"on\"}]}",
                   (struct example_options){0});
    assert_string_equal(train_trained(m, &e.list.items[0]), "on<|im_end|>");
    examples_release(&e);
    sooth_model_close(m);
    /* A template that drops earlier answers: one row a turn, counted. */
    m = train_open(train_copy("forget.gguf", "{% for m in messages %}{% if m.role == 'user' or loop.last %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
                                             "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}", false, false), 1);
    train_examples(&e, m, chat, (struct example_options){0});
    assert_int_equal(e.split, 1);
    assert_int_equal(e.list.count, 3);
    assert_string_equal(train_trained(m, &e.list.items[2]), "in the tank<|im_end|>");
    examples_release(&e);
    sooth_model_close(m);
}

/* " th" is a piece, and the template's prompt ends in a blank: tokenized at once, the seam would merge. */
static void lesson_training_05_nothing_merges_over_the_seam(void **state)
{
    struct sooth_model *m = train_open(train_copy("seam.gguf", templates[1], false, false), 1);
    const char *row = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"the one\"}]}";
    const char *prompt = "[user] a\n[assistant] ", *whole = "[user] a\n[assistant] the one";
    struct sooth_tokens p, w;
    struct examples e;
    train_examples(&e, m, row, (struct example_options){0});
    const struct example *x = &e.list.items[0];
    assert_int_equal(sooth_tokenize(m, prompt, strlen(prompt), false, true, &p, NULL), SOOTH_OK);
    assert_int_equal(sooth_tokenize(m, whole, strlen(whole), false, true, &w, NULL), SOOTH_OK);
    assert_memory_not_equal(w.ids, p.ids, p.count * sizeof *p.ids); /* it would */
    assert_memory_equal(x->ids, p.ids, p.count * sizeof *p.ids);    /* what a server reads begins what is trained */
    for (size_t i = 0; i < x->n; i++)
        assert_int_equal(x->train[i], i >= p.count && i < p.count + tokens_of(m, "the one") + 1);
    sooth_tokens_release(&p);
    sooth_tokens_release(&w);
    examples_release(&e);
    sooth_model_close(m);
}

static void lesson_training_04_rows_without_a_trained_token_are_counted(void **state)
{
    struct sooth_model *m = train_open(TINY, 1);
    const char *rows = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}\n{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"it\"}]}\n";
    struct samples s;
    struct examples e;
    struct sooth_error err = {0};
    struct example_options o = {.most = 256};
    samples_init(&s);
    examples_init(&e);
    assert_int_equal(samples_parse(&s, "rows", rows, strlen(rows), &err), SOOTH_OK);
    assert_int_equal(examples_make(&e, m, &s, &o, false, &err), SOOTH_ERR_FORMAT);
    assert_non_null(strstr(err.text, "1 of 2 rows leave no token to train"));
    assert_int_equal(e.dropped, 1);
    examples_release(&e);
    samples_release(&s);
    sooth_model_close(m);
}

static void lesson_training_08_too_long_rows_lose_their_prompt_first(void **state)
{
    struct sooth_model *m = train_open(TINY, 1);
    char row[1200], prompt[700] = "";
    struct examples e;
    for (size_t i = 0; i < 60; i++)
        strcat(prompt, "qz kx vj ");
    snprintf(row, sizeof row, "{\"prompt\":\"%s\",\"completion\":\"the one\"}", prompt);
    train_examples(&e, m, row, (struct example_options){.most = 40});
    const struct example *x = &e.list.items[0];
    assert_true(x->n <= 40);
    assert_int_equal(e.cut, 1);
    assert_string_equal(train_trained(m, x), "the one<|im_end|>"); /* the answer and its end are whole */
    examples_release(&e);
    snprintf(row, sizeof row, "{\"prompt\":\"the one\",\"completion\":\"%s\"}", prompt);
    train_examples(&e, m, row, (struct example_options){.most = 40});
    assert_int_equal(e.cut_answers, 1);
    assert_int_equal(e.list.items[0].n, 40);
    assert_true(e.trained > 30); /* the prompt went first */
    examples_release(&e);
    sooth_model_close(m);
}

static void lesson_training_09_one_start_token(void **state)
{
    struct samples s;
    struct examples e;
    struct sooth_error err = {0};
    struct example_options o = {.most = 256};
    struct sooth_model *m = train_open(train_copy("bos.gguf", NULL, false, true), 1); /* ChatML begins with this model's start token */
    int32_t bos = token_special(infer_parts(m).tokenizer, ROLE_BOS);
    struct sooth_message messages[] = {{"user", "who is it"}};
    char *text;
    train_examples(&e, m, chat, o);
    assert_int_equal(e.list.items[0].ids[0], bos);
    assert_int_not_equal(e.list.items[0].ids[1], bos);
    examples_release(&e);
    train_examples(&e, m, "{\"text\":\"who\"}", o);
    assert_int_equal(e.list.items[0].ids[0], bos);
    examples_release(&e);
    assert_int_equal(sooth_render(m, NULL, messages, 1, true, &text, &err), SOOTH_OK);
    sooth_free(text);
    sooth_model_close(m);
    m = train_open(train_copy("bos2.gguf", "{{ '<|im_start|><|im_start|>' }}{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}", false, true), 1);
    samples_init(&s);
    examples_init(&e);
    assert_int_equal(samples_parse(&s, "rows", chat, strlen(chat), &err), SOOTH_OK);
    assert_int_equal(examples_make(&e, m, &s, &o, false, &err), SOOTH_ERR_FORMAT);
    assert_non_null(strstr(err.text, "start token twice"));
    samples_release(&s);
    examples_release(&e);
    sooth_model_close(m);
}

/* What is trained is what a chat reads: the ids before each answer are those of the prompt as served. */
static void lesson_training_10_trained_ids_are_served_ids(void **state)
{
    struct sooth_model *m = train_open(TINY, 1);
    struct examples e;
    struct sooth_session *s;
    struct sooth_generation g;
    struct sooth_generate_options o;
    struct sooth_message messages[] = {{"user", "who is it"}};
    train_examples(&e, m, "{\"prompt\":\"who is it\",\"completion\":\"the one\"}", (struct example_options){0});
    size_t first = 0;
    while (!e.list.items[0].train[first])
        first++;
    sooth_generate_options_init(&o);
    o.max_tokens = 1;
    assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
    assert_int_equal(sooth_chat(s, messages, 1, &o, &g, NULL), SOOTH_OK);
    assert_int_equal(g.n_prompt, first);
    sooth_generation_release(&g);
    sooth_session_free(s);
    examples_release(&e);
    sooth_model_close(m);
}

static void preference_rows_are_sent_to_align(void **state)
{
    struct sooth_model *m = train_open(TINY, 1);
    struct samples s;
    struct examples e;
    struct sooth_error err = {0};
    struct example_options o = {.most = 256};
    const char *row = "{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\"}";
    samples_init(&s);
    examples_init(&e);
    assert_int_equal(samples_parse(&s, "rows", row, strlen(row), &err), SOOTH_OK);
    assert_int_equal(examples_make(&e, m, &s, &o, false, &err), SOOTH_ERR_ARG);
    assert_non_null(strstr(err.hint, "align"));
    samples_release(&s);
    examples_release(&e);
    sooth_model_close(m);
}

/* ---- texts ---- */

static void long_texts_lose_no_token(void **state)
{
    struct sooth_model *m = train_open(TINY, 1);
    const char *text = "the water in the tank is over the line and we are on it, then on and on until the end";
    char row[256];
    struct examples e;
    snprintf(row, sizeof row, "{\"text\":\"%s\"}", text);
    train_examples(&e, m, row, (struct example_options){.most = 10});
    assert_true(e.list.count > 3);
    assert_int_equal(e.trained, tokens_of(m, text)); /* all but the first are targets once, and so is EOS */
    examples_release(&e);
    sooth_model_close(m);
}

/* Ten sentences by hand: after the title and half of the sentence's tokens, the rest is trained. */
static void sentence_completion_masks_by_hand(void **state)
{
    static const char *const sentences[] = {"He is on it.", "The tank is in the water.", "Dr. Wu was in the wash.", "On and on!", "Is it in?", "We wait.",
                                            "The other one is here.", "It was the end.", "User or not?", "The line is over."};
    struct sooth_model *m = train_open(TINY, 1);
    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++) {
        char row[256], line[256];
        struct examples e;
        snprintf(row, sizeof row, "{\"title\":\"Tank\",\"text\":\"%s\"}", sentences[i]);
        snprintf(line, sizeof line, "Tank: %s", sentences[i]);
        size_t n = tokens_of(m, line);
        train_examples(&e, m, row, (struct example_options){.pivot = 0.5, .topic = true});
        assert_int_equal(e.list.items[0].n, n + 1);
        assert_int_equal(e.list.items[0].trained, n - n / 2 - 1);
        examples_release(&e);
    }
    sooth_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_row_is_recognised),
        cmocka_unit_test(a_bad_row_is_named),
        cmocka_unit_test(lesson_training_02_the_end_token_is_trained_though_it_is_the_padding),
        cmocka_unit_test(lesson_training_03_trained_is_answer_and_end_exactly),
        cmocka_unit_test(the_scheme_of_the_notes_to_the_token),
        cmocka_unit_test(lesson_training_04_rows_without_a_trained_token_are_counted),
        cmocka_unit_test(lesson_training_05_nothing_merges_over_the_seam),
        cmocka_unit_test(lesson_training_06_the_trained_text_is_the_answers),
        cmocka_unit_test(lesson_training_07_every_turn_or_the_last),
        cmocka_unit_test(lesson_training_08_too_long_rows_lose_their_prompt_first),
        cmocka_unit_test(lesson_training_09_one_start_token),
        cmocka_unit_test(lesson_training_10_trained_ids_are_served_ids),
        cmocka_unit_test(preference_rows_are_sent_to_align),
        cmocka_unit_test(long_texts_lose_no_token),
        cmocka_unit_test(sentence_completion_masks_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, train_clean);
}
