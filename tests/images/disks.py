"""Virtual disks for tests: made by qemu-img where it can, laid out by hand from the specifications where it cannot."""

from __future__ import annotations

import random
import struct
import subprocess
import uuid
from pathlib import Path

import pytest

from forensiclib.kernels import crc32c

MIB = 1 << 20
SIZE = 4 * MIB


def content(seed: int = 1, size: int = SIZE) -> bytes:
    """Text, noise and holes."""
    rng, out = random.Random(seed), bytearray(size)
    for i in range(14):
        n = rng.choice((512, 4096, 65536, 150_000))
        at = rng.randrange(size - n) & ~511
        out[at : at + n] = rng.randbytes(n) if i % 2 else (b"line %d of a text\n" % i * (n // 10))[:n]
    return bytes(out)


def qemu(*arguments: str | Path, cwd: Path | None = None, code: int = 0) -> str:
    """qemu-img's output. Skips without it."""
    try:
        done = subprocess.run(["qemu-img", *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=120)
    except FileNotFoundError:
        pytest.skip("qemu-img (Debian: qemu-utils) is not installed")
    assert done.returncode == code, done.stderr
    return done.stdout


def as_raw(path: Path, *options: str) -> bytes:
    """The disk as qemu-img reads it."""
    out = path.with_name(path.name + ".as-raw")
    qemu("convert", *options, "-O", "raw", path, out)
    data = out.read_bytes()
    out.unlink()
    return data


QEMU = {
    **{
        f"vmdk-{s}": ("vmdk", f"subformat={s}")
        for s in ("monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat", "streamOptimized")
    },
    "vmdk-zeroed-grain": ("vmdk", "zeroed_grain=on"),
    "vpc-fixed": ("vpc", "subformat=fixed,force_size=on"),
    "vpc-dynamic": ("vpc", "subformat=dynamic,force_size=on"),
    "vhdx-dynamic": ("vhdx", "subformat=dynamic"),
    "vhdx-fixed": ("vhdx", "subformat=fixed"),
    "vhdx-1M": ("vhdx", "subformat=dynamic,block_size=1M"),
    "qcow-1": ("qcow", ""),
    "qcow2-0.10": ("qcow2", "compat=0.10"),
    "qcow2-1.1": ("qcow2", "compat=1.1"),
    "qcow2-512": ("qcow2", "cluster_size=512"),
    "qcow2-2M": ("qcow2", "cluster_size=2M"),
    "qcow2-extended": ("qcow2", "extended_l2=on"),
    "qcow2-data-file": ("qcow2", "data_file=data.ext"),
    "qcow2-data-file-raw": ("qcow2", "data_file=data.ext,data_file_raw=on"),
    "qcow2-preallocated": ("qcow2", "preallocation=metadata"),
    "qcow2-deflate": ("qcow2", "compression_type=zlib"),
    "qcow2-zstd": ("qcow2", "compression_type=zstd"),
    "qcow2-zstd-extended": ("qcow2", "compression_type=zstd,extended_l2=on"),
    "vdi-dynamic": ("vdi", ""),
    "vdi-static": ("vdi", "static=on"),
    "parallels-1M": ("parallels", ""),
    "parallels-64K": ("parallels", "cluster_size=64K"),
}
"""Name -> (format, options of qemu-img)."""
SUFFIX = {"vpc": "vhd", "parallels": "hds"}


def made(folder: Path, name: str, data: bytes) -> Path:
    """The disk of that name with that content."""
    kind, options = QEMU[name]
    raw = folder / "media.raw"
    raw.write_bytes(data)
    out = folder / f"disk.{SUFFIX.get(kind, kind)}"
    packed = ["-c"] if "compression_type" in options else []
    qemu("convert", "-f", "raw", *packed, "-O", kind, *(["-o", options] if options else []), raw, out, cwd=folder)
    raw.unlink()
    return out


# ---- by hand, from the specifications


def vhd_sum(raw: bytes, at: int) -> bytes:
    """The one's complement of the sum of all bytes but the field itself."""
    return struct.pack(">I", ~(sum(raw) - sum(raw[at : at + 4])) & 0xFFFFFFFF)


def vhd_child(parent: Path, child: Path, changes: dict[int, bytes], locators: dict[bytes, bytes] | None = None, name: str = "") -> None:
    """A differencing VHD upon ``parent``; changes: sector -> 512 bytes; locators: platform code -> stored path."""
    footer = bytearray(parent.read_bytes()[-512:])
    size = int.from_bytes(footer[48:56], "big")
    parent_id, stamp = bytes(footer[68:84]), bytes(footer[24:28])
    footer[16:24] = struct.pack(">Q", 512)
    footer[60:64] = struct.pack(">I", 4)
    footer[68:84] = uuid.uuid5(uuid.NAMESPACE_OID, child.name).bytes
    footer[64:68] = vhd_sum(footer, 64)
    block = 2 * MIB
    entries = -(-size // block)
    head = bytearray(1024)
    head[:8] = b"cxsparse"
    struct.pack_into(">QQIII", head, 8, 0xFFFFFFFFFFFFFFFF, 1536, 0x10000, entries, block)
    head[40:56], head[56:60] = parent_id, stamp
    stated = (name or parent.name).encode("utf-16-be")
    head[64 : 64 + len(stated)] = stated
    table_end = 1536 + -(-entries * 4 // 512) * 512
    body = bytearray()
    for i, (code, text) in enumerate((locators if locators is not None else {b"W2ru": (".\\" + parent.name).encode("utf-16-le")}).items()):
        struct.pack_into(">4sIIIQ", head, 576 + 24 * i, code, 512, len(text), 0, table_end + len(body))
        body += text.ljust(-(-len(text) // 512) * 512, b"\0")
    head[36:40] = vhd_sum(head, 36)
    table = [0xFFFFFFFF] * entries
    for number in sorted({s * 512 // block for s in changes}):
        table[number] = (table_end + len(body)) // 512
        bitmap, data = bytearray(512), bytearray(b"\xee" * block)
        for sector, value in changes.items():
            if sector * 512 // block == number:
                inside = sector - number * block // 512
                bitmap[inside // 8] |= 0x80 >> inside % 8
                data[inside * 512 : inside * 512 + 512] = value
        body += bitmap + data
    raw_table = struct.pack(f">{entries}I", *table).ljust(table_end - 1536, b"\xff")
    child.write_bytes(bytes(footer) + bytes(head) + raw_table + bytes(body) + bytes(footer))


def seal(raw: bytearray, at: int, n: int) -> None:
    """Write the CRC-32C of a VHDX structure into its bytes 4 to 7."""
    raw[at + 4 : at + 8] = bytes(4)
    raw[at + 4 : at + 8] = struct.pack("<I", crc32c(bytes(raw[at : at + n])))


def vhdx_guid(path: Path, which: int = 32) -> bytes:
    """A GUID of the newest header: 16 file write, 32 data write."""
    raw = path.read_bytes()
    at = max((0x10000, 0x20000), key=lambda a: int.from_bytes(raw[a + 8 : a + 16], "little") if raw[a : a + 4] == b"head" else -1)
    return raw[at + which : at + which + 16]


def vhdx_child(parent: Path, child: Path, changes: dict[int, bytes], locator: dict[str, str] | None = None, sector: int = 512) -> None:
    """A differencing VHDX upon ``parent`` of up to 1 GiB; changes: logical sector -> its bytes."""
    size, block = SIZE, MIB
    ratio = (1 << 23) * sector // block
    raw = bytearray(6 * MIB)
    raw[:8] = b"vhdxfile"
    raw[8:24] = "by hand".encode("utf-16-le") + bytes(2)
    for at, sequence in ((0x10000, 1), (0x20000, 2)):
        struct.pack_into("<4sIQ16s16s16sHHIQ", raw, at, b"head", 0, sequence, b"f" * 16, b"d" * 16, bytes(16), 0, 1, MIB, MIB)
        seal(raw, at, 4096)
    regions = [("2dc27766-f623-4200-9d64-115e9bfd4a08", 3 * MIB), ("8b7ca206-4790-4b9a-b8fe-575f050f886e", 2 * MIB)]
    for at in (0x30000, 0x40000):
        struct.pack_into("<4sIII", raw, at, b"regi", 0, len(regions), 0)
        for i, (name, place) in enumerate(regions):
            struct.pack_into("<16sQII", raw, at + 16 + 32 * i, uuid.UUID(name).bytes_le, place, MIB, 1)
        seal(raw, at, 0x10000)
    linkage = "{" + str(uuid.UUID(bytes_le=vhdx_guid(parent))) + "}"
    pairs = locator if locator is not None else {"parent_linkage": linkage, "relative_path": ".\\" + parent.name}
    entries, body = b"", b""
    for key, value in pairs.items():
        k, v = key.encode("utf-16-le"), value.encode("utf-16-le")
        start = 20 + 12 * len(pairs) + len(body)
        entries += struct.pack("<IIHH", start, start + len(k), len(k), len(v))
        body += k + v
    kind = uuid.UUID("b04aefb7-d19e-4a81-b789-25b8e9445913").bytes_le
    items = [
        ("caa16737-fa36-4d43-b3b6-33f0aa44e76b", struct.pack("<II", block, 2), 4),
        ("2fa54224-cd1b-4876-b211-5dbed83bf4b8", struct.pack("<Q", size), 6),
        ("beca12ab-b2e6-4523-93ef-c309e000c746", b"i" * 16, 6),
        ("8141bf1d-a96f-4709-ba47-f233a8faab5f", struct.pack("<I", sector), 6),
        ("cda348c7-445d-4471-9cc9-e9885251c556", struct.pack("<I", 4096), 6),
        ("a8d35f2d-b30b-454d-abf7-d3d84834ab0c", kind + struct.pack("<HH", 0, len(pairs)) + entries + body, 4),
    ]
    struct.pack_into("<8sHH", raw, 2 * MIB, b"metadata", 0, len(items))
    place = 0x10000
    for i, (name, value, flags) in enumerate(items):
        struct.pack_into("<16sIIII", raw, 2 * MIB + 32 + 32 * i, uuid.UUID(name).bytes_le, place, len(value), flags, 0)
        raw[2 * MIB + place : 2 * MIB + place + len(value)] = value
        place += len(value) + -len(value) % 8
    bitmap, end = 5 * MIB, 6 * MIB
    struct.pack_into("<Q", raw, 3 * MIB + 8 * ratio, bitmap | 6)
    for number in sorted({s * sector // block for s in changes}):
        struct.pack_into("<Q", raw, 3 * MIB + 8 * number, end | 7)
        raw += b"\xee" * block
        for s, value in changes.items():
            if s * sector // block == number:
                raw[bitmap + s // 8] |= 1 << s % 8
                raw[end + s * sector % block : end + s * sector % block + sector] = value
        end += block
    child.write_bytes(raw)


def vhdx_log(path: Path, writes: list[list[tuple[int, bytes | int]]], guid: bytes = b"L" * 16, first: int = 7, at: int = 0) -> None:
    """Entries into the log of a VHDX that qemu-img made: each a list of (file offset, 4096 bytes or a count of zeros). ``at``: where in
    the log the first begins."""
    raw = bytearray(path.read_bytes())
    head = max((0x10000, 0x20000), key=lambda a: int.from_bytes(raw[a + 8 : a + 16], "little"))
    length, offset = struct.unpack_from("<IQ", raw, head + 68)
    raw[head + 48 : head + 64] = guid
    seal(raw, head, 4096)
    log, tail = bytearray(raw[offset : offset + length]), at
    for number, entry in enumerate(writes):
        sequence = first + number
        descriptors, sectors = b"", b""
        for target, value in entry:
            if isinstance(value, int):
                descriptors += struct.pack("<4sIQQQ", b"zero", 0, value, target, sequence)
            else:
                descriptors += struct.pack("<4s4s8sQQ", b"desc", value[-4:], value[:8], target, sequence)
                sectors += struct.pack("<4sI4084sI", b"data", sequence >> 32, value[8:-4], sequence & 0xFFFFFFFF)
        header = struct.pack("<4sIIIQII16sQQ", b"loge", 0, 4096 + len(sectors), tail, sequence, len(entry), 0, guid, len(raw), len(raw))
        made_entry = bytearray((header + descriptors).ljust(4096, b"\0") + sectors)
        seal(made_entry, 0, len(made_entry))
        for i in range(0, len(made_entry), 4096):
            place = (at + i) % length
            log[place : place + 4096] = made_entry[i : i + 4096]
        at = (at + len(made_entry)) % length
    raw[offset : offset + length] = log
    path.write_bytes(raw)


def cowd(folder: Path, data: bytes, name: str = "esx", grain: int = 1) -> Path:
    """An ESX sparse disk: descriptor and one COWD extent."""
    sectors = len(data) // 512
    tables = -(-sectors // (4096 * grain))
    head = bytearray(2048)
    struct.pack_into("<4sIIIIIII", head, 0, b"COWD", 1, 3, sectors, grain, 4, tables, 0)
    directory, body = [0] * tables, bytearray()
    start = 4 + -(-tables * 4 // 512)
    for t in range(tables):
        step = 4096 * grain * 512
        if not any(data[t * step : (t + 1) * step]):
            continue
        directory[t] = start + len(body) // 512
        table_at, entries = len(body), [0] * 4096
        body += bytes(4096 * 4)
        for g in range(4096):
            piece = data[(t * 4096 + g) * grain * 512 : (t * 4096 + g + 1) * grain * 512]
            if any(piece):
                entries[g] = start + len(body) // 512
                body += piece.ljust(grain * 512, b"\0")
        struct.pack_into("<4096I", body, table_at, *entries)
    raw = bytes(head) + struct.pack(f"<{tables}I", *directory).ljust((start - 4) * 512, b"\0") + bytes(body)
    (folder / f"{name}-delta.vmdk").write_bytes(raw)
    return descriptor(folder / f"{name}.vmdk", "vmfsSparse", [f'RW {sectors} VMFSSPARSE "{name}-delta.vmdk"'])


def se_sparse(folder: Path, data: bytes, name: str = "se") -> Path:
    """An SE-sparse disk: descriptor and one extent, zeroed grains for every second hole."""
    sectors, grain, gt_sectors = len(data) // 512, 8, 64
    grains = -(-sectors // grain)
    tables = -(-grains // 4096)
    gd_at, gt_at = 16, 24
    grains_at = gt_at + tables * gt_sectors
    directory = [0x1000000000000000 | t for t in range(tables)]
    entries, body = [0] * (tables * 4096), bytearray()
    for g in range(grains):
        piece = data[g * 4096 : (g + 1) * 4096]
        if any(piece):
            number = len(body) // 4096
            entries[g] = 0x3000000000000000 | (number & 0xFFF) << 48 | number >> 12
            body += piece
        elif g % 2:
            entries[g] = 0x2000000000000000
    head = bytearray(gt_at * 512)
    places = [8, 1, 9, 1, 10, 1, gd_at, 8, gt_at, tables * gt_sectors, 0, 0, 0, 0, grains_at, len(body) // 512]
    struct.pack_into("<6Q4Q16Q", head, 0, 0xCAFEBABE, 0x200000001, sectors, grain, gt_sectors, 0, 0, 0, 0, 0, *places)
    struct.pack_into("<4Q", head, 8 * 512, 0xCAFECAFE, 0, 0, 0)
    struct.pack_into(f"<{tables}Q", head, gd_at * 512, *directory)
    raw = bytes(head) + struct.pack(f"<{len(entries)}Q", *entries) + bytes(body)
    (folder / f"{name}-sesparse.vmdk").write_bytes(raw)
    return descriptor(folder / f"{name}.vmdk", "seSparse", [f'RW {sectors} SESPARSE "{name}-sesparse.vmdk"'])


def descriptor(path: Path, kind: str, extents: list[str], more: str = "parentCID=ffffffff") -> Path:
    """A VMDK descriptor file."""
    lines = ["# Disk DescriptorFile", "version=1", "CID=12345678", more, f'createType="{kind}"', "", "# Extent description", *extents]
    lines += ["", "# The Disk Data Base", 'ddb.adapterType = "lsilogic"', 'ddb.virtualHWVersion = "4"', ""]
    path.write_text("\n".join(lines))
    return path


def vdi_child(parent: Path, child: Path, changes: dict[int, bytes], zeroed: tuple[int, ...] = ()) -> None:
    """A differencing VDI upon ``parent``; changes: block -> its bytes; zeroed: blocks that were discarded."""
    raw = bytearray(parent.read_bytes()[:512])
    block, blocks = struct.unpack_from("<I", raw, 376)[0], struct.unpack_from("<I", raw, 384)[0]
    struct.pack_into("<I", raw, 76, 4)
    raw[424:440], raw[440:456] = raw[392:408], raw[408:424]
    raw[392:408] = uuid.uuid5(uuid.NAMESPACE_OID, child.name).bytes
    table, body = [0xFFFFFFFF] * blocks, b""
    for number, value in changes.items():
        table[number] = len(body) // block
        body += value.ljust(block, b"\0")
    for number in zeroed:
        table[number] = 0xFFFFFFFE
    start, data_at = struct.unpack_from("<II", raw, 340)
    child.write_bytes(bytes(raw[:start]) + struct.pack(f"<{blocks}I", *table).ljust(data_at - start, b"\0") + body)


def hdd(folder: Path, images: list[tuple[str, str, str, str]], sectors: int, top: str = "") -> Path:
    """A .hdd folder's descriptor; images: (GUID, parent's GUID, type, file)."""
    parts = "".join(f"<Image><GUID>{g}</GUID><Type>{t}</Type><File>{n}</File></Image>" for g, _, t, n in images)
    shots = "".join(f"<Shot><GUID>{g}</GUID><ParentGUID>{p}</ParentGUID></Shot>" for g, p, _, _ in images)
    head = f"<TopGUID>{top}</TopGUID>" if top else ""
    (folder / "DiskDescriptor.xml").write_text(
        "<?xml version='1.0' encoding='UTF-8'?>\n<Parallels_disk_image Version=\"1.0\"><Disk_Parameters>"
        f"<Disk_size>{sectors}</Disk_size><Padding>0</Padding></Disk_Parameters><StorageData><Storage><Start>0</Start>"
        f"<End>{sectors}</End><Blocksize>2048</Blocksize>{parts}</Storage></StorageData><Snapshots>{head}{shots}</Snapshots>"
        "</Parallels_disk_image>\n"
    )
    return folder
