/* asking.h: what `ask` and `chat` share: the knowledge base, the model, the options of an answer. */
#ifndef CLI_ASKING_H
#define CLI_ASKING_H
#include "cli.h"

struct asking_args {
    struct kb_args kb;
    const char *model, *api_model, *answer, *verify, *rewrite, *filter, *k;
    struct text_list adapters;
    int64_t max_tokens;
};

#define ASKING_OPTIONS(s) \
    OPT_TEXT(s, asking.kb.dir, "kb", 0, "DIR", "the knowledge base (default $SOOTH_KB, else ./.sooth)"), \
    OPT_TEXT(s, asking.kb.embedder, "embedder", 0, "MODEL", "embedding model (default: what the store remembers)"), \
    OPT_TEXT(s, asking.model, "model", 'm', "MODEL", "who writes the answer (default smollm2 where it is installed)"), \
    OPT_LIST(s, asking.adapters, "adapter", 0, "DIR[:SCALE]", "an adapter the model wears (may be given again)"), \
    OPT_TEXT(s, asking.api_model, "api-model", 0, "NAME", "for a server: its name for the model"), \
    OPT_TEXT(s, asking.k, "count", 'k', "auto|N", "passages to answer from (default auto)"), \
    OPT_TEXT(s, asking.answer, "answer", 0, "auto|generate|quote", "write the answer, or quote the documents (default auto)"), \
    OPT_TEXT(s, asking.verify, "verify", 0, "on|off", "check each sentence against its source (default on)"), \
    OPT_TEXT(s, asking.rewrite, "rewrite", 0, "auto|none|hyde|query2doc|multi|sub|stepback|rm3", "auto makes follow-up questions standalone (default); the others also search for more than the question"), \
    OPT_TEXT(s, asking.filter, "filter", 0, "EXPR", "only passages that match, such as \"year=2024\""), \
    OPT_INT(s, asking.max_tokens, "max-tokens", 'n', "N", "longest answer (default 256)", 1, 100000)

struct asking {
    const struct common_args *common;
    const struct asking_args *args;
    struct sooth_kb *kb;
    struct sooth_model *model;     /* NULL: answers are quoted */
    struct adapter_list adapters;
    struct sooth_session *session;
    size_t k;
};

int asking_open(struct asking *k, const struct common_args *common, const struct asking_args *args); /* asking_close in any case */
void asking_close(struct asking *k);
void asking_options(const struct asking *k, struct sooth_ask_options *out);
#endif
