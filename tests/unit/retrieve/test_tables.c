/* Questions over tables: what is worked out, what it rests on, what is refused. */
#include "core/base/alloc.h"
#include "know/retrieve/retrieve.h"
#include "kb_fixture.h"

static void ask(struct sooth_kb *kb, const char *question, struct sooth_hits *h)
{
    struct sooth_search_options o;
    struct sooth_error err = {0};
    sooth_search_options_init(&o);
    o.mode = SOOTH_SEARCH_SQL;
    o.k = 1000;
    if (sooth_search(kb, question, &o, h, &err) != SOOTH_OK)
        fail_msg("'%s': %s", question, err.text);
}

static const char staff[] = "name,city,department,age,monthly_salary,year\n"
                            "Ann Lee,Oslo,Sales,34,\"4,200\",2019\nBo Berg,Oslo,Research,41,5100,2020\n"
                            "Cy Dahl,Bergen,Sales,29,3900,2020\nDi Eng,Bergen,Research,52,6100,2021\n"
                            "Ed Fox,Oslo,Sales,45,NA,2021\n";
static const char orders[] = "产品,地区,数量,单价\n苹果,北京,120,3.5\n香蕉,上海,80,2.5\n苹果,上海,200,3.2\n梨,北京,50,4\n";

static void questions_give_what_sql_gives(void **state)
{
    struct sooth_kb *kb = open_kb();
    add(kb, "staff.csv", staff);
    add(kb, "订单.csv", orders);
    static const struct {
        const char *question, *says;
        size_t rows;
    } want[] = {
        {"How many people work in Sales?", "is 3 ", 3},
        {"How many staff are there in Oslo?", "is 3 ", 3},
        {"How many are older: age over 40?", "is 3 ", 3},
        {"What is the average age of Research?", "is 46.5 ", 2},
        {"average monthly salary by city", "Bergen: 5000; Oslo: 4650", 4},
        {"total monthly salary in 2020", "is 9000 ", 2},
        {"Who has the highest monthly salary?", "Di Eng", 1},
        {"What is the lowest age in Oslo?", "is 34:", 1},
        {"top 2 by highest age", "Di Eng, city: Bergen", 2},
        {"number of staff after 2019", "is 4 ", 4},
        {"how many with age at least 41 in Oslo", "is 2 ", 2},
        {"how many rows are there per department in staff", "Research: 2; Sales: 3", 5},
        {"苹果的总数量是多少？总和", "320", 2},
        {"北京的平均单价", "3.75", 2},
        {"哪个产品的数量最大", "苹果", 1},
        {"数量大于100的有多少条", "是 2（", 2},
        {"各地区的数量总和", "上海: 280", 4},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct sooth_hits h;
        ask(kb, want[i].question, &h);
        if (!h.answer || !strstr(h.answer, want[i].says) || h.count != want[i].rows)
            fail_msg("'%s': '%s', %zu rows (%s)", want[i].question, h.answer ? h.answer : "no answer",
                     h.count, h.sql ? h.sql : h.reason);
        for (size_t r = 0; r < h.count; r++) { /* each row is the file's, with its passage */
            assert_int_equal(strlen(h.items[r].text), h.items[r].end - h.items[r].start);
            assert_true(h.items[r].chunk > 0);
        }
        sooth_hits_release(&h);
    }
    static const char *const none[] = {"Who is the king?", "What does the manual say about oil?",
                                       "how many", "年假有几天", ""};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct sooth_hits h;
        ask(kb, none[i], &h);
        if (h.answer)
            fail_msg("'%s': '%s'", none[i], h.answer);
        sooth_hits_release(&h);
    }
    sooth_kb_close(kb);
}

static void lesson_rag_42_totals_over_awkward_files_are_exact(void **state)
{
    struct sooth_kb *kb = open_kb();
    struct buf b = BUF_INIT;
    struct sooth_hits h;
    long total = 0;
    buf_puts(&b, "\xEF\xBB\xBFitem;note;amount\r\n");
    for (int i = 0; i < 1002; i++) {
        buf_printf(&b, "thing %d;\"a \"\"quoted\"\";\nline\";%d\r\n", i % 7, i);
        total += i;
    }
    add(kb, "awkward.csv", b.data);
    char want[64];
    snprintf(want, sizeof want, "is %ld (1002 rows", total);
    ask(kb, "total amount in awkward", &h);
    assert_non_null(h.answer);
    assert_non_null(strstr(h.answer, want));
    sooth_hits_release(&h);
    ask(kb, "how many rows in awkward", &h);
    assert_non_null(h.answer);
    assert_non_null(strstr(h.answer, "is 1002 "));
    sooth_hits_release(&h);
    buf_release(&b);
    sooth_kb_close(kb);
}

static void filters_are_walls_for_tables_too(void **state)
{
    struct sooth_kb *kb = open_kb();
    struct sooth_search_options o;
    struct sooth_hits h;
    add(kb, "staff.csv", staff);
    sooth_search_options_init(&o);
    o.mode = SOOTH_SEARCH_SQL;
    o.filter = "doc != staff.csv";
    assert_int_equal(sooth_search(kb, "How many people work in Sales?", &o, &h, NULL), SOOTH_OK);
    assert_null(h.answer);
    sooth_hits_release(&h);
    sooth_kb_close(kb);
}

