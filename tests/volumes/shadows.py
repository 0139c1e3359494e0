"""A volume with shadow copies, made as the driver makes them: writes copy what they overwrite, moves leave a note, and what
every copy must show is kept whole beside it. Only the layout of the records is shared with the reader, as numbers."""

from __future__ import annotations

import lzma
import random
import struct
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from forensiclib.core.time import FILETIME_EPOCH

BLOCK, SECTOR = 16384, 512
GUID = uuid.UUID("3808876b-c176-4e48-b7ae-04046e6cc752").bytes_le
HEADER_AT = 0x1E00
VOLUME = uuid.UUID("0f0b6469-5bdf-11e3-9d6c-005056c00008")
NTFS = Path(__file__).resolve().parents[1] / "samples" / "ntfs" / "small.ntfs.xz"
NTFS_SIZE = 2 << 20
CREATED = FILETIME_EPOCH + 13_860_525_097_363_787


def ntfs(size: int) -> bytes:
    """A small NTFS volume, its end filled up with noise."""
    data = lzma.decompress(NTFS.read_bytes())
    return data + random.Random(1).randbytes(size - len(data))


@dataclass
class Copy:
    """A copy as the driver knows it, and ``truth``: the volume when it was made, with what was written to the copy since."""

    number: int
    truth: bytearray
    unused: set[int]
    needless: set[int] | None
    flags: int
    done: set[int] = field(default_factory=set)
    entries: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    moved: dict[int, int] = field(default_factory=dict)
    overlays: dict[int, int] = field(default_factory=dict)
    base: int = 0
    area: list[int] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)

    @property
    def store(self) -> uuid.UUID:
        return uuid.UUID(int=0x600F0B69_5BDF_11E3_9D6C_005056C00000 + self.number)

    def outside(self, block: int) -> bool:
        """Whether nobody promised to keep the block."""
        return block in self.unused and (self.needless is None or block in self.needless)

    def shown(self, block: int) -> bool:
        """Whether the copy must show the block as it was."""
        return not self.outside(block)


