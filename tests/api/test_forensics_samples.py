"""Debian's forensics-samples: what tsk_recover and PhotoRec find together, the examination finds."""

from __future__ import annotations

import hashlib
import json
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest

import forensiclib as fl

SAMPLES = Path("/usr/share/forensics-samples")
pytestmark = [pytest.mark.drivers, pytest.mark.timeout(300)]

PNG = b"\x89PNG\r\n\x1a\n"
PHOTOREC_ARGUMENTS = "partition_none,fileopt,everything,enable,wholespace,search"
PHOTOREC = {
    "ntfs": {
        "audio1": "debian.mp3 debian.ogg debian.wav",
        "audio2": "deleted.mp3 deleted.ogg deleted.wav",
        "movie1": "VID_20191220_170832.mp4",
        "movie2": "movie-hello.avi movie-hello.mp4 movie-hello.mpeg movie-hello.ogg",
        "pic1": "IMG-20191006-WA0002.jpg IMG_1054.JPG debian.png debian_logo.jpg debian_logo.png empty.jpg",
        "pic2": "IMG_20191224_234846.jpg IMG_20200124_231153.jpg IMG_20200608_111614.jpg d-debian.jpg d-debian.png",
        "text1": "a-text-pass-A5d.pdf a-text-pass-peanuts.pdf a-text.docx a-text.odt a-text.pdf",
        "text2": "d-text.docx d-text.odt d-text.pdf",
    },
    "vfat": {
        "audio1": "debian.mp3 debian.ogg debian.wav",
        "audio2": "deleted.mp3 deleted.ogg deleted.wav",
        "movie1": "VID_20191220_170832.mp4",
        "movie2": "movie-hello.avi movie-hello.mp4 movie-hello.mpeg movie-hello.ogg",
        "pic1": "IMG-20191006-WA0002.jpg IMG_1054.JPG IMG_20200827_231612.jpg debian.png debian_logo.jpg debian_logo.png empty.jpg",
        "pic2": "IMG_20191224_234846.jpg IMG_20200124_231153.jpg IMG_20200608_111614.jpg d-debian.jpg d-debian.png",
        "text1": "a-text-pass-A5d.pdf a-text-pass-peanuts.pdf a-text.docx a-text.odt a-text.pdf",
        "text2": "d-text.docx d-text.odt d-text.pdf test.sh",
    },
    "exfat": {
        "audio1": "debian.mp3 debian.wav",
        "audio2": "deleted.mp3 deleted.wav",
        "movie1": "VID_20191220_170832.mp4",
        "movie2": "movie-hello.avi movie-hello.mp4 movie-hello.mpeg movie-hello.ogg",
        "pic1": "IMG-20191006-WA0002.jpg IMG_1054.JPG IMG_20200827_231612.jpg debian.png debian_logo.jpg debian_logo.png empty.jpg",
        "pic2": "IMG_20191224_234846.jpg IMG_20200124_231153.jpg IMG_20200608_111614.jpg d-debian.jpg d-debian.png",
        "text1": "a-text-pass-A5d.pdf a-text-pass-peanuts.pdf a-text.docx a-text.odt a-text.pdf",
        "text2": "d-text.docx d-text.odt d-text.pdf test.sh",
    },
    "ext2": {
        "pic1": "debian_logo.png empty.jpg",
        "text1": "a-text.docx a-text.odt",
        "text2": "d-text.docx d-text.odt test.sh",
    },
    "ext4": {
        "audio1": "debian.mp3 debian.ogg debian.wav",
        "audio2": "deleted.mp3 deleted.ogg deleted.wav",
        "movie2": "movie-hello.avi movie-hello.mpeg movie-hello.ogg",
        "pic1": "IMG-20191006-WA0002.jpg IMG_1054.JPG IMG_20200827_231612.jpg debian.png debian_logo.jpg debian_logo.png empty.jpg",
        "pic2": "IMG_20191224_234846.jpg IMG_20200608_111614.jpg d-debian.jpg d-debian.png",
        "text1": "a-text-pass-A5d.pdf a-text-pass-peanuts.pdf a-text.docx a-text.odt a-text.pdf",
        "text2": "d-text.docx d-text.odt d-text.pdf test.sh",
    },
    "btrfs": {
        "audio1": "debian.mp3 debian.wav",
        "audio2": "deleted.mp3 deleted.wav",
        "movie2": "movie-hello.avi movie-hello.mp4 movie-hello.mpeg movie-hello.ogg",
        "pic1": "IMG-20191006-WA0002.jpg IMG_1054.JPG IMG_20200827_231612.jpg debian.png debian_logo.jpg",
        "pic2": "IMG_20191224_234846.jpg IMG_20200124_231153.jpg IMG_20200608_111614.jpg d-debian.jpg d-debian.png",
        "text1": "a-text-pass-A5d.pdf a-text-pass-peanuts.pdf a-text.docx a-text.odt a-text.pdf",
        "text2": "d-text.docx d-text.odt d-text.pdf",
    },
    "multiple": {
        "": "debian_logo.jpg",
    },
}
"""Originals that PhotoRec 7.1 finds in the whole of each image: ``photorec /d OUT /cmd IMAGE`` with
PHOTOREC_ARGUMENTS (also with options,mode_ext2 and with partition_i386,1: the union), compared by MD5."""
NOBODY = {"btrfs": {"movie1/VID_20191220_170832.mp4", "text2/test.sh"}}
"""In fragments, and inside a node of the tree: without a reader of Btrfs these are in no run of bytes."""


