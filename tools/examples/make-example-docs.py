#!/usr/bin/env python3
"""Makes the binary sample documents of examples/docs: a PDF manual and two Word files. The texts are invented.

    python3 tools/examples/make-example-docs.py examples/docs

Standard library only; the same input gives the same bytes, so running it again changes nothing."""
import sys, zipfile, os
from xml.sax.saxutils import escape

# Advance widths of Helvetica, characters 32..126, in thousandths of the letter height.
WIDTHS = [278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278] + [556] * 10 + [
    278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556,
    278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584]


def width(text, size):
    return sum(WIDTHS[ord(c) - 32] for c in text) * size / 1000


class Pdf:
    """Pages of plain text, tables and headings; Helvetica regular (F1) and bold (F2), not embedded."""
    W, H, LEFT, TOP, BOTTOM = 595, 842, 72, 760, 90

    def __init__(self, title):
        self.title, self.pages, self.y = title, [], 0
        self.new_page()

    def new_page(self):
        self.pages.append([])
        self.y = self.TOP

    def room(self, h):
        if self.y - h < self.BOTTOM:
            self.new_page()

    def put(self, x, text, size=10.5, font="F1"):
        text = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        self.pages[-1].append(f"BT /{font} {size} Tf {x:.1f} {self.y:.1f} Td ({text}) Tj ET")

    def wrap(self, text, size, room):
        lines, line = [], ""
        for word in text.split():
            if line and width(line + " " + word, size) > room:
                lines.append(line)
                line = word
            else:
                line = (line + " " + word).strip()
        return lines + [line]

    def heading(self, text, size=15):
        self.room(70)
        self.y -= size + 10
        self.put(self.LEFT, text, size, "F2")
        self.y -= 8

    def para(self, text, indent=0):
        lines = self.wrap(text, 10.5, self.W - 2 * self.LEFT - indent)
        self.room(14 * min(2, len(lines)))
        self.y -= 4
        for line in lines:
            self.room(14)
            self.y -= 14
            self.put(self.LEFT + indent, line)

    def item(self, mark, text):
        lines = self.wrap(text, 10.5, self.W - 2 * self.LEFT - 18)
        self.room(14 * len(lines))
        self.y -= 2
        for i, line in enumerate(lines):
            self.y -= 14
            if i == 0:
                self.put(self.LEFT, mark)
            self.put(self.LEFT + 18, line)

    def table(self, columns, rows):
        self.room(17 * len(rows))
        self.y -= 6
        for i, row in enumerate(rows):
            self.y -= 17
            for x, cell in zip(columns, row):
                self.put(self.LEFT + x, cell, 10.5, "F2" if i == 0 else "F1")

    def write(self, path):
        objects = ["<< /Type /Catalog /Pages 2 0 R >>", None,
                   "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
                   "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
                   f"<< /Title ({self.title}) /Producer (sooth examples) >>"]
        kids = []
        for n, page in enumerate(self.pages, 1):
            if n > 1:
                page.append(f"BT /F1 9 Tf 72 800 Td ({self.title}) Tj ET")
            page.append(f"BT /F1 9 Tf 290 50 Td ({n}) Tj ET")
            stream = "\n".join(page)
            objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
            kids.append(len(objects) + 1)
            objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {self.W} {self.H}] /Contents {len(objects)} 0 R "
                           "/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>")
        objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{k} 0 R' for k in kids)}] >>"
        out, at = b"%PDF-1.4\n", []
        for i, o in enumerate(objects, 1):
            at.append(len(out))
            out += f"{i} 0 obj\n{o}\nendobj\n".encode("latin-1")
        start = len(out)
        out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
        out += b"".join(b"%010d 00000 n \n" % a for a in at)
        out += f"trailer << /Size {len(objects) + 1} /Root 1 0 R /Info 5 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
        with open(path, "wb") as f:
            f.write(out)


