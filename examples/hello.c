/* hello.c: the smallest program on the library: a model, a session, one answer.
 *
 *     cc hello.c -o hello $(pkg-config --cflags --libs sooth)
 *     ./hello smollm2 "What is the capital of France?" */
#include <stdio.h>
#include <sooth/model.h>

static bool print(void *user, const char *text, size_t len)
{
    fwrite(text, 1, len, stdout);
    return fflush(stdout) == 0;
}

static int fail(const struct sooth_error *err)
{
    fprintf(stderr, "hello: %s\n", err->text);
    return 1;
}

int main(int argc, char **argv)
{
    struct sooth_error err = { 0 };
    struct sooth_model *model = NULL;
    struct sooth_session *session = NULL;
    struct sooth_generation result = { 0 };
    struct sooth_generate_options options;
    if (argc != 3) {
        fprintf(stderr, "usage: hello MODEL PROMPT\n");
        return 2;
    }
    if (sooth_model_open(argv[1], NULL, &model, &err) != SOOTH_OK)
        return fail(&err);
    int status = 0;
    struct sooth_message message = { "user", argv[2] };
    sooth_generate_options_init(&options);
    options.max_tokens = 64;
    options.on_text = print;
    if (sooth_session_new(model, &session, &err) != SOOTH_OK ||
        sooth_chat(session, &message, 1, &options, &result, &err) != SOOTH_OK)
        status = fail(&err);
    printf("\n");
    sooth_generation_release(&result);
    sooth_session_free(session);
    sooth_model_close(model);
    return status;
}