NOT_FOR_TSK = ("btrfs", "multiple")
"""Images with a Btrfs volume, which The Sleuth Kit does not know."""


def content(data: bytes) -> str:
    """MD5, of a PNG without its time: Debian's build writes another one into the copies beside the images."""
    if data.startswith(PNG):
        kept, at = [PNG], len(PNG)
        while at + 8 <= len(data):
            end = at + 12 + int.from_bytes(data[at : at + 4], "big")
            kept += [data[at:end]] if data[at + 4 : at + 8] != b"tIME" else []
            at = end
        data = b"".join(kept)
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def names_of(folder: Path, originals: dict[str, str]) -> set[str]:
    """Which originals lie somewhere in a folder."""
    return {originals[c] for p in folder.rglob("*") if p.is_file() and (c := content(p.read_bytes())) in originals}


@pytest.fixture(scope="module", params=sorted(PHOTOREC))
def examined(request, tmp_path_factory):
    """(kind, image, case folder, originals by content)."""
    pytest.importorskip("pyarrow.parquet", reason="pyarrow not installed")
    packed = SAMPLES / f"fs.{request.param}.xz"
    originals = SAMPLES / ("original-multiple" if request.param == "multiple" else "original-files")
    if not packed.exists() or not originals.is_dir():
        pytest.skip(f"no {packed} or no {originals}: Debian's forensics-samples-{request.param} and -files are not installed")
    folder = tmp_path_factory.mktemp(request.param)
    image = folder / f"fs.{request.param}"
    with lzma.open(packed) as source, image.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    fl.examine(image, folder / "case", verify=False)
    known = {content(p.read_bytes()): p.relative_to(originals).as_posix() for p in originals.rglob("*") if p.is_file()}
    yield request.param, image, folder / "case", known
    shutil.rmtree(folder)


def rows(case: Path, table: str, *columns: str) -> list[dict]:
    import pyarrow.parquet as pq

    return pq.read_table(case / f"{table}.parquet", columns=list(columns)).to_pylist()


