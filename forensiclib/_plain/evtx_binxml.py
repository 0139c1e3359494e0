"""Twin of _native/evtx_binxml.h: BinXML of one chunk, [MS-EVEN6] 2.2.12, as trees.

Each template is compiled once to a flat program; a record runs it with its substitutions.
"""

from __future__ import annotations

from collections.abc import Sequence

from forensiclib._plain.evtx_json import Attribute, Node
from forensiclib._plain.evtx_values import BAD, BINXML, CHAR, ENTITY, FIXED, NULL, STRING, Piece, checked, hash_of, utf16

__all__ = ["BOUND", "Decoder", "NAME", "SIZE", "STRUCTURE", "TEMPLATE", "VALUE"]

SIZE, STRUCTURE, TEMPLATE, VALUE, BOUND, NAME = 1, 2, 4, 8, 16, 32
"""Damage bits of a record."""
TOKENS, RECORD_UNITS, CHUNK_UNITS, LETTERS, DEPTH, NEST = 1 << 17, 1 << 15, 1 << 17, 1 << 20, 128, 16
"""Bounds of a chunk's programs, of the work for one record and for one chunk (a unit is a token or 16
bytes of value), of the letters of its names, of nested elements, of BinXML within BinXML."""

(STOP, OPEN, TAGGED, CLOSE, ATTRIBUTE, LITERAL, INSTRUCTION, SUBSTITUTE, INSTANCE, FLAG, ERROR) = range(11)
Token = tuple[int, int, int, int]
NO_NAME = (-1, 0, 0)