class Machine:
    """The volume now, its copies, the oldest first. The second half is room for stores and marked as not in use."""

    def __init__(self, data: bytes, unused: set[int] = frozenset(), seed: int = 5) -> None:  # type: ignore[assignment]
        self.data = bytearray(data)
        self.blocks = len(data) // BLOCK
        self.free = list(range(self.blocks - 1, self.blocks // 2 - 1, -1))
        self.own = set(range(self.blocks // 2, self.blocks))
        self.unused = set(unused)
        self.copies: list[Copy] = []
        self.rng = random.Random(seed)
        self.catalog = self._take() * BLOCK
        self._header(VOLUME)

    def _header(self, storage: uuid.UUID) -> None:
        head = struct.pack("<16sIIQQQQQ16s16s", GUID, 1, 1, HEADER_AT, HEADER_AT, 0, self.catalog, 0, VOLUME.bytes_le, storage.bytes_le)
        self.data[HEADER_AT : HEADER_AT + 512] = head.ljust(512, b"\0")

    def _take(self, copy: Copy | None = None) -> int:
        block = self.free.pop(self.rng.randrange(len(self.free)) if self.copies else -1)
        if copy is not None:
            copy.area.append(block)
        return block

    def snapshot(self, flags: int = 0x40) -> Copy:
        """Freeze the volume as it is. A store begins with its header, a list of blocks and one of ranges, in one stretch."""
        older = self.copies[-1] if self.copies else None
        needless = None
        if older is not None:
            needless = {b for b in range(self.blocks) if older.outside(b) or b in older.done}
        made = Copy(len(self.copies) + 1, bytearray(self.data), self.unused | self.own, needless, flags)
        self.copies.append(made)
        made.base = next(b for b in sorted(self.free) if {b, b + 1, b + 2} <= set(self.free))
        for block in range(made.base, made.base + 3):
            self.free.remove(block)
        return made

    def _file(self, copy: Copy, block: int) -> int:
        """Where a block is in the store's file."""
        return block - copy.base if block - copy.base in (0, 1, 2) else 3 + copy.area.index(block)

    def block(self, number: int) -> bytes:
        return bytes(self.data[number * BLOCK : (number + 1) * BLOCK])

    def _keep(self, number: int) -> None:
        """Copy a block on its first write after the youngest copy, where anybody needs it."""
        if not self.copies:
            return
        copy = self.copies[-1]
        if number in copy.moved:
            copy.moved.pop(number)  # what lies here belongs to the block that it came from
        elif number in copy.done or copy.outside(number):
            return
        else:
            copy.done.add(number)
        place = self._take(copy)
        self.data[place * BLOCK : (place + 1) * BLOCK] = self.block(number)
        copy.entries.append((number * BLOCK, self._file(copy, place) * BLOCK, place * BLOCK, self.rng.choice((0, 0x88, 0x48, 0x10)), 0))

    def write(self, number: int, data: bytes) -> None:
        """Overwrite a block."""
        self._keep(number)
        self.data[number * BLOCK : (number + 1) * BLOCK] = data

    def move(self, source: int, target: int) -> None:
        """Put a block elsewhere, as defragmenting does; the place that it leaves is free and overwritten."""
        copy = self.copies[-1]
        content = self.block(source)
        origin = copy.moved.get(source, source)
        assert target not in self.own and (origin == target or (copy.outside(target) and target not in copy.moved))
        if source in copy.moved or (source not in copy.done and copy.shown(source)):
            copy.entries.append((source * BLOCK, target * BLOCK, 0, 1, 0))
            copy.moved.pop(source, None)
            if origin == target:
                copy.done.discard(origin)
            else:
                copy.moved[target] = origin
                copy.done.add(origin)
        self.data[target * BLOCK : (target + 1) * BLOCK] = content
        self.data[source * BLOCK : (source + 1) * BLOCK] = self.rng.randbytes(BLOCK)
        self.unused.discard(target)
        self.unused.add(source)

    def overlay(self, copy: Copy, number: int, sectors: range, data: bytes) -> None:
        """Write to a copy itself."""
        first = number not in copy.overlays
        if first:
            copy.overlays[number] = self._take(copy)
        place = copy.overlays[number]
        bits = sum(1 << s for s in sectors)
        copy.entries.append((number * BLOCK, self._file(copy, place) * BLOCK if first else 1, place * BLOCK, 2, bits))
        for i, sector in enumerate(sectors):
            piece = data[i * SECTOR : (i + 1) * SECTOR]
            at = place * BLOCK + sector * SECTOR
            self.data[at : at + SECTOR] = piece
            at = number * BLOCK + sector * SECTOR
            copy.truth[at : at + SECTOR] = piece

    def _record(self, at: int, kind: int, relative: int, next_: int, body: bytes, size: int = 0) -> None:
        head = struct.pack("<16sIIQQQQ", GUID, 1, kind, relative, at, next_, size).ljust(128, b"\0")
        assert len(head + body) <= BLOCK
        self.data[at : at + BLOCK] = (head + body).ljust(BLOCK, b"\0")

    def _chain(self, copy: Copy, kind: int, body: bytes, each: int) -> int:
        pieces = [body[i : i + each] for i in range(0, len(body), each)] or [b""]
        fixed = {3: copy.base + 1, 5: copy.base + 2}.get(kind)
        places = [(self._take(copy) if i or fixed is None else fixed) * BLOCK for i in range(len(pieces))]
        for at, next_, piece in zip(places, [*places[1:], 0], pieces, strict=True):
            self._record(at, kind, self._file(copy, at // BLOCK) * BLOCK, next_, piece)
        return places[0]

    def _bits(self, marked: set[int]) -> bytes:
        return sum(1 << b for b in marked).to_bytes(BLOCK - 128, "little")

    def image(self, *, per_list: int = 508, storage: uuid.UUID = VOLUME, without: tuple[int, ...] = (), shuffled: bool = False) -> bytes:
        """The volume with all records written. ``without``: numbers of copies whose store the catalog does not name. ``shuffled``: its entries in any order."""
        table = []
        for copy in self.copies:
            names = [b"", b"", "machine".encode("utf-16-le"), "service".encode("utf-16-le")]
            text = b"".join(struct.pack("<H", len(n)) + n for n in names)
            ids = [uuid.UUID(int=(copy.number << 64) + i).bytes_le for i in (1, 2, 3)]
            info = struct.pack("<16s16s16sIII", *ids, 0xD, 1, 0x42000D) + text
            copy.places["header"] = copy.base * BLOCK
            self._record(copy.places["header"], 4, 0, 0, info, len(info))
            descriptors = b"".join(struct.pack("<QQQII", *e) for e in copy.entries)
            copy.places["blocks"] = self._chain(copy, 3, descriptors, per_list * 32)
            copy.places["bitmap"] = self._chain(copy, 6, self._bits(copy.unused), BLOCK - 128)
            copy.places["previous"] = self._chain(copy, 6, self._bits(copy.needless), BLOCK - 128) if copy.needless is not None else 0
            ranges = b"".join(struct.pack("<QQQ", b * BLOCK, (i + 3) * BLOCK, BLOCK) for i, b in enumerate(copy.area))
            copy.places["ranges"] = self._chain(copy, 5, ranges, 600 * 24)
            store, p = copy.store.bytes_le, copy.places
            table.append(struct.pack("<QQ16sQQQ", 2, len(self.data), store, copy.number, copy.flags, CREATED + copy.number * 10**9))
            where = struct.pack(
                "<QQ16sQQQQQQ", 3, p["blocks"], store, p["header"], p["ranges"], p["bitmap"], 40 | 1 << 48, 0, p["previous"]
            )
            if copy.number not in without:
                table.append(where)
        if shuffled:  # Windows does not, and libvshadow wants the place of a store behind the copy
            self.rng.shuffle(table)
        self._record(self.catalog, 2, 0, 0, b"".join(t.ljust(128, b"\0") for t in table))
        self._header(storage)
        return bytes(self.data)


def busy(seed: int, copies: int = 4, steps: int = 60, size: int = 4 << 20, flags: int = 0x40, back: float = 0.4) -> Machine:
    """A volume on which everything happened, in an order that the seed decides. ``back``: how often a block that was moved and is
    moved again goes back to where it was."""
    rng = random.Random(seed)
    blocks = size // BLOCK
    last = NTFS_SIZE // BLOCK - 1  # its backup boot sector, without which libvshadow does not open the volume
    unused = set(rng.sample(range(2, last), blocks // 8))
    machine = Machine(ntfs(size), unused, seed)
    used = [b for b in range(1, last) if b not in unused]
    for _ in range(copies):
        copy = machine.snapshot(flags)
        for _ in range(rng.randrange(3)):
            sectors = range(*sorted(rng.sample(range(33), 2)))
            machine.overlay(copy, rng.choice(used), sectors, rng.randbytes(len(sectors) * SECTOR))
        for _ in range(steps // copies):
            what = rng.random()
            if what < 0.7:
                machine.write(rng.choice([b for b in used if b not in copy.moved.values()]), rng.randbytes(BLOCK))
                continue
            free = [b for b in sorted(machine.unused) if copy.outside(b) and b not in copy.moved]
            if copy.moved and what < 0.8:
                source = rng.choice(sorted(copy.moved))
                machine.move(source, copy.moved[source] if rng.random() < back else rng.choice(free))
            elif copy.moved and what < 0.85:
                machine.write(rng.choice(sorted(copy.moved)), rng.randbytes(BLOCK))
            else:
                machine.move(rng.choice([b for b in used if b not in machine.unused]), rng.choice(free))
    return machine