def washing_machine(path):
    d = Pdf("Aquila W7 washing machine: user manual")
    d.y -= 30
    d.put(d.LEFT, "Aquila W7 washing machine", 24, "F2")
    d.y -= 24
    d.put(d.LEFT, "User manual, edition 3, September 2023", 12)
    d.y -= 10
    d.heading("1 Before you begin")
    d.para("Read this manual before you use the machine and keep it for whoever owns the machine after you. The Aquila W7 is "
           "made for washing household laundry of up to 7 kilograms. It may not be used outdoors or in rooms where the "
           "temperature falls below 5 degrees.")
    d.para("Children younger than eight may use the machine only while an adult watches. Keep animals away from the open door.")
    d.heading("2 Technical data")
    d.table([0, 220], [("Property", "Value"), ("Capacity", "7 kg"), ("Height, width, depth", "85 x 60 x 54 cm"),
                       ("Weight", "66 kg"), ("Mains voltage", "230 V, 50 Hz"), ("Heating power", "2,000 W"),
                       ("Water pressure", "0.05 to 0.8 MPa"), ("Spin speed", "up to 1,400 turns a minute"),
                       ("Noise when spinning", "74 dB")])
    d.heading("3 Setting up")
    d.item("1.", "Remove the four transport bolts at the back with a 13 mm spanner. Running the machine with the bolts in place "
                 "damages the drum.")
    d.item("2.", "Close the four holes with the plastic caps from the accessory bag, and keep the bolts for the next move.")
    d.item("3.", "Level the machine by turning its feet; it may not rock.")
    d.item("4.", "Connect the supply hose to a cold water tap with a three-quarter-inch thread and tighten it by hand.")
    d.item("5.", "Hang the drain hose at a height between 60 and 90 centimetres.")
    d.item("6.", "Run the cotton programme at 60 degrees once without laundry to rinse out what is left from testing.")
    d.heading("4 Programmes")
    d.table([0, 130, 230, 330], [("Programme", "Temperature", "Load", "Time"), ("Cotton", "20 to 90 C", "7 kg", "2 h 40 min"),
                                 ("Eco 40-60", "40 C", "7 kg", "3 h 25 min"), ("Easy care", "30 to 60 C", "3.5 kg", "1 h 50 min"),
                                 ("Wool", "30 C", "2 kg", "48 min"), ("Quick", "30 C", "2.5 kg", "28 min"),
                                 ("Sportswear", "40 C", "3 kg", "1 h 15 min"), ("Rinse and spin", "cold", "7 kg", "22 min")])
    d.para("The times are for cold water of 15 degrees and may differ. The Eco 40-60 programme uses 0.69 kilowatt-hours and 44 "
           "litres of water with a full load.")
    d.para("To delay the start, press the clock key until the display shows the wanted delay. The longest delay is 19 hours. To "
           "lock the keys against children, hold the temperature key for three seconds; hold it again to unlock them.")
    d.heading("5 Detergent")
    d.para("The drawer has three compartments. The left one, marked II, takes detergent for the main wash, the middle one takes "
           "softener, and the right one, marked I, takes detergent for the prewash. Never fill softener above the line MAX. For "
           "liquid detergent, push down the blue flap in compartment II.")
    d.para("With soft water and light soiling, half of the amount on the detergent package is enough.")
    d.heading("6 Cleaning and care")
    d.para("Clean the pump filter every two months. Switch the machine off, let hot water cool, open the small door at the "
           "lower right and drain the water through the short hose into a flat bowl. Unscrew the filter to the left, rinse it "
           "and screw it in again until the handle stands upright.")
    d.para("Once a month, run the cotton programme at 90 degrees with an empty drum to prevent smells. Wipe the rubber seal of the "
           "door dry after the last wash of the day and leave the door ajar. Descale the machine every six months if the water "
           "is hard.")
    d.heading("7 When something is wrong")
    d.table([0, 60, 250], [("Code", "Meaning", "What to do"), ("F01", "no water comes in", "open the tap, clean the sieve"),
                           ("F02", "water is not pumped out", "clean the pump filter"),
                           ("F05", "the door is not locked", "press the door until it clicks"),
                           ("F08", "too much foam", "use less detergent"),
                           ("F13", "water in the base tray", "close the tap, call service"),
                           ("F21", "the motor is too hot", "wait 30 minutes")])
    d.para("If the laundry is still wet after spinning, the load was uneven and the machine has lowered the speed. Shake the "
           "laundry loose and spin again. A large single piece, such as a bath mat, should be washed with smaller ones.")
    d.para("To open the door after a power cut, drain the water as described in chapter 6 and pull the red cord behind the small "
           "door.")
    d.heading("8 Guarantee and service")
    d.para("Aquila grants a guarantee of two years from the day of purchase, and of ten years on the motor. The guarantee covers "
           "faults of material and manufacture. It does not cover damage from transport bolts left in place, frost, limescale or "
           "repairs by others. Keep the receipt.")
    d.para("Service line: 555-0118, Monday to Saturday, 8:00 to 18:00. Have the serial number ready; it is on the plate inside the "
           "door. Spare parts are kept for eleven years after the last machine of the series was made.")
    d.write(path)


