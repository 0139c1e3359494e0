"""What every source, file system and extractor must do: subclass, give it one, run pytest.

class TestEwf(SourceContract):
    def make(self): return ewf_image, expected_bytes
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

from forensiclib.core.declare import Extractor
from forensiclib.core.entry import FILES_SCHEMA, FileSystem
from forensiclib.core.errors import EvidenceError, UsageError
from forensiclib.core.limits import Budget, Limits
from forensiclib.core.record import STATES
from forensiclib.core.source import ByteSource
from forensiclib.core.span import total

__all__ = ["ExtractorContract", "FileSystemContract", "SourceContract", "mutations", "rows_or_evidence_error"]


class SourceContract:
    """Laws of ByteSource. ``make()`` returns a source and the bytes it must read as; ``root()`` the
    bytes of the root that its exact spans count in, or None to skip that law."""

    def make(self) -> tuple[ByteSource, bytes]:
        raise NotImplementedError

    def root(self) -> dict[str, bytes] | None:
        return None

    def _cuts(self, size: int) -> list[tuple[int, int]]:
        rng = random.Random(7)
        cuts = [(0, 0), (0, 1), (0, size), (0, size + 1), (size, 1), (size + 5, 3), (0, 1 << 62), (1 << 62, 4)]
        cuts += [(max(0, size - 1), 2), (size // 2, 1), (511, 2), (4095, 2)]
        for _ in range(60):
            at = rng.randrange(size + 1)
            cuts.append((at, rng.choice((1, 7, 512, 4096, 65536, size))))
        return cuts

    def test_reads_equal_the_truth(self) -> None:
        source, truth = self.make()
        assert source.size == len(truth)
        for at, n in self._cuts(source.size):
            assert source.read_at(at, n) == truth[at : at + n], (at, n)

    def test_read_into_equals_read_at(self) -> None:
        source, truth = self.make()
        for at, n in self._cuts(source.size):
            buffer = bytearray(b"\xa5" * min(n, 70_000))
            got = source.read_into(at, buffer)
            want = truth[at : at + len(buffer)]
            assert got == len(want), (at, n)
            assert bytes(buffer[:got]) == want, (at, n)
            assert bytes(buffer[got:]) == b"\xa5" * (len(buffer) - got), "bytes past the count were touched"

    def test_negative_is_the_callers_fault(self) -> None:
        source, _ = self.make()
        for at, n in ((-1, 1), (0, -1), (-5, -5)):
            for call in (source.read_at, source.trace):
                try:
                    call(at, n)
                except UsageError:
                    continue
                raise AssertionError(f"{call.__name__}({at}, {n}) did not raise UsageError")

    def test_traces_cover_what_is_read(self) -> None:
        source, truth = self.make()
        roots = self.root()
        for at, n in self._cuts(source.size):
            spans = source.trace(at, n)
            want = truth[at : at + n]
            if all(span.exact or not span.root for span in spans):
                assert total(spans) == len(want), (at, n)
            if roots is None:
                continue
            got = b"".join(roots[s.root][s.start : s.end] if s.root else bytes(s.length) for s in spans if s.exact or not s.root)
            if all(span.exact or not span.root for span in spans):
                assert got == want, (at, n)

    def test_threads_do_not_disturb_each_other(self) -> None:
        source, truth = self.make()
        wrong: list[tuple[int, int]] = []

        def work(seed: int) -> None:
            rng = random.Random(seed)
            for _ in range(50):
                at, n = rng.randrange(source.size + 1), rng.randrange(9000)
                if source.read_at(at, n) != truth[at : at + n]:
                    wrong.append((at, n))

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


class FileSystemContract:
    """Laws of FileSystem. ``make()`` returns one; ``files()`` maps paths to contents that another
    program or the maker of the image states."""

    def make(self) -> FileSystem:
        raise NotImplementedError

    def files(self) -> dict[str, bytes]:
        raise NotImplementedError

    def test_contents(self) -> None:
        fs = self.make()
        for path, content in self.files().items():
            assert fs.get(path).open().read_at(0, len(content) + 1) == content, path

    def test_walk_is_the_same_twice_and_has_valid_states(self) -> None:
        fs = self.make()
        first, second = list(fs.walk()), list(fs.walk())
        assert first == second
        assert {e.state for e in first} <= set(STATES)
        live = [e.path for e in fs.walk(deleted=False)]
        assert all(e.state == "allocated" for e in fs.walk(deleted=False))
        assert set(self.files()) <= set(live)

    def test_an_identity_survives_reopening(self) -> None:
        fs, again = self.make(), self.make()
        for entry in list(fs.walk())[:200]:
            assert again.entry(entry.id, entry.sequence).id == entry.id

    def test_the_table_says_what_walk_says(self) -> None:
        fs = self.make()
        table = fs.table()
        assert table.names[: len(FILES_SCHEMA)] == tuple(name for name, _ in FILES_SCHEMA)
        rows = list(table.rows())
        walked = sorted((e.id, e.path, e.state) for e in fs.walk())
        assert sorted({(r["id"], r["path"], r["state"]) for r in rows}) == sorted(set(walked))

    def test_missing_paths_are_the_callers_fault(self) -> None:
        fs = self.make()
        for path in ("no/such/file", "..", "\0"):
            try:
                fs.get(path)
            except UsageError:
                continue
            raise AssertionError(f"get({path!r}) did not raise UsageError")

    def test_unallocated_is_ascending_and_disjoint(self) -> None:
        end = -1
        for start, length in self.make().unallocated():
            assert start > end and length > 0
            end = start + length - 1


class ExtractorContract:
    """Laws of an extractor. ``extractor`` is the declaration, ``targets()`` yields what its rows()
    takes (a Found, a key, an event)."""

    extractor: Extractor

    def targets(self) -> Iterator[object]:
        raise NotImplementedError

    def test_rows_have_exactly_the_declared_fields(self) -> None:
        names = {f.name for f in self.extractor.fields}
        seen = 0
        for target in self.targets():
            for row in self.extractor.rows(target, Budget()):
                assert set(row.values) == names, set(row.values) ^ names
                assert row.at >= 0 and row.length >= 0
                seen += 1
        assert seen, "the sample gave no row"


def mutations(sample: bytes, count: int, seed: int = 1) -> Iterator[bytes]:
    """``count`` damaged copies: flipped bits and bytes, truncations, runs of 00 and FF, spliced and
    repeated blocks, large integers on aligned offsets. Deterministic for a seed."""
    rng = random.Random(seed)
    size = len(sample)
    for _ in range(count):
        data = bytearray(sample)
        for _ in range(rng.choice((1, 1, 2, 4, 16))):
            if not data:
                break
            at, kind = rng.randrange(len(data)), rng.randrange(8)
            if kind == 0:
                data[at] ^= 1 << rng.randrange(8)
            elif kind == 1:
                data[at] = rng.randrange(256)
            elif kind == 2 and rng.random() < 0.3:
                del data[at:]
            elif kind == 3:
                n = rng.choice((2, 4, 8, 64, 512))
                data[at : at + n] = rng.choice((b"\0", b"\xff"))[:1] * min(n, len(data) - at)
            elif kind == 4:
                n = rng.choice((4, 16, 512))
                other = rng.randrange(size)
                data[at : at + n] = sample[other : other + n]
            elif kind == 5:
                width = rng.choice((2, 4, 8))
                at -= at % width
                value = rng.choice((0, 1, 0x7F, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, size, size + 1)) & ((1 << 8 * width) - 1)
                data[at : at + width] = value.to_bytes(width, "little")
            elif kind == 6:
                width = rng.choice((2, 4))
                value = rng.choice((0, 1, 0xFFFF, 0x7FFFFFFF, size)) & ((1 << 8 * width) - 1)
                data[at : at + width] = value.to_bytes(width, "big")
            else:
                n = rng.choice((1, 4, 16))
                data[at:at] = data[at : at + n]
        yield bytes(data)


FUZZ_LIMITS = Limits(items=200_000, allocation=64 << 20, output=256 << 20, seconds=20.0, chain=100_000)
"""Bounds for one mutated input: far above what a sample of 64 KiB can need."""


def rows_or_evidence_error(run: object, inputs: Iterator[bytes]) -> int:
    """The generic fuzz target: ``run(data, budget)`` must return or raise EvidenceError for every
    input; anything else is re-raised with the number of the input. Returns how many ran."""
    assert callable(run)
    count = 0
    for data in inputs:
        try:
            run(data, Budget(FUZZ_LIMITS))
        except EvidenceError:
            pass
        except BaseException as error:
            error.add_note(f"mutated input number {count}, {len(data)} bytes")
            raise
        count += 1
    return count
