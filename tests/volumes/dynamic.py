"""An independent writer of dynamic disks, from the LDM documentation of the Linux-NTFS project; ldmtool reads what it makes.

Chunks are dealt one by one, as the documentation of each kind of volume has it; nothing here is shared with the reader.
"""

from __future__ import annotations

import random
import struct
import uuid
import zlib
from dataclasses import dataclass, field

CONFIG = 2048
FIRST = 63
GPT_FIRST = 2048 + 256
LEGEND = {"simple": (3, 2), "spanned": (3, 2), "striped": (3, 1), "mirrored": (3, 2), "raid5": (4, 3)}
"""Kind -> (type of the volume record, type of its components)."""


def number(value: int) -> bytes:
    raw = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return bytes([len(raw)]) + raw


def text(value: str) -> bytes:
    return bytes([len(value)]) + value.encode()


def name_of(seed: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_DNS, seed)


def pattern(name: str, size: int) -> bytes:
    return random.Random(name).randbytes(size)


@dataclass
class Plan:
    """A volume: (disk, start, sectors) of each partition, start counted from the disk's data; chunk in sectors."""

    name: str
    kind: str
    parts: list[tuple[int, int, int]]
    chunk: int = 0
    letter: str = ""
    extra: int = 0

    @property
    def size(self) -> int:
        sizes = [n for _, _, n in self.parts]
        return {"mirrored": sizes[0], "striped": min(sizes) * len(sizes), "raid5": min(sizes) * (len(sizes) - 1)}.get(self.kind, sum(sizes))

    def content(self) -> bytes:
        return pattern(self.name, self.size * 512)


