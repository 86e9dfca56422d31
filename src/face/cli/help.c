/* help.c: the overview, a verb's help, its manual page and shell completion, all from the rows. */
#include <string.h>
#include "cli.h"

static const char *const groups[] = { "knowledge", "models", "learning", "measuring", "help" };

void help_overview(FILE *out)
{
    fprintf(out, "sooth %s: answers from your own documents, every sentence checked\n\n", sooth_version());
    fprintf(out, "  sooth add PATH...          put documents into the knowledge base\n"
                 "  sooth ask \"QUESTION\"       a cited, checked answer from them\n\n");
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        fprintf(out, "%s\n", groups[g]);
        for (size_t i = 0; i < verb_count(); i++)
            if (strcmp(verb_at(i)->group, groups[g]) == 0)
                fprintf(out, "  %-12s %s\n", verb_at(i)->name, verb_at(i)->summary);
    }
    fprintf(out, "\n'sooth VERB -h' explains one; 'sooth help --man VERB' prints its manual page\n");
}

static void option_head(const struct option_row *o, char *out, size_t size)
{
    int n = o->letter ? snprintf(out, size, "-%c, --%s", o->letter, o->name) : snprintf(out, size, "    --%s", o->name);
    if (o->arg && n > 0 && (size_t)n < size)
        snprintf(out + n, size - (size_t)n, " %s", o->arg);
}

/* A verb's own option of the same name takes a common one's place. */
static bool overridden(const struct verb_row *verb, const struct option_row *common)
{
    for (size_t i = 0; i < verb->n_options; i++)
        if (&verb->options[i] != common && strcmp(verb->options[i].name, common->name) == 0)
            return true;
    return false;
}

static void options_print(const struct verb_row *verb, const struct option_row *rows, size_t n, FILE *out)
{
    for (size_t i = 0; i < n; i++) {
        char head[96];
        if (overridden(verb, &rows[i]))
            continue;
        option_head(&rows[i], head, sizeof head);
        if (strlen(head) > 28)
            fprintf(out, "  %s\n  %-28s %s\n", head, "", rows[i].help);
        else
            fprintf(out, "  %-28s %s\n", head, rows[i].help);
    }
}

void help_verb(const struct verb_row *verb, FILE *out)
{
    fprintf(out, "usage: sooth %s%s%s\n\n%s\n", verb->name, *verb->usage ? " " : "", verb->usage, verb->about);
    if (verb->n_options) {
        fprintf(out, "\noptions\n");
        options_print(verb, verb->options, verb->n_options, out);
    }
    fprintf(out, "\ncommon options\n");
    options_print(verb, common_options, n_common_options, out);
    if (verb->examples)
        fprintf(out, "\nexamples\n%s", verb->examples);
}

/* --- roff -- */

static void roff_text(const char *s, FILE *out)
{
    bool start = true;
    for (; *s; s++) {
        if (start && (*s == '.' || *s == '\''))
            fputs("\\&", out);
        if (*s == '\\')
            fputs("\\e", out);
        else if (*s == '-')
            fputs("\\-", out);
        else
            fputc(*s, out);
        start = *s == '\n';
    }
}

static void roff_options(const char *title, const struct verb_row *verb, const struct option_row *rows, size_t n, FILE *out)
{
    if (!n)
        return;
    fprintf(out, ".SH %s\n", title);
    for (size_t i = 0; i < n; i++) {
        char head[96];
        if (overridden(verb, &rows[i]))
            continue;
        option_head(&rows[i], head, sizeof head);
        fputs(".TP\n.B ", out);
        roff_text(head + strspn(head, " "), out);
        fputc('\n', out);
        roff_text(rows[i].help, out);
        fputc('\n', out);
    }
}

static void roff_lines(const char *text, FILE *out)
{
    fputs(".nf\n", out);
    roff_text(text, out);
    fputs(".fi\n", out);
}

static void manual_overview(FILE *out)
{
    fprintf(out, ".TH SOOTH 1 \"\" \"sooth %s\" \"sooth manual\"\n.SH NAME\n"
                 "sooth \\- answers from your own documents, every sentence checked\n.SH SYNOPSIS\n.B sooth\nVERB [options] [arguments]\n"
                 ".SH VERBS\n", sooth_version());
    for (size_t i = 0; i < verb_count(); i++) {
        fprintf(out, ".TP\n.BR sooth\\-%s (1)\n", verb_at(i)->name);
        roff_text(verb_at(i)->summary, out);
        fputc('\n', out);
    }
    fprintf(out, ".SH EXIT STATUS\n0 done; 1 failed; 2 wrong usage; 3 abstained (ask) or unsupported claims found (check).\n"
                 ".SH ENVIRONMENT\n.TP\n.B SOOTH_KB\nthe knowledge base when \\-\\-kb is not given\n"
                 ".TP\n.B SOOTH_HOME\nwhere models are looked for, in models/ (default ~/.local/share/sooth)\n"
                 ".TP\n.B SOOTH_API_KEY\nkey for OpenAI\\-compatible servers\n"
                 ".TP\n.B SOOTH_CPU\nc, avx2 or avx512: use no wider instructions than these\n"
                 ".TP\n.B NO_COLOR\nno colour, even on a terminal\n");
}

void help_manual(const struct verb_row *verb, FILE *out)
{
    if (!verb) {
        manual_overview(out);
        return;
    }
    fprintf(out, ".TH SOOTH\\-");
    for (const char *p = verb->name; *p; p++)
        fputc(*p - 'a' + 'A', out);
    fprintf(out, " 1 \"\" \"sooth %s\" \"sooth manual\"\n.SH NAME\nsooth\\-%s \\- ", sooth_version(), verb->name);
    roff_text(verb->summary, out);
    fprintf(out, "\n.SH SYNOPSIS\n.B sooth %s\n", verb->name);
    roff_text(verb->usage, out);
    fputs("\n.SH DESCRIPTION\n", out);
    roff_text(verb->about, out);
    fputc('\n', out);
    roff_options("OPTIONS", verb, verb->options, verb->n_options, out);
    roff_options("COMMON OPTIONS", verb, common_options, n_common_options, out);
    if (verb->examples) {
        fputs(".SH EXAMPLES\n", out);
        roff_lines(verb->examples, out);
    }
    fputs(".SH SEE ALSO\n.BR sooth (1)\n", out);
}

/* --- completion -- */

static void completion_words(const struct option_row *rows, size_t n, FILE *out)
{
    for (size_t i = 0; i < n; i++)
        fprintf(out, " --%s", rows[i].name);
}

void help_completion(FILE *out)
{
    fputs("# bash completion for sooth: source it, or put it into /etc/bash_completion.d\n_sooth() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} words=\n    if [ $COMP_CWORD -eq 1 ]; then words=\"", out);
    for (size_t i = 0; i < verb_count(); i++)
        fprintf(out, "%s%s", i ? " " : "", verb_at(i)->name);
    fputs("\"; else case ${COMP_WORDS[1]} in\n", out);
    for (size_t i = 0; i < verb_count(); i++) {
        fprintf(out, "        %s) words=\"", verb_at(i)->name);
        completion_words(verb_at(i)->options, verb_at(i)->n_options, out);
        completion_words(common_options, n_common_options, out);
        fputs("\" ;;\n", out);
    }
    fputs("    esac; fi\n    case $cur in -*) ;; *) [ $COMP_CWORD -gt 1 ] && words= ;; esac\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _sooth sooth\n", out);
}
