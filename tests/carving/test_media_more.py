"""Types of media that libraries write: fonts, models, maps, music, text; and by hand what none here writes."""

from __future__ import annotations

import io
import random
import shutil
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from forensiclib.carving.engine import carve
from forensiclib.catalog import load
from forensiclib.core.source import MemorySource

CARVERS = load().carvers
FONTS = Path("/usr/share/fonts")


def a_font(out: str = "ttf") -> bytes:
    """DejaVu, whole or packed by fontTools."""
    path = FONTS / "truetype/dejavu/DejaVuSansMono.ttf"
    if not path.exists():
        pytest.skip("the font DejaVu is not installed")
    if out == "ttf":
        return path.read_bytes()
    library = pytest.importorskip("fontTools.ttLib")
    if out == "woff2":
        pytest.importorskip("brotli")
    font = library.TTFont(path)
    made = io.BytesIO()
    if out == "ttc":
        collection = library.ttCollection.TTCollection()
        collection.fonts = [font, library.TTFont(path)]
        collection.save(made)
    else:
        font.flavor = out
        font.save(made)
    return made.getvalue()


def an_otf() -> bytes:
    builder = pytest.importorskip("fontTools.fontBuilder").FontBuilder(1000, isTTF=False)
    pens = pytest.importorskip("fontTools.pens.t2CharStringPen")
    names = [".notdef", "A"]
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({65: "A"})
    drawn = {}
    for name in names:
        pen = pens.T2CharStringPen(600, None)
        pen.moveTo((0, 0))
        pen.lineTo((500, 0))
        pen.lineTo((250, 700))
        pen.closePath()
        drawn[name] = pen.getCharString()
    builder.setupCFF("Test", {}, drawn, {})
    builder.setupHorizontalMetrics(dict.fromkeys(names, (600, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Test", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    made = io.BytesIO()
    builder.font.save(made)
    return made.getvalue()


def an_eot() -> bytes:
    """By hand around a real font (the W3C submission, version 2.1)."""
    font = a_font()
    names = b"".join(struct.pack("<HH", 0, 8) + "Test".encode("utf-16-le") for _ in range(4)) + struct.pack("<HH", 0, 0)
    fixed = (
        struct.pack("<III", len(font), 0x20001, 0)
        + bytes(10)
        + b"\1\0"
        + struct.pack("<IH", 400, 0)
        + b"LP"
        + bytes(16 + 8 + 4)
        + bytes(16)
    )
    size = 4 + len(fixed) + len(names) + len(font)
    return struct.pack("<I", size) + fixed + names + font


def a_pfb() -> bytes:
    path = FONTS / "X11/Type1/C059-Roman.pfb"
    if not path.exists():
        pytest.skip("fonts-urw-base35 is not installed")
    return path.read_bytes()


def a_pfa() -> bytes:
    data, at, out = a_pfb(), 0, b""
    while data[at + 1] != 3:
        size = int.from_bytes(data[at + 2 : at + 6], "little")
        piece = data[at + 6 : at + 6 + size]
        out += piece if data[at + 1] == 1 else b"\n".join(piece[i : i + 32].hex().encode() for i in range(0, size, 32)) + b"\n"
        at += 6 + size
    return out


def a_mesh(kind: str, **options: object) -> bytes:
    mesh = pytest.importorskip("trimesh").creation.icosphere(subdivisions=2)
    made = mesh.export(file_type=kind, **options)
    return made if isinstance(made, bytes) else made.encode()


def exported(kind: str) -> bytes:
    """By the Open Asset Import Library."""
    if shutil.which("assimp") is None:
        pytest.skip("assimp is not installed")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.ply").write_bytes(a_mesh("ply"))
        subprocess.run(["assimp", "export", "a.ply", f"b.{kind}"], cwd=folder, capture_output=True, check=False, timeout=60)
        out = Path(folder) / f"b.{kind}"
        if not out.exists():
            pytest.skip(f"this assimp cannot write {kind}")
        return out.read_bytes()


def a_dxf(form: str) -> bytes:
    drawing = pytest.importorskip("ezdxf").new()
    drawing.modelspace().add_line((0, 0), (3, 4))
    if form == "text":
        made = io.StringIO()
        drawing.write(made)
        return made.getvalue().encode()
    raw = io.BytesIO()
    drawing.write(raw, fmt="bin")
    return raw.getvalue()


def a_shape(what: str) -> bytes:
    made = {name: io.BytesIO() for name in ("shp", "shx", "dbf")}
    with pytest.importorskip("shapefile").Writer(**made) as writer:
        writer.field("name", "C")
        for i in range(20):
            writer.poly([[[i, 0], [i, 5], [i + 5, 5], [i, 0]]])
            writer.record(str(i))
    return made[what].getvalue()


def a_fit() -> bytes:
    pytest.importorskip("fit_tool")
    from fit_tool.fit_file_builder import FitFileBuilder
    from fit_tool.profile.messages.file_id_message import FileIdMessage
    from fit_tool.profile.profile_type import FileType

    builder = FitFileBuilder(auto_define=True)
    message = FileIdMessage()
    message.type, message.serial_number = FileType.ACTIVITY, 12345
    for _ in range(20):
        builder.add(message)
    return bytes(builder.build().to_bytes())


def a_cloud() -> bytes:
    laspy = pytest.importorskip("laspy")
    cloud = laspy.create(point_format=6, file_version="1.4")
    cloud.x = list(range(100))
    cloud.y = cloud.z = [1.0] * 100
    made = io.BytesIO()
    cloud.write(made)
    return made.getvalue()


def a_tune() -> bytes:
    mido = pytest.importorskip("mido")
    song = mido.MidiFile()
    for _ in range(3):
        track = mido.MidiTrack()
        track += [mido.Message(kind, note=n, velocity=64, time=32) for n in range(40, 70) for kind in ("note_on", "note_off")]
        song.tracks.append(track)
    made = io.BytesIO()
    song.save(file=made)
    return made.getvalue()


def riff(form: bytes, *parts: tuple[bytes, bytes], head: bytes = b"RIFF", order: str = "<") -> bytes:
    body = form + b"".join(kind + struct.pack(order + "I", len(data)) + data + bytes(len(data) & 1) for kind, data in parts)
    return head + struct.pack(order + "I", len(body)) + body


def a_cursor() -> bytes:
    """An icon of Pillow's as a cursor: another number in the head, a hot spot for planes and depth."""
    image = pytest.importorskip("PIL.Image").radial_gradient("L").convert("RGBA")
    made = io.BytesIO()
    image.save(made, "ICO", sizes=[(32, 32), (48, 48)], bitmap_format="bmp")
    data = bytearray(made.getvalue())
    data[2] = 2
    for at in range(6, 6 + 32, 16):
        data[at + 4 : at + 8] = b"\x05\0\x06\0"
    return bytes(data)


def pictured(kind: str, mode: str = "RGB", **options: object) -> bytes:
    image = pytest.importorskip("PIL.Image").radial_gradient("L").resize((64, 48)).convert(mode)
    made = io.BytesIO()
    image.save(made, kind, **options)
    return made.getvalue()


def a_film(packed: bool) -> bytes:
    """A movie by hand: a frame, a background colour, the end."""
    body = (
        b"\0"
        + b"\0\x18\1\0"
        + bytes.fromhex("4302ffffff")
        + bytes.fromhex("7f13")
        + struct.pack("<I", 4000)
        + random.Random(3).randbytes(4000)
    )
    body += bytes.fromhex("4000") + bytes.fromhex("0000")
    size = struct.pack("<I", 8 + len(body))
    return (b"CWS\x09" + size + zlib.compress(body)) if packed else (b"FWS\x09" + size + body)


def speech(wide: bool) -> bytes:
    """Frames of the highest rate by RFC 4867; ffmpeg reads them."""
    frame = b"\x44" + bytes(range(60)) if wide else b"\x3c" + bytes(range(31))
    return (b"#!AMR-WB\n" if wide else b"#!AMR\n") + frame * 50


def an_x3f() -> bytes:
    sections = b"SECi" + bytes(300), b"SECp" + bytes(80)
    out = b"FOVb" + struct.pack("<I", 0x20003) + bytes(32)
    entries = b""
    for section in sections:
        entries += struct.pack("<II4s", len(out), len(section), b"IMA2")
        out += section
    return out + b"SECd" + struct.pack("<II", 0x20000, 2) + entries + struct.pack("<I", len(out))


def a_raf() -> bytes:
    jpeg = pictured("JPEG")
    head = b"FUJIFILMCCD-RAW 0201FF129502" + bytes(56)
    places = struct.pack(">6I", 160, len(jpeg), 160 + len(jpeg), 300, 460 + len(jpeg), 5000)
    return (head + places).ljust(160, b"\0") + jpeg + b"\1" * 300 + random.Random(2).randbytes(5000)


def an_mrw() -> bytes:
    prd = b"27730001" + struct.pack(">4H", 60, 80, 60, 80) + bytes((12, 12, 0x59, 0)) + bytes(4)
    blocks = b"\0PRD" + struct.pack(">I", len(prd)) + prd + b"\0WBG" + struct.pack(">I", 12) + bytes(12)
    return b"\0MRM" + struct.pack(">I", len(blocks)) + blocks + random.Random(1).randbytes(60 * 80 * 12 // 8)


def an_ape() -> bytes:
    """Descriptor and header of version 3.99 by hand; frames of noise."""
    sound = random.Random(4).randbytes(3000)
    descriptor = struct.pack("<4sHHIIIIIII16s", b"MAC ", 3990, 0, 52, 24, 40, 44, len(sound), 0, 0, bytes(16))
    header = struct.pack("<HHIIIHHI", 2000, 0, 73728, 1000, 10, 16, 2, 44100)
    return descriptor + header + bytes(40) + bytes(44) + sound


XML = b'<?xml version="1.0" encoding="UTF-8"?>\n<!-- made -->\n'
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9"><g id="a>b"><path d="M0 0"/><!-- <g> --></g><text>x</text></svg>\n'


def sheet(root: bytes) -> bytes:
    return XML + b"<" + root + b' version="1.1">' + b"".join(b'<p n="%d"><q/>text</p>\n' % i for i in range(200)) + b"</" + root + b">\n"


NOISE = random.Random(9).randbytes(400)
MADE: dict[str, tuple[Callable[[], bytes], str]] = {
    "TrueType": (a_font, "ttf"),
    "OpenType": (an_otf, "otf"),
    "collection": (lambda: a_font("ttc"), "ttc"),
    "WOFF": (lambda: a_font("woff"), "woff"),
    "WOFF2": (lambda: a_font("woff2"), "woff2"),
    "EOT": (an_eot, "eot"),
    "PFB": (a_pfb, "pfb"),
    "PFA": (a_pfa, "pfa"),
    "GLB": (lambda: a_mesh("glb"), "glb"),
    "PLY": (lambda: a_mesh("ply"), "ply"),
    "PLY text": (lambda: a_mesh("ply", encoding="ascii"), "ply"),
    "STL text": (lambda: a_mesh("stl_ascii"), "stl"),
    "3DS": (lambda: exported("3ds"), "3ds"),
    "COLLADA": (lambda: exported("dae"), "dae"),
    "X3D": (lambda: exported("x3d"), "x3d"),
    "GLB by assimp": (lambda: exported("glb2"), "glb"),
    "DXF": (lambda: a_dxf("text"), "dxf"),
    "DXF binary": (lambda: a_dxf("binary"), "dxf"),
    "shapes": (lambda: a_shape("shp"), "shp"),
    "index of shapes": (lambda: a_shape("shx"), "shx"),
    "FIT": (a_fit, "fit"),
    "LAS": (a_cloud, "las"),
    "MIDI": (a_tune, "mid"),
    "RMID": (lambda: riff(b"RMID", (b"data", a_tune())), "rmi"),
    "SVG": (lambda: SVG, "svg"),
    "SVG behind a prolog": (lambda: XML + SVG, "svg"),
    "KML": (lambda: sheet(b"kml"), "kml"),
    "GPX": (lambda: sheet(b"gpx"), "gpx"),
    "TCX": (lambda: sheet(b"TrainingCenterDatabase"), "tcx"),
    "OSM": (lambda: sheet(b"osm"), "osm"),
    "CUR": (a_cursor, "cur"),
    "ICNS": (lambda: pictured("ICNS", "RGBA"), "icns"),
    "TGA": (lambda: pictured("TGA"), "tga"),
    "TGA packed": (lambda: pictured("TGA", compression="tga_rle"), "tga"),
    "EMF": (lambda: b"\1\0\0\0\x58\0\0\0" + bytes(32) + b" EMF\0\0\1\0" + struct.pack("<IIHH", 128, 3, 1, 0) + bytes(28)
            + struct.pack("<III", 25, 20, 0) + bytes(8) + struct.pack("<IIIII", 14, 20, 0, 0, 20), "emf"),
    "ANI": (lambda: riff(b"ACON", (b"anih", bytes(36)), (b"LIST", b"fram" + NOISE)), "ani"),
    "CDR": (lambda: riff(b"CDR9", (b"vrsn", b"\x84\3"), (b"LIST", b"doc " + NOISE)), "cdr"),
    "SF2": (lambda: riff(b"sfbk", (b"LIST", b"INFO" + NOISE), (b"LIST", b"sdta" + NOISE)), "sf2"),
    "DLS": (lambda: riff(b"DLS ", (b"colh", bytes(4)), (b"LIST", b"lins" + NOISE)), "dls"),
    "PAL": (lambda: riff(b"PAL ", (b"data", b"\0\3\1\0" + bytes(4))), "pal"),
    "ILBM": (lambda: riff(b"ILBM", (b"BMHD", bytes(20)), (b"BODY", NOISE), head=b"FORM", order=">"), "lbm"),
    "LWO2": (lambda: riff(b"LWO2", (b"TAGS", bytes(4)), (b"PNTS", NOISE), head=b"FORM", order=">"), "lwo"),
    "SWF": (lambda: a_film(False), "swf"),
    "SWF deflated": (lambda: a_film(True), "swf"),
    "AMR": (lambda: speech(False), "amr"),
    "AMR-WB": (lambda: speech(True), "awb"),
    "X3F": (an_x3f, "x3f"),
    "RAF": (a_raf, "raf"),
    "MRW": (an_mrw, "mrw"),
    "APE": (an_ape, "ape"),
}  # fmt: skip
ENDLESS = {"pfa", "stl", "dxf", "svg", "amr", "awb", "kml", "gpx", "tcx", "osm", "dae", "x3d", "ttf", "otf", "ply", "ttc"}
"""Whole without their last end of line, padding, or frame."""


@pytest.mark.parametrize("name", MADE)
def test_a_file_among_foreign_bytes_comes_back_exactly(name: str) -> None:
    make, extension = MADE[name]
    content = make()
    noise = random.Random(name).randbytes(30_000)
    for before, behind in ((b"", noise), (noise[:7777], bytes(5000)), (bytes(1024), noise)):
        finds = [f for f in carve(MemorySource(before + content + behind), CARVERS) if f.find.complete or f.offset == len(before)]
        assert [(f.offset, f.length, f.extension, f.find.complete) for f in finds] == [(len(before), len(content), extension, True)], finds
    for keep in (len(content) // 3, len(content) // 2, len(content) - 1):
        for find in carve(MemorySource(content[:keep]), CARVERS):
            assert (
                not (find.offset == 0 and find.find.complete)
                or (extension in ENDLESS and keep == len(content) - 1)
                or extension in ("amr", "awb")
            ), find


def test_noise_and_text_hold_nothing() -> None:
    text = "".join(f"{i} The quick brown fox: GIF89a of 12%, BM, MZ, solid rock, 999 P5 II* times.\n" for i in range(20_000)).encode()
    for data in (random.Random(11).randbytes(8 << 20), text, bytes(4 << 20), b"\xff" * (2 << 20), bytes(range(256)) * 8192):
        assert [f for f in carve(MemorySource(data), CARVERS) if f.find.complete] == []
