"""Twin of _native/regf.pxi: registry hives, the live tree as numbers."""

from __future__ import annotations

from array import array
from struct import unpack_from

__all__ = ["BINS", "SEGMENT", "Data", "regf_walk"]

Data = bytes | bytearray | memoryview

BINS = 4096
NOWHERE = 0xFFFFFFFF
SEGMENT = 16344
MAX_DEPTH = 512
MAX_INDEX_DEPTH = 4

# What is wrong; the kernel and stores/regf/table.py count on these numbers.
OUTSIDE, SHORT, SIGNATURE, FREE, TWICE, DEEP, COUNT, NAME, DATA, UNREADABLE, TRUNCATED = range(1, 12)
# With what.
KEY, INDEX, VALUE_LIST, VALUE, VALUE_DATA, SECURITY, CLASS_NAME = range(7)


class _Walk:
    def __init__(self, data: Data, bad: Data, max_items: int) -> None:
        self.data, self.n, self.max_items = data, len(data) - BINS, max_items
        flat = array("q", bytes(bad))
        self.bad = list(zip(flat[::2], flat[1::2], strict=True))
        self.items = 0
        self.seen: set[int] = set()
        self.keys, self.values, self.used, self.damage = array("q"), array("q"), array("q"), array("q")

    def count(self) -> bool:
        self.items += 1
        return self.items <= self.max_items

    def hurt(self, code: int, what: int, offset: int) -> None:
        self.damage.extend((code, what, offset))

    def use(self, offset: int, length: int) -> None:
        self.used.extend((offset, length))

    def cell(self, offset: int, what: int) -> int:
        """Bytes of content that the cell at ``offset`` has, or -1."""
        if offset & 7 or offset + 8 > self.n:
            self.hurt(OUTSIDE, what, offset)
            return -1
        size = int.from_bytes(self.data[BINS + offset : BINS + offset + 4], "little", signed=True)
        free, size = size > 0, abs(size)
        if size < 8:
            self.hurt(SHORT, what, offset)
            return -1
        have = min(size, self.n - offset)
        if any(offset < end and start < offset + have for start, end in self.bad):
            self.hurt(UNREADABLE, what, offset)
            return -1
        if have < size:
            self.hurt(TRUNCATED, what, offset)
        if free:
            self.hurt(FREE, what, offset)
        return have - 4

    def record(self, offset: int, what: int, signature: bytes, size: int) -> int:
        """As cell(), for a record of at least ``size`` bytes that begins with ``signature``."""
        have = self.cell(offset, what)
        if have < 0:
            return -1
        if have < size:
            self.hurt(SHORT, what, offset)
            return -1
        if self.data[BINS + offset + 4 : BINS + offset + 6] != signature:
            self.hurt(SIGNATURE, what, offset)
            return -1
        return have

    def first_time(self, offset: int, what: int) -> bool:
        if offset in self.seen:
            self.hurt(TWICE, what, offset)
            return False
        self.seen.add(offset)
        return True

    def key(self, offset: int, parent: int, depth: int, stack: list[tuple[int, int, int]]) -> None:
        have = self.record(offset, KEY, b"nk", 76)
        if have < 0 or not self.first_time(offset, KEY):
            return
        subkeys, index, values, value_list, security, class_name, name_length, class_length = unpack_from(
            "<I4xI4x4I20x2H", self.data, BINS + offset + 24
        )
        if 76 + name_length > have:
            self.hurt(NAME, KEY, offset)
            name_length = have - 76
        number = len(self.keys) // 4
        self.keys.extend((offset, parent, depth, name_length))
        self.use(offset, 80 + name_length)
        if security != NOWHERE and security not in self.seen:
            self.security(security)
        if class_length and class_name != NOWHERE:
            self.class_name(class_name, class_length)
        if values:
            self.value_list(value_list, values, number, offset)
        if subkeys:
            children: list[int] = []
            self.index(index, 0, children)
            if len(children) != subkeys:
                self.hurt(COUNT, INDEX, offset)
            stack.extend((child, number, depth + 1) for child in reversed(children))

    def security(self, offset: int) -> None:
        have = self.record(offset, SECURITY, b"sk", 20)
        if have < 0:
            return
        self.seen.add(offset)
        (size,) = unpack_from("<I", self.data, BINS + offset + 20)
        if 20 + size > have:
            self.hurt(DATA, SECURITY, offset)
        self.use(offset, 24 + min(size, have - 20))

    def class_name(self, offset: int, length: int) -> None:
        have = self.cell(offset, CLASS_NAME)
        if have < 0:
            return
        if have < length:
            self.hurt(DATA, CLASS_NAME, offset)
        self.use(offset, 4 + min(have, length))

    def index(self, offset: int, level: int, children: list[int]) -> None:
        if level > MAX_INDEX_DEPTH:
            self.hurt(DEEP, INDEX, offset)
            return
        have = self.cell(offset, INDEX)
        if have < 0:
            return
        if have < 4:
            self.hurt(SHORT, INDEX, offset)
            return
        signature, count = unpack_from("<2sH", self.data, BINS + offset + 4)
        if signature not in (b"lf", b"lh", b"li", b"ri"):
            self.hurt(SIGNATURE, INDEX, offset)
            return
        if not self.first_time(offset, INDEX):
            return
        stride = 8 if signature in (b"lf", b"lh") else 4
        if 4 + count * stride > have:
            self.hurt(COUNT, INDEX, offset)
            count = (have - 4) // stride
        self.use(offset, 8 + count * stride)
        for i in range(count):
            if not self.count():
                return
            (entry,) = unpack_from("<I", self.data, BINS + offset + 8 + i * stride)
            if signature == b"ri":
                self.index(entry, level + 1, children)
            else:
                children.append(entry)

    def value_list(self, offset: int, count: int, key: int, owner: int) -> None:
        have = self.cell(offset, VALUE_LIST)
        if have < 0 or not self.first_time(offset, VALUE_LIST):
            return
        if have // 4 < count:
            self.hurt(COUNT, VALUE_LIST, owner)
            count = have // 4
        self.use(offset, 4 + 4 * count)
        for i in range(count):
            if not self.count():
                return
            self.value(unpack_from("<I", self.data, BINS + offset + 4 + 4 * i)[0], key)

    def value(self, offset: int, key: int) -> None:
        have = self.record(offset, VALUE, b"vk", 20)
        if have < 0:
            return
        name_length, raw, where = unpack_from("<HII", self.data, BINS + offset + 6)
        if offset in self.seen:
            self.hurt(TWICE, VALUE, offset)
        self.seen.add(offset)
        if 20 + name_length > have:
            self.hurt(NAME, VALUE, offset)
            name_length = have - 20
        self.use(offset, 24 + name_length)
        at, size, big = self.value_data(offset, raw, where)
        self.values.extend((offset, key, name_length, at, size, big))

    def value_data(self, offset: int, raw: int, where: int) -> tuple[int, int, int]:
        """(file offset or -1, bytes there are or -1 for no data to be had, 1 when it is Big data)."""
        if raw & 0x80000000:
            size = raw & 0x7FFFFFFF
            if size > 4:
                self.hurt(DATA, VALUE, offset)
                size = 4
            return (BINS + offset + 12, size, 0) if size else (-1, 0, 0)
        if raw == 0:
            return -1, 0, 0
        have = self.cell(where, VALUE_DATA)
        if have < 0:
            self.hurt(DATA, VALUE, offset)
            return -1, -1, 0
        if have < raw and have >= 8 and self.data[BINS + where + 4 : BINS + where + 6] == b"db":
            size = self.big_data(where, raw)
            if size < raw:
                self.hurt(DATA, VALUE, offset)
            return BINS + where + 4, size, 1
        if have < raw:
            self.hurt(DATA, VALUE, offset)
        self.use(where, 4 + min(have, raw))
        return BINS + where + 4, min(have, raw), 0

    def big_data(self, offset: int, wanted: int) -> int:
        count, segments = unpack_from("<HI", self.data, BINS + offset + 6)
        self.use(offset, 12)
        have = self.cell(segments, VALUE_DATA)
        if have < 0:
            return 0
        count = min(count, have // 4)
        self.use(segments, 4 + 4 * count)
        got = 0
        for i in range(count):
            if got >= wanted or not self.count():
                break
            (segment,) = unpack_from("<I", self.data, BINS + segments + 4 + 4 * i)
            have = self.cell(segment, VALUE_DATA)
            if have < 0:
                break
            need = min(SEGMENT, wanted - got)
            self.use(segment, 4 + min(have, need))
            got += min(have, need)
            if have < need:
                break
        return got


def regf_walk(data: Data, root: int, bad: Data, max_items: int) -> tuple[array[int], array[int], array[int], array[int], int]:
    """Every key and value that can be reached from the key node at ``root``, depth first.

    data       the hive, base block included; offsets in the answers count from the hive bins (4096)
    bad        int64 pairs [start, end) of the hive bins data that could not be read
    max_items  list entries and keys to look at before giving up

    Returns (keys, values, used, damage, items), int64 tables by rows:
    keys       offset, number of the parent's row (-1), depth, bytes of name within the cell
    values     offset, row of the key, bytes of name, file offset of the data or -1, bytes of data there
               are (-1: none to be had), 1 when the file offset is a Big data record's
    used       offset, bytes used: every cell that a live key or value needs; may repeat
    damage     what is wrong, with what (the constants of this file), offset
    items      looked at; more than max_items when the walk gave up
    """
    walk = _Walk(data, bad, max_items)
    stack = [(root, -1, 0)]
    while stack and walk.count():
        offset, parent, depth = stack.pop()
        if depth > MAX_DEPTH:
            walk.hurt(DEEP, KEY, offset)
            continue
        walk.key(offset, parent, depth, stack)
    return walk.keys, walk.values, walk.used, walk.damage, walk.items
