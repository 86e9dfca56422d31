#!/usr/bin/env python3
"""Writes the small documents of tests/golden/doc/files, and from them the first inputs of the fuzz targets. Needs python-docx, python-pptx, openpyxl and Pillow; the
zip containers are written again with fixed times, so that a second run gives the same bytes."""
import datetime
import io
import pathlib
import re
import struct
import zipfile
import zlib

import docx
import openpyxl
import pptx
from openpyxl.styles import numbers
from pptx.util import Inches

root = pathlib.Path(__file__).resolve().parents[2]
out = root / "tests/golden/doc/files"
out.mkdir(parents=True, exist_ok=True)
moment = datetime.datetime(2024, 3, 5, 12, 0, 0)


def put(name, data):
    (out / name).write_bytes(data)


def settle(data):
    """The same container with fixed times."""
    done = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(done, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if "thumbnail" in name or "printerSettings" in name:
                continue
            body = re.sub(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*", rb"\g<1>2024-03-05T12:00:00Z", old.read(name))
            new.writestr(zipfile.ZipInfo(name, (2024, 3, 5, 12, 0, 0)), body, zipfile.ZIP_DEFLATED)
    return done.getvalue()


def png(width, height, rgb):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = (b"\0" + bytes(rgb) * width) * height
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def word():
    d = docx.Document()
    d.core_properties.title, d.core_properties.author = "Boiler report", "Ann Lee"
    d.core_properties.created = d.core_properties.modified = moment
    d.add_heading("Inspection", 1)
    d.add_paragraph("The boiler was inspected in March.")
    t = d.add_table(rows=4, cols=3)
    for r, row in enumerate([["Part", "Pressure", ""], ["", "cold", "hot"], ["valve", "1.0", "1.5"], ["", "1.1", "1.6"]]):
        for c, text in enumerate(row):
            t.cell(r, c).text = text
    t.cell(0, 1).merge(t.cell(0, 2))
    t.cell(2, 0).merge(t.cell(3, 0))
    d.add_paragraph("锅炉状态良好。")
    d.add_picture(io.BytesIO(png(8, 8, (200, 30, 30))))
    d.paragraphs[-1]._p.xpath(".//wp:docPr")[0].set("descr", "Photo of the red pressure gauge")
    d.add_paragraph("After the picture.", style="List Bullet")
    data = io.BytesIO()
    d.save(data)
    put("report.docx", settle(data.getvalue()))


def slides():
    p = pptx.Presentation()
    p.core_properties.title, p.core_properties.author = "Garden plan", "Ann Lee"
    p.core_properties.created = p.core_properties.modified = moment
    s = p.slides.add_slide(p.slide_layouts[1])
    s.shapes.title.text = "Spring work"
    body = s.placeholders[1].text_frame
    body.text = "Prune the roses"
    line = body.add_paragraph()
    line.text, line.level = "before the buds open", 1
    s.notes_slide.notes_text_frame.text = "Remind them of the gloves."
    s = p.slides.add_slide(p.slide_layouts[5])
    s.shapes.title.text = "价格"
    t = s.shapes.add_table(3, 3, Inches(1), Inches(2), Inches(6), Inches(2)).table
    for r, row in enumerate([["Plant", "Price", ""], ["rose", "12", "EUR"], ["", "14", "EUR"]]):
        for c, text in enumerate(row):
            t.cell(r, c).text = text
    t.cell(0, 1).merge(t.cell(0, 2))
    t.cell(1, 0).merge(t.cell(2, 0))
    box = s.shapes.add_textbox(Inches(1), Inches(5), Inches(4), Inches(1))
    box.text_frame.text = "All prices with tax."
    pic = s.shapes.add_picture(io.BytesIO(png(8, 8, (30, 120, 30))), Inches(7), Inches(5))
    pic._element.xpath(".//p:cNvPr")[0].set("descr", "A rose bush in bloom")
    hidden = p.slides.add_slide(p.slide_layouts[5])
    hidden.shapes.title.text = "Not shown"
    hidden._element.set("show", "0")
    data = io.BytesIO()
    p.save(data)
    put("plan.pptx", settle(data.getvalue()))


def workbook():
    w = openpyxl.Workbook()
    w.properties.title, w.properties.creator = "Sales", "Ann Lee"
    w.properties.created = w.properties.modified = moment
    s = w.active
    s.title = "Sales 2024"
    s["B1"] = "Sales of the north branch"
    for row in [["Region", "Day", "Sold", "Share", "Price"], ["north", datetime.date(2024, 3, 5), 12, 0.125, 1234.5],
                [None, datetime.date(2024, 3, 6), 7, 0.5, 0.1 + 0.2], ["south", datetime.datetime(2024, 3, 7, 8, 30), 3, 1, -2]]:
        s.append([None] + row)
    s.merge_cells("B3:B4")
    for r in (3, 4, 5):
        s[f"C{r}"].number_format = "yyyy-mm-dd hh:mm" if r == 5 else "DD/MM/YYYY"
        s[f"E{r}"].number_format = numbers.FORMAT_PERCENTAGE
        s[f"F{r}"].number_format = '#,##0.00 "day"'
    s["B8"], s["C8"] = "total", "=SUM(D3:D5)"
    s.row_dimensions[4].hidden = False
    n = w.create_sheet("备注")
    for row in [["项目", "数量"], ["泵", 3], ["阀门", 12]]:
        n.append(row)
    n["F1"], n["F2"], n["G1"], n["G2"] = "k", "a", "v", True
    n.row_dimensions[3].hidden = True
    h = w.create_sheet("secret")
    h["A1"], h.sheet_state = "do not read", "hidden"
    data = io.BytesIO()
    w.save(data)
    put("sales.xlsx", settle(data.getvalue()))


def rich_text():
    chinese = "".join(f"\\'{b:02x}" for b in "水泵手册".encode("gbk"))
    text = (r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\froman\fcharset0 Times;}{\f1\fnil\fcharset134 SimSun;}}"
            r"{\colortbl;\red255\green0\blue0;}{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 heading 1;}{\s2 heading 2;}}"
            r"{\info{\title Pump manual}{\author Ann}}" "\n"
            r"{\header skipped header}\pard\s1 Pumps\par\pard " "\n"
            r"The pump\rquote s tank holds 1,5\~litres \endash  caf\'e9. {\v hidden}{\f1 " + chinese + "}\n"
            r" \u27700\'cb\uc0\u27893 is water pump\uc1 , \u-10179?\u-8704? too.\par" "\n"
            r"\pard\s2 Parts\par\trowd\cellx1000\cellx2000\intbl part\cell price\cell\row" "\n"
            r"\trowd\clvmgf\cellx1000\cellx2000\intbl seal\cell 4\cell\row" "\n"
            r"\trowd\clvmrg\cellx1000\cellx2000\intbl seal\cell 5\cell\row\pard" "\n"
            r"{\field{\*\fldinst HYPERLINK x}{\fldrslt The link}} ends.{\pict\pngblip 89504e47}\par" "\n"
            r"\pard\ls1\ilvl0{\listtext 1.}first\par\ls1\ilvl1 second\line same item\par}")
    put("pump.rtf", text.encode("ascii"))


