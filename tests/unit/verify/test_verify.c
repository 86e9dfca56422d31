/* test_verify.c: the checker on hand-made pairs. Each edit changes one fact of its source; each paraphrase none. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "know/verify/verify.h"

struct pair { const char *source, *claim; };

static const struct pair edits[] = {
    /* numbers */
    { "The tank holds 1.5 litres of water.", "The tank holds 2.5 litres of water." },
    { "Gutenprint currently supports over 1500 printer models.", "Gutenprint supports over 2500 printer models." },
    { "The licence costs 1,200 euros a year.", "The licence costs 1,400 euros a year." },
    { "Twelve volunteers maintain the archive.", "Fifteen volunteers maintain the archive." },
    { "The battery loses 12 % of its charge each month.", "The battery loses 21 percent of its charge each month." },
    { "The parcel must arrive within two weeks.", "The parcel must arrive within 21 days." },
    { "The river is 34 km long.", "The river is 43 km long." },
    { "Version 0.8.3 introduced the feature.", "Version 0.9.3 introduced the feature." },
    { "该公司有一百二十名员工。", "该公司有150名员工。" },
    { "水箱容量为１５升。", "水箱容量为25升。" },
    { "它支持多达 32 个铜层的 PCB。", "它支持多达 64 个铜层的 PCB。" },
    { "约百分之三十的用户来自上海。", "约40%的用户来自上海。" },
    { "合同期限为三年，押金为两个月租金。", "合同期限为五年，押金为两个月租金。" },
    { "After the fixed term either side may end the lease with three months' notice.\n\n2. Rent and costs", "The lease may be ended with 2 months' notice." },
    { "6 Cleaning and care\n\nClean the pump filter every two months.", "Clean the pump filter every six months." },
    /* dates */
    { "The bridge was opened on March 5, 2024.", "The bridge was opened on 5 March 2023." },
    { "Ms Chen joined the board in 1998.", "Ms Chen joined the board in 1989." },
    { "The contract was signed on 2024-03-05.", "The contract was signed on March 15, 2024." },
    { "The museum (founded in 1932) owns 400 paintings.", "The museum was founded in 1952." },
    { "We renamed the project in the fall of 2004.", "The project was renamed in 2006." },
    { "该桥于2024年3月5日通车。", "该桥于2024年5月3日通车。" },
    { "学校成立于一九五二年。", "学校成立于1962年。" },
    { "1979 年，David Fuchs 提出了这个格式。", "1989 年，David Fuchs 提出了这个格式。" },
    { "会议将在二〇二四年五月举行。", "会议将在2025年5月举行。" },
    /* negation and opposites */
    { "The driver does not support colour printing.", "The driver supports colour printing." },
    { "The pump runs without external power.", "The pump runs with external power." },
    { "Visitors are allowed to take photographs.", "Visitors are not allowed to take photographs." },
    { "The tool never deletes user files.", "The tool deletes user files." },
    { "Smoking is forbidden in the hall.", "Smoking is allowed in the hall." },
    { "The price increased in May.", "The price decreased in May." },
    { "The old format is supported by the reader.", "The old format is unsupported by the reader." },
    { "Members cannot transfer their shares.", "Members can transfer their shares." },
    { "Backups are kept before the upgrade.", "Backups are kept after the upgrade." },
    { "本软件不支持 Windows 系统。", "本软件支持 Windows 系统。" },
    { "租客可以饲养宠物。", "租客不可以饲养宠物。" },
    { "禁止在大厅吸烟。", "允许在大厅吸烟。" },
    { "该药物没有副作用。", "该药物有副作用。" },
    { "去年销量上升。", "去年销量下降。" },
    { "该选项是必须的。", "该选项是可选的。" },
    { "用户无需注册即可下载。", "用户需注册才可下载。" },
    /* roles */
    { "Alice sued Bob.", "Bob sued Alice." },
    { "Google acquired YouTube from its founders.", "YouTube acquired Google from its founders." },
    { "Anna taught Boris chess in Minsk.", "Boris taught Anna chess in Minsk." },
    { "Acme sells pumps to Globex.", "Globex sells pumps to Acme." },
    { "The dog bit the postman.", "The postman bit the dog." },
    { "Portugal defeated Spain in the final.", "Spain defeated Portugal in the final." },
    { "Kent was replaced by Lee.", "Lee was replaced by Kent." },
    { "腾讯起诉字节。", "字节起诉腾讯。" },
    { "小王借给小李一本书。", "小李借给小王一本书。" },
    { "甲方赔偿乙方损失。", "乙方赔偿甲方损失。" },
};

