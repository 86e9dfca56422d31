/* ask.c: a knowledge base in a program of your own: add files, ask, print the answer with its sources.
 *
 *     ./ask /tmp/kb "How long is the warranty?" manual.pdf */
#include <stdio.h>
#include <sooth/kb.h>

static int answer(struct sooth_kb *kb, const char *question)
{
    struct sooth_error err = { 0 };
    struct sooth_answer a = { 0 };
    if (sooth_ask(kb, NULL, question, NULL, &a, &err) != SOOTH_OK) {
        fprintf(stderr, "ask: %s\n", err.text);
        return 1;
    }
    printf("%s\n", a.abstained ? "The documents do not answer this." : a.answer);
    for (size_t i = 0; i < a.n_citations; i++)
        printf("[%zu] %s, page %zu: %s\n", a.citations[i].n, a.citations[i].doc, a.citations[i].page, a.citations[i].quote);
    int status = a.abstained ? 3 : 0;
    sooth_answer_release(&a);
    return status;
}

int main(int argc, char **argv)
{
    struct sooth_error err = { 0 };
    struct sooth_kb_options options = { .create = true };
    struct sooth_kb *kb = NULL;
    int status = 1;
    if (argc < 3) {
        fprintf(stderr, "usage: ask KB QUESTION [FILE...]\n");
        return 2;
    }
    if (sooth_kb_open(argv[1], &options, &kb, &err) != SOOTH_OK ||
        sooth_kb_add(kb, (const char *const *)argv + 3, (size_t)argc - 3, NULL, NULL, &err) != SOOTH_OK)
        fprintf(stderr, "ask: %s\n", err.text);
    else
        status = answer(kb, argv[2]);
    sooth_kb_close(kb);
    return status;
}
