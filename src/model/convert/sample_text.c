/* sample_text.c: our own page of plain text, for measuring when nothing better is at hand. Long enough for one window of most
 * tokenizers; too short to calibrate with. */
#include "model/convert/quantize.h"

const char quant_sample_text[] =
    "The water tower stands at the north end of the village, above the old railway line. It was built of brick in 1911, and for sixty years "
    "it fed the steam engines that stopped here on their way to the coast. When the last of them had gone, the council wanted to pull it down. "
    "A teacher at the school, who had watched swifts nest under its roof every summer, wrote to the newspaper instead. She did not argue about "
    "money. She only listed what could be seen from the top on a clear day: two churches, the river as far as the mill, the cement works, and on "
    "the horizon a thin bright strip that the children insisted was the sea.\n\n"
    "Today the tower holds a small museum. On the ground floor there is a pump that still works, and a board that explains how a float, a chain "
    "and a lead weight told the engine driver how much water was left. The first floor shows tools: spanners as long as an arm, a brass lamp, "
    "a ledger in which every delivery of coal was entered with date, weight and price. If you add up the numbers of a single winter, you will "
    "find that the clerk made one mistake, in January 1934, and corrected it in red ink a week later. Visitors like that page best.\n\n"
    "How much does it cost to keep such a building? The roof needs new slates every twenty years, the iron tank must be painted every five, and "
    "the stairs are inspected each spring. In a good year four thousand people come, and most of them pay three pounds. That covers the paint. "
    "The slates were paid for by a concert. \"We are not rich,\" says the keeper, \"but we are dry.\"\n\n"
    "To get there, take the bus to the market square, walk up the hill past the bakery, and turn left at the chapel. The museum is open from "
    "April to October, Wednesday to Sunday, from ten to five. Dogs are welcome on the ground floor. If the door is closed, ring twice.\n\n"
    "水塔建于一九一一年,原来为开往海边的蒸汽机车供水。六十年后,铁路改用柴油机车,镇上打算把它拆掉。一位老师写信给报社,说每年夏天都有雨燕在塔顶筑巢。"
    "后来水塔成了一座小博物馆。一楼的水泵现在还能用,二楼陈列着扳手、油灯和账本。账本里只有一处错误,一个星期以后用红墨水改正了。博物馆四月到十月开放,"
    "每周三到周日,上午十点到下午五点,门票三镑,儿童免费。\n";
