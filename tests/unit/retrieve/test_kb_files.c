/* Kinds of files in a knowledge base: files inside files, what files say of themselves. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/fsio.h"
#include "know/retrieve/retrieve.h"

static char root[64], docs[128], store[128];

static int setup(void **state)
{
    strcpy(root, "/tmp/sooth-kbf-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(docs, sizeof docs, "%s/docs", root);
    snprintf(store, sizeof store, "%s/store", root);
    return mkdir(docs, 0755);
}

static int teardown(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static void write_doc(const char *name, const char *text)
{
    char path[400];
    struct sooth_error err;
    snprintf(path, sizeof path, "%s/%s", docs, name);
    assert_int_equal(file_write_atomic(path, text, strlen(text), &err), SOOTH_OK);
}

static struct sooth_kb *open_kb(void)
{
    struct sooth_kb *kb;
    struct sooth_error err = {0};
    const struct sooth_kb_options o = {.embedder = "hash", .create = true, .threads = 1};
    if (sooth_kb_open(store, &o, &kb, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return kb;
}

static struct sooth_add_totals add(struct sooth_kb *kb, const struct sooth_add_options *o)
{
    struct sooth_add_totals t;
    struct sooth_error err = {0};
    const char *path = docs;
    if (sooth_kb_add(kb, &path, 1, o, &t, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return t;
}

static size_t found(struct sooth_kb *kb, const char *query, const char *filter, const char *doc)
{
    struct sooth_search_options o;
    struct sooth_hits hits;
    struct sooth_error err = {0};
    size_t n = 0;
    sooth_search_options_init(&o);
    o.mode = SOOTH_SEARCH_TEXT;
    o.filter = filter;
    if (sooth_search(kb, query, &o, &hits, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < hits.count; i++)
        n += strstr(hits.items[i].text, query) != NULL &&
             (!doc || strstr(hits.items[i].doc, doc) != NULL);
    sooth_hits_release(&hits);
    return n;
}

#define HEAD "From: ann@example.org\nSubject: keys\nDate: Tue, 5 Mar 2024 08:30:00 +0100\n" \
             "Content-Type: multipart/mixed; boundary=x\n\n--x\n\nThe gatehouse has the keys.\n"
#define FILE_PART(name, text) "--x\nContent-Disposition: attachment; filename=\"" name "\"\n\n" text "\n"

static void files_inside_files_are_documents(void **state)
{
    struct sooth_kb *kb = open_kb();
    struct sooth_kb_info info;
    write_doc("mail.eml", HEAD FILE_PART("one.txt", "The pelican sleeps.") FILE_PART("two.txt", "The heron stands.") "--x--\n");
    write_doc("mail.txt", "A pelican that is not in the mail.");
    struct sooth_add_totals t = add(kb, NULL);
    assert_int_equal(t.added, 4);
    assert_int_equal(found(kb, "pelican", NULL, "mail.eml/one.txt"), 1);
    t = add(kb, NULL); /* what has not changed costs nothing */
    assert_int_equal(t.unchanged, 2);
    assert_int_equal(t.embedded, 0);
    assert_int_equal(found(kb, "pelican", NULL, "mail.eml/one.txt"), 1);
    write_doc("mail.eml", HEAD FILE_PART("two.txt", "The heron stands.") FILE_PART("three.txt", "The stork clatters.") "--x--\n");
    t = add(kb, NULL); /* one attachment gone, one kept, one new */
    assert_int_equal(t.added, 1);
    assert_int_equal(t.unchanged, 2);
    assert_int_equal(found(kb, "pelican", NULL, "mail.eml"), 0);
    assert_int_equal(found(kb, "heron", NULL, "mail.eml/two.txt"), 1);
    assert_int_equal(found(kb, "stork", NULL, "mail.eml/three.txt"), 1);
    assert_int_equal(sooth_kb_forget(kb, "three.txt", NULL), SOOTH_OK);
    assert_int_equal(found(kb, "stork", NULL, NULL), 0);
    assert_int_equal(sooth_kb_forget(kb, "mail.eml", NULL), SOOTH_OK); /* and all that was in it */
    assert_int_equal(found(kb, "heron", NULL, NULL), 0);
    assert_int_equal(sooth_kb_info(kb, &info, NULL), SOOTH_OK);
    assert_int_equal(info.docs, 1);
    size_t problems = 1;
    assert_int_equal(sooth_kb_check(kb, NULL, NULL, &problems, NULL), SOOTH_OK);
    assert_int_equal(problems, 0);
    sooth_kb_close(kb);
}

