"""Archives without a trailer of their own kind: tar and Microsoft cabinets."""

from __future__ import annotations

from forensiclib.carving._read import Window, same_byte
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.archives import CAB_DATA, CAB_FOLDER, CAB_HEADER, TAR

__all__ = ["CARVERS"]

_BLOCK, _RECORD = 512, 10_240
_PREVIOUS, _NEXT, _RESERVE = 1, 2, 4


def _octal(raw: bytes) -> int:
    """A tar number: octal text, or base 256 behind a first byte of 80; -1 for neither."""
    if raw[0] == 0x80:
        return int.from_bytes(raw[1:], "big")
    text = raw.strip(b" \0")
    return int(text, 8) if text and all(0x30 <= c <= 0x37 for c in text) else -1


def _tar_member(window: Window, at: int, budget: Budget) -> int:
    """Bytes of the member whose header is at ``at``, its data included; -1 when none is there. The
    checksum decides: members older than ustar have no magic. Some writers added signed bytes."""
    raw = window.at(at, TAR.size)
    if len(raw) < TAR.size or not any(raw):
        return -1
    total = sum(raw) - sum(raw[148:156]) + 8 * 0x20
    signed = total - 256 * sum(byte > 127 for byte in raw[:148] + raw[156:])
    size = _octal(raw[124:136])
    if _octal(raw[148:156]) not in (total, signed) or size < 0:
        return -1
    length, more = TAR.size, raw[156:157] == b"S" and raw[482]
    while more:  # GNU sparse files: further maps, each with its own flag
        budget.item()
        extension = window.at(at + length, _BLOCK)
        if len(extension) < _BLOCK:
            return -1
        length, more = length + _BLOCK, extension[504]
    return length + (size + _BLOCK - 1) // _BLOCK * _BLOCK


def _measure_tar(data: ByteSource, budget: Budget) -> Find | None:
    window, at, members = Window(data), 0, 0
    while True:
        budget.item()
        size = _tar_member(window, at, budget)
        if size < 0 or at + size > data.size:
            break
        at, members = at + size, members + 1
    if not members:
        return None
    if not same_byte(data, at, at + 2 * _BLOCK, budget):
        return Find(at, 0.7, f"{members} members, then neither a member nor the end mark", complete=False, owned=at)
    end = at + 2 * _BLOCK
    record = -(-end // _RECORD) * _RECORD
    if same_byte(data, end, record, budget):
        return Find(record, 0.9, f"{members} members, end mark, zeros to the end of the record of {_RECORD}")
    return Find(end, 0.9, f"{members} members, end mark")


def _folder_end(window: Window, at: int, blocks: int, reserve: int, budget: Budget) -> int:
    """End of the data blocks of a folder, -1 when their chain breaks off."""
    for _ in range(blocks):
        budget.item()
        raw = window.at(at, CAB_DATA.size)
        if len(raw) < CAB_DATA.size:
            return -1
        _checksum, packed, unpacked = CAB_DATA.unpack(raw)
        if unpacked > 32_768 or packed > 32_768 + 6_144:
            return -1
        at += CAB_DATA.size + reserve + packed
    return at if at <= window.size else -1


def _folders_start(window: Window, flags: int) -> tuple[int, int, int]:
    """(offset of the folders, reserve of each folder, of each data block) behind the optional parts."""
    at, of_folder, of_data = CAB_HEADER.size, 0, 0
    if flags & _RESERVE:
        of_header = max(0, window.number(at, 2))
        of_folder, of_data = max(0, window.number(at + 2, 1)), max(0, window.number(at + 3, 1))
        at += 4 + of_header
    for bit in (_PREVIOUS, _NEXT):
        for _ in range(2 if flags & bit else 0):
            at += window.at(at, 256).find(b"\0") + 1
    return at, of_folder, of_data


def _measure_cab(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    raw = window.at(0, CAB_HEADER.size)
    if len(raw) < CAB_HEADER.size:
        return None
    head = CAB_HEADER.dict(raw)
    size, plain = head["size"], not (head["reserved1"] or head["reserved2"] or head["reserved3"])
    if not plain or (head["major"], head["minor"]) != (1, 3) or not head["folders"] or head["flags"] > 7:
        return None
    if not CAB_HEADER.size < head["files_offset"] < size:
        return None
    if size > data.size:
        return Find(data.size, 0.6, f"{size} bytes stated, the data ends before", complete=False)
    at, of_folder, of_data = _folders_start(window, head["flags"])
    last = 0
    for number in range(head["folders"]):
        folder = window.at(at + number * (CAB_FOLDER.size + of_folder), CAB_FOLDER.size)
        if len(folder) < CAB_FOLDER.size:
            return None
        start, blocks, _method = CAB_FOLDER.unpack(folder)
        end = _folder_end(window, start, blocks, of_data, budget)
        if not head["files_offset"] < start <= size or end < 0 or end > size:
            return Find(size, 0.5, f"size stated by the header, folder {number} breaks off", complete=False)
        last = max(last, end)
    if last != size:
        return Find(size, 0.8, f"size stated by the header, the folders end at {last}")
    return Find(size, 1.0, f"{head['folders']} folders, their blocks end where the header says")


CARVERS = (
    Carver(
        name="tar",
        title="tar archive",
        extension="tar",
        mime="application/x-tar",
        signatures=(Signature(b"ustar", offset=257),),
        measure=_measure_tar,
        maximum=1 << 40,
        refs=("POSIX.1-2008 pax, ustar interchange format", "GNU tar manual, Basic Tar Format"),
        gaps=(
            "an archive whose first member is older than ustar has no signature",
            "a size that only a pax extended header gives (members of 8 GiB and more) ends the walk: reported as incomplete",
            "zeros up to the next multiple of 10,240 bytes are counted when they are all there",
        ),
    ),
    Carver(
        name="cab",
        title="Microsoft cabinet",
        extension="cab",
        mime="application/vnd.ms-cab-compressed",
        signatures=(Signature(b"MSCF\x00\x00\x00\x00"),),
        measure=_measure_cab,
        refs=("[MS-CAB] 2.1 to 2.3",),
        gaps=("a signature behind the end that the header states is left out", "block checksums are not verified"),
    ),
)