@dataclass
class Group:
    """Disks of one group; ``kinds`` "mbr" or "gpt" for each, ``revision`` of the records of disks and group."""

    kinds: list[str]
    plans: list[Plan]
    revision: int = 3
    committed: int = 40
    sectors: int = 6144
    name: str = "Sample-Dg0"
    status: dict[str, int] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)

    @property
    def guid(self) -> uuid.UUID:
        return name_of(self.name)

    def disk_guid(self, i: int) -> uuid.UUID:
        return name_of(f"{self.name} disk {i}")

    def starts(self, i: int) -> tuple[int, int, int]:
        """(data start, data size, database) in sectors."""
        if self.kinds[i] == "mbr":
            return FIRST, self.sectors - CONFIG - FIRST, self.sectors - CONFIG
        return GPT_FIRST, self.sectors - 34 - GPT_FIRST, 34

    def records(self) -> list[tuple[int, bytes]]:
        """(number of the record, head and fields) of every record."""
        rev, found = self.revision, []

        def add(kind: int, flags: int, body: bytes, name: str) -> None:
            found.append(struct.pack(">HBBI", self.status.get(name, 0), flags, kind, len(body)) + body)

        def key(raw: uuid.UUID) -> bytes:
            return text(str(raw)) if rev == 3 else raw.bytes

        add(5 | rev << 4, 0, number(1) + text(self.name) + key(self.guid) + bytes(16), "group")
        for i in range(len(self.kinds)):
            body = number(0x100 + i) + text(f"Disk{i + 1}") + key(self.disk_guid(i))
            body += (text("SCSI\\DISK&VEN_SAMPLE&PROD_OF_A_LONG_NAME&REV_0001\\4&1618751F&0&00000") + bytes(12)) if rev == 3 else bytes(24)
            add(4 | rev << 4, 0, body, f"Disk{i + 1}")
        at = 0x200
        for plan in self.plans:
            volume, copies = at, len(plan.parts) if plan.kind == "mirrored" else 1
            outer, inner = LEGEND[plan.kind]
            body = number(volume) + text(plan.name) + text("raid5" if outer == 4 else "gen") + text("")
            body += self.states.get(plan.name, "ACTIVE").encode().ljust(14, b"\0") + bytes([outer, 1, 1, 0, 0, 0, 0x11])
            body += number(copies) + bytes(16) + number(plan.size) + bytes(4) + b"\x07" + name_of(plan.name).bytes
            flags = 0
            if plan.letter:
                body, flags = body + text(plan.letter), 2
            add(0x51, flags, body, plan.name)
            for copy in range(copies):
                component = at = at + 1
                parts = plan.parts[copy : copy + 1] if copies > 1 else plan.parts
                name = f"{plan.name}-{copy + 1:02}"
                body = number(component) + text(name) + text(self.states.get(name, "ACTIVE")) + bytes([inner]) + bytes(4)
                body += number(len(parts)) + bytes(16) + number(volume) + b"\0"
                flags = 0
                if inner != 2:
                    body, flags = body + number(plan.chunk) + number(len(parts) + plan.extra), 0x10
                add(0x32, flags, body, name)
                offset = 0
                for column, (disk, start, size) in enumerate(parts):
                    at += 1
                    name = f"Disk{disk + 1}-{at:03x}"
                    body = number(at) + text(name) + bytes(12) + struct.pack(">QQ", start, offset) + number(size) + number(component)
                    body += number(0x100 + disk)
                    flags = 0
                    if inner != 2 and column:
                        body, flags = body + number(column), 8
                    add(0x33, flags, body, name)
                    offset += size if inner == 2 else 0
            at += 1
        return list(enumerate(found, 1))

    def database(self) -> bytes:
        """The area of 1 MiB without its private headers."""
        out = bytearray(CONFIG * 512)
        blocks = []
        for record, raw in self.records():
            pieces = [raw[k : k + 112].ljust(112, b"\0") for k in range(0, len(raw), 112)]
            blocks += [(record, i, len(pieces), piece) for i, piece in enumerate(pieces)]
        blocks.insert(3, (0, 0, 0, bytes(112)))  # one that is free
        blocks.sort(key=lambda b: (b[1], b[0]))  # parts of a record need not stand together
        start, step, total = 17 * 512, 128, 1481 * 512
        counts = [len(self.plans), 0, 0, len(self.kinds)]
        counts[1] = sum(len(p.parts) if p.kind == "mirrored" else 1 for p in self.plans)
        counts[2] = sum(len(p.parts) for p in self.plans)
        last = total // step
        head = struct.pack(">4sIIIHHH", b"VMDB", last, step, 512, 1, 4, 10) + self.name.encode().ljust(31, b"\0")
        head += str(self.guid).encode().ljust(64, b"\0") + struct.pack(">QQ", self.committed, self.committed)
        head += (struct.pack(">4I", *counts) + bytes(12)) * 2 + bytes(8)
        out[start : start + len(head)] = head
        for i in range(last - 4):
            record, part, parts, raw = blocks[i] if i < len(blocks) else (0, 0, 0, bytes(112))
            at = start + 512 + i * step
            out[at : at + step] = struct.pack(">4sIIHH", b"VBLK", i + 4, record, part, parts) + raw
        table = bytearray(512)
        struct.pack_into(">8sIII", table, 0, b"TOCBLOCK", 0, 0, 7)
        for place, entry in ((36, (b"config", 0, 17, 1481, 6 << 48)), (70, (b"log", 0, 1498, 224, 6 << 48))):
            struct.pack_into(">8sHQQQ", table, place, *entry)
        struct.pack_into(">I", table, 8, sum(table))
        for sector in (1, 2, 2045, 2046):
            out[sector * 512 : sector * 512 + 512] = table
        return bytes(out)

    def head(self, i: int, serial: int = 5) -> bytes:
        """The private header of a disk."""
        first, size, config = self.starts(i)
        out = bytearray(512)
        struct.pack_into(">8sIHHQQQQ", out, 0, b"PRIVHEAD", 0, 2, 11 if self.revision == 3 else 12, 0, serial, 2047, 1856)
        for at, value in ((48, self.disk_guid(i)), (112, name_of("host")), (176, self.guid)):
            out[at : at + 36] = str(value).encode()
        out[240 : 240 + len(self.name)] = self.name.encode()
        struct.pack_into(">QQQQQQIIQQ", out, 283, first, size, config, CONFIG, 1, 2046, 1, 1, 1481, 224)
        struct.pack_into(">I", out, 8, sum(out))
        return bytes(out)

    def disks(self) -> list[bytes]:
        """The images of all disks."""
        out = [bytearray(self.sectors * 512) for _ in self.kinds]
        for i, disk in enumerate(out):
            config = self.starts(i)[2] * 512
            disk[config : config + CONFIG * 512] = self.database()
            places = [config + 1856 * 512, config + 2047 * 512]
            if self.kinds[i] == "mbr":
                places.append(6 * 512)
                disk[446:462] = struct.pack("<B3sB3sII", 0, b"", 0x42, b"", FIRST, self.sectors - CONFIG - FIRST)
                disk[510:512] = b"\x55\xaa"
            else:
                self.table(disk)
            for at in places:
                disk[at : at + 512] = self.head(i)
        for plan in self.plans:
            self.write(plan, out)
        return [bytes(disk) for disk in out]

    def table(self, disk: bytearray) -> None:
        """A GPT: the database, a small partition of Microsoft's, the data."""
        last = self.sectors - 1
        entries = bytearray(128 * 128)
        for i, (kind, first, end) in enumerate((
            ("5808c8aa-7e8f-42e0-85d2-e1e90434cfb3", 34, 34 + CONFIG - 1),
            ("e3c9e316-0b5c-4db8-817d-f92df00215ae", 34 + CONFIG, GPT_FIRST - 1),
            ("af9b60a0-1431-4f62-bc68-3311714a69ad", GPT_FIRST, last - 34),
        )):  # fmt: skip
            entries[i * 128 : i * 128 + 48] = uuid.UUID(kind).bytes_le + name_of(kind).bytes_le + struct.pack("<QQ", first, end)
        for own, other, table in ((1, last, 2), (last, 1, last - 32)):
            head = bytearray(struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, own, other, 34, last - 33, name_of("gpt").bytes_le,
                                         table, 128, 128, zlib.crc32(entries)))  # fmt: skip
            struct.pack_into("<I", head, 16, zlib.crc32(head))
            disk[own * 512 : own * 512 + 92] = head
            disk[table * 512 : table * 512 + len(entries)] = entries
        disk[446:462] = struct.pack("<B3sB3sII", 0, b"", 0xEE, b"", 1, last)
        disk[510:512] = b"\x55\xaa"

    def write(self, plan: Plan, out: list[bytearray]) -> None:
        """The content of a volume, dealt to its partitions."""
        data, step = plan.content(), plan.chunk * 512
        at = [(self.starts(disk)[0] + start) * 512 for disk, start, _ in plan.parts]
        n = len(plan.parts)
        if plan.kind in ("simple", "spanned", "mirrored"):
            done = 0
            for place, (disk, _, size) in zip(at, plan.parts, strict=True):
                out[disk][place : place + size * 512] = data[done : done + size * 512]
                done += 0 if plan.kind == "mirrored" else size * 512
            return
        chunks = [data[k : k + step] for k in range(0, len(data), step)]
        row = 0
        while chunks:
            order = list(range(n))
            if plan.kind == "raid5":  # parity from the last column to the first; data begin behind it and go round
                parity = n - 1 - row % n
                order = [(parity + 1 + k) % n for k in range(n - 1)]
            mine, chunks = chunks[: len(order)], chunks[len(order) :]
            held = dict(zip(order, mine, strict=False))
            if plan.kind == "raid5":
                total = bytearray(step)
                for piece in mine:
                    total = bytearray(a ^ b for a, b in zip(total, piece.ljust(step, b"\0"), strict=True))
                held[parity] = bytes(total)
            for column, piece in held.items():
                place = at[column] + row * step
                out[plan.parts[column][0]][place : place + len(piece)] = piece
            row += 1
