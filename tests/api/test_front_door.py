"""Opening, matching, naming, running: the small laws of the staircase."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import forensiclib as fl
from forensiclib.api.match import pattern
from forensiclib.api.names import safe_path
from forensiclib.api.recovering import Free, benign
from forensiclib.api.timeline import file_events, sort_timeline
from forensiclib.api.units import Place
from forensiclib.core.entry import Entry, FileSystem, Stream
from forensiclib.core.errors import Cancelled, Corrupt, EvidenceError, NotThisFormat, UsageError
from forensiclib.core.finding import Finding
from forensiclib.core.source import ExtentSource, MemorySource
from forensiclib.core.text import escape
from forensiclib.tables.jsonl import dumps


@pytest.mark.parametrize(
    ("text", "path", "matches"),
    [
        ("Windows/Prefetch/*.pf", "windows/prefetch/CMD.EXE-1.PF", True),
        ("Windows/Prefetch/*.pf", "Windows/Prefetch/deep/CMD.pf", False),
        ("Windows/Prefetch/*.pf", "Windows/Prefetch/CMD.pf.txt", False),
        ("Windows/Prefetch/*.pf", "old/Windows/Prefetch/CMD.pf", False),
        ("**/NTUSER.DAT", "NTUSER.DAT", True),
        ("**/NTUSER.DAT", "Users/a/b/ntuser.dat", True),
        ("**/NTUSER.DAT", "Users/a/xNTUSER.DAT", False),
        ("Users/**/*.lnk", "Users/a.lnk", True),
        ("Users/**/*.lnk", "Users/a/b/c.lnk", True),
        ("Users/**", "Users/a/b", True),
        ("Users/**", "Other/a", False),
        ("file?.txt", "file1.txt", True),
        ("file?.txt", "file12.txt", False),
        ("a[1]+(b).txt", "a[1]+(b).txt", True),
        ("a[1].txt", "a1.txt", False),
        ("$Recycle.Bin/*/$I*", "$RECYCLE.BIN/S-1-5/$IABC.txt", True),
        ("*", "line\nbreak", True),
    ],
)
def test_path_patterns(text, path, matches):
    assert bool(pattern(text).fullmatch(path)) is matches


RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}
names = st.text(st.characters(exclude_categories=()), max_size=30)
paths = st.lists(
    st.one_of(
        names,
        st.sampled_from(
            [
                "..",
                ".",
                "",
                "CON",
                "nul.txt",
                "aux ",
                "a.",
                "\u202egpj.exe",
                "x" * 400,
                "y" * 195 + ". " * 30,
                "\u2028.txt",
                "e\u0301" * 150,
            ]
        ),
    ),
    max_size=6,
)


@given(paths)
def test_a_safe_path_stays_inside_and_is_harmless_everywhere(parts):
    out = safe_path("/".join(parts))
    assert out and not out.startswith("/") and "\\" not in out and ":" not in out
    for part in out.split("/"):
        assert part not in ("", ".", "..") and not part.endswith((".", " ")) and len(part.encode()) <= 255
        assert escape(part) == part or all(c.isprintable() or c.isspace() for c in part)
        assert part.partition(".")[0].rstrip(" ").casefold() not in RESERVED
        assert not set(part) & set('<>:"\\|?*')


@given(
    st.lists(
        st.one_of(
            names, st.sampled_from(["a", "A", "a ", "a.", "a (2)", "b/a", "b", "b/A", "a/b", "A/b/c", "\u00e9", "e\u0301", "\u00c9/x"])
        ),
        min_size=2,
        max_size=12,
    )
)
def test_safe_paths_never_collide(parts):
    taken: set[str] = set()
    given_out = [safe_path(p, taken) for p in parts]
    assert len({p.casefold() for p in given_out}) == len(parts)
    folders = {"/".join(p.casefold().split("/")[:n]) for p in given_out for n in range(1, p.count("/") + 1)}
    assert not folders & {p.casefold() for p in given_out}, "a file cannot be a folder too"


@given(
    st.recursive(
        st.none() | st.text(st.characters(exclude_categories=())) | st.integers(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_json_reads_back_and_shows_nothing_that_moves_a_terminal(value):
    import json

    text = dumps(value)
    assert json.loads(text) == value and text.isprintable()


class Disk(FileSystem):
    """One deleted file over four clusters; the second and the last belong to somebody else now."""

    format, block_size = "test", 4

    def __init__(self, source: MemorySource, free: tuple[tuple[int, int], ...], runs, size: int, **facts) -> None:
        self.source, self.free = source, free
        stream = Stream(ExtentSource(source, runs, size), runs=runs, allocated=16, **facts)
        self.file = Entry(1, 1, None, b"a", "a", "a", "file", "deleted", size, verdict="partly overwritten", opener=lambda: [stream])

    def walk(self, deleted: bool = True) -> Iterator[Entry]:
        yield self.file

    def get(self, path: str) -> Entry:
        raise UsageError(path)

    def entry(self, id: int, sequence: int | None = None) -> Entry:
        return self.file

    def unallocated(self) -> tuple[tuple[int, int], ...]:
        return self.free


MEDIA = MemorySource(b"aaaabbbbccccddddeeee")


@pytest.mark.parametrize(
    ("free", "runs", "size", "shown", "replaced"),
    [
        (((0, 4), (8, 4)), ((0, 16),), 14, b"aaaa\0\0\0\0cccc\0\0", 8),
        (((0, 20),), ((0, 16),), 14, b"aaaabbbbccccdd", 0),
        ((), ((0, 16),), 14, bytes(14), 16),
        (((4, 4), (16, 4)), ((16, 4), (None, 4), (4, 4)), 12, b"eeee\0\0\0\0bbbb", 0),
        (((2, 3),), ((0, 8),), 8, b"\0\0aab\0\0\0"[:2] + b"aab\0\0\0", 5),
    ],
)
def test_clusters_of_others_read_as_zero(free, runs, size, shown, replaced):
    fs = Disk(MEDIA, free, runs, size)
    source, count = benign(MEDIA, fs, fs.file, fs.file.open(), Free(free))
    assert (source.read_at(0, 99), count) == (shown, replaced)


def test_extractors_and_thumbnails_do_not_see_the_clusters_of_others():
    """Place.open is what both read through: a record out of another file's cluster would be laid to the deleted one."""
    from forensiclib.api.units import FileRef, Place
    from forensiclib.catalog import Catalog
    from forensiclib.core.declare import FileSystemFormat

    fs = Disk(MEDIA, ((0, 4), (8, 4)), ((0, 16),), 14)
    form = FileSystemFormat(name="test", title="Test", refs=("none",), probe=lambda source: True, open=lambda source, budget: fs)
    with fl.open_image(MEDIA, run=fl.Run(catalog=Catalog((form,)))) as image:
        place = Place.of(image.volume("0"), "native")
        assert place.open(FileRef(1, 1, "a", "deleted")).read_at(0, 99) == b"aaaa\0\0\0\0cccc\0\0"
        assert place.open(FileRef(1, 1, "a", "allocated")).read_at(0, 99) == b"aaaabbbbccccdd"