STYLES = """<?xml version="1.0" encoding="UTF-8"?><w:styles xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">
<w:style w:type="paragraph" w:styleId="Title"><w:name w:val="Title"/></w:style>
<w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/></w:style>
<w:style w:type="paragraph" w:styleId="Heading2"><w:name w:val="heading 2"/></w:style></w:styles>"""


class Docx:
    def __init__(self, title):
        self.title, self.body = title, []
        self.para(title, "Title")

    def para(self, text, style=None):
        p = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
        self.body.append(f'<w:p>{p}<w:r><w:t xml:space="preserve">{escape(text)}</w:t></w:r></w:p>')

    def heading(self, text, level=1):
        self.para(text, f"Heading{level}")

    def item(self, text):
        self.body.append('<w:p><w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr></w:pPr>'
                         f'<w:r><w:t xml:space="preserve">{escape(text)}</w:t></w:r></w:p>')

    def table(self, rows):
        cells = lambda row: "".join(f"<w:tc><w:p><w:r><w:t>{escape(c)}</w:t></w:r></w:p></w:tc>" for c in row)
        self.body.append("<w:tbl>" + "".join(f"<w:tr>{cells(r)}</w:tr>" for r in rows) + "</w:tbl>")

    def write(self, path):
        parts = {
            "[Content_Types].xml": '<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/'
                'content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
                '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType='
                '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/><Override PartName="/word/styles.xml" '
                'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml"/></Types>',
            "_rels/.rels": '<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
                'relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
                'officeDocument" Target="word/document.xml"/></Relationships>',
            "word/_rels/document.xml.rels": '<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="http://schemas.openxmlformats.org/'
                'package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
                'relationships/styles" Target="styles.xml"/></Relationships>',
            "word/document.xml": '<?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w="http://schemas.openxmlformats.org/'
                f'wordprocessingml/2006/main"><w:body>{"".join(self.body)}</w:body></w:document>',
            "word/styles.xml": STYLES,
            "docProps/core.xml": '<?xml version="1.0" encoding="UTF-8"?><cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/'
                'package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/">'
                f'<dc:title>{escape(self.title)}</dc:title></cp:coreProperties>',
        }
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
            for name, text in parts.items():
                z.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), text.encode("utf-8"), zipfile.ZIP_DEFLATED)