static void what_a_file_says_of_itself_can_be_asked_for(void **state)
{
    struct sooth_kb *kb = open_kb();
    write_doc("mail.eml", HEAD "--x--\n");
    const struct sooth_tag tags[] = {{"from", "me"}, {"kind", "letter"}}, later[] = {{"kind", "note"}};
    struct sooth_add_options o = {.tags = later, .n_tags = 1};
    add(kb, NULL);
    assert_int_equal(found(kb, "gatehouse", "from='ann@example.org' and date>='2024-03-01'", NULL), 1);
    assert_int_equal(found(kb, "gatehouse", "date>='2024-04-01'", NULL), 0);
    add(kb, &o); /* the same bytes with tags: the file's own stay */
    assert_int_equal(found(kb, "gatehouse", "from='ann@example.org' and kind=note", NULL), 1);
    o = (struct sooth_add_options){.tags = tags, .n_tags = 2};
    add(kb, &o); /* what the user says counts more */
    assert_int_equal(found(kb, "gatehouse", "from=me and kind=letter and date>='2024-03-01'", NULL), 1);
    sooth_kb_close(kb);
}

static struct sooth_kb *open_split(const char *split, bool reembed, enum sooth_status want)
{
    struct sooth_kb *kb = NULL;
    struct sooth_error err = {0};
    const struct sooth_kb_options o = {
        .embedder = "hash", .create = true, .threads = 1, .split = split, .chunk_tokens = 64,
        .reembed = reembed};
    assert_int_equal(sooth_kb_open(store, &o, &kb, &err), want);
    assert_true(want == SOOTH_OK || strlen(err.hint) > 0 || split[0] == '?');
    return kb;
}

static size_t chunks_of(struct sooth_kb *kb)
{
    struct sooth_kb_info info;
    assert_int_equal(sooth_kb_info(kb, &info, NULL), SOOTH_OK);
    return info.chunks;
}

static void a_store_remembers_how_it_cuts(void **state)
{
    struct buf text = BUF_INIT;
    for (int i = 0; i < 40; i++)
        buf_printf(&text, "Sentence number %d speaks of plant %d. ", i, i * 7);
    write_doc("long.txt", text.data);
    struct sooth_kb *kb = open_split("window", false, SOOTH_OK);
    add(kb, NULL);
    assert_int_equal(chunks_of(kb), 40); /* one a sentence */
    sooth_kb_close(kb);
    open_split("fixed", false, SOOTH_ERR_ARG);
    open_split("?", false, SOOTH_ERR_ARG);
    kb = open_split(NULL, false, SOOTH_OK);
    write_doc("more.txt", "First of two. Second of two.");
    add(kb, NULL);
    assert_int_equal(chunks_of(kb), 42);
    sooth_kb_close(kb);
    kb = open_split("sentence", true, SOOTH_OK);
    assert_true(chunks_of(kb) < 20);
    sooth_kb_close(kb);
    kb = open_split("sentence", false, SOOTH_OK);
    sooth_kb_close(kb);
    buf_release(&text);
}

/* Three of four neighbours are found: the hit is all four, and says where it starts and ends. */
static void parents_are_handed_over(void **state)
{
    struct buf text = BUF_INIT;
    struct sooth_search_options o;
    struct sooth_hits hits;
    struct sooth_error err = {0};
    for (int i = 0; i < 24; i++)
        buf_printf(&text, "# Part %c\n\n%s in part %d, which is told here at some length so that it fills a passage of its own and nothing of the next part fits into it any more, whatever is tried by whoever tries it with care.\n\n",
                   'A' + i, i >= 8 && i <= 11 && i != 10 ? "The capybara swims" : "Nothing happens", i);
    write_doc("parts.md", text.data);
    struct sooth_kb *kb = open_split("parent", false, SOOTH_OK);
    add(kb, NULL);
    assert_true(chunks_of(kb) == 24);
    sooth_search_options_init(&o);
    o.k = 1;
    assert_int_equal(sooth_search(kb, "capybara swims", &o, &hits, &err), SOOTH_OK);
    assert_int_equal(hits.count, 1);
    assert_non_null(strstr(hits.items[0].text, "in part 8,"));
    assert_non_null(strstr(hits.items[0].text, "in part 10,")); /* the hole */
    assert_non_null(strstr(hits.items[0].text, "in part 11,"));
    sooth_hits_release(&hits);
    sooth_kb_close(kb);
    buf_release(&text);
}

/* --- watching: the script goes on when what it did last has been told */

