"""File systems that travel as files: ISO 9660, SquashFS, cramfs, romfs; boot images of phones and boards."""

from __future__ import annotations

import zlib

from forensiclib.carving._read import crc32, same_byte
from forensiclib.carving._stated import stated
from forensiclib.carving.streams import whole_crc
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS"]

_PVD = 32_768
_PAGE = 4_096
_PADDING = 150 * 2048


def _measure_iso(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(_PVD, 2048)
    if len(raw) < 2048 or raw[881] != 1:
        return None
    numbers = []
    for at, width in ((80, 4), (128, 2), (132, 4)):
        little, big = raw[at : at + width], raw[at + width : at + 2 * width]
        if little != big[::-1]:
            return None
        numbers.append(int.from_bytes(little, "little"))
    blocks, block, _table = numbers
    if block not in (512, 1024, 2048) or blocks * block <= _PVD + 4096 or raw[156] < 34:
        return None
    root = int.from_bytes(raw[158:162], "little") * block
    if root + block <= data.size and data.read_at(root, 1)[0] < 34:
        return Find(min(data.size, _PVD + 2048), 0.4, "volume descriptor; no root directory where it says", complete=False)
    label = raw[40:72].decode("ascii", "replace").strip()
    end = blocks * block
    if data.size >= end + _PADDING and same_byte(data, end, end + _PADDING, budget):
        return Find(end + _PADDING, 0.9, f"{blocks} blocks of {block} bytes, volume {label!r}, and 150 sectors of padding")
    return stated(data, end, 0.9, f"{blocks} blocks of {block} bytes, volume {label!r}")


def _measure_squashfs(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, 96)
    if len(raw) < 96:
        return None
    order = "little" if raw[:4] in (b"hsqs", b"shsq", b"qshs") else "big"
    major, minor = (int.from_bytes(raw[a : a + 2], order) for a in (28, 30))  # type: ignore[arg-type]
    if major == 4 and minor == 0:
        block, log, used = (int.from_bytes(raw[a:b], order) for a, b in ((12, 16), (22, 24), (40, 48)))  # type: ignore[arg-type]
    elif major in (2, 3) and minor in (0, 1, 76):  # 76: with LZMA
        block, log = int.from_bytes(raw[51:55], order), int.from_bytes(raw[34:36], order)  # type: ignore[arg-type]
        used = int.from_bytes(raw[63:71] if major == 3 else raw[8:12], order)  # type: ignore[arg-type]
    else:
        return None
    if not 12 <= log <= 20 or block != 1 << log or not 96 < used < 1 << 44:
        return None
    end = used + -used % _PAGE
    padded = end <= data.size and same_byte(data, used, end, budget)
    return stated(data, end if padded else used, 0.9, f"{used} bytes in use" + (", zeros to the page" if padded and end > used else ""))


def _measure_cramfs(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, 76)
    order = "little" if raw[:1] == b"\x45" else "big"
    size, flags, crc = (int.from_bytes(raw[a : a + 4], order) for a in (4, 8, 32))  # type: ignore[arg-type]
    if len(raw) < 76 or raw[16:32] != b"Compressed ROMFS" or not flags & 1 or not 76 <= size <= 512 << 20:
        return None
    if size > data.size:
        return Find(data.size, 0.4, f"{size} bytes stated, the data ends before", complete=False)
    if whole_crc(data, size, 32, budget) != crc:
        return Find(size, 0.5, "size stated by the superblock, the checksum is wrong", complete=False)
    return Find(size, 1.0, "size stated by the superblock, checksum good")


def _measure_romfs(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, 512)
    size = int.from_bytes(raw[8:12], "big")
    head = raw[: min(size, 512)]
    if len(raw) < 32 or size < 32 or size > data.size + (1 << 28):
        return None
    if sum(int.from_bytes(head[i : i + 4], "big") for i in range(0, len(head) & ~3, 4)) & 0xFFFFFFFF:
        return None
    end = size + -size % 1024
    padded = end <= data.size and same_byte(data, size, end, budget)
    return stated(data, end if padded else size, 0.95, "size stated by the superblock, checksum good")


def _measure_dtb(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 40)
    if len(raw) < 40:
        return None
    total, structure, strings, reserve, version, oldest, _, strings_size, structure_size = (
        int.from_bytes(raw[i : i + 4], "big") for i in range(4, 40, 4)
    )
    if (
        not 2 <= oldest <= version <= 32
        or not 40 <= reserve <= total
        or structure + structure_size > total
        or strings + strings_size > total
    ):
        return None
    if structure % 4 or (structure + 4 <= data.size and data.read_at(structure, 4) != b"\0\0\0\1"):
        return None
    return stated(data, total, 0.9, f"size stated by the header of version {version}")


def _measure_uimage(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, 64)
    if len(raw) < 64 or zlib.crc32(raw[:4] + bytes(4) + raw[8:]) != int.from_bytes(raw[4:8], "big"):
        return None
    size, crc = int.from_bytes(raw[12:16], "big"), int.from_bytes(raw[24:28], "big")
    if 64 + size > data.size:
        return Find(data.size, 0.5, "header checksum good, the data ends before", complete=False)
    if crc32(data, 64, size, budget) != crc:
        return Find(64 + size, 0.6, "header checksum good, that of the data wrong", complete=False)
    return Find(64 + size, 1.0, "checksums of header and data good")


def _measure_boot(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 2048)
    if len(raw) < 1660:
        return None
    word = [int.from_bytes(raw[i : i + 4], "little") for i in range(8, 48, 4)]
    version = word[8]
    if version in (3, 4) and word[3] in (1580, 1584):
        page, parts = 4096, [word[0], word[1], int.from_bytes(raw[1580:1584], "little") if version == 4 else 0]
    else:
        page, parts = word[7], [word[0], word[2], word[4]]
        if version in (1, 2):
            parts.append(int.from_bytes(raw[1632:1636], "little"))
        if version == 2:
            parts.append(int.from_bytes(raw[1648:1652], "little"))
        if page not in (2048, 4096, 8192, 16384) or any(raw[64 + 512 - 1 : 64 + 512]):
            return None
    if not 4096 < parts[0] < 1 << 28 or any(part > 1 << 28 for part in parts):
        return None
    end = page + sum(part + -part % page for part in parts)
    return stated(data, end, 0.8, f"kernel, ramdisk and further parts in pages of {page} bytes")


CARVERS = (
    Carver(
        name="iso9660",
        title="CD or DVD image (ISO 9660)",
        extension="iso",
        mime="application/x-iso9660-image",
        signatures=(Signature(b"\x01CD001\x01\x00", _PVD),),
        measure=_measure_iso,
        maximum=1 << 40,
        refs=("ECMA-119: 8.4 Primary Volume Descriptor",),
        gaps=("pure UDF images are not recognised", "a hybrid image that is longer than its ISO volume ends with the volume"),
    ),
    Carver(
        name="squashfs",
        title="SquashFS image",
        extension="sqsh",
        mime="application/vnd.squashfs",
        signatures=(
            Signature(b"hsqs"),
            *(
                Signature(b"sqsh\0\0\0\0" + bytes(20) + version, mask=b"\xff" * 4 + bytes(24) + b"\xff\xff")
                for version in (b"\0\x02", b"\0\x03", b"\0\x04")
            ),
        ),
        measure=_measure_squashfs,
        maximum=1 << 44,
        refs=("Linux: Documentation/filesystems/squashfs.rst", "squashfs-tools: squashfs_compat.h"),
        gaps=("version 1 is refused", "vendors' other magics are not recognised"),
    ),
    Carver(
        name="cramfs",
        title="cramfs image",
        extension="cramfs",
        mime="application/x-cramfs",
        signatures=(Signature(b"\x45\x3d\xcd\x28"), Signature(b"\x28\xcd\x3d\x45")),
        measure=_measure_cramfs,
        maximum=512 << 20,
        refs=("Linux: include/uapi/linux/cramfs_fs.h",),
        gaps=("images before version 2 have no checksum and are refused",),
    ),
    Carver(
        name="romfs",
        title="romfs image",
        extension="romfs",
        mime="application/x-romfs",
        signatures=(Signature(b"-rom1fs-"),),
        measure=_measure_romfs,
        maximum=1 << 30,
        refs=("Linux: Documentation/filesystems/romfs.rst",),
        gaps=("files are not walked",),
    ),
    Carver(
        name="dtb",
        title="flattened device tree",
        extension="dtb",
        mime="application/x-device-tree",
        signatures=(Signature(b"\xd0\x0d\xfe\xed"),),
        measure=_measure_dtb,
        maximum=1 << 28,
        refs=("Devicetree Specification 0.4, chapter 5",),
        gaps=("nodes are not walked",),
    ),
    Carver(
        name="uimage",
        title="U-Boot image (legacy)",
        extension="uimage",
        mime="application/x-uboot-image",
        signatures=(Signature(b"\x27\x05\x19\x56"),),
        measure=_measure_uimage,
        maximum=1 << 30,
        refs=("U-Boot: include/image.h, legacy image header",),
        gaps=("none known beyond the format",),
    ),
    Carver(
        name="android-boot",
        title="Android boot image",
        extension="img",
        mime="application/x-android-boot",
        signatures=(Signature(b"ANDROID!"),),
        measure=_measure_boot,
        maximum=1 << 30,
        refs=("Android: Boot image header, versions 0 to 4",),
        gaps=(
            "vendor_boot images are not recognised",
            "a verified-boot footer behind the image is left out",
            "no sample written by a phone's maker was at hand",
        ),
    ),
)
