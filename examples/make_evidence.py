"""Build examples/evidence/example.E01: a small disk with a known story, by the tools that real disks are made with.

usage: python examples/make_evidence.py [DIRECTORY]

Alice's computer: an MBR disk with the memory card of a camera (FAT16) and a Windows-like volume (NTFS), and the remains
of an older partition behind them. What is on it stands in example.truth.tsv. Pictures, texts, the registry hive, the
shortcut and the recycle bin are generated here; contents are the same each time, the times inside NTFS are those of the run.

Needs root (ntfs-3g mounts), the Debian packages dosfstools, mtools, ntfs-3g, ewf-tools and libhivex-bin, and the Python
packages pillow and pylnk3.
"""

from __future__ import annotations

import codecs
import datetime
import io
import random
import struct
import sys
import tempfile
import zipfile
from pathlib import Path

from forensiclib.core.time import FILETIME_EPOCH
from forensiclib.testing.evidence import File, Plan, Raw, Volume, build
from forensiclib.testing.hives import REG_BINARY, REG_SZ, hive
from forensiclib.testing.makefs import EPOCH

HOME = "Users/alice"
SID = "S-1-5-21-1004336348-1177238915-682003330-1001"
DAY = 86_400


def filetime(seconds: int) -> int:
    return seconds * 10_000_000 + FILETIME_EPOCH


def picture(seed: int, size: tuple[int, int] = (320, 240), kind: str = "JPEG") -> bytes:
    """A drawing that a person recognises, with EXIF where the format has it."""
    from PIL import Image, ImageDraw

    rng = random.Random(seed)
    image = Image.new("RGB", size, tuple(rng.randrange(120, 256) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    for _ in range(25):
        x, y, r = rng.randrange(size[0]), rng.randrange(size[1]), rng.randrange(8, 60)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(rng.randrange(256) for _ in range(3)))
    draw.text((8, 8), f"picture {seed}", fill=(0, 0, 0))
    exif = Image.Exif()
    when = datetime.datetime.fromtimestamp(EPOCH - seed * DAY, datetime.UTC)
    exif[0x010F], exif[0x0110], exif[0x0132] = "Example", "Camera 1", when.strftime("%Y:%m:%d %H:%M:%S")
    out = io.BytesIO()
    image.save(out, kind, exif=exif, **({"quality": 80} if kind == "JPEG" else {}))
    return out.getvalue()


def document(title: str, text: str) -> bytes:
    """A minimal Word document."""
    types = (
        '<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/word/document.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
    )
    relations = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type='
        '"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/>'
        "</Relationships>"
    )
    body = "".join(f"<w:p><w:r><w:t>{line}</w:t></w:r></w:p>" for line in (title, *text.splitlines()))
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    word = f'<?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w="{space}"><w:body>{body}</w:body></w:document>'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("[Content_Types].xml", types), ("_rels/.rels", relations), ("word/document.xml", word)):
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
    return out.getvalue()


def user_hive() -> bytes:
    """NTUSER.DAT: a program that starts with Windows, one that the user ran, an address typed."""
    run_count, last = 7, filetime(EPOCH - 3 * DAY)
    entry = struct.pack("<IIII", 0, run_count, 12, 345_000) + bytes(44) + struct.pack("<QI", last, 0)
    program = codecs.encode(r"{6D809377-6AF0-444B-8957-A3773F02200E}\Wiper\wiper.exe", "rot13")
    explorer = r"Software\Microsoft\Windows\CurrentVersion\Explorer"
    text = lambda value: (REG_SZ, (value + "\0").encode("utf-16-le"))  # noqa: E731
    return hive(
        {
            r"Software\Microsoft\Windows\CurrentVersion\Run": {"Sync": text(r"C:\Users\alice\AppData\Local\sync.exe /quiet")},
            explorer + r"\UserAssist\{CEBFF5CD-ACE2-4F4F-9178-9926F41749EA}\Count": {program: (REG_BINARY, entry)},
            r"Software\Microsoft\Internet Explorer\TypedURLs": {"url1": text("http://www.example.org/wiper")},
        },
        filetime(EPOCH),
    )