static const struct pair names[] = {
    { "Neil Armstrong was the first person to walk on the Moon (1969).", "Charles Lindbergh was the first person to walk on the Moon in 1951." },
    { "Marie Curie discovered polonium in Paris.", "Lise Meitner discovered polonium in Paris." },
    { "Run update-initramfs to make the archive.", "Run update-grub to make the archive." },
    { "The office is in Boston.", "The office is in Denver." },
    { "The text mail client meets on irc.libera.chat.", "The text mail client meets on irc.example.net." },
    { "该桥由北京建工公司建造。", "该桥由上海建工公司建造。" },
};

static const struct pair paraphrases[] = {
    { "Gutenprint currently supports over 1500 printer models.", "Over 1,500 printer models are supported by Gutenprint." },
    { "The tank holds 1.5 litres of water.", "The tank can hold 1.5 litres." },
    { "Twelve volunteers maintain the archive.", "The archive is maintained by 12 volunteers." },
    { "The parcel must arrive within two weeks.", "The parcel must arrive within 14 days." },
    { "The bridge was opened on March 5, 2024.", "The bridge opened on 2024-03-05." },
    { "Ms Chen joined the board in 1998 and left it in 2004.", "Ms Chen left the board in 2004." },
    { "The driver does not support colour printing.", "Colour printing is not supported by the driver." },
    { "Alice sued Bob.", "Bob was sued by Alice." },
    { "The tool never deletes user files.", "User files are never deleted by the tool." },
    { "In the summer of 1999, I purchased an Epson printer to feed my photography hobby.", "An Epson printer was purchased in 1999 for a photography hobby." },
    { "All bug reports of severity critical, grave or serious block a release.", "Bugs of severity critical, grave and serious block a release." },
    { "The pump runs without external power.", "No external power is needed by the pump." },
    { "Neil Armstrong was the first person to walk on the Moon (1969).", "In 1969 Neil Armstrong became the first person to walk on the Moon." },
    { "Marie Curie discovered polonium. She worked in Paris.", "Marie Curie worked in Paris." },
    { "The nconfig frontend requires the ncurses library.", "The ncurses library is required by nconfig." },
    { "Acme was founded in 1990. It has 50 shops.", "Acme was founded in 1990 and has 50 shops." },
    { "The price is 12 % lower.", "The price is 12 percent lower." },
    { "该公司有一百二十名员工。", "该公司有120名员工。" },
    { "学校成立于一九五二年。", "学校于1952年成立。" },
    { "该桥于2024年3月5日通车。", "2024年3月5日，该桥通车。" },
    { "约百分之三十的用户来自上海。", "约30%的用户来自上海。" },
    { "它支持多达 32 个铜层的 PCB。", "PCB 最多支持 32 个铜层。" },
    { "角色名的决定是由 Bruce Perens 作出的，他当时在皮克斯工作。", "Bruce Perens 当时在皮克斯工作。" },
    { "合同期限为三年，押金为两个月租金。", "合同期限为三年。" },
    { "本软件不支持 Windows 系统。", "Windows 系统不被本软件支持。" },
    { "水箱容量为１５升。", "水箱容量为15升。" },
};

static struct verify_result judge(const char *source, const char *claim, const char *given)
{
    struct verify_source s = { source, strlen(source), NULL };
    struct verifier *v;
    struct verify_result r;
    assert_int_equal(verifier_new(&s, 1, &v, NULL), SOOTH_OK);
    assert_int_equal(verifier_check(v, claim, strlen(claim), given, &r, NULL), SOOTH_OK);
    verifier_free(v);
    assert_true(r.why[0] != 0 && strchr(r.why, '\n') == NULL);
    assert_true(r.score >= 0 && r.score <= 1);
    return r;
}

static size_t count(const struct pair *p, size_t n, bool kept, const char *what)
{
    size_t good = 0;
    for (size_t i = 0; i < n; i++) {
        struct verify_result r = judge(p[i].source, p[i].claim, NULL);
        bool k = r.verdict == SOOTH_SUPPORTED || r.verdict == SOOTH_PARTLY;
        good += k == kept;
        if (k != kept)
            print_message("# %s: '%s' / '%s': %s\n", what, p[i].source, p[i].claim, r.why);
    }
    print_message("# %s: %zu of %zu\n", what, good, n);
    return good;
}
#define COUNT(t, kept) count(t, sizeof(t) / sizeof *(t), kept, #t)

