"""NTFS against The Sleuth Kit: names, sizes, times and states by fls, contents by pytsk3.

Every difference must fall into one of these classes ($BadClus:$Bad, the whole volume as one hole, is not read):

    root          the root directory has an entry of its own here, at path ""
    reserved      records in use without any name (12 to 15 of a fresh volume) are entries here, orphans
    stale         names left in directory indexes: state "slack" here, "deleted" names without content there
    unset time    a FILETIME of 0 is "not set" here; there it wraps to the year 2076
    same name     there a deleted name found both in an index and in its record can show twice
    index lags    a name still in its directory's index, its record not in use: deleted here; there the name is live
                  and its record "Not Allocated"
    extension     an extension record that holds the only name of its file ($MFT in many pieces): there a file of its own
    index         the size of a large directory: its index blocks here, its $INDEX_ROOT there
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from forensiclib.core.entry import Entry
from forensiclib.core.errors import EvidenceError
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource
from forensiclib.filesystems.ntfs.ntfs import FORMAT, Ntfs

pytsk3 = pytest.importorskip("pytsk3", reason="pytsk3 is not installed")
_spec = importlib.util.spec_from_file_location("ntfs_volume", Path(__file__).with_name("ntfs_volume.py"))
assert _spec is not None and _spec.loader is not None
ntfs_volume = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(ntfs_volume)
DATA, ATTRIBUTE_LIST, BAD_CLUSTERS = 0x80, 0x20, 8
Key = tuple[int, str, str]


def tsk(path: Path, offset: int) -> dict[Key, dict[str, Any]]:
    """(record, path, stream) -> facts, from fls. Times are whole seconds there."""
    if shutil.which("fls") is None:
        pytest.skip("fls (The Sleuth Kit) is not installed")
    out: dict[Key, dict[str, Any]] = {}
    command = ["fls", "-o", str(offset // 512), "-r", "-p", "-m", "", str(path)]
    text = subprocess.run(command, check=True, capture_output=True).stdout.decode("utf-8", "replace")
    for line in text.splitlines():
        _, name, inode, mode, _, _, size, atime, mtime, ctime, crtime = line.split("|")
        if name.endswith(" ($FILE_NAME)") or " ($FILE_NAME) (deleted" in name or mode.startswith("V"):
            continue
        deleted = name.endswith((" (deleted)", " (deleted-realloc)"))
        realloc = name.endswith(" (deleted-realloc)")
        if deleted:
            name = name.rpartition(" (")[0]
        number, _, rest = inode.partition("-")
        folder, _, last = name.removeprefix("/").rpartition("/")
        last, _, stream = last.partition(":") if rest else (last, "", "")
        times = {"modified": int(mtime), "accessed": int(atime), "changed": int(ctime), "born": int(crtime)}
        key = (int(number), f"{folder}/{last}" if folder else last, stream)
        out[key] = {"live": not deleted, "realloc": realloc, "times": times, "size": int(size) if rest else None, "dir": "d" in mode[:3]}
    return out


def ours(fs: Ntfs) -> dict[Key, dict[str, Any]]:
    out = {}
    for row in fs.table().rows():
        if row["stream_kind"] in ("ea", "raw"):
            continue
        out[(row["id"], row["path"], row["stream"])] = row
    return out


def differences(fs: Ntfs, path: Path, offset: int) -> tuple[dict[str, int], list[str]]:
    """(count of each explained class, the unexplained ones)."""
    mine, theirs = ours(fs), tsk(path, offset)
    meta = pytsk3.FS_Info(pytsk3.Img_Info(str(path)), offset=offset)
    table = fs.get("$MFT").open()
    classes: dict[str, int] = {}
    wrong: list[str] = []

    def explain(name: str) -> None:
        classes[name] = classes.get(name, 0) + 1

    for key in sorted(mine.keys() - theirs.keys()):
        row = mine[key]
        if key[:2] == (5, ""):
            explain("root")
        elif row["state"] == "orphan" and row["record_flags"] & 1 and row["name"].startswith("OrphanFile-"):
            explain("reserved")
        elif row["state"] == "slack":
            explain("stale")
        else:
            wrong.append(f"only here: {key} {row['state']}")
    for key in sorted(theirs.keys() - mine.keys()):
        other = theirs[key]
        same = [k for k in mine if k[0] == key[0] and k[1].rpartition("/")[2] == key[1].rpartition("/")[2]]
        if not other["live"] and (other["realloc"] or any(mine[k]["state"] == "slack" and k[1] == key[1] for k in mine)):
            explain("stale")
        elif not other["live"] and same:
            explain("same name")
        elif int.from_bytes(table.read_at(key[0] * 1024 + 32, 8), "little"):
            explain("extension")
        else:
            wrong.append(f"only there: {key} {other}")
    for key in sorted(mine.keys() & theirs.keys()):
        row, other = mine[key], theirs[key]
        if row["state"] == "slack":
            explain("stale")
            continue
        if other["realloc"]:
            explain("same name")
            continue
        if other["size"] is not None and row["size"] != other["size"]:
            if row["kind"] == "directory" and row["stream"] == "" and not row["resident"]:
                explain("index")
                continue
            wrong.append(f"size of {key}: {row['size']} here, {other['size']} there")
        if (row["state"] == "allocated") != other["live"]:
            if row["state"] == "deleted" and not meta.open_meta(inode=key[0]).info.meta.flags & pytsk3.TSK_FS_META_FLAG_ALLOC:
                explain("index lags")
                continue
            wrong.append(f"state of {key}: {row['state']} here, live={other['live']} there")
        for name, seconds in other["times"].items():
            if row[name] is None:
                explain("unset time")
            elif row[name] // 10**9 != seconds:
                wrong.append(f"{name} of {key}: {row[name]} here, {seconds} there")
    return classes, wrong


def same_contents(fs: Ntfs, path: Path, offset: int) -> int:
    """Every data stream of every file with a record: MD5 equal to TSK's. Returns how many."""
    other = pytsk3.FS_Info(pytsk3.Img_Info(str(path)), offset=offset)
    count = 0
    seen: set[tuple[int, str]] = set()
    for entry in fs.walk():
        if entry.state == "slack":
            continue
        for stream in entry.streams():
            if stream.kind not in ("data", "alternate") or (entry.id, stream.name) in seen or entry.id == BAD_CLUSTERS:
                continue
            seen.add((entry.id, stream.name))
            theirs = tsk_md5(other, entry, stream.name, stream.size)
            try:
                mine = hashlib.md5(stream.read_at(0, stream.size)).hexdigest()
            except EvidenceError as error:
                mine = str(error)
            assert mine == theirs, (entry.path, stream.name)
            count += 1
    return count