static bool count_row(void *user, const struct tabledb_value *row, size_t columns)
{
    ++*(size_t *)user;
    return true;
}

/* Whoever writes the statement: it reads these tables within its budget, or is refused. */
static void threat_statements_only_read(void **state)
{
    static const char *const attacks[] = {
        "DROP TABLE t0", "DELETE FROM t0", "UPDATE t0 SET c0 = 1", "INSERT INTO t0 VALUES(1, 2)",
        "SELECT 1; DROP TABLE t0", "SELECT 1; SELECT 2", "PRAGMA table_info(t0)", "PRAGMA query_only=0",
        "ATTACH '/tmp/x.db' AS x", "DETACH main", "VACUUM", "REINDEX", "ANALYZE",
        "CREATE TABLE x(a)", "CREATE TEMP TABLE x(a)", "CREATE VIEW x AS SELECT 1",
        "CREATE TRIGGER x AFTER INSERT ON t0 BEGIN SELECT 1; END", "ALTER TABLE t0 RENAME TO x",
        "SELECT load_extension('x')", "SELECT readfile('/etc/passwd')", "SELECT writefile('/tmp/x', 1)",
        "SELECT * FROM sqlite_master", "SELECT sql FROM sqlite_schema", "SELECT * FROM sqlite_temp_master",
        "WITH x AS (SELECT 1) DELETE FROM t0", "WITH x AS (SELECT 1) INSERT INTO t0 SELECT 1, 1",
        "REPLACE INTO t0 VALUES(1, 1)", "BEGIN", "COMMIT", "SAVEPOINT x", "EXPLAIN DELETE FROM t0",
        "SELECT randomblob(1000000000)", "SELECT zeroblob(1000000000)", "SELECT printf('%9999999d', 1)",
        "SELECT hex(zeroblob(100))", "SELECT * FROM pragma_table_info('t0')", "SELECT * FROM t1",
        "SELECT fts3_tokenizer('x')", "SELECT sqlite_version()", "", ";", "-- nothing",
        "SELECT \xEF\xBC\x8A FROM t0", "SELECT 1 /* */ ; /* */ DELETE FROM t0",
        "WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x) SELECT count(*) FROM x",
        "WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x) SELECT i FROM x",
        "SELECT count(*) FROM t0 a, t0 b, t0 c, t0 d, t0 e, t0 f",
    };
    struct tabledb *t;
    bool numeric[2] = {false, true};
    double numbers[2] = {0, 7};
    const char *cells[2] = {"a", "7"};
    assert_int_equal(tabledb_new(&t, NULL), SOOTH_OK);
    assert_int_equal(tabledb_table(t, 0, numeric, 2, NULL), SOOTH_OK);
    for (int i = 0; i < 200; i++)
        assert_int_equal(tabledb_row(t, 0, cells, numbers, numeric, 2, NULL), SOOTH_OK);
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        size_t n = 0;
        struct sooth_error err = {0};
        enum sooth_status st = tabledb_query(t, attacks[i], NULL, NULL, 0, count_row, &n, &err);
        if (st == SOOTH_OK)
            fail_msg("'%s' was let through", attacks[i]);
        assert_true(st == SOOTH_ERR_ARG || st == SOOTH_ERR_LIMIT);
        assert_true(n <= TABLEDB_ROWS);
        n = 0;
        assert_int_equal(tabledb_query(t, "SELECT c0 FROM t0", NULL, NULL, 0, count_row, &n, NULL), SOOTH_OK);
        assert_int_equal(n, 200);
    }
    /* values are values, whatever is in them */
    const char *texts[] = {"a' OR 1=1 --"};
    size_t n = 0;
    assert_int_equal(tabledb_query(t, "SELECT c0 FROM t0 WHERE c0 = ?1", texts, numbers, 1, count_row, &n, NULL),
                     SOOTH_OK);
    assert_int_equal(n, 0);
    tabledb_free(t);
}

static void cells_as_numbers(void **state)
{
    static const struct {
        const char *text;
        double want;
    } good[] = {{"1,234.5", 1234.5}, {"-3", -3}, {"12%", 12}, {"$5", 5}, {"￥5", 5}, {"１２", 12}, {"1e3", 1000}, {" 7 ", 7}};
    static const char *const bad[] = {"", "a", "1-2", "2024-01-02", "12 kg", "1.2.3", "--", "%", "1,2 apples"};
    double v;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!tabledb_number(good[i].text, strlen(good[i].text), &v) || v != good[i].want)
            fail_msg("'%s'", good[i].text);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (tabledb_number(bad[i], strlen(bad[i]), &v))
            fail_msg("'%s' is %g", bad[i], v);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(questions_give_what_sql_gives), T(lesson_rag_42_totals_over_awkward_files_are_exact),
        T(filters_are_walls_for_tables_too), cmocka_unit_test(threat_statements_only_read),
        cmocka_unit_test(cells_as_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