word()
slides()
workbook()
rich_text()
put("shop.json", """{"shop": "Corner", "open": {"from": 9, "to": 18},
 "products": [{"id": 1, "name": "tap", "price": 12.5, "since": "2024-03-05"}, {"id": 2, "name": "密封圈", "price": 3, "new": true}],
 "faq": [{"question": "How do I return a tap?", "answer": ["Bring it back.", "Within 30 days."], "by": {"name": "Ann"}}]}
""".encode())
put("log.jsonl", b'{"time": "2024-03-05 08:30", "level": "info", "text": "started"}\n'
    b'{"time": "2024-03-05 08:31", "level": "error", "text": "no water"}\nnot json\n')
put("talk.srt", """1
00:00:01,000 --> 00:00:03,500
<i>The tank holds</i>
one and a half litres.

2
00:00:03,600 --> 00:00:05,000
{\\an8}Fill it slowly.

3
00:01:10,000 --> 00:01:12,000
水箱容量为
一点五升。
""".encode())
put("talk.vtt", """WEBVTT - A talk

NOTE not a caption

STYLE
::cue { color: red }

intro
00:01.000 --> 00:04.000 align:start
<v Ada Lovelace>Numbers &amp; <c.loud>letters</c>

00:04.000 --> 00:06.000
<v Bob>Both.

01:00:06.000 --> 01:00:07.000
The end.
""".encode())


