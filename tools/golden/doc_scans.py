#!/usr/bin/env python3
"""Writes the pictures and the scanned PDF of tests/golden/doc/scans. Needs Pillow, and the fonts DejaVu Sans and
WenQuanYi Zen Hei (Debian fonts-dejavu-core, fonts-wqy-zenhei)."""
import io
import pathlib
import zlib

from PIL import Image, ImageDraw, ImageFont

out = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/doc/scans"
out.mkdir(parents=True, exist_ok=True)
latin = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
han = "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc"


def page(lines, font, size=40, width=760, step=70):
    image = Image.new("L", (width, step * len(lines) + 60), 255)
    draw = ImageDraw.Draw(image)
    face = ImageFont.truetype(font, size)
    for i, line in enumerate(lines):
        draw.text((40, 30 + i * step), line, font=face, fill=0)
    return image


def png(name, image):
    data = io.BytesIO()
    image.save(data, "PNG", optimize=True)
    (out / name).write_bytes(data.getvalue())


english = page(["The boiler pressure must stay", "below 1.5 bar at all times."], latin)
png("english.png", english)
png("simplified.png", page(["水泵的水箱容量为一点五升。", "无水时请勿启动。"], han))
png("traditional.png", page(["無水狀態下不得啟動機器。", "開放時間為上午九點。"], han))
noise = Image.new("L", (300, 300))
noise.putdata([(x * x * 7919 + x * 104729) % 251 for x in range(300 * 300)])
png("noise.png", noise)


def pdf():
    """Page 1 has a text layer, page 2 is a picture, page 3 is empty."""
    raw = zlib.compress(english.tobytes(), 9)
    w, h = english.size
    text = b"BT /F 12 Tf 72 700 Td (The first page has letters of its own, enough of them to be read.) Tj ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R 5 0 R 8 0 R] /Count 3 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F << /Type /Font "
        b"/Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 6 0 R /Resources << /XObject << /I 7 0 R >> >> >>",
        b"<< /Length 31 >>\nstream\nq 500 0 0 100 40 600 cm /I Do Q\nendstream",
        b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8 "
        b"/Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (w, h, len(raw), raw),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>",
    ]
    data = b"%PDF-1.4\n"
    at = []
    for i, body in enumerate(objects):
        at.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (i + 1, body)
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + b"".join(b"%010d 00000 n \n" % a for a in at)
    data += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    (out / "scanned.pdf").write_bytes(data)


pdf()
