/* cmd_pretrain.c: `sooth pretrain`: a language model from nothing but text. */
#include "training.h"
#include "core/base/alloc.h"

extern const struct verb_row verb_pretrain;

struct pretrain_args {
    struct common_args common;
    struct training_args training;
    const char *arch, *config, *valid;
    struct text_list data;
    int64_t vocab;
    double holdout, pivot;
    bool topic;
};

static const struct option_row pretrain_options[] = {
    OPT_TEXT(pretrain_args, arch, "arch", 'a', "NAME", "the architecture (default llama); 'sooth list arch' shows them"),
    OPT_TEXT(pretrain_args, config, "config", 0, "FILE", "JSON with config.json's keys: hidden_size, num_hidden_layers, ... (default: a small model)"),
    OPT_LIST(pretrain_args, data, "data", 'd', "PATH", "text: .txt, .md, rows with \"text\", or a directory with train and valid (may be given again)"),
    OPT_TEXT(pretrain_args, valid, "valid", 0, "FILE", "text for validation (default: the end of the data)"),
    OPT_REAL(pretrain_args, holdout, "holdout", 0, "X", "share of the data held out where there is no --valid (default 0.05)", 0, 0.9),
    OPT_INT(pretrain_args, vocab, "vocab", 0, "N", "pieces of the tokenizer (default: the configuration's, else 4096)", 257, 1e6),
    OPT_REAL(pretrain_args, pivot, "pivot", 0, "X", "sentence-completion loss: leave this share of each sentence untrained", 0, 0.99),
    OPT_FLAG(pretrain_args, topic, "topic-prefix", 0, "put a row's title before each of its sentences"),
    TRAINING_OPTIONS(pretrain_args),
};

static int pretrain_run(void *p)
{
    const struct pretrain_args *a = p;
    struct sooth_pretrain_options o;
    struct training training;
    struct sooth_train_events events;
    struct sooth_train_result result;
    struct sooth_error err = { 0 };
    const struct text_list *more = &a->common.rest; /* `--data a b c`: what follows is data too */
    size_t n = a->data.count + more->count;
    if (!n || !a->training.out)
        return cli_usage(&verb_pretrain, "pretrain wants --data and --out");
    const char **data = mem_calloc(n, sizeof *data);
    if (!data) {
        fprintf(stderr, "sooth: out of memory\n");
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < n; i++)
        data[i] = i < a->data.count ? a->data.items[i] : more->items[i - a->data.count];
    sooth_pretrain_options_init(&o);
    o.arch = a->arch, o.config = a->config, o.data = data, o.n_data = n, o.valid = a->valid;
    o.vocab = (size_t)a->vocab, o.holdout = a->holdout, o.pivot = a->pivot, o.topic = a->topic;
    training_begin(&training, &a->common, &a->training, &o.train, &events);
    enum sooth_status status = sooth_pretrain(&o, &events, &result, &err);
    mem_free(data);
    return training_end(&training, status, &result, &err);
}

const struct verb_row verb_pretrain = {
    .name = "pretrain", .group = "learning", .usage = "--data PATH... --out DIR", .summary = "make a language model from text alone",
    .about = "Learns a byte-level BPE tokenizer from the text, draws a model of the architecture at random and trains all its numbers. The\n"
             "validation loss is also told in bits per byte. DIR is a directory that every other verb takes for a model. Ctrl-C saves\n"
             "first; --resume goes on.",
    .examples = "  sooth pretrain --data book.txt --out tiny --steps 300 --vocab 1024\n"
                "  sooth run tiny --raw \"Once upon a time\" --max-tokens 40\n"
                "  sooth pretrain --arch deepnorm --config deep.json --data texts --out deep --steps 1000\n",
    .options = pretrain_options, .n_options = sizeof pretrain_options / sizeof pretrain_options[0],
    .args_size = sizeof(struct pretrain_args), .run = pretrain_run,
};
