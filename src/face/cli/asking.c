/* asking.c: what `ask` and `chat` share. */
#include "asking.h"
#include <stdlib.h>
#include <string.h>

static bool given(const char *option, const char *word)
{
    return option && strcmp(option, word) == 0;
}

/* The named model must open; the default one may be missing, then answers are quoted. */
static int open_model(struct asking *k)
{
    int status = EXIT_DONE;
    char path[4096];
    if (given(k->args->answer, "quote"))
        return EXIT_DONE;
    const char *name = k->args->model ? k->args->model : "smollm2";
    if (!k->args->model && sooth_model_find(name, path, sizeof path, NULL) != SOOTH_OK) {
        cli_say(k->common, "no language model is installed ('make models'): answers are quoted");
        return EXIT_DONE;
    }
    k->model = cli_open_model(k->common, name, k->args->api_model, &status);
    struct sooth_error err = { 0 };
    if (k->model && (status = cli_open_adapters(&k->args->adapters, k->model, &k->adapters)) == EXIT_DONE &&
        (sooth_session_new(k->model, &k->session, &err) != SOOTH_OK ||
         sooth_session_wear(k->session, k->adapters.items, k->adapters.count, &err) != SOOTH_OK))
        return cli_fail(&err);
    return status;
}

int asking_open(struct asking *k, const struct common_args *common, const struct asking_args *args)
{
    int status;
    *k = (struct asking){ .common = common, .args = args };
    if ((status = cli_count(args->k, &k->k)) != EXIT_DONE)
        return status;
    k->kb = cli_open_kb(common, &args->kb, false, true, &status);
    return k->kb ? open_model(k) : status;
}

void asking_close(struct asking *k)
{
    sooth_session_free(k->session);
    cli_close_adapters(&k->adapters);
    sooth_model_close(k->model);
    sooth_kb_close(k->kb);
}

void asking_options(const struct asking *k, struct sooth_ask_options *out)
{
    const struct asking_args *a = k->args;
    sooth_ask_options_init(out);
    out->k = k->k;
    out->verify = !given(a->verify, "off");
    out->mode = given(a->answer, "generate") ? SOOTH_ANSWER_GENERATE : given(a->answer, "quote") ? SOOTH_ANSWER_QUOTE : SOOTH_ANSWER_AUTO;
    out->rewrite = a->rewrite ? a->rewrite : "auto";
    out->filter = a->filter;
    out->sampling.seed = (uint64_t)k->common->seed;
    if (a->max_tokens)
        out->max_tokens = (size_t)a->max_tokens;
}