static void verify_edits_are_seen(void **state)
{
    (void)state;
    assert_true(COUNT(edits, false) * 10 >= 9 * (sizeof edits / sizeof *edits));
    size_t own = 0, n = sizeof edits / sizeof *edits; /* and the unedited source supports itself */
    for (size_t i = 0; i < n; i++)
        own += judge(edits[i].source, edits[i].source, NULL).verdict == SOOTH_SUPPORTED;
    print_message("# sources that support themselves: %zu of %zu\n", own, n);
    assert_int_equal(own, n);
}

static void verify_names_are_seen(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct verify_result r = judge(names[i].source, names[i].claim, NULL);
        if (r.verdict == SOOTH_SUPPORTED)
            print_message("# '%s': %s\n", names[i].claim, r.why);
        assert_int_not_equal(r.verdict, SOOTH_SUPPORTED);
    }
}

static void verify_paraphrases_are_kept(void **state)
{
    (void)state;
    assert_true(COUNT(paraphrases, true) * 10 >= 9 * (sizeof paraphrases / sizeof *paraphrases));
}

/* The answer names another man and another year than the source: an inconsistency, with both reasons at hand. */
static void verify_moon(void **state)
{
    (void)state;
    struct verify_result r = judge("Neil Armstrong was the first person to walk on the Moon (1969).",
                                   "Charles Lindbergh was the first person to walk on the Moon in 1951.", NULL);
    assert_int_equal(r.verdict, SOOTH_CONTRADICTED);
    r = judge("Neil Armstrong was the first person to walk on the Moon (1969).", "Charles Lindbergh in 1951.",
              "Who was the first person to walk on the Moon, and when?");
    assert_int_equal(r.verdict, SOOTH_CONTRADICTED);
}

static void verify_unrelated(void **state)
{
    (void)state;
    assert_int_equal(judge("The tank holds 1.5 litres.", "A prime number has two divisors.", NULL).verdict, SOOTH_UNSUPPORTED);
    assert_int_equal(judge("水箱容量为15升。", "质数只有两个因数。", NULL).verdict, SOOTH_UNSUPPORTED);
    assert_int_equal(judge("The tank holds 1.5 litres.", "Is it so?", NULL).verdict, SOOTH_UNSUPPORTED);
    assert_int_equal(judge("", "The tank holds 1.5 litres.", NULL).verdict, SOOTH_UNSUPPORTED);
    assert_int_equal(judge("x", "", NULL).verdict, SOOTH_UNSUPPORTED);
}

static void verify_evidence_span(void **state)
{
    (void)state;
    const char *text = "Rain fell. The tank holds 1.5 litres of water. It is blue.";
    struct verify_result r = judge(text, "The tank holds 1.5 litres.", NULL);
    assert_int_equal(r.n_best, 1);
    assert_int_equal(r.best[0].start, 11);
    assert_int_equal(r.best[0].end, 46);
}

/* --- claims --------------------------------------------------------------------------------------------------- */

static void claims_counts(void **state)
{
    static const struct { const char *s; size_t n; } cases[] = {
        { "Acme was founded in 1990.", 1 }, { "Acme was founded in 1990 and has 50 shops.", 2 }, { "Cats and dogs are nice.", 1 },
        { "The tool reads files, and it writes logs.", 2 }, { "It is red; it is round.", 2 }, { "He likes tea and coffee.", 1 },
        { "The pump was built in 1990 but was sold in 2000.", 2 }, { "Is it so?", 0 }, { "", 0 }, { "It runs on Linux, BSD and macOS.", 1 },
        { "According to the report, Acme was founded in 1990.", 1 }, { "The price rose, while the cost was stable.", 1 },
        { "该公司成立于1990年，有五十家门店。", 2 }, { "今天下雨。", 1 }, { "他是医生；她是律师。", 2 }, { "根据报告，该公司成立于1990年。", 1 },
        { "红色，绿色。", 1 }, { "真的吗？", 0 },
    };
    struct claim c[CLAIMS_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = claims_split(cases[i].s, strlen(cases[i].s), c);
        if (n != cases[i].n)
            print_message("# '%s': %zu\n", cases[i].s, n);
        assert_int_equal(n, cases[i].n);
        for (size_t k = 0; k < n; k++)
            assert_true(c[k].start < c[k].end && c[k].end <= strlen(cases[i].s) && c[k].subject_start <= c[k].subject_end && c[k].subject_end <= c[k].start + 1000);
    }
    const char *s = "Acme was founded in 1990 and has 50 shops.";
    assert_int_equal(claims_split(s, strlen(s), c), 2);
    assert_int_equal(c[1].subject_end - c[1].subject_start, 4);
    assert_memory_equal(s + c[1].subject_start, "Acme", 4);
}

