"""Programs that are no PE and no ELF: MS-DOS, NE, Mach-O, Java, Dalvik, WebAssembly, Python, Lua, BEAM, AppleScript."""

from __future__ import annotations

import zlib

from forensiclib.carving._read import Window, blocks, find
from forensiclib.carving._stated import stated
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS"]

_SECTOR = 512


def _measure_mz(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    raw = window.at(0, 64)
    if len(raw) < 64:
        return None
    last, pages, relocations, header, _least, most, _ss, sp, _sum, ip, cs, table = (
        int.from_bytes(raw[i : i + 2], "little") for i in range(2, 26, 2)
    )
    if last > 511 or not 0 < pages <= 2048 or header < 2 or header * 16 > pages * 512 or not most or table < 28:
        return None
    new = int.from_bytes(raw[60:64], "little")
    if table >= 64 and 64 <= new <= 1 << 20:
        mark = window.at(new, 2)
        if mark == b"NE":
            return _measure_ne(window, new, budget)
        if mark in (b"PE", b"LE", b"LX"):
            return None
    end = pages * 512 - (512 - last if last else 0)
    if relocations and table + 4 * relocations > header * 16:
        return None
    size = end - header * 16
    if not 0 <= (cs * 16 + ip) % (1 << 20) < size or sp & 1 or (not relocations and end > 65_536 + 512):
        return None
    for i in range(min(relocations, 512)):
        budget.item()
        at = window.number(table + 4 * i, 2) + 16 * window.number(table + 4 * i + 2, 2)
        if not 0 <= at < size:
            return None
    if not relocations and not any(
        word in window.source.read_at(header * 16, min(size, 65_536)) for word in (b"\xcd\x21", b"\xb4\x4c", b"\xb8\x00\x4c")
    ):
        return None
    return stated(data, end, 0.7, f"size stated by the header, {relocations} relocations lie within", "exe", "MS-DOS program")


def _measure_ne(window: Window, at: int, budget: Budget) -> Find | None:
    raw = window.at(at, 64)
    if len(raw) < 64:
        return None

    def word(i: int) -> int:
        return int.from_bytes(raw[i : i + 2], "little")

    segments, shift, flags = word(0x1C), word(0x32) or 9, word(0x0C)
    names_size, names = word(0x20), int.from_bytes(raw[0x2C:0x30], "little")
    if shift > 15 or segments > 4096 or word(0x22) < 64 or raw[0x36] not in (1, 2, 3, 4, 5, 0x81, 0x82):
        return None
    end = max(names + names_size, at + word(0x04) + word(0x06))
    for i in range(segments):
        budget.item()
        sector, size, kind = (window.number(at + word(0x22) + 8 * i + j, 2) for j in (0, 2, 4))
        if sector < 0:
            return None
        if sector:
            stop = (sector << shift) + (size or 65_536)
            if kind & 0x100:  # relocations behind the data
                stop += 2 + 8 * max(0, window.number(stop, 2))
            end = max(end, stop)
    here = at + word(0x24)
    if word(0x24) != word(0x26):  # resources
        unit, here = window.number(here, 2), here + 2
        while 0 <= unit <= 15 and (kind := window.number(here, 2)) > 0:
            count, here = window.number(here + 2, 2), here + 8
            for _ in range(max(0, count)):
                budget.item()
                offset, size = window.number(here, 2), window.number(here + 2, 2)
                end, here = max(end, offset + size << unit), here + 12
    names = ("dll", "Windows 3 library") if flags & 0x8000 else ("exe", "Windows 3 or OS/2 program")  # type: ignore[assignment]
    return stated(window.source, end, 0.8, f"{segments} segments and the resources end there", *names)  # type: ignore[misc]


_CPUS = frozenset((1, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 18, 0x1000007, 0x100000C, 0x200000C, 0x1000012))
_MACH = {1: ("o", "Mach-O object"), 2: ("macho", "Mach-O program"), 6: ("dylib", "Mach-O library"), 8: ("bundle", "Mach-O bundle")}


def _measure_macho(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    raw = window.at(0, 32)
    big = raw[:3] == b"\xfe\xed\xfa"
    wide = (raw[3] if big else raw[0]) == 0xCF
    cpu, kind, count, total = (window.number(i, 4, big) for i in (4, 12, 16, 20))
    if len(raw) < 32 or cpu not in _CPUS or not 1 <= kind <= 12 or not 0 < count <= 4096 or not 8 * count <= total <= 1 << 24:
        return None
    at, end = 32 if wide else 28, 0
    stop = at + total
    for _ in range(count):
        budget.item()
        command, size = window.number(at, 4, big) & 0x7FFFFFFF, window.number(at + 4, 4, big)
        if size < 8 or size % 4 or at + size > stop:
            return None
        end = max(end, _mach_end(window, at, command, wide, big, kind))
        at += size
    if at > stop or not end:
        return None
    return stated(
        data, max(end, stop), 0.9, f"{count} load commands; segments and tables end there", *_MACH.get(kind, ("macho", "Mach-O file"))
    )


def _mach_end(window: Window, at: int, command: int, wide: bool, big: bool, kind: int) -> int:
    """End of what one load command points at."""

    def word(i: int, n: int = 4) -> int:
        return max(0, window.number(at + i, n, big))

    if command in (1, 0x19):
        end = word(40, 8) + word(48, 8) if command == 0x19 else word(32) + word(36)
        sections, start, size = (word(64), 72, 80) if command == 0x19 else (word(48), 56, 68)
        for i in range(min(sections, 256) if kind == 1 else 0):
            relocations = start + size * i + (56 if command == 0x19 else 48)
            end = max(end, word(relocations) + 8 * word(relocations + 4))
        return end
    if command == 2:
        return max(word(8) + word(12) * (16 if wide else 12), word(16) + word(20))
    if command in (0x1D, 0x1E, 0x26, 0x29, 0x2B, 0x2E, 0x33, 0x34):
        return word(8) + word(12)
    return 0


def _measure_cafebabe(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    first, second = window.number(4, 2, big=True), window.number(6, 2, big=True)
    if 45 <= second <= 99:
        return _measure_class(window, budget)
    if first == 0 and 0 < second <= 20:
        end = 0
        for i in range(second):
            budget.item()
            cpu, offset, size, align = (window.number(8 + 20 * i + j, 4, big=True) for j in (0, 8, 12, 16))
            if cpu not in _CPUS or not 0 <= align <= 20 or offset < 8 + 20 * second or size < 28 or offset % (1 << align):
                return None
            if offset + 4 <= data.size and window.at(offset, 4)[1:3] not in (b"\xed\xfa", b"\xfa\xed", b"<a"):
                return None
            end = max(end, offset + size)
        return stated(data, end, 0.95, f"{second} architectures", "macho", "Mach-O program for several architectures")
    return None


_CONSTANTS = {3: 5, 4: 5, 5: 9, 6: 9, 7: 3, 8: 3, 9: 5, 10: 5, 11: 5, 12: 5, 15: 4, 16: 3, 17: 5, 18: 5, 19: 3, 20: 3}


def _measure_class(window: Window, budget: Budget) -> Find | None:
    count, at, index = window.number(8, 2, big=True), 10, 1
    while index < count:
        budget.item()
        tag = window.number(at, 1)
        size = 3 + max(0, window.number(at + 1, 2, big=True)) if tag == 1 else _CONSTANTS.get(tag, 0)
        if not size:
            return None
        at, index = at + size, index + (2 if tag in (5, 6) else 1)
    this, interfaces = window.number(at + 2, 2, big=True), window.number(at + 6, 2, big=True)
    if index != count or not 0 < this < count or interfaces < 0:
        return None
    at += 8 + 2 * interfaces
    for part in range(3):  # fields, methods, attributes of the class
        number, at = window.number(at, 2, big=True), at + 2
        for _ in range(number if part < 2 else 1):
            attributes = number
            if part < 2:
                attributes, at = window.number(at + 6, 2, big=True), at + 8
            for _ in range(attributes):
                budget.item()
                size = window.number(at + 2, 4, big=True)
                if size < 0 or not 0 < window.number(at, 2, big=True) < count:
                    return Find(min(10, window.size), 0.4, "constants, the attributes break off", complete=False)
                at += 6 + size
        if number < 0:
            return None
    if at > window.size:
        return Find(window.size, 0.4, "the data ends inside the last attribute", "class", "Java class", complete=False)
    return Find(at, 1.0, f"{count} constants, fields, methods and attributes to the end", "class", "Java class")


def _measure_dex(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, 112)
    if len(raw) < 112 or raw[7] or not raw[4:7].isdigit() or raw[40:44] != b"\x78\x56\x34\x12" or raw[36:40] != b"\x70\0\0\0":
        return None
    size = int.from_bytes(raw[32:36], "little")
    if size < 112:
        return None
    if size > data.size:
        return Find(data.size, 0.4, f"{size} bytes stated, the data ends before", complete=False)
    value = 1
    for piece in blocks(data, 12, size, budget):
        value = zlib.adler32(piece, value)
    good = value == int.from_bytes(raw[8:12], "little")
    return Find(size, 1.0 if good else 0.6, f"size stated by the header, checksum {'good' if good else 'wrong'}", complete=good)


def _measure_odex(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 40)
    dex, dex_size, deps, deps_size, opt, opt_size = (int.from_bytes(raw[i : i + 4], "little") for i in range(8, 32, 4))
    if len(raw) < 40 or dex != 40 or not 112 <= dex_size < 1 << 30 or deps < dex + dex_size or opt < deps + deps_size:
        return None
    if data.read_at(dex, 4) != b"dex\n":
        return None
    return stated(data, opt + opt_size, 0.9, "program, dependencies and tables of the header")


def _leb(window: Window, at: int) -> tuple[int, int]:
    value = 0
    for i in range(5):
        byte = window.number(at + i, 1)
        if byte < 0:
            break
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, at + i + 1
    return -1, at


def _measure_wasm(data: ByteSource, budget: Budget) -> Find | None:
    window, at, sections, order, counts = Window(data), 8, 0, 0, dict[int, int]()
    ranks = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 13: 6, 6: 7, 7: 8, 8: 9, 9: 10, 12: 11, 10: 12, 11: 13}
    while True:
        budget.item()
        kind = window.number(at, 1)
        size, body = _leb(window, at + 1)
        if kind < 0 or size < 1 or kind not in (0, *ranks) or (kind and ranks[kind] <= order):
            break
        if kind == 0:
            length, name = _leb(window, body)
            text = window.at(name, max(0, min(length, 256)))
            if not 0 < length <= 256 or name + length > body + size or not text.isascii() or min(text, default=0) < 0x20:
                break
        if kind and kind != 8 and not 0 <= _leb(window, body)[0] <= size:  # a count of entries, each of a byte or more
            break
        if kind == 1 and window.number(_leb(window, body)[1], 1) not in (0x60, 0x5E, 0x5F, 0x4E, 0x50):  # no kind of type
            break
        if body + size > data.size:
            return Find(data.size, 0.4, f"{sections} sections, the data ends inside the next", complete=False) if sections else None
        counts[kind] = _leb(window, body)[0]
        at, order, sections = body + size, max(order, ranks.get(kind, 0)), sections + 1
    if sections < 2:
        return None
    if counts.get(3, 0) != counts.get(10, 0):
        return Find(at, 0.4, f"{sections} sections, then none; the code of the functions is missing", complete=False)
    return Find(at, 0.9, f"{sections} sections in their order, then none")


_MARSHAL = {0x4E: 0, 0x54: 0, 0x46: 0, 0x53: 0, 0x2E: 0, 0x30: 0, 0x69: 4, 0x72: 4, 0x67: 8, 0x79: 16}
_COUNTED = {0x73: 4, 0x74: 4, 0x75: 4, 0x61: 4, 0x41: 4, 0x7A: 1, 0x5A: 1}
_NESTED = {0x28: 4, 0x5B: 4, 0x3C: 4, 0x3E: 4, 0x29: 1}


class _Marshal:
    """A walk over marshalled objects. ``at`` is -1 once they break off; nesting is bounded."""

    def __init__(self, window: Window, at: int, magic: int, budget: Budget) -> None:
        self.window, self.at, self.magic, self.budget, self.count = window, at, magic, budget, 0

    def skip(self, n: int) -> None:
        if n < 0 or self.at + n > self.window.size:
            self.at = -1
        elif self.at >= 0:
            self.at += n

    def number(self, n: int) -> int:
        value = self.window.number(self.at, n) if self.at >= 0 else -1
        self.skip(n)
        return value

    def objects(self, n: int, depth: int) -> None:
        for _ in range(n if n <= 1 << 24 else 0):
            if self.at < 0:
                return
            self.object(depth)

    def object(self, depth: int = 0) -> None:
        self.budget.item()
        kind = self.number(1) & 0x7F if depth < 64 else 0
        self.count += 1
        if kind in _MARSHAL:
            self.skip(_MARSHAL[kind])
        elif kind in _COUNTED:
            self.skip(self.number(_COUNTED[kind]))
        elif kind in _NESTED:
            size = self.number(_NESTED[kind])
            self.objects(size, depth + 1) if size >= 0 else self.skip(-1)
        elif kind == 0x6C:
            size = self.number(4)
            self.skip(2 * min(size, (1 << 32) - size) if size >= 0 else -1)
        elif kind == 0x3A:
            self.objects(3, depth + 1)
        elif kind == 0x63:
            self.code(depth)
        else:
            self.at = -1

    def code(self, depth: int) -> None:
        """argcount ... flags, the objects, the first line, the table of lines (and of exceptions)."""
        self.skip(4 * (5 if self.magic < 3400 or self.magic >= 3450 else 6))
        self.objects(8, depth + 1)
        self.skip(4)
        self.objects(1 if self.magic < 3450 else 2, depth + 1)


def _measure_pyc(data: ByteSource, budget: Budget) -> Find | None:
    magic = int.from_bytes(data.read_at(0, 2), "little")
    if not 3390 <= magic <= 3699:
        return None
    walk = _Marshal(Window(data), 16, magic, budget)
    walk.object()
    if walk.at < 0:
        return Find(16, 0.3, f"{walk.count} objects, then none", complete=False) if walk.count > 16 else None
    return Find(walk.at, 0.95, f"{walk.count} marshalled objects to the end")


def _measure_luajit(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    flags, at = _leb(window, 4)
    if not 0 <= flags < 32:
        return None
    if not flags & 2:
        size, at = _leb(window, at)
        at += max(0, size)
    prototypes = 0
    while True:
        budget.item()
        size, body = _leb(window, at)
        if size == 0:
            return Find(body, 0.9, f"{prototypes} prototypes and the end mark") if prototypes else None
        if size < 7 or body + size > data.size or window.number(body, 1) > 63:
            return Find(min(at, data.size), 0.3, f"{prototypes} prototypes, then none", complete=False) if prototypes else None
        at, prototypes = body + size, prototypes + 1


def _measure_beam(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    end, at, chunks = 8 + window.number(4, 4, big=True), 12, 0
    while at < end:
        budget.item()
        size = window.number(at + 4, 4, big=True)
        if size < 0 or not window.at(at, 4).isalnum() or at + 8 + size > end:
            return Find(min(at, data.size), 0.4, f"{chunks} chunks, then none", complete=False) if chunks else None
        at, chunks = at + 8 + size + -size % 4, chunks + 1
    if not chunks:
        return None
    return stated(data, at, 0.95, f"{chunks} chunks fill the form")


def _measure_scpt(data: ByteSource, budget: Budget) -> Find | None:
    if not data.read_at(7, 9).startswith(b" 1.10"):
        return None
    at = find(data, b"\xfa\xde\xde\xad", 16, 4 << 20, budget)
    return Find(at + 4, 0.8, "header and end mark") if at > 0 else None


def _measure_res(data: ByteSource, budget: Budget) -> Find | None:
    window, at, count = Window(data), 32, 0
    while True:
        budget.item()
        size, head = window.number(at, 4), window.number(at + 4, 4)
        if size < 0 or not 32 <= head <= 1024 or head % 4 or at + head + size > data.size or size > 1 << 28:
            break
        kind = window.at(at + 8, 2)
        if kind == b"\0\0" or (kind == b"\xff\xff" and not 0 < window.number(at + 10, 2) < 0x8000):
            break
        end = at + head + size
        at, count = end + -end % 4, count + 1
    return Find(min(at, data.size), 0.7, f"{count} resources, then none") if count else None


CARVERS = (
    Carver(
        name="mz",
        title="MS-DOS or 16-bit Windows program",
        extension="exe",
        mime="application/x-dosexec",
        signatures=(Signature(b"MZ", align=_SECTOR),),
        measure=_measure_mz,
        maximum=64 << 20,
        refs=("Microsoft: MS-DOS Programmer's Reference, EXE header", "Microsoft: Executable-File Header Format (NE), KB65122"),
        gaps=("overlays behind the load image are left out", "LE and LX programs are not recognised", "only starts on a sector boundary"),
        kinds=(
            Kind("exe", "application/x-dosexec", "MS-DOS program"),
            Kind("exe", "application/x-dosexec", "Windows 3 or OS/2 program"),
            Kind("dll", "application/x-dosexec", "Windows 3 library"),
        ),
    ),
    Carver(
        name="macho",
        title="Mach-O program",
        extension="macho",
        mime="application/x-mach-binary",
        signatures=(
            Signature(b"\xfe\xed\xfa\xce"),
            Signature(b"\xfe\xed\xfa\xcf"),
            Signature(b"\xce\xfa\xed\xfe"),
            Signature(b"\xcf\xfa\xed\xfe"),
        ),
        measure=_measure_macho,
        refs=("Apple: mach-o/loader.h",),
        gaps=("kernel caches with file sets are measured by their own commands only",),
        kinds=tuple(Kind(extension, "application/x-mach-binary", title) for extension, title in _MACH.values()),
    ),
    Carver(
        name="class",
        title="Java class or universal Mach-O program",
        extension="class",
        mime="application/java-vm",
        signatures=(Signature(b"\xca\xfe\xba\xbe"),),
        measure=_measure_cafebabe,
        refs=("Java Virtual Machine Specification SE 21, chapter 4", "Apple: mach-o/fat.h"),
        gaps=("64-bit universal files (cafebabf) are not recognised",),
        kinds=(
            Kind("class", "application/java-vm", "Java class"),
            Kind("macho", "application/x-mach-binary", "Mach-O program for several architectures"),
        ),
    ),
    Carver(
        name="dex",
        title="Dalvik program (DEX)",
        extension="dex",
        mime="application/vnd.android.dex",
        signatures=(Signature(b"dex\n0"),),
        measure=_measure_dex,
        refs=("Android: Dalvik executable format",),
        gaps=("compact DEX is not recognised",),
    ),
    Carver(
        name="odex",
        title="optimised Dalvik program (ODEX)",
        extension="odex",
        mime="application/x-odex",
        signatures=(Signature(b"dey\n0"),),
        measure=_measure_odex,
        refs=("Android 4: libdex, DexOptHeader",),
        gaps=("no sample written by a phone was at hand", "ODEX since Android 5 is ELF"),
    ),
    Carver(
        name="wasm",
        title="WebAssembly module",
        extension="wasm",
        mime="application/wasm",
        signatures=(Signature(b"\0asm\1\0\0\0"),),
        measure=_measure_wasm,
        maximum=1 << 30,
        refs=("WebAssembly Core Specification 2.0, 5.5",),
        gaps=("the end is where no section can follow",),
    ),
    Carver(
        name="pyc",
        title="Python bytecode",
        extension="pyc",
        mime="application/x-python-bytecode",
        signatures=tuple(
            Signature(
                b"\0" + bytes((high,)) + b"\r\n\0\0\0\0" + bytes(8) + b"\xe3", mask=b"\0\xff\xff\xff\xfc\xff\xff\xff" + bytes(8) + b"\xff"
            )
            for high in (0x0D, 0x0E)
        ),
        measure=_measure_pyc,
        maximum=256 << 20,
        refs=("CPython: Python/marshal.c", "PEP 552"),
        gaps=("versions before 3.7 are not recognised",),
    ),
    Carver(
        name="luajit",
        title="LuaJIT bytecode",
        extension="luac",
        mime="application/x-luajit-bytecode",
        signatures=(Signature(b"\x1bLJ\x01"), Signature(b"\x1bLJ\x02")),
        measure=_measure_luajit,
        maximum=64 << 20,
        refs=("LuaJIT 2.1: lj_bcdump.h",),
        gaps=("bytecode of the standard Lua is not recognised",),
    ),
    Carver(
        name="beam",
        title="Erlang BEAM module",
        extension="beam",
        mime="application/x-erlang-beam",
        signatures=(Signature(b"FOR1\0\0\0\0BEAM", mask=b"\xff" * 4 + bytes(4) + b"\xff" * 4),),
        measure=_measure_beam,
        maximum=256 << 20,
        refs=("Erlang: BEAM file format",),
        gaps=("compressed modules are gzip files",),
    ),
    Carver(
        name="applescript",
        title="compiled AppleScript",
        extension="scpt",
        mime="application/x-applescript",
        signatures=(Signature(b"FasdUAS "),),
        measure=_measure_scpt,
        maximum=4 << 20,
        refs=("Apple: AppleScript compiled script, header and fade dead mark",),
        gaps=("objects are not walked", "no sample written by macOS was at hand"),
    ),
    Carver(
        name="res",
        title="compiled Windows resources",
        extension="res",
        mime="application/x-windows-res",
        signatures=(Signature(b"\0\0\0\0\x20\0\0\0\xff\xff\0\0\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),),
        measure=_measure_res,
        maximum=256 << 20,
        refs=("Microsoft: RESOURCEHEADER",),
        gaps=("the end is where no resource follows",),
    ),
)