def found(image: Path, case: Path, originals: dict[str, str]) -> set[str]:
    """Originals that the case has: listed, recovered, carved. PNGs are read, the others known by their MD5."""
    listed = {r["md5"] for r in rows(case, "files", "md5")} | {r["md5"] for r in rows(case, "carved", "md5")}
    names = {name for md5, name in originals.items() if md5 in listed}
    names |= names_of(case / "recovered", originals) | names_of(case / "carved", originals)
    with fl.open_image(image) as opened:
        for r in rows(case, "files", "volume", "path", "state", "kind"):
            if r["state"] == "allocated" and r["kind"] == "file" and r["path"].endswith(".png"):
                stream = opened.find(f"{r['volume']}:/{r['path']}").open()
                names |= {originals[c]} if (c := content(stream.read_at(0, stream.size))) in originals else set()
    return names


def test_no_original_is_missed_that_others_find(examined, tmp_path: Path) -> None:
    kind, image, case, originals = examined
    if shutil.which("tsk_recover") is None:
        pytest.skip("tsk_recover (sleuthkit) is not installed")
    with fl.open_image(image) as opened:
        starts = [v.start // 512 for v in opened.volumes() if v.state != "slack"]
    for start in starts:
        command = ["tsk_recover", "-e", "-o", str(start), image, tmp_path / str(start)]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0 or kind in NOT_FOR_TSK, done.stderr
    others = names_of(tmp_path, originals)
    others |= {f"{folder}/{name}".lstrip("/") for folder, names in PHOTOREC[kind].items() for name in names.split()}
    ours = found(image, case, originals)
    assert others - ours == set()
    assert set(originals.values()) - ours == NOBODY.get(kind, set())


def test_what_is_called_intact_is_an_original(examined) -> None:
    _kind, _image, case, originals = examined
    for r in rows(case, "files", "path", "kind", "state", "verdict", "size", "recovered"):
        if r["state"] != "allocated" and r["kind"] == "file" and r["verdict"] == "intact" and r["size"]:
            assert content((case / "recovered" / r["recovered"]).read_bytes()) in originals, r["path"]


def test_every_deleted_file_has_its_name(examined) -> None:
    kind, _image, case, originals = examined
    if kind in NOT_FOR_TSK:
        pytest.skip("nothing was deleted from a file system that is read")
    listed = {r["path"] for r in rows(case, "files", "path", "state") if r["state"] != "allocated"}
    nameless = {"pic2/d-debian.ppm", "pic2/d-debian.xcf"} if kind == "vfat" else set()  # in the second cluster of their directory
    assert {name for name in originals.values() if name.partition("/")[0].endswith("2")} - listed == nameless


def test_what_is_carved_for_certain_is_an_original_and_written_once(examined) -> None:
    _kind, image, case, originals = examined
    seen = {r["sha256"]: r["path"] for r in rows(case, "files", "path", "sha256") if r["sha256"]}
    for r in rows(case, "carved", "start", "run_start", "run_length", "length", "sha256", "confidence", "complete", "carved", "same_as"):
        with image.open("rb") as file:
            data = b"".join(file.read(n) for at, n in zip(r["run_start"], r["run_length"], strict=True) if file.seek(at) >= 0)
        assert len(data) == r["length"] and hashlib.sha256(data).hexdigest() == r["sha256"] and r["run_start"][0] == r["start"]
        assert bool(r["same_as"]) == (r["sha256"] in seen) != bool(r["carved"])
        seen.setdefault(r["sha256"], r["carved"])
        if r["complete"] and r["confidence"] >= 0.8:
            assert content(data) in originals, r


def test_a_volume_that_is_not_read_is_told(examined) -> None:
    kind, _image, case, _originals = examined
    told = [r for r in rows(case, "findings", "kind", "found", "where") if r["kind"] == "Unsupported"]
    unread = [r for r in json.loads((case / "ledger.json").read_text()) if r["what"] == "file system" and not r["examined"]]
    carved = [
        r["where"] for r in json.loads((case / "ledger.json").read_text()) if r["what"].startswith("carving: no file system was read")
    ]
    if kind in ("btrfs", "multiple"):
        assert [r["where"] for r in told] == [r["where"] for r in unread] == carved == ["volume 1"]
        assert "Btrfs" in told[0]["found"] and "Btrfs" in unread[0]["reason"]
    else:
        assert not told and not unread and not carved
