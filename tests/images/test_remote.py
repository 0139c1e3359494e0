"""images/remote.py against real servers: the same bytes as from the disk, one version or none, and nothing secret said."""

from __future__ import annotations

import base64
import json
import logging
import pickle
import random
import shutil
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import forensiclib as fl
from forensiclib.core.errors import Cancelled, EvidenceError, MissingSupport, SourceLost, Truncated, UsageError
from forensiclib.core.source import MemorySource
from forensiclib.images import _carriers, remote
from forensiclib.images.remote import BLOCK, REQUEST, Line, RemotePath, RemoteSource
from forensiclib.testing.contracts import SourceContract
from tests.images.servers import Files, http_server
from tests.images.sets import SAMPLES, build_set, make_media, noise

fsspec = pytest.importorskip("fsspec", reason="the extra 'remote' (fsspec) is not installed")
pytest.importorskip("aiohttp", reason="the extra 'remote' (aiohttp) is not installed")
SECRET = "s3cr3t-Pa55"
DATA = noise(3 * BLOCK + 777, 5)


@pytest.fixture
def server() -> Iterator[Files]:
    with http_server() as files:
        yield files


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives up after two seconds instead of a minute."""
    monkeypatch.setattr(remote, "PATIENCE", 2.0)


@pytest.fixture(scope="module")
def shared() -> Iterator[Files]:
    with http_server() as files:
        files.content["disk.dd"] = DATA
        yield files


class TestHttp(SourceContract):
    @pytest.fixture(autouse=True)
    def _served(self, shared: Files) -> None:
        self.url = shared.url("disk.dd")

    def make(self) -> tuple[RemoteSource, bytes]:
        return RemoteSource(self.url), DATA

    def root(self) -> dict[str, bytes]:
        return {"disk.dd": DATA}


class TestMemory(SourceContract):
    def make(self) -> tuple[RemoteSource, bytes]:
        fsspec.filesystem("memory").pipe("/contract/disk.dd", DATA)
        return RemoteSource("memory://contract/disk.dd"), DATA


def carried(thing: Any) -> Any:
    """The same as another process gets it."""
    return pickle.loads(pickle.dumps(thing))  # noqa: S301


# what is read, and how often


def test_neighbours_come_in_one_request_and_stay(server: Files) -> None:
    server.content["a.dd"] = data = noise(20 * BLOCK, 1)
    source = RemoteSource(server.url("a.dd"))
    assert server.asked == [f"bytes=0-{BLOCK - 1}"], "the first block comes with the opening"
    assert source.read_at(5 * BLOCK + 10, 3 * BLOCK) == data[5 * BLOCK + 10 : 8 * BLOCK + 10]
    assert server.asked[1:] == [f"bytes={5 * BLOCK}-{9 * BLOCK - 1}"]
    assert source.read_at(6 * BLOCK, BLOCK) == data[6 * BLOCK : 7 * BLOCK]
    assert source.read_at(0, 100) == data[:100]
    assert len(server.log) == 2
    assert source.traffic.requests == 2
    assert source.traffic.bytes == 5 * BLOCK
    assert source.traffic.retries == 0
    assert source.traffic.hits == 2


def test_reading_in_order_reads_ahead_twice_as_far_each_time(server: Files) -> None:
    server.content["a.dd"] = data = noise(200 * BLOCK, 2)
    source = RemoteSource(server.url("a.dd"))
    for at in range(0, len(data), 4096):
        assert source.read_at(at, 4096) == data[at : at + 4096]
    lengths = [int(r.split("-")[1]) + 1 - int(r.split("=")[1].split("-")[0]) for r in server.asked]
    assert sum(lengths) == len(data), "every byte once"
    assert lengths[:5] == [BLOCK, 2 * BLOCK, 3 * BLOCK, 5 * BLOCK, 9 * BLOCK]
    assert max(lengths) <= REQUEST + BLOCK
    assert len(lengths) < 16


def test_reading_here_and_there_reads_no_more_than_the_blocks(server: Files) -> None:
    server.content["a.dd"] = data = noise(400 * BLOCK, 2)
    source = RemoteSource(server.url("a.dd"))
    places = random.Random(4).sample(range(1, 200), 40)
    for block in places:
        assert source.read_at(2 * block * BLOCK + 7, 100) == data[2 * block * BLOCK + 7 :][:100]
    assert source.traffic.bytes == 41 * BLOCK


def test_memory_is_bounded(server: Files) -> None:
    server.content["a.dd"] = data = noise(64 * BLOCK, 3)
    line = Line(memory=8 * BLOCK)
    source = line.source(RemotePath.of(server.url("a.dd"), line))
    assert source.read_at(0, len(data)) == data
    assert sum(map(len, line._held.values())) == line._bytes <= 8 * BLOCK
    assert source.read_at(0, len(data)) == data


def test_prefetch_brings_what_is_named_in_few_requests(server: Files) -> None:
    server.content["a.dd"] = data = noise(100 * BLOCK, 4)
    source = RemoteSource(server.url("a.dd"))
    source.prefetch([(10 * BLOCK, 5), (12 * BLOCK, 5), (50 * BLOCK + 1, 3 * BLOCK), (1 << 50, 5), (99 * BLOCK, 1 << 40)])
    wanted = {f"bytes={10 * BLOCK}-{13 * BLOCK - 1}", f"bytes={50 * BLOCK}-{54 * BLOCK - 1}", f"bytes={99 * BLOCK}-{100 * BLOCK - 1}"}
    assert set(server.asked[1:]) == wanted
    asked = len(server.log)
    assert (
        source.read_at(12 * BLOCK, BLOCK) + source.read_at(51 * BLOCK, BLOCK)
        == data[12 * BLOCK : 13 * BLOCK] + data[51 * BLOCK : 52 * BLOCK]
    )
    assert len(server.log) == asked


def test_a_hint_goes_through_the_container(server: Files, tmp_path: Path) -> None:
    media = noise(100 * BLOCK, 8)
    for path in build_set(tmp_path, media, [".E01", ".E02"], chunk=32768):
        server.content[path.name] = path.read_bytes()
    with fl.open_image(server.url("set.E01")) as image:
        places = [(n * BLOCK + 100, 50) for n in range(2, 98, 9)]
        image.volumes()[0].prefetch([*places, (0, 1 << 60), (1 << 60, 5)])
        asked = len(server.log)
        assert [image.read_at(at, n) for at, n in places] == [media[at : at + n] for at, n in places]
        assert len(server.log) == asked
    assert MemorySource(media).prefetch([(0, 10)]) is None


def test_a_hint_never_fails(server: Files, impatient: None) -> None:
    server.content["a.dd"] = noise(10 * BLOCK, 1)
    source = RemoteSource(server.url("a.dd"))
    server.mode = "dead"
    assert source.prefetch([(5 * BLOCK, 10)]) is None
    with pytest.raises(SourceLost):
        source.read_at(5 * BLOCK, 10)


def test_two_threads_that_want_the_same_block_make_one_request(server: Files) -> None:
    server.content["a.dd"] = data = noise(4 * BLOCK, 4)
    source = RemoteSource(server.url("a.dd"))
    server.delay = 0.3
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: source.read_at(2 * BLOCK + n, 50), range(8)))
    assert got == [data[2 * BLOCK + n : 2 * BLOCK + n + 50] for n in range(8)]
    assert server.asked[1:] == [f"bytes={2 * BLOCK}-{3 * BLOCK - 1}"]


def test_eight_threads_at_random_while_connections_drop(server: Files) -> None:
    server.content["a.dd"] = data = noise(100 * BLOCK, 6)
    server.mode, server.every = "drops", 7
    line = Line(memory=20 * BLOCK)
    source = line.source(RemotePath.of(server.url("a.dd"), line))
    wrong = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(40):
            at, n = rng.randrange(len(data)), rng.choice((1, 512, 70_000, 3 * BLOCK))
            if source.read_at(at, n) != data[at : at + n]:
                wrong.append((at, n))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert source.traffic.retries > 0
    assert not line._coming


# servers that misbehave


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("no ranges", "does not serve ranges"),
        ("short", "were asked, the server gives"),
        ("long", "were asked, the server gives"),
        ("other range", "were asked, the server gives"),
        ("encoded", "encodes what it sends"),
        ("denied", "does not let us read it: 403"),
    ],
)
def test_a_server_that_gives_something_else_is_refused_at_once(server: Files, mode: str, says: str) -> None:
    server.content["a.dd"] = noise(10 * BLOCK, 1)
    server.mode = mode
    with pytest.raises(SourceLost, match=says):
        RemoteSource(server.url("a.dd"))
    assert len(server.log) == 1, "asked once: such an answer does not get better"
    server.mode = ""
    source = RemoteSource(server.url("a.dd"))
    server.mode = mode
    with pytest.raises(SourceLost, match=says) as caught:
        source.read_at(5 * BLOCK, 10)
    assert (caught.value.span.root, caught.value.span.start) == ("a.dd", 5 * BLOCK)
    server.mode = ""
    assert source.read_at(5 * BLOCK, 10) == server.content["a.dd"][5 * BLOCK :][:10]


def test_busy_then_fine(server: Files) -> None:
    server.content["a.dd"] = data = noise(10 * BLOCK, 1)
    server.mode = "503"
    source = RemoteSource(server.url("a.dd"))
    assert source.read_at(3 * BLOCK, 100) == data[3 * BLOCK :][:100]
    assert source.traffic.retries == 2
    assert [status for *_, status in server.log] == [503, 206, 503, 206]


@pytest.mark.parametrize("mode", ["dead", "503 forever"])
def test_a_server_that_is_gone_is_given_up(server: Files, impatient: None, mode: str) -> None:
    server.content["a.dd"] = noise(10 * BLOCK, 1)
    source = RemoteSource(server.url("a.dd"))
    server.mode = mode
    began = time.monotonic()
    with pytest.raises(SourceLost, match="asked . times in"):
        source.read_at(3 * BLOCK, 100)
    assert time.monotonic() - began < 10
    tried = source.traffic.retries
    for block in range(4, 9):  # who fills damage with zeros asks for each grain: those are not insisted on
        with pytest.raises(SourceLost):
            source.read_at(block * BLOCK, 100)
    assert source.traffic.retries == tried
    server.mode = ""
    assert source.read_at(3 * BLOCK, 100) == server.content["a.dd"][3 * BLOCK :][:100]


def test_nothing_there(server: Files) -> None:
    with pytest.raises(UsageError, match=r"no such file: a\.dd"):
        RemoteSource(server.url("a.dd"))
    assert len(server.log) == 1
    with pytest.raises(UsageError, match=r"a\.dd: no such file"):
        fl.open_image(server.url("a.dd"))


def test_empty_and_tiny(server: Files) -> None:
    server.content.update({"empty.dd": b"", "one.dd": b"x"})
    assert RemoteSource(server.url("empty.dd")).read_at(0, 10) == b""
    assert RemoteSource(server.url("one.dd")).read_at(0, 10) == b"x"


def test_cancelled_while_the_server_is_slow(server: Files) -> None:
    server.content["a.dd"] = noise(10 * BLOCK, 1)
    stop = threading.Event()
    image = fl.open_image(server.url("a.dd"), run=fl.Run(cancelled=stop.is_set))
    server.delay = 5.0
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        image.read_at(5 * BLOCK, 10)
    assert time.monotonic() - began < 3


# one version or none


@pytest.mark.parametrize(
    ("etag", "weak", "modified", "conditional", "pin"),
    [
        (True, False, True, True, "If-Match"),
        (True, False, True, False, "If-Match"),
        (True, True, True, True, "ETag"),
        (False, False, True, True, "Last-Modified"),
    ],
)
def test_a_change_while_reading_is_an_error_and_never_mixed(
    server: Files, etag: bool, weak: bool, modified: bool, conditional: bool, pin: str
) -> None:
    server.etag, server.weak, server.modified, server.conditional = etag, weak, modified, conditional
    server.content["a.dd"] = old = noise(10 * BLOCK, 1)
    source = RemoteSource(server.url("a.dd"))
    assert pin in source.carrier.pin
    assert source.read_at(2 * BLOCK, 10) == old[2 * BLOCK :][:10]
    server.content["a.dd"] = noise(10 * BLOCK + (0 if etag else 1), 2)
    with pytest.raises(SourceLost, match=r"changed while it was read: opened as .*, now ") as caught:
        source.read_at(5 * BLOCK, 10)
    assert str(source.version) in str(caught.value)
    asked = len(server.log)
    server.content["a.dd"] = old  # and back: what was seen once is not unseen
    with pytest.raises(SourceLost, match="changed while it was read"):
        source.read_at(7 * BLOCK, 10)
    assert len(server.log) == asked
    assert source.read_at(2 * BLOCK, 10) == old[2 * BLOCK :][:10], "what was read before is of the pinned version"


def test_a_server_that_misreads_if_match_is_held_by_its_answers(server: Files) -> None:
    server.content["a.dd"] = data = noise(10 * BLOCK, 1)
    server.backwards = True  # 412 to every condition
    source = RemoteSource(server.url("a.dd"))
    assert source.read_at(5 * BLOCK, 10) == data[5 * BLOCK :][:10]
    assert source.carrier.pin == "the ETag of each answer"
    server.content["a.dd"] = noise(10 * BLOCK, 2)
    with pytest.raises(SourceLost, match="changed while it was read"):
        source.read_at(8 * BLOCK, 10)


def test_an_object_that_shrank(server: Files) -> None:
    server.etag = server.modified = False
    server.content["a.dd"] = noise(10 * BLOCK, 1)
    source = RemoteSource(server.url("a.dd"))
    server.content["a.dd"] = noise(3 * BLOCK, 1)
    with pytest.raises(SourceLost, match=rf"changed while it was read: opened as \({10 * BLOCK} bytes\), now \({3 * BLOCK} bytes\)"):
        source.read_at(5 * BLOCK, 10)


def test_without_any_version_it_is_read_and_said(server: Files) -> None:
    server.etag = server.modified = False
    server.content["a.dd"] = data = noise(2 * BLOCK, 1)
    run = fl.Run()
    with fl.open_image(server.url("a.dd"), run=run) as image:
        assert image.read_at(0, len(data)) == data
        assert image.facts["remote_pinned_by"] == "size only"
    assert any("states no version" in f.found for f in run.findings)


def test_a_change_in_another_file_system_is_seen() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/change/a.dd", noise(10 * BLOCK, 1))
    source = RemoteSource("memory://change/a.dd")
    memory.pipe("/change/a.dd", noise(10 * BLOCK, 2))
    with pytest.raises(SourceLost, match="changed while it was read"):
        source.read_at(0, 10)


def test_what_a_network_does_not_bring_is_never_zeros_of_a_volume(server: Files) -> None:
    """Volumes are read past damage, which becomes zeros and a finding; a file that changed or is out of reach is no damage."""
    server.content["a.dd"] = data = noise(40 * BLOCK, 1)
    run = fl.Run()
    with fl.open_image(server.url("a.dd"), run=run) as image:
        (volume,) = image.volumes()
        assert volume.read_at(0, 100) == data[:100]
        server.content["a.dd"] = noise(40 * BLOCK, 2)
        with pytest.raises(SourceLost, match="changed while it was read"):
            volume.read_at(30 * BLOCK, 100)
        with pytest.raises(SourceLost, match="changed while it was read"):
            image.verify()
    assert not [f for f in run.findings if f.kind == "Unreadable"]


def test_another_process_reads_the_pinned_version_or_nothing(server: Files) -> None:
    server.content["a.dd"] = data = noise(5 * BLOCK, 1)
    source = RemoteSource(server.url("a.dd"))
    again = carried(source)
    assert (again.size, again.read_at(3 * BLOCK, 20)) == (len(data), data[3 * BLOCK :][:20])
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(source.read_at, 3 * BLOCK, 20).result() == data[3 * BLOCK :][:20]
    server.content["a.dd"] = noise(5 * BLOCK, 2)
    with pytest.raises(SourceLost, match="changed while it was read"):
        carried(source)


def test_workers_that_open_the_image_again_are_held_to_the_version(server: Files) -> None:
    server.content["a.dd"] = noise(5 * BLOCK, 1)
    paths = fl.open_image(server.url("a.dd")).paths
    server.content["a.dd"] = noise(5 * BLOCK, 2)
    with pytest.raises(SourceLost, match="changed while it was read"):
        fl.open_image(carried(paths))


# the same image as from the disk


def same(local: Path, url: str, run: fl.Run | None = None) -> None:
    with fl.open_image(local) as a, fl.open_image(url, run=run) as b:
        assert (a.format, a.size, a.name, a.parts, a.hashes) == (b.format, b.size, b.name, b.parts, b.hashes)
        for at in range(0, a.size, 1 << 20):
            assert a.read_at(at, 1 << 20) == b.read_at(at, 1 << 20), at
        assert a.trace(0, a.size) == b.trace(0, b.size)
        assert a.verify().computed == b.verify().computed


def served(server: Files, folder: Path) -> None:
    server.content.update({path.name: path.read_bytes() for path in folder.iterdir()})


def test_a_set_finds_its_segments(server: Files, tmp_path: Path) -> None:
    paths = build_set(tmp_path, make_media(), [".E01", ".E02", ".E03"])
    served(server, tmp_path)
    same(paths[0], server.url("set.E01"))
    same(paths[0], server.url("set.E01?signature=" + SECRET))
    del server.content["set.E02"]
    with pytest.raises(Truncated, match=r"segment 2 is missing: no set\.E02"):
        fl.open_image(server.url("set.E01"))


def test_a_set_of_ewfacquire(server: Files, acquire: Callable[..., Path]) -> None:
    media = noise(3 << 20, 7) + bytes(2 << 20)
    first = acquire(media, "-S", "1MiB", "-c", "deflate:fast")
    served(server, first.parent)
    assert len([n for n in server.content if n.startswith("set.E")]) > 2
    same(first, server.url("set.E01"))
    with fl.open_image(server.url("set.E01")) as image:
        assert image.read_at(0, len(media)) == media


@pytest.mark.parametrize("names", [("d.001", "d.002", "d.003"), ("d.aa", "d.ab"), ("disk 1.000", "disk 1.001")])
def test_numbered_files(server: Files, tmp_path: Path, names: tuple[str, ...]) -> None:
    for i, name in enumerate(names):
        (tmp_path / name).write_bytes(noise(50_000, i))
    served(server, tmp_path)
    server.content.update({name.replace(" ", "%20"): server.content[name] for name in names})
    run = fl.Run()
    with fl.open_image(server.url(names[0]).replace(" ", "%20"), run=run) as image:
        assert image.read_at(0, image.size) == b"".join(noise(50_000, i) for i in range(len(names)))
    assert any("cannot be listed" in f.found for f in run.findings)


def test_a_numbered_file_that_is_missing(server: Files) -> None:
    server.content.update({f"d.00{n}": noise(5000, n) for n in (1, 2, 4, 5)})
    with pytest.raises(Truncated, match=r"segment d\.003 is missing"):
        fl.open_image(server.url("d.001"))


@pytest.mark.parametrize(("kind", "suffix"), [("qcow2", "qcow2"), ("vpc", "vhd"), ("vmdk", "vmdk"), ("vdi", "vdi"), ("vhdx", "vhdx")])
def test_virtual_disks(server: Files, tmp_path: Path, kind: str, suffix: str) -> None:
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img (Debian: qemu-utils) is not installed")
    media = noise(1 << 20, 1) + bytes(3 << 20) + noise(1 << 20, 2) + bytes(3 << 20)
    (tmp_path / "raw").write_bytes(media)
    target = tmp_path / f"disk.{suffix}"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", kind, str(tmp_path / "raw"), str(target)], check=True, timeout=100)
    served(server, tmp_path)
    same(target, server.url(target.name))
    with fl.open_image(server.url(target.name)) as image:
        assert image.read_at(0, len(media)) == media


def test_a_backing_file_is_asked_for_beside_it(server: Files, tmp_path: Path) -> None:
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img (Debian: qemu-utils) is not installed")
    (tmp_path / "base.raw").write_bytes(noise(1 << 20, 1))
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "base.raw", str(tmp_path / "top.qcow2")], check=True, timeout=100
    )
    served(server, tmp_path)
    same(tmp_path / "top.qcow2", server.url("top.qcow2"))
    del server.content["base.raw"]
    with pytest.raises(EvidenceError, match=r"base\.raw.* is not beside top\.qcow2 \(its folder cannot be listed"):
        fl.open_image(server.url("top.qcow2"))


def test_file_addresses_are_paths(tmp_path: Path) -> None:
    (tmp_path / "a b.dd").write_bytes(DATA)
    with fl.open_image((tmp_path / "a b.dd").as_uri()) as image:
        assert image.read_at(0, len(DATA)) == DATA
        assert image.traffic is None


def forensiclib(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "forensiclib", *words], capture_output=True, text=True, timeout=200)


def test_the_command_line_takes_an_address(server: Files, tmp_path: Path) -> None:
    pytest.importorskip("typer", reason="the command line's extra is not installed")
    mkfs = shutil.which("mkfs.ext4") or shutil.which("mkfs.ext4", path="/sbin:/usr/sbin")
    if mkfs is None:
        pytest.skip("mkfs.ext4 is not installed")
    (tmp_path / "tree" / "a folder").mkdir(parents=True)
    (tmp_path / "tree" / "a folder" / "letter.txt").write_text("dear server")
    disk = tmp_path / "disk.dd"
    subprocess.run([mkfs, "-q", "-d", str(tmp_path / "tree"), str(disk), "8M"], check=True, timeout=60, capture_output=True)
    server.content["disk.dd"] = disk.read_bytes()
    server.credentials = "Basic " + base64.b64encode(f"examiner:{SECRET}".encode()).decode()
    url = server.url("disk.dd", f"examiner:{SECRET}@")
    here, there = forensiclib("ls", str(disk), "-r"), forensiclib("ls", url, "-r")
    assert (there.returncode, there.stdout) == (0, here.stdout), there.stderr
    assert "letter.txt" in there.stdout
    info = forensiclib("info", url, "--json")
    rows = [json.loads(row) for row in info.stdout.splitlines()]
    cost = next(row for row in rows if row["row"] == "traffic")
    assert 0 < cost["bytes"] <= len(server.content["disk.dd"])
    assert {"requests", "bytes", "retries", "seconds", "cache_hits"} < set(cost)
    assert "read from afar: requests" in forensiclib("info", url).stdout
    assert forensiclib("cat", url, "0:/a folder/letter.txt").stdout == "dear server"
    for done in (there, info):
        assert SECRET not in done.stdout + done.stderr


# what must not be said


def test_credentials_are_said_nowhere(server: Files, caplog: pytest.LogCaptureFixture, impatient: None) -> None:
    caplog.set_level(logging.DEBUG)
    server.content["a.dd"] = data = noise(3 * BLOCK, 1)
    server.credentials = "Basic " + base64.b64encode(f"examiner:{SECRET}".encode()).decode()
    url = server.url("a.dd", f"examiner:{SECRET}@") + f"?token={SECRET}"
    run = fl.Run()
    image = fl.open_image(url, run=run)
    assert image.read_at(0, len(data)) == data
    source = image.paths[0].line.source(image.paths[0])
    again = carried(source)
    line = source.line
    said = [repr(x) for x in (image, image.facts, image.paths, image.parts, source, again, line, source.traffic, image.trace(0, 10), run)]
    said += [str(image.paths[0]), f"{image.paths}", image.name, repr(image.volumes())]
    said += [repr(source.carrier), repr(line.facts()), str(line.findings())]
    for mode in ("503 forever", "dead", "denied", "no ranges", "short", "changed", "missing"):
        server.mode = mode
        if mode == "changed":
            server.content["a.dd"] = noise(3 * BLOCK, 2)
        if mode == "missing":
            server.content.clear()
        for call in (lambda: RemoteSource(url), lambda: fl.open_image(url), lambda: carried(source)):
            try:
                call()
            except (SourceLost, EvidenceError, UsageError) as error:
                said += [repr(error), "".join(traceback.format_exception(error)), repr(error.__context__), repr(error.__cause__)]
    for bad in (f"nosuch://u:{SECRET}@h/a", f"zip://u:{SECRET}@h/a", f"http://u:{SECRET}@127.0.0.1:1/a.dd", f"http://u:{SECRET}@[bad/a.dd"):
        with pytest.raises((SourceLost, EvidenceError, UsageError)) as caught:
            fl.open_image(bad)
        said += [repr(caught.value), "".join(traceback.format_exception(caught.value)), repr(caught.value.__context__)]
    said += [record.getMessage() for record in caplog.records]
    assert len(said) > 50
    assert not [text for text in said if SECRET in text.replace("test_remote.py", "")]


def test_options_are_said_nowhere(server: Files) -> None:
    server.content["a.dd"] = DATA
    server.credentials = f"Bearer {SECRET}"
    source = RemoteSource(server.url("a.dd"), options={"headers": {"Authorization": f"Bearer {SECRET}"}})
    assert source.read_at(0, len(DATA)) == DATA
    again = carried(source)
    assert again.read_at(BLOCK, 10) == DATA[BLOCK:][:10]
    assert SECRET not in repr((source, again, source.line, source.path, source.version))
    with pytest.raises(SourceLost, match="403"):
        RemoteSource(server.url("a.dd"))


def test_paths_keep_what_gives_access() -> None:
    path = RemotePath.of(f"https://examiner:{SECRET}@host:8443/a%20b/disk.E01?sv=1&sig={SECRET}#x")
    assert str(path) == "https://host:8443/a%20b/disk.E01"
    assert path.url == f"https://examiner:{SECRET}@host:8443/a%20b/disk.E01?sv=1&sig={SECRET}"
    assert path.beside(path[:-1] + "2").url == f"https://examiner:{SECRET}@host:8443/a%20b/disk.E02?sv=1&sig={SECRET}"
    assert path.named("../x?y").url.startswith(f"https://examiner:{SECRET}@host:8443/a%20b/..%2Fx%3Fy?sv=1")
    assert carried(path) == path
    assert path != RemotePath.of("https://host:8443/a%20b/disk.E01")
    for bad in ("https://host", "https://host/", "https:///"):
        with pytest.raises(UsageError, match="names no file"):
            RemotePath.of(bad)


def test_an_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingSupport, match=r"pip install 'forensiclib\[remote\]'"):
        fl.open_image("https://host/disk.E01")


# S3


@pytest.fixture(scope="module")
def s3() -> Iterator[object]:
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    before = dict(fsspec.config.conf)
    fsspec.config.conf["s3"] = {"key": "examiner", "secret": SECRET, "endpoint_url": f"http://{host}:{port}"}
    try:
        files = fsspec.filesystem("s3")
        files.mkdir("plain")
        files.mkdir("kept")
        files.call_s3("put_bucket_versioning", Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
        yield files
    finally:
        fsspec.config.conf.clear()
        fsspec.config.conf.update(before)
        server.stop()


def test_s3_gives_the_same_bytes(s3: object, tmp_path: Path) -> None:
    paths = build_set(tmp_path, make_media(), [".E01", ".E02", ".E03"])
    for path in paths:
        s3.pipe(f"plain/set/{path.name}", path.read_bytes())
    same(paths[0], "s3://plain/set/set.E01")
    for n in (1, 2):
        s3.pipe(f"plain/raw/d.00{n}", noise(50_000, n))
    with fl.open_image("s3://plain/raw/d.001") as image:
        assert image.read_at(0, image.size) == noise(50_000, 1) + noise(50_000, 2)
    s3.pipe("plain/empty.dd", b"")
    assert RemoteSource("s3://plain/empty.dd").size == 0
    with pytest.raises(UsageError, match="no such file"):
        fl.open_image("s3://plain/none.dd")


def test_s3_a_change_is_an_error(s3: object) -> None:
    s3.pipe("plain/a.dd", noise(5 * BLOCK, 1))
    source = RemoteSource("s3://plain/a.dd")
    assert "ETag" in source.carrier.pin
    s3.pipe("plain/a.dd", noise(5 * BLOCK, 2))
    with pytest.raises(SourceLost, match="changed while it was read: opened as .* now ") as caught:
        source.read_at(3 * BLOCK, 10)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(SourceLost, match="changed while it was read"):
        carried(source)


def test_s3_a_version_that_is_kept_is_read_on(s3: object) -> None:
    s3.pipe("kept/a.dd", old := noise(5 * BLOCK, 1))
    source = RemoteSource("s3://kept/a.dd")
    assert source.carrier.pin == "VersionId"
    s3.pipe("kept/a.dd", new := noise(5 * BLOCK, 2))
    assert source.read_at(3 * BLOCK, 10) == old[3 * BLOCK :][:10]
    assert carried(source).read_at(0, 5 * BLOCK) == old
    assert RemoteSource("s3://kept/a.dd").read_at(0, 5 * BLOCK) == new
    assert RemoteSource(f"s3://kept/a.dd?versionId={source.version.id}").read_at(0, 5 * BLOCK) == old


@pytest.mark.parametrize(
    ("stated", "good"),
    [
        ("bytes 0-9/100", True),
        ("bytes 0-9/*", False),
        ("", False),
        ("bytes 1-10/100", False),
        ("bytes 0-8/100", False),
        ("bytes 0-8/9", True),
    ],
)
def test_what_a_content_range_must_say(stated: str, good: bool) -> None:
    try:
        assert _carriers._ranged(stated, 0, 10, None) in (100, 9)
        assert good
    except _carriers.Trouble:
        assert not good


def test_samples_read_from_afar(server: Files) -> None:
    served(server, SAMPLES)
    first = next(path for path in sorted(SAMPLES.iterdir()) if path.suffix == ".E01")
    same(first, server.url(first.name))