struct watching {
    struct buf told; /* "status name\n" ... */
    int step, ticks;
};

static bool watch_told(void *user, const struct sooth_added *f)
{
    struct watching *w = user;
    const char *below = strstr(f->file, "/docs/");
    buf_printf(&w->told, "%s %s\n", sooth_add_status_name(f->status), below ? below + 6 : f->file);
    return true;
}

static bool has(const struct watching *w, const char *line)
{
    return strstr(buf_str(&w->told), line) != NULL;
}

static char *below(const char *name)
{
    static char path[2][400];
    static int at;
    at = !at;
    snprintf(path[at], sizeof path[at], "%s/%s", docs, name);
    return path[at];
}

static bool watch_step(void *user, const char *file, size_t done, size_t total)
{
    struct watching *w = user;
    if (++w->ticks > 900)
        fail_msg("step %d after: %s", w->step, buf_str(&w->told));
    if (w->step == 0 && has(w, "added first.txt\n")) {
        write_doc("new.txt", "A new file appears.");
    } else if (w->step == 1 && has(w, "added new.txt\n")) {
        write_doc("new.txt", "A new file changes.");
    } else if (w->step == 2 && has(w, "updated new.txt\n")) {
        assert_int_equal(mkdir(below("sub"), 0755), 0);
        write_doc("sub/deep.txt", "Deep in a new folder.");
        write_doc("sub/unread.xyz", "No format for this."); /* found, not named: no line about it */
    } else if (w->step == 3 && has(w, "added sub/deep.txt\n")) {
        assert_int_equal(rename(below("new.txt"), below("moved.txt")), 0);
    } else if (w->step == 4 && has(w, "added moved.txt\n") && has(w, "forgotten new.txt\n")) {
        assert_int_equal(unlink(below("sub/deep.txt")) | unlink(below("sub/unread.xyz")), 0);
        assert_int_equal(rmdir(below("sub")), 0);
    } else if (w->step == 5 && has(w, "forgotten sub/deep.txt\n")) {
        return false;
    } else {
        return true;
    }
    w->step++;
    return true;
}

static void a_folder_is_followed(void **state)
{
    struct watching w = {.told = BUF_INIT};
    struct sooth_error err = {0};
    const char *path = docs;
    const struct sooth_add_options o = {.on_file = watch_told, .on_progress = watch_step, .user = &w, .ocr = "never"};
    struct sooth_kb *kb = open_kb();
    write_doc("first.txt", "Here from the start.");
    write_doc("lost.txt", "Gone before it is watched.");
    add(kb, NULL);
    assert_int_equal(unlink(below("lost.txt")), 0);
    assert_int_equal(sooth_kb_forget(kb, "first.txt", &err), SOOTH_OK);
    if (sooth_kb_watch(kb, &path, 1, &o, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    assert_true(has(&w, "forgotten lost.txt\n"));
    assert_false(has(&w, "failed"));
    struct sooth_kb_info info;
    assert_int_equal(sooth_kb_info(kb, &info, NULL), SOOTH_OK);
    assert_int_equal(info.docs, 2);
    assert_int_equal(found(kb, "file changes", NULL, "moved.txt"), 1);
    path = "/nowhere/at/all";
    assert_int_equal(sooth_kb_watch(kb, &path, 1, &o, &err), SOOTH_ERR_NOTFOUND);
    sooth_kb_close(kb);
    buf_release(&w.told);
}

static bool stop_now(void *user, const char *file, size_t done, size_t total)
{
    return false;
}

/* A disk that is not mounted looks like an empty folder. */
static void an_empty_folder_is_no_deletion(void **state)
{
    struct sooth_error err = {0};
    const char *path = docs;
    const struct sooth_add_options o = {.on_progress = stop_now};
    struct sooth_kb *kb = open_kb();
    struct sooth_kb_info info;
    write_doc("a.txt", "Text.");
    add(kb, NULL);
    unlink(below("a.txt"));
    assert_int_equal(sooth_kb_watch(kb, &path, 1, &o, &err), SOOTH_OK);
    assert_int_equal(sooth_kb_info(kb, &info, NULL), SOOTH_OK);
    assert_int_equal(info.docs, 1);
    sooth_kb_close(kb);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(files_inside_files_are_documents),
        T(what_a_file_says_of_itself_can_be_asked_for),
        T(a_store_remembers_how_it_cuts),
        T(parents_are_handed_over),
        T(a_folder_is_followed),
        T(an_empty_folder_is_no_deletion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
