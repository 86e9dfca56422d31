/* kb_fixture.h: one scratch knowledge base a test, with the embedder that needs no model. */
#ifndef TEST_KB_FIXTURE_H
#define TEST_KB_FIXTURE_H
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "sooth/kb.h"

static char root[64];

static inline int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/sooth-kb-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static inline int teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static inline struct sooth_kb *open_kb(void)
{
    struct sooth_kb *kb;
    struct sooth_error err = {0};
    const struct sooth_kb_options o = {.embedder = "hash", .create = true, .threads = 1};
    if (sooth_kb_open(root, &o, &kb, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return kb;
}

static inline void add(struct sooth_kb *kb, const char *name, const char *text)
{
    struct sooth_error err = {0};
    if (sooth_kb_add_bytes(kb, name, text, strlen(text), NULL, NULL, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
}
#endif