def test_content_that_needs_no_mercy_is_left_alone():
    from dataclasses import replace

    for facts, change in (({"resident": True}, {}), ({"compressed": True}, {}), ({}, {"verdict": "intact"}), ({}, {"state": "allocated"})):
        fs = Disk(MEDIA, (), ((0, 16),), 14, **facts)
        stream = fs.file.open()
        assert benign(MEDIA, fs, replace(fs.file, **change), stream, Free(())) == (stream, 0)


def test_an_open_error_says_what_was_tried_and_why(tmp_path):
    disk = tmp_path / "disk.E01"
    disk.write_bytes(b"no container at all" * 100)
    with pytest.raises(NotThisFormat, match="disk.E01.*ewf: "):
        fl.open_image(disk, format="ewf")
    with pytest.raises(UsageError, match="no image format 'ewfx'; there are .*ewf.*raw"):
        fl.open_image(disk, format="ewfx")
    with pytest.raises(UsageError, match="no evidence given"):
        fl.open_image([])


def test_a_damaged_container_is_never_read_as_raw(example, tmp_path):
    copy = tmp_path / "disk.dd"  # the content decides, not the name
    copy.write_bytes(example.read_bytes()[:60])
    with pytest.raises(EvidenceError, match="disk.dd"):
        fl.open_image(copy)
    copy.write_bytes(example.read_bytes())
    with fl.open_image(copy) as image:
        assert image.format == "ewf"


