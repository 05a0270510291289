"""Draws one small picture in many file formats, and writes down what Pillow makes of each.

    python3 make.py     # Pillow 13, numpy

`expected.json` gives for each file its size and the pixels of `Image.open(...).convert("RGB")`
(`stored`), and for files that a viewer shows differently what that shows (`seen`). Pixels are
hexadecimal bytes, each picture once, by its number.
"""

import io
import json
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

W, H = 11, 7
x, y = np.meshgrid(np.arange(W), np.arange(H))
RGB = np.stack([x * 19, y * 28, (x * y * 7) % 256], -1).astype("u1")
ALPHA = ((x + y) * 255 // (W + H - 2)).astype("u1")
RGBA = np.dstack([RGB, ALPHA])
GREY = (x * 11 + y * 13).astype("u1")
CMYK = np.dstack([RGB, (x * 9).astype("u1")])
GREY16 = (x * 61 + y * 257).astype("u2")
files, pictures = {}, []


def add(name, data, seen=None):
    with open(name, "wb") as f:
        f.write(data)
    stored = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    files[name] = {"stored": describe(stored), "seen": describe(stored if seen is None else seen)}


def describe(rgb):
    pixels = rgb.astype("u1").tobytes().hex()
    if pixels not in pictures:
        pictures.append(pixels)
    return [rgb.shape[1], rgb.shape[0], pictures.index(pixels)]


def save(name, image, seen=None, **options):
    data = io.BytesIO()
    image.save(data, name.rsplit(".")[-1].replace("jpg", "jpeg"), **options)
    add(name, data.getvalue(), seen)


def over_white(rgba):
    rgba = rgba.astype("i8")
    a = rgba[..., 3:]
    return (rgba[..., :3] * a + 255 * (255 - a) + 127) // 255


def png(samples, colour):
    """A PNG of 16-bit samples, which Pillow does not write."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", W, H, 16, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


rgb, rgba, grey = Image.fromarray(RGB), Image.fromarray(RGBA), Image.fromarray(GREY)
palette = rgb.quantize(16)
bilevel = grey.convert("1")
grey_alpha = Image.merge("LA", [grey, Image.fromarray(ALPHA)])
cmyk = Image.fromarray(CMYK, "CMYK")
blended = over_white(RGBA)
clear = np.where((np.asarray(palette) == 3)[..., None], 255, np.asarray(palette.convert("RGB")))

save("grey.png", grey)
save("bilevel.png", bilevel)
save("grey_alpha.png", grey_alpha, over_white(np.asarray(grey_alpha.convert("RGBA"))))
save("rgba.png", rgba, blended)
save("palette.png", palette)
save("palette_clear.png", palette, clear, transparency=3)
for depth in (1, 2, 4):
    save(f"palette{depth}.png", rgb.quantize(2**depth), bits=depth)
wide = RGB.astype("u2") * 257 - (RGB > 100) * 100
add("rgb16.png", png(wide, 2), (wide.astype("i8") + 128) // 257)
wide_alpha = np.dstack([wide, ALPHA.astype("u2") * 257])
add("rgba16.png", png(wide_alpha, 6), over_white((wide_alpha.astype("i8") + 128) // 257))
add("grey16.png", png(GREY16, 0), np.repeat((GREY16.astype("i8") + 128)[..., None] // 257, 3, 2))

save("rgb.gif", rgb.quantize(64))
save("clear.gif", palette, clear, transparency=3)
save("interlaced.gif", palette, interlace=1)
frames = [palette, palette.transpose(Image.Transpose.ROTATE_180)]
save("frames.gif", frames[0], save_all=True, append_images=frames[1:])

save("rgb.bmp", rgb)
save("grey.bmp", grey)
save("bilevel.bmp", bilevel)
save("palette.bmp", palette)

save("rgb.tiff", rgb)
save("rgba.tiff", rgba, blended)
save("grey.tiff", grey)
save("bilevel.tiff", bilevel)
save("grey16.tiff", Image.fromarray(GREY16), np.repeat((GREY16.astype("i8") + 128)[..., None] // 257, 3, 2))
save("lzw.tiff", rgb, compression="tiff_lzw")
save("deflate.tiff", rgb, compression="tiff_adobe_deflate")
save("packbits.tiff", rgb, compression="packbits")
save("cmyk.tiff", cmyk)

save("lossless.webp", rgb, lossless=True)
save("lossy.webp", rgb, quality=80)
save("alpha.webp", rgba, blended, lossless=True, exact=True)

save("grey.jpg", grey)
save("rgb.jpg", rgb, quality=90)
save("quarter.jpg", rgb, quality=70, subsampling=2)
save("half.jpg", rgb, quality=70, subsampling=1)
save("progressive.jpg", rgb, progressive=True)
save("restarts.jpg", rgb, restart_marker_blocks=1)
save("not_ycc.jpg", rgb, keep_rgb=True)
save("cmyk.jpg", cmyk)
data = io.BytesIO()
cmyk.save(data, "jpeg")
data = data.getvalue()
adobe = data.index(b"\xff\xee")
add("cmyk_unmarked.jpg", data[:adobe] + data[adobe + 16 :])

for value in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = value
    for extension in ("jpg", "png", "webp", "tiff") if value == 6 else ("jpg",):
        options = {"lossless": True} if extension == "webp" else {}
        data = io.BytesIO()
        rgb.save(data, extension.replace("jpg", "jpeg"), exif=exif, **options)
        seen = ImageOps.exif_transpose(Image.open(data)).convert("RGB")
        add(f"turned{value}.{extension}", data.getvalue(), np.asarray(seen))

with open("expected.json", "w") as f:
    json.dump({"files": files, "pictures": pictures}, f, indent=None, sort_keys=True)
    f.write("\n")
