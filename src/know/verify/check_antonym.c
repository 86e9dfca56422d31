/* check_antonym.c: a word of the claim that the evidence lacks while it holds the opposite word.
 *
 * A short list of pairs that are opposites in nearly every use. Left out: everything that depends on context. */
#include <stdio.h>
#include <string.h>
#include "know/verify/verify.h"

static const char *const pairs[][2] = {
    { "increase", "decrease" }, { "increase", "reduce" }, { "rise", "fall" }, { "rose", "fell" }, { "maximum", "minimum" }, { "highest", "lowest" },
    { "largest", "smallest" }, { "longest", "shortest" }, { "before", "after" }, { "always", "never" }, { "enable", "disable" },
    { "allow", "forbid" }, { "allow", "forbidden" }, { "allow", "deny" }, { "allow", "prohibit" }, { "accept", "reject" }, { "include", "exclude" }, { "open", "close" },
    { "start", "stop" }, { "buy", "sell" }, { "import", "export" }, { "early", "late" }, { "earlier", "later" }, { "high", "low" },
    { "higher", "lower" }, { "large", "small" }, { "larger", "smaller" }, { "fast", "slow" }, { "faster", "slower" }, { "hot", "cold" },
    { "north", "south" }, { "east", "west" }, { "northern", "southern" }, { "eastern", "western" }, { "left", "right" }, { "true", "false" },
    { "above", "below" }, { "public", "private" }, { "required", "optional" }, { "mandatory", "optional" }, { "succeed", "fail" },
    { "success", "failure" }, { "add", "remove" }, { "install", "remove" }, { "internal", "external" }, { "even", "odd" },
    { "positive", "negative" }, { "possible", "impossible" }, { "safe", "dangerous" }, { "same", "different" }, { "older", "younger" },
    { "older", "newer" }, { "strong", "weak" }, { "more", "less" }, { "more", "fewer" }, { "with", "without" }, { "most", "least" },
    { "heavier", "lighter" }, { "male", "female" }, { "win", "lose" }, { "encrypt", "decrypt" }, { "upload", "download" }, { "best", "worst" },
    { "增加", "减少" }, { "上升", "下降" }, { "提高", "降低" }, { "增长", "下降" }, { "最大", "最小" }, { "最高", "最低" }, { "最多", "最少" }, { "最长", "最短" },
    { "之前", "之后" }, { "以前", "以后" }, { "允许", "禁止" }, { "打开", "关闭" }, { "开启", "关闭" }, { "启用", "禁用" }, { "成功", "失败" }, { "支持", "反对" },
    { "必须", "可选" }, { "进口", "出口" }, { "公开", "私有" }, { "安全", "危险" }, { "内部", "外部" }, { "相同", "不同" }, { "上面", "下面" }, { "左侧", "右侧" },
    { "左边", "右边" }, { "上游", "下游" }, { "男性", "女性" }, { "早于", "晚于" }, { "高于", "低于" }, { "大于", "小于" }, { "多于", "少于" }, { "加密", "解密" },
    { "上传", "下载" }, { "安装", "卸载" }, { "北部", "南部" }, { "东部", "西部" }, { "买入", "卖出" }, { "稳定", "不稳" } };

static bool has(const struct lexed *l, uint64_t key)
{
    for (size_t i = 0; i < l->terms.count; i++)
        if (l->terms.items[i].key == key)
            return true;
    return false;
}

static void run(const struct check_case *c, struct check_finding *f)
{
    if (c->coverage < 0.45)
        return;
    for (size_t i = 0; i < 2 * (sizeof pairs / sizeof *pairs); i++) {
        const char *mine = pairs[i / 2][i % 2], *other = pairs[i / 2][1 - i % 2];
        uint64_t a = lex_key(mine, strlen(mine)), b = lex_key(other, strlen(other));
        if (has(c->claim, a) && !has(c->window, a) && has(c->window, b) && !has(c->claim, b)) {
            f->kind = CHECK_CONFLICT;
            snprintf(f->why, sizeof f->why, "says '%s' where the source says '%s'", mine, other);
            return;
        }
    }
}

const struct check_row check_antonym = { "opposites", "no word stands for its opposite", run };