def travel_policy(path):
    d = Docx("Northwind Instruments: travel policy")
    d.para("In force from 1 January 2024. Questions go to the travel desk, travel@northwind.example, extension 412.")
    d.heading("Approval")
    d.para("Every journey of more than one day is approved by the head of the department before anything is booked. Journeys outside "
           "Europe also need the approval of the finance director. Requests are made at least ten working days ahead.")
    d.heading("Trains and flights")
    d.para("Journeys of less than five hours are made by train, second class. Managers with more than four travel days a month may "
           "book first class. Flights are booked in economy class; on flights of more than eight hours, premium economy is allowed.")
    d.para("A private car may be used if it saves more than two hours. The company pays 0.38 euros a kilometre, and 0.05 euros more "
           "for each colleague who rides along.")
    d.heading("Hotels and meals")
    d.table([["Region", "Hotel, per night at most", "Meals, per day"], ["Germany and Austria", "120 euros", "28 euros"],
             ["Switzerland and Norway", "190 euros", "48 euros"], ["Rest of Europe", "140 euros", "36 euros"],
             ["North America", "210 euros", "59 euros"], ["East Asia", "170 euros", "44 euros"]])
    d.para("Breakfast that is included in the hotel price reduces the daily meal allowance by 20 per cent. Alcoholic drinks are not "
           "paid for, except when guests are entertained, and then up to 25 euros a person.")
    d.heading("Settling expenses")
    d.item("Expenses are handed in within 21 days after the journey, with original receipts.")
    d.item("Receipts in foreign currency are converted at the rate of the day of payment.")
    d.item("Amounts under 10 euros may be claimed without a receipt, at most three times a journey.")
    d.para("The accounts department pays approved expenses within eight working days. An advance of up to 500 euros may be asked for "
           "journeys of more than three days.")
    d.heading("Safety")
    d.para("Before a journey outside Europe, the company doctor, Dr Hanna Vogel, gives advice on vaccinations. In an emergency call "
           "the insurance at 555-0155 and state the contract number NI-20713.")
    d.write(path)


def handbook(path):
    d = Docx("海澜仪器有限公司员工手册")
    d.para("本手册自 2024 年 3 月 1 日起施行，由人力资源部负责解释。")
    d.heading("第一章 工作时间")
    d.para("公司实行每周五天、每天八小时工作制，工作时间为上午 9:00 至下午 18:00，其中 12:00 至 13:00 为午休时间。研发部门可以申请"
           "弹性工作，核心工作时间为 10:00 至 16:00。")
    d.para("员工迟到三十分钟以内的，每月前三次不扣工资；超过三次的，每次扣款 30 元。加班须事先经部门经理批准，工作日加班按一点五倍"
           "支付工资，休息日加班按两倍支付，法定节假日加班按三倍支付。")
    d.heading("第二章 休假")
    d.table([["工龄", "带薪年假"], ["满一年不满三年", "7 天"], ["满三年不满十年", "12 天"], ["满十年", "18 天"]])
    d.para("年假当年有效，未休完的最多可以结转 5 天至次年 3 月 31 日。员工结婚享受婚假 13 天，陪产假为 20 天。病假须提交二级以上医院"
           "的证明，全年带薪病假不超过 12 天。")
    d.heading("第三章 薪酬与福利")
    d.para("工资于每月 10 日发放，遇节假日提前。试用期为三个月，试用期工资为转正工资的百分之八十五。公司为员工缴纳社会保险和住房公积金，"
           "公积金缴存比例为百分之十。")
    d.item("午餐补贴：每个工作日 25 元。")
    d.item("交通补贴：每月 300 元。")
    d.item("体检：每年一次，由公司安排在五月进行。")
    d.item("生日礼金：200 元。")
    d.heading("第四章 出差与报销")
    d.para("出差住宿标准为：一线城市每晚不超过 500 元，其他城市每晚不超过 350 元。出差伙食补助每天 100 元。报销单须在出差结束后十五天内"
           "提交，逾期须由分管副总经理签字。")
    d.heading("第五章 信息安全")
    d.para("密码长度不得少于十二位，每九十天更换一次。客户资料不得存放在个人设备上。发现信息泄露的，应当在两小时内报告信息安全负责人"
           "陆文博，内线电话 8066。")
    d.heading("第六章 离职")
    d.para("员工辞职须提前三十天书面通知，试用期内提前三天。离职时应归还门禁卡、电脑和工作手机。门禁卡遗失的，赔偿 50 元。")
    d.write(path)


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else "examples/docs"
    washing_machine(os.path.join(out, "washing-machine-manual.pdf"))
    travel_policy(os.path.join(out, "travel-policy.docx"))
    handbook(os.path.join(out, "员工手册.docx"))


main()