def tsk_md5(fs: Any, entry: Entry, name: str, size: int) -> str:
    file = fs.open_meta(inode=entry.id)
    for attribute in file:
        label = (attribute.info.name or b"").decode()
        if int(attribute.info.type) == DATA and ("" if label in ("$Data", "N/A") else label) == name:
            digest, at = hashlib.md5(), 0
            while at < size:
                data = file.read_random(at, min(1 << 20, size - at), int(attribute.info.type), attribute.info.id)
                if not data:
                    break
                digest.update(data)
                at += len(data)
            return digest.hexdigest()
    raise AssertionError((entry.path, name))


def check(path: Path, offset: int = 0, size: int | None = None) -> Ntfs:
    source = FileSource(path)
    fs = FORMAT.open(source.slice(offset, source.size - offset if size is None else size), Budget())
    assert isinstance(fs, Ntfs)
    classes, wrong = differences(fs, path, offset)
    print(path.name, len(fs.table()), "rows; differences:", classes)
    assert not wrong, "\n".join(wrong[:40])
    assert same_contents(fs, path, offset) > 3
    return fs


@pytest.mark.drivers
@pytest.mark.parametrize("cluster", [512, 4096, 65536])
def test_a_volume_with_one_of_everything(tmp_path: Path, cluster: int) -> None:
    ntfs_volume.need_drivers()
    image = tmp_path / "rich.img"
    truth = ntfs_volume.rich(image, 48 << 20 if cluster < 65536 else 128 << 20, min(cluster, 4096) if cluster < 65536 else cluster)
    fs = check(image)
    for path in ("fragments-a", "links/one"):
        at = fs.get("$MFT").open().trace(fs.get(path).id * 1024, 1024)[0].start
        assert ATTRIBUTE_LIST in ntfs_volume.attribute_types(image, at), f"{path} fits its record"
    got = {}
    for entry in fs.walk():
        if entry.kind != "file" or entry.path.startswith("$") or entry.state == "slack":
            continue
        for stream in entry.streams():
            if stream.kind in ("data", "alternate"):
                label = entry.path + (":" + stream.name if stream.name else "")
                got[label if entry.state == "allocated" else "-" + label] = (entry, stream)
    assert {k for k in got if not k.startswith("-")} == {k for k in truth if not k.startswith("-")}
    for label, md5 in truth.items():
        entry, stream = got[label]
        content = hashlib.md5(stream.read_at(0, stream.size)).hexdigest()
        if label.startswith("-"):
            assert (content == md5) == (entry.verdict == "intact"), label
        else:
            assert content == md5, label


@pytest.mark.drivers
def test_a_table_in_hundreds_of_pieces(tmp_path: Path) -> None:
    ntfs_volume.need_drivers()
    image = tmp_path / "fragmented.img"
    ntfs_volume.fragmented(image)
    table = check(image).get("$MFT").open()
    assert len(table.runs) > 100
    at = table.trace(0, 1024)[0].start
    assert ATTRIBUTE_LIST in ntfs_volume.attribute_types(image, at), "the run list of $MFT fits its record"


@pytest.mark.corpus
def test_test_ntfs_of_the_corpus(corpus: Path, tmp_path: Path) -> None:
    image = tmp_path / "test_ntfs.img"
    done = subprocess.run(["zstd", "-q", "-d", str(corpus / "rusty-backup/test_ntfs.img.zst"), "-o", str(image)], check=False)
    if done.returncode:
        pytest.skip("zstd is not installed")
    check(image)


@pytest.mark.corpus
def test_windows_volume_of_dfvfs(corpus: Path, tmp_path: Path) -> None:
    image = tmp_path / "windows_volume.raw"
    done = subprocess.run(["qemu-img", "convert", "-O", "raw", str(corpus / "dfvfs/windows_volume.qcow2"), str(image)], check=False)
    if done.returncode:
        pytest.skip("qemu-img is not installed")
    raw = image.read_bytes()
    at = raw.find(b"\xebR\x90NTFS    ")
    assert at >= 0
    check(image, at)