/* --- quantities ------------------------------------------------------------------------------------------------ */

static struct quantity only(const char *s)
{
    struct lexed l;
    lex_text(s, strlen(s), &l);
    if (l.quantities.count != 1)
        print_message("# '%s': %zu quantities\n", s, l.quantities.count);
    assert_int_equal(l.quantities.count, 1);
    struct quantity q = l.quantities.items[0];
    lexed_release(&l);
    return q;
}

static void quantity_values(void **state)
{
    static const struct { const char *s; double v; } cases[] = {
        { "1,500 models", 1500 }, { "１５００", 1500 }, { "1.5 thousand", 1500 }, { "一千五百台", 1500 }, { "一百二十", 120 }, { "十五个", 15 },
        { "two hundred and five", 205 }, { "twenty-one", 21 }, { "3 million", 3e6 }, { "2.5万人", 25000 }, { "1.2亿", 1.2e8 }, { "三万五千", 35000 },
        { "两百", 200 }, { "12 %", 12 }, { "百分之十二", 12 }, { "twelve percent", 12 }, { "0.0032", 0.0032 }, { "64-bit", 64 }, { "两周", 1209600 },
        { "14 days", 1209600 }, { "1.5 km", 1500 }, { "第三章", 3 }, { "5th", 5 }, { "三百零五名", 305 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double v = only(cases[i].s).value;
        if (v < cases[i].v * 0.999999 || v > cases[i].v * 1.000001)
            print_message("# '%s': %g\n", cases[i].s, v);
        assert_true(v >= cases[i].v * 0.999999 && v <= cases[i].v * 1.000001);
    }
}

static void quantity_dates(void **state)
{
    static const char *const full[] = { "2024-03-05", "March 5, 2024", "5 March 2024", "5th of March 2024", "Mar. 5, 2024", "2024年3月5日", "二〇二四年三月五日",
                                        "2024 年 3 月 5 日" };
    (void)state;
    for (size_t i = 0; i < sizeof full / sizeof *full; i++) {
        struct quantity q = only(full[i]);
        if (q.kind != QTY_DATE || q.year != 2024 || q.month != 3 || q.day != 5)
            print_message("# '%s': %u %u %u\n", full[i], q.year, q.month, q.day);
        assert_true(q.kind == QTY_DATE && q.year == 2024 && q.month == 3 && q.day == 5);
    }
    assert_int_equal(only("二〇二四年").year, 2024);
    assert_int_equal(only("in 2024").year, 2024);
    assert_int_equal(only("March 2024").month, 3);
}

static void verify_allocation_failures(void **state)
{
    (void)state;
    struct verify_source s = { "The tank holds 1.5 litres of water. It is blue.", 47, "Tanks" };
    for (uint64_t n = 1; n < 60; n++) {
        uint64_t live = mem_live();
        struct verifier *v = NULL;
        struct verify_result r;
        mem_fail_at(n);
        enum sooth_status st = verifier_new(&s, 1, &v, NULL);
        if (!st)
            st = verifier_check(v, "The tank holds 1.5 litres and is blue.", 38, NULL, &r, NULL);
        mem_fail_at(0);
        verifier_free(v);
        assert_true(st == SOOTH_OK || st == SOOTH_ERR_NOMEM);
        assert_int_equal(mem_live(), live);
    }
}

static void check_table(void **state)
{
    (void)state;
    size_t n = 0;
    for (const struct check_row *row; (row = check_at(n)); n++) {
        assert_true(row->name && row->note && row->run);
        struct lexed empty;
        lex_text("", 0, &empty);
        struct check_case c = { .claim = &empty, .window = &empty, .around = &empty, .source = "" };
        struct check_finding f = { CHECK_PASS, "" };
        row->run(&c, &f);
        assert_int_equal(f.kind, CHECK_PASS); /* nothing said, nothing wrong */
        lexed_release(&empty);
    }
    assert_true(n >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantity_values), cmocka_unit_test(quantity_dates), cmocka_unit_test(claims_counts), cmocka_unit_test(verify_moon),
        cmocka_unit_test(verify_edits_are_seen), cmocka_unit_test(verify_names_are_seen), cmocka_unit_test(verify_paraphrases_are_kept),
        cmocka_unit_test(verify_unrelated), cmocka_unit_test(verify_evidence_span), cmocka_unit_test(verify_allocation_failures),
        cmocka_unit_test(check_table) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