def shortcut(target: str, size: int) -> bytes:
    import pylnk3

    with tempfile.TemporaryDirectory() as folder:
        name = str(Path(folder) / "a.lnk")
        link = pylnk3.create(name)
        levels = list(pylnk3.path_levels(target))
        link.shell_item_id_list = pylnk3.LinkTargetIDList()
        drive = pylnk3.DriveEntry(levels[0])
        entries = [pylnk3.RootEntry(pylnk3.ROOT_MY_COMPUTER), drive]
        when = datetime.datetime.fromtimestamp(EPOCH - 2 * DAY, datetime.UTC).replace(tzinfo=None)
        for number, level in enumerate(levels[1:], 2):
            entry = pylnk3.PathSegmentEntry()
            entry.type = pylnk3.TYPE_FILE if number == len(levels) else pylnk3.TYPE_FOLDER
            entry.file_size = size if number == len(levels) else 0
            entry.full_name = level.rpartition("\\")[2]
            entry.short_name = entry.full_name
            entry.created = entry.modified = entry.accessed = when
            entries.append(entry)
        link.shell_item_id_list.items = entries
        link.link_flags.HasLinkTargetIDList = True
        link.creation_time = link.modification_time = link.access_time = when
        link.file_size, link.description = size, "Holiday"
        link.save()
        return Path(name).read_bytes()


def recycled(path: str, content: bytes, deleted: int) -> tuple[File, File]:
    """The pair of files that Windows 10 makes of a deleted one."""
    name = path + "\0"
    record = struct.pack("<QQQI", 2, len(content), filetime(deleted), len(name)) + name.encode("utf-16-le")
    extension = Path(path.rpartition("\\")[2]).suffix
    folder = f"$Recycle.Bin/{SID}"
    return File(f"{folder}/$IQ7XK2M{extension}", record), File(f"{folder}/$RQ7XK2M{extension}", content)


def plan() -> Plan:
    """The disk."""
    notes = b"Meet at the boathouse on Friday.\r\nBring the camera.\r\n"
    holiday = picture(11)
    card = tuple(File(f"DCIM/100EXAMP/IMG_{n:04}.JPG", picture(n), deleted=n in (2, 4), modified=EPOCH - n * DAY) for n in range(1, 6))
    windows = (
        File("Windows/System32/drivers/etc/hosts", b"127.0.0.1 localhost\r\n"),
        File(f"{HOME}/NTUSER.DAT", user_hive()),
        File(f"{HOME}/Documents/notes.txt", notes * 20, {"draft": b"The old plan was the station at noon.\r\n" * 4}),
        File(f"{HOME}/Documents/letter.docx", document("Letter", "Dear Bob,\nthe pictures are on the card.\nAlice")),
        File(f"{HOME}/Documents/list.txt", b"bread\r\nmilk\r\n" * 80, slack=b"ACCOUNT 12-34-56 12345678 BOB\r\n" * 20),
        File(f"{HOME}/Documents/accounts.csv", b"date,amount\r\n" + b"2025-12-24,1200\r\n" * 60, deleted=True),
        File(f"{HOME}/Downloads/wiper.txt", b"wipe all traces\r\n" * 9, {"Zone.Identifier": b"[ZoneTransfer]\r\nZoneId=3\r\n"}),
        File(f"{HOME}/Pictures/holiday.jpg", holiday),
        File(f"{HOME}/Pictures/chart.png", picture(12, (160, 120), "PNG")),
        File(f"{HOME}/Pictures/secret.jpg", picture(13), deleted=True),
        File(
            f"{HOME}/AppData/Roaming/Microsoft/Windows/Recent/holiday.jpg.lnk",
            shortcut(r"C:\Users\alice\Pictures\holiday.jpg", len(holiday)),
        ),
        *recycled(r"C:\Users\alice\Documents\receipt.txt", b"Paid in full: 1200\r\n" * 40, EPOCH - DAY),
    )
    return Plan(
        (Volume("fat16", 3 << 20, card, "CAMERA", 512), Volume("ntfs", 4 << 20, windows, "Windows", 4096)),
        scheme="mbr",
        raw=(Raw("lost picture", 64 << 10, picture(21)), Raw("lost document", 128 << 10, document("Lost", "from an older partition"))),
        tail=256 << 10,
        name="example",
        e01=True,
    )


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "evidence"
    built = build(plan(), directory)
    built.image.unlink()
    assert built.e01 is not None
    print(f"{built.e01}: {built.e01.stat().st_size} bytes, {len(built.truth)} contents")


if __name__ == "__main__":
    main()