def test_find_says_where_nothing_is(example):
    with fl.open_image(example) as image:
        for where, message in (
            ("2", "write VOLUME:/PATH"),
            ("2:/", "write VOLUME:/PATH"),
            ("7:/a", "no volume '7'"),
            ("2:/x/y", "2:/x/y: no such"),
        ):
            with pytest.raises(UsageError, match=message):
                image.find(where)
        assert image.find("2:/Users/alice/Pictures/secret.jpg", deleted=True).state == "deleted"


def test_map_keeps_order_and_window():
    flying, most, lock = 0, 0, threading.Lock()

    def work(n: int) -> int:
        time.sleep(0.002 * (n % 3))
        return n

    def units() -> Iterator[int]:
        nonlocal flying, most
        for n in range(40):
            with lock:
                flying += 1
                most = max(most, flying)
            yield n

    with ThreadPoolExecutor(4) as pool:
        out = []
        for n in fl.Run(executor=pool).map(work, units(), window=5):
            with lock:
                flying -= 1
            out.append(n)
    assert out == list(range(40)) == list(fl.Run().map(work, range(40)))
    assert most <= 6


def test_the_wish_to_stop_does_not_wait_for_a_long_unit():
    done = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        started = time.monotonic()
        with pytest.raises(Cancelled):
            list(fl.Run(executor=pool, cancelled=lambda: time.monotonic() > started + 0.3).map(lambda _: done.wait(20), [1, 2, 3]))
        assert time.monotonic() - started < 5
        done.set()


def test_the_same_finding_is_kept_once_and_the_rest_is_counted():
    run = fl.Run(limits=fl.Limits(findings=2))
    for n in (1, 1, 2, 2, 3, 4):
        run.report(Finding.of(Corrupt("x", None, str(n))))
    assert [f.found for f in run.findings] == ["1", "2"] and run.dropped == 2


def test_a_place_carries_secrets_to_workers_but_shows_none(example):
    with fl.open_image(example, run=fl.Run(keys=fl.Keys(["hunter2"]))) as image:
        place = Place.of(image.volumes()[1], "native")
        assert "hunter2" not in repr(place)
        assert pickle.loads(pickle.dumps(place)).keys == fl.Keys(["hunter2"])  # noqa: S301


def test_the_timeline_is_in_order_and_whole(example, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow not installed")
    pytest.importorskip("duckdb", reason="duckdb not installed")
    from forensiclib.api.tabulating import TIMELINE_SCHEMA
    from forensiclib.tables.parquet import ParquetTable

    with fl.open_image(example) as image:
        events = [e for v, t in image.listing() for e in file_events(v, t)]
    with ParquetTable(tmp_path / "in.parquet", TIMELINE_SCHEMA) as table:
        for event in reversed(events):
            table.add(event)
    assert sort_timeline(tmp_path / "in.parquet", tmp_path / "out.parquet") == len(events)
    read = pq.read_table(tmp_path / "out.parquet")
    times = read.column("time").cast("int64").to_pylist()
    assert times == sorted(times) == sorted(e["time"] for e in events)
    assert sorted(read.column("path").to_pylist()) == sorted(e["path"] for e in events)


def test_the_results_folder_is_never_one_with_files(example, tmp_path):
    (tmp_path / "kept").write_text("kept")
    with fl.open_image(example) as image:
        for job in (fl.Run().recover(image, str(tmp_path)), fl.Run().carve(image, str(tmp_path))):
            with pytest.raises(UsageError, match="not an empty folder"):
                next(iter(job))
    assert [p.name for p in Path(tmp_path).iterdir()] == ["kept"]