class Decoder:
    """BinXML of the chunk ``data`` (up to 65,536 bytes; offsets in it count from its start)."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size = data, len(data)
        self.tokens: list[Token] = [(ERROR, BOUND, 0, 0)]
        self.programs: dict[int, int] = {}
        self.names: list[str] = []
        self.name_at: dict[int, tuple[int, int, int]] = {}
        self.spent_chunk = self.spent = self.letters = self.damage = self.damage_at = 0

    def event(self, start: int, end: int) -> Node:
        """The document of the record whose BinXML is [start, end); damage is in the attributes."""
        self.spent = 0
        document = Node("")
        self._fragment(start, end, document, 0, 0)
        return document

    def flag(self, bit: int, at: int) -> None:
        """Note damage; the first place is kept."""
        if not self.damage:
            self.damage_at = at
        self.damage |= bit

    def _units(self, name: int) -> int:
        return len(self.names[name].encode("utf-16-le")) >> 4

    def _spend(self, units: int) -> bool:
        self.spent += units
        self.spent_chunk += units
        return self.spent <= RECORD_UNITS and self.spent_chunk <= CHUNK_UNITS

    def _u16(self, at: int) -> int:
        return int.from_bytes(self.data[at : at + 2], "little")

    def _u32(self, at: int) -> int:
        return int.from_bytes(self.data[at : at + 4], "little")

    # names

    def _name(self, at: int) -> tuple[int, int, int]:
        """(number, bytes of the structure, hash is right) of the name at ``at``, or NO_NAME."""
        if (known := self.name_at.get(at)) is not None:
            return known
        if at + 10 > self.size:
            return NO_NAME
        length = 2 * self._u16(at + 6)
        if length == 0 or at + 10 + length > self.size or self._u16(at + 8 + length):
            return NO_NAME
        if self.letters + length // 2 > LETTERS:
            return NO_NAME
        self.letters += length // 2
        raw = self.data[at + 8 : at + 8 + length]
        self.names.append(utf16(raw))
        self.name_at[at] = len(self.names) - 1, 10 + length, int(hash_of(raw) == self._u16(at + 4))
        return self.name_at[at]

    # compiling

    def _named(self, reference: int, end: int) -> tuple[int, int]:
        """The name that a u32 at ``reference`` points to, and the offset behind reference and, where
        it stands right there, name. (-1, 0) when there is none."""
        if reference + 4 > end:
            return -1, 0
        at = self._u32(reference)
        name, length, sound = self._name(at)
        behind = reference + 4 + (length if at == reference + 4 else 0)
        if name < 0 or behind > end:
            return -1, 0
        if not sound:
            self.tokens.append((FLAG, NAME, at, 0))
        return name, behind

    def _element(self, at: int, end: int) -> bool:
        return at + 8 <= end and self._name(self._u32(at + 4))[0] >= 0

    def _compile(self, pos: int, end: int, in_template: bool) -> int:
        """Tokens of [pos, end) appended; returns where they start. Ends with STOP or ERROR."""
        start = len(self.tokens)
        if start >= TOKENS:
            return 0
        depth, in_tag, in_attribute = 0, False, False
        while pos < end:
            if len(self.tokens) >= TOKENS:
                self.tokens.append((ERROR, BOUND, pos, 0))
                return start
            at, kind = pos, self.data[pos] & 0xBF
            if self.data[pos] & 0x40 and kind not in (1, 5, 6, 7, 8, 9):
                break
            if kind == 0:
                if depth:
                    break
                self.tokens.append((STOP, 0, 0, 0))
                return start
            if kind == 1:  # open start element
                if in_tag:
                    break
                head = pos + 3 if in_template or not self._element(pos + 1, end) else pos + 1
                if head + 8 > end:
                    break
                name, behind = self._named(head + 4, end)
                if name < 0:
                    break
                pos = behind + (4 if self.data[at] & 0x40 else 0)
                if pos > end:
                    break
                self.tokens.append((OPEN, name, self._u16(at + 1) if head == at + 3 else 0xFFFF, at))
                depth, in_tag, in_attribute = depth + 1, True, False
            elif kind == 2 or kind == 3:  # close start element, close empty element
                if not in_tag:
                    break
                self.tokens.append((TAGGED, 0, 0, at))
                in_tag = in_attribute = False
                if kind == 3:
                    self.tokens.append((CLOSE, 0, 0, at))
                    depth -= 1
                pos += 1
            elif kind == 4:  # end element
                if in_tag or not depth:
                    break
                self.tokens.append((CLOSE, 0, 0, at))
                depth -= 1
                pos += 1
            elif kind == 6:  # attribute
                if not in_tag:
                    break
                name, behind = self._named(pos + 1, end)
                if name < 0:
                    break
                self.tokens.append((ATTRIBUTE, name, 0, at))
                pos, in_attribute = behind, True
            elif kind == 15:  # fragment header
                if depth or pos + 4 > end:
                    break
                pos += 4
            elif kind == 12:  # template instance
                if depth or in_template:
                    break
                behind = self._instance(pos, end)
                if behind < 0:
                    break
                pos = behind
            elif kind == 10 or kind == 11:  # processing instruction: target, data
                behind = self._instruction(pos, end) if not in_tag else -1
                if behind < 0:
                    break
                pos = behind
            else:
                behind = self._text(pos, end, kind) if (in_attribute or (depth and not in_tag)) else -1
                if behind < 0:
                    break
                pos = behind
        else:
            if not depth:
                self.tokens.append((STOP, 0, 0, 0))
                return start
        self.tokens.append((ERROR, STRUCTURE, pos, 0))
        return start

    def _text(self, at: int, end: int, kind: int) -> int:
        """A value, CDATA, character or entity reference, or substitution; -1 when it is none."""
        if kind == 13 or kind == 14:
            if at + 4 > end:
                return -1
            never = kind == 14 and self.data[at + 3] == NULL
            self.tokens.append((SUBSTITUTE, self._u16(at + 1), int(never), at))
            return at + 4
        if kind == 5 and at + 2 <= end and self.data[at + 1] != STRING:
            width = FIXED.get(self.data[at + 1], 0)
            if not width or at + 2 + width > end:
                return -1
            self.tokens.append((LITERAL, self.data[at + 1], at + 2, width))
            return at + 2 + width
        if kind == 5 or kind == 7:
            chars = at + (4 if kind == 5 else 3)
            if chars > end or chars + 2 * self._u16(chars - 2) > end:
                return -1
            self.tokens.append((LITERAL, STRING, chars, 2 * self._u16(chars - 2)))
            return chars + 2 * self._u16(chars - 2)
        if kind == 8:
            if at + 3 > end:
                return -1
            self.tokens.append((LITERAL, CHAR, at + 1, 2))
            return at + 3
        if kind == 9:
            name, behind = self._named(at + 1, end)
            if name < 0:
                return -1
            self.tokens.append((LITERAL, ENTITY, name, 0))
            return behind
        return -1

    def _instruction(self, at: int, end: int) -> int:
        if self.data[at] == 10:
            name, behind = self._named(at + 1, end)
            if name < 0:
                return -1
            self.tokens.append((INSTRUCTION, name, 0, 0))
            return behind
        if at + 3 > end or at + 3 + 2 * self._u16(at + 1) > end:
            return -1
        self.tokens.append((INSTRUCTION, -1, at + 3, 2 * self._u16(at + 1)))
        return at + 3 + 2 * self._u16(at + 1)

    def _instance(self, at: int, end: int) -> int:
        """A template instance; returns the offset behind its values, clipped to ``end``."""
        if at + 10 > end:
            return -1
        definition, behind = self._u32(at + 6), at + 10
        if definition == behind:
            if behind + 24 > end:
                return -1
            behind += 24 + self._u32(behind + 20)
        if behind + 4 > end or self._u32(behind) > (end - behind - 4) // 4:
            return -1
        count = self._u32(behind)
        self.tokens.append((INSTANCE, at, behind, end))
        values = behind + 4 + 4 * count
        sizes = sum(self._u16(behind + 4 + 4 * i) for i in range(count))
        return min(end, values + sizes)

    def _template(self, identity: int, definition: int) -> int:
        """The program of a definition, or -1 when there is none with that identity there."""
        if definition + 24 > self.size or self._u32(definition + 4) != identity:
            return -1
        if (start := self.programs.get(definition)) is None:
            end = min(self.size, definition + 24 + self._u32(definition + 20))
            start = self.programs[definition] = self._compile(definition + 24, end, True)
        return start

    # running

    def _fragment(self, pos: int, end: int, parent: Node, depth: int, nest: int) -> bool:
        if nest > NEST:
            self.flag(BOUND, pos)
            return False
        before = len(self.tokens)
        start = self._compile(pos, end, False)
        if not self._spend(len(self.tokens) - before):
            self.flag(BOUND, pos)
            return False
        return self._run(start, (), parent, depth, nest)

    def _substitutions(self, at: int, end: int) -> list[Piece | tuple[int, int, int]]:
        """The values of an instance whose count is at ``at``; nested BinXML as (type, start, end)."""
        count = self._u32(at)
        value = at + 4 + 4 * count
        values: list[Piece | tuple[int, int, int]] = []
        for i in range(count):
            size, kind = self._u16(at + 4 + 4 * i), self.data[at + 6 + 4 * i]
            stop = min(end, value + size)
            if stop < value + size:
                self.flag(VALUE, min(value, end))
                if kind == BINXML or stop <= value:
                    kind = NULL
            if kind == BINXML:
                values.append((BINXML, value, stop))
            else:
                piece = checked(kind, self.data[min(value, end) : stop])
                if piece[0] == BAD:
                    self.flag(VALUE, value)
                values.append(piece)
            value += size
        return values

    def _run_instance(self, at: int, counted: int, end: int, parent: Node, depth: int, nest: int) -> bool:
        if not self._spend(self._u32(counted)):
            self.flag(BOUND, at)
            return False
        values = self._substitutions(counted, end)
        start = self._template(self._u32(at + 2), self._u32(at + 6))
        if start >= 0:
            return self._run(start, values, parent, depth, nest)
        self.flag(TEMPLATE, at)
        for value in values:
            if not self._spend(1 if len(value) == 3 else 1 + (len(value[1]) >> 4)):
                self.flag(BOUND, at)
                return False
            node = Node("Substitution", always_list=True)
            parent.children.append(node)
            parent.order.append(node)
            if len(value) == 2:
                node.pieces.append(value)
                node.order.append(value)
            elif not self._fragment(value[1], value[2], node, depth + 1, nest + 1):
                return False
        return True

    def _run(self, start: int, values: Sequence[Piece | tuple[int, int, int]], parent: Node, depth: int, nest: int) -> bool:
        """Run a program below ``parent``; False when a bound was met and the record is over."""
        path, attribute = [parent], None
        while True:
            op, a, b, c = self.tokens[start]
            start += 1
            if op == STOP:
                return True
            if op == ERROR:
                self.flag(a, b)
                return a != BOUND
            if not self._spend(1 + (self._units(a) if op in (OPEN, ATTRIBUTE) else 0)):
                self.flag(BOUND, 0)
                return False
            node = path[-1]
            if op == OPEN:
                if depth + len(path) > DEPTH:
                    self.flag(BOUND, c)
                    return False
                absent = b < len(values) and values[b][0] == NULL
                path.append(Node(self.names[a], absent=absent))
                node.children.append(path[-1])
                node.order.append(path[-1])
                attribute = None
            elif op == TAGGED:
                attribute = None
            elif op == CLOSE:
                path.pop()
            elif op == ATTRIBUTE:
                attribute = Attribute(self.names[a])
                node.attributes.append(attribute)
            elif op == FLAG:
                self.flag(a, b)
            elif op == INSTRUCTION:
                node.order.append(("?", self.names[a]) if a >= 0 else ("=", utf16(self.data[b : b + c])))
            elif op == INSTANCE:
                if not self._run_instance(a, b, c, node, depth + len(path) - 1, nest):
                    return False
            else:
                if not self._content((op, a, b, c), values, node, attribute, depth + len(path) - 1, nest):
                    return False

    def _content(self, token: Token, values: Sequence[Piece | tuple[int, int, int]], node: Node, attribute: Attribute | None,
                 depth: int, nest: int) -> bool:  # fmt: skip
        op, a, b, c = token
        piece: Piece
        if op == LITERAL:
            piece = (ENTITY, self.names[b].encode()) if a == ENTITY else (a, self.data[b : b + c])
        elif b:
            piece = (NULL, b"")
        elif a >= len(values):
            self.flag(VALUE, c)
            piece = (NULL, b"")
        else:
            value = values[a]
            if len(value) == 3:
                if attribute is None:
                    return self._fragment(value[1], value[2], node, depth, nest + 1)
                self.flag(VALUE, value[1])
                piece = (BAD, self.data[value[1] : value[2]])
            else:
                piece = value
        if not self._spend(self._units(b) if op == LITERAL and a == ENTITY else len(piece[1]) >> 4):
            self.flag(BOUND, 0)
            return False
        if attribute is not None:
            attribute.pieces.append(piece)
        else:
            node.pieces.append(piece)
            node.order.append(piece)
        return True