def container(parts, kind):
    done = io.BytesIO()
    with zipfile.ZipFile(done, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(zipfile.ZipInfo("mimetype", (2024, 3, 5, 12, 0, 0)), kind)
        for name, text in parts.items():
            z.writestr(zipfile.ZipInfo(name, (2024, 3, 5, 12, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return done.getvalue()


SPACES = " ".join(f'xmlns:{p}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for p, n in
                  [("office", "office"), ("table", "table"), ("text", "text"), ("draw", "drawing"), ("presentation", "presentation")])


def open_document(body):
    return f'<office:document-content {SPACES}><office:body>{body}</office:body></office:document-content>'


put("stock.ods", container({"content.xml": open_document(
    '<office:spreadsheet><table:table table:name="库存"><table:table-row><table:table-cell table:number-columns-spanned="2">'
    '<text:p>Part</text:p></table:table-cell><table:covered-table-cell/><table:table-cell><text:p>Count</text:p></table:table-cell>'
    '</table:table-row><table:table-row><table:table-cell><text:p>泵</text:p></table:table-cell><table:table-cell/>'
    '<table:table-cell><text:p>3</text:p></table:table-cell><table:table-cell table:number-columns-repeated="1021"/></table:table-row>'
    '</table:table></office:spreadsheet>')}, "application/vnd.oasis.opendocument.spreadsheet"))
put("tour.odp", container({"content.xml": open_document(
    '<office:presentation><draw:page><draw:frame presentation:class="title"><draw:text-box><text:p>The tour</text:p></draw:text-box>'
    '</draw:frame><draw:frame><draw:text-box><text:list><text:list-item><text:p>Harbour</text:p></text:list-item></text:list>'
    '</draw:text-box></draw:frame><presentation:notes><draw:frame><draw:text-box><text:p>Bring water.</text:p></draw:text-box></draw:frame>'
    '</presentation:notes></draw:page><draw:page><draw:frame><draw:text-box><text:p>End</text:p></draw:text-box></draw:frame></draw:page>'
    '</office:presentation>')}, "application/vnd.oasis.opendocument.presentation"))


def mail():
    import email.header
    from email.message import EmailMessage
    import base64
    inner = "From: bob@example.org\nSubject: inner\n\nThe inner text.\n"
    gbk = base64.encodebytes("水泵的水箱容量为一点五升。".encode("gbk")).decode()
    csv = base64.encodebytes("part,price\nseal,4\n".encode()).decode()
    text = f"""Return-Path: <ann@example.org>
From: =?utf-8?Q?Ann_L=C3=A9e?= <ann@example.org>
To: bob@example.org,
 carol@example.org
Subject: =?gb2312?B?{base64.b64encode('水泵'.encode('gbk')).decode()}?=
 =?gb2312?B?{base64.b64encode('手册'.encode('gbk')).decode()}?= for you
Date: Tue, 5 Mar 2024 08:30:00 +0100
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=_outer"

This is a multi-part message in MIME format.
--=_outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset="gb2312"
Content-Transfer-Encoding: base64

{gbk}
--inner
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<p>not this caf=C3=A9</p>
--inner--
--=_outer
Content-Type: text/csv; name="prices.csv"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename*=utf-8''%E4%BB%B7%E6%A0%BC%2Ecsv

{csv}
--=_outer
Content-Type: application/octet-stream
Content-Disposition: attachment; filename="../../etc/tool.bin"

xxxx
--=_outer
Content-Type: message/rfc822
Content-Disposition: attachment

{inner}
--=_outer--
"""
    put("letter.eml", text.encode())
    box = ("From ann@example.org Tue Mar  5 08:30:00 2024\nFrom: ann@example.org\nSubject: one\nDate: 5 Mar 2024 08:30 +0000\n\n"
           "First message.\n>From the north.\n\nFrom here is no new message\n\n"
           "From bob@example.org Wed Mar  6 09:00:00 2024\r\nFrom: bob@example.org\r\nSubject: two\r\n"
           "Content-Type: text/html; charset=windows-1252\r\n\r\n<p>Second <b>caf\xe9</b></p>\r\n")
    put("inbox.mbox", box.replace("\n\nFrom here", "\nFrom here").encode("latin-1"))


def archives():
    import tarfile
    import gzip
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(zipfile.ZipInfo("deep/note.txt", (2024, 3, 5, 12, 0, 0)), "A note deep inside.\n")
    done = io.BytesIO()
    with zipfile.ZipFile(done, "w", zipfile.ZIP_STORED) as z:
        for name, data in [("手册/pump.rtf", (out / "pump.rtf").read_bytes()), ("../up.md", b"# Up\n\nText.\n"),
                           ("inner.zip", inner.getvalue()), ("report.docx", (out / "report.docx").read_bytes()[:3000]),
                           (".hidden.txt", b"hidden"), ("__MACOSX/x.txt", b"hidden"), ("tool.exe", b"MZ")]:
            z.writestr(zipfile.ZipInfo(name, (2024, 3, 5, 12, 0, 0)), data)
    put("pack.zip", done.getvalue())
    done = io.BytesIO()
    with tarfile.open(fileobj=done, mode="w") as t:
        for name, data in [("a/one.txt", b"One.\n"), ("a/two.csv", b"k,v\nx,1\n")]:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1709640000
            t.addfile(info, io.BytesIO(data))
    put("pack.tar.gz", gzip.compress(done.getvalue(), mtime=0))
    put("single.txt.gz", gzip.compress("Only one file. 只有一个文件。\n".encode(), mtime=0))


mail()
archives()


def seed(target, name, data):
    folder = root / "tests/fuzz/corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def member(file, name):
    with zipfile.ZipFile(out / file) as z:
        return z.read(name)


for target, file in [("fuzz_rtf", "pump.rtf"), ("fuzz_mail", "letter.eml"), ("fuzz_mbox", "inbox.mbox"), ("fuzz_jsondoc", "shop.json"),
                     ("fuzz_jsonl", "log.jsonl"), ("fuzz_subtitle", "talk.vtt"), ("fuzz_archive", "pack.zip"), ("fuzz_xlsx", "sales.xlsx")]:
    seed(target, "golden", (out / file).read_bytes())
seed("fuzz_subtitle", "srt", (out / "talk.srt").read_bytes())
seed("fuzz_archive", "tar", (out / "pack.tar.gz").read_bytes())
seed("fuzz_archive", "single", (out / "single.txt.gz").read_bytes())
seed("fuzz_xlsx", "sheet", member("sales.xlsx", "xl/worksheets/sheet1.xml"))
seed("fuzz_pptx", "slide", member("plan.pptx", "ppt/slides/slide2.xml"))
