"""No password, recovery key or key file shows anywhere: reprs, findings, errors with their tracebacks, the command line, a case folder."""

from __future__ import annotations

import gc
import subprocess
import sys
import traceback

import pytest

import forensiclib as fl
from forensiclib.core.errors import EvidenceError
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, FileSource
from forensiclib.crypto._sectors import Layer
from forensiclib.crypto.bitlocker import bitlocker
from forensiclib.crypto.luks import luks1

pytestmark = pytest.mark.corpus
WRONG, PASSWORD = "Sesame-4711-wrong", "anaconda"


def forms(*secrets: bytes) -> list[bytes]:
    """What a leak could look like."""
    return [f for s in secrets for f in (s, s.hex().encode(), repr(s)[2:-1].encode(), s.decode("latin-1").encode("utf-16-le"))]


def test_nothing_in_memory_shows_a_key(unpacked):
    folder = unpacked("luks1-images.tar.xz")
    secret = (folder / "keyfile1").read_bytes()
    keys, budget = Keys([WRONG], keyfile=secret), Budget()
    source = FileSource(folder / "luks1_aes-xts-plain64-sha256.img")
    lock = luks1.ENCRYPTION.open(source, budget)
    plain = lock.unlock(keys, budget)
    layers = [o for o in gc.get_objects() if isinstance(o, Layer)]
    volume_keys = [o.key for o in layers if o.key] + [o.tweak for o in layers if o.tweak]
    assert volume_keys
    shown = [repr(o) + str(o) for o in (keys, lock, plain, budget, *layers, *budget.findings, plain.trace(0, 4096), lock.facts)]
    shown += [repr(o) for o in gc.get_objects() if isinstance(o, ByteSource)]
    for keys in (Keys(WRONG), Keys(keyfile=b"Sesame-file")):
        for room, path in (
            (luks1, folder / "luks1_aes-xts-plain64-sha1.img"),
            (bitlocker, unpacked("bitlk-images.tar.xz") / "bitlk-aes-xts-128.img"),
        ):
            try:
                room.ENCRYPTION.open(FileSource(path), budget).unlock(keys, budget)
            except EvidenceError as error:
                shown += [str(error), repr(error), *traceback.format_exception(error), repr(error.args)]
                assert error.__cause__ is None
    text = "\n".join(shown).encode("utf-8", "backslashreplace")
    for form in forms(WRONG.encode(), secret[:64], b"Sesame-file", *volume_keys):
        assert form not in text


def test_a_case_and_the_command_line_hold_no_password(unpacked, tmp_path):
    image = unpacked("bitlk-images.tar.xz") / "bitlk-aes-xts-128.img"
    command = [sys.executable, "-m", "forensiclib", "examine", image, "--case", tmp_path / "case", "--no-carving", "--no-verify", "--jobs", "1",
               "--password", WRONG, "--password", PASSWORD]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=200)
    assert done.returncode == 0, done.stderr
    written = {p: p.read_bytes() for p in (tmp_path / "case").rglob("*") if p.is_file()}
    assert written
    for form in forms(WRONG.encode(), PASSWORD.encode()):
        hits = [str(p) for p, data in written.items() if form in data or form.decode("latin-1") in str(p)]
        assert not hits and form not in done.stdout + done.stderr


PIM = 7_654_321
COMMANDS = {
    "info": ("{image}",), "info --json": ("{image}", "--json"), "verify": ("{image}",), "ls": ("{image}", "-r"), "ls 0": ("{image}", "0"),
    "cat": ("{image}", "0:/{file}"), "recover": ("{image}", "--to", "{out}"), "extract": ("{image}", "*", "--to", "{out}.jsonl"),
    "carve": ("{image}", "--to", "{out}", "--type", "jpeg"), "hash": ("{image}",), "hash --files": ("{image}", "--files"),
    "search": ("{image}", "Sesame", "NTFS", "--to", "{out}.csv"), "convert": ("{image}", "--to", "{out}.E01"),
    "examine": ("{image}", "--case", "{out}", "--no-carving", "--jobs", "1"),
}  # fmt: skip


def test_every_command_is_asked():
    """A command that opens evidence and is not in the list would be one that nobody looked at."""
    done = subprocess.run([sys.executable, "-m", "forensiclib", "--help"], capture_output=True, text=True, timeout=60).stdout
    listed = {line.split()[0] for line in done.partition("Commands:")[2].lstrip().partition("\n\n")[0].splitlines() if line[:4].strip()}
    assert listed - {"catalog"} == {name.split()[0] for name in COMMANDS}


@pytest.mark.parametrize("right", [True, False], ids=["right key", "wrong keys"])
@pytest.mark.parametrize("kind", ["luks", "bitlocker"])
@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_writes_a_key(unpacked, tmp_path, monkeypatch, capfdbinary, name, kind, right):
    """Standard output and error, every file and file name, the traceback of what leaves the command."""
    from forensiclib.cli.main import main

    luks = unpacked("luks1-images.tar.xz")
    image = luks / "luks1_aes-xts-plain64-sha1.img" if kind == "luks" else unpacked("bitlk-images.tar.xz") / "bitlk-aes-xts-128.img"
    opens = ["--key-file", str(luks / "keyfile1")] if kind == "luks" else ["--password", PASSWORD]
    key = (luks / "keyfile1").read_bytes()[:64] if kind == "luks" else PASSWORD.encode()
    recovery = "042647-302313-590458-071500-554323-116567-412181-516978"
    (tmp_path / "key").write_bytes(b"Sesame-file-0815")
    (tmp_path / "list").write_bytes(b"Sesame-line-1\nSesame-line-2\n")
    out = tmp_path / "written" / "out"
    out.parent.mkdir()
    words = [word.format(image=image, out=out, file="$MBR" if kind == "luks" else "$MFT") for word in COMMANDS[name]]
    keys = ["--password", WRONG, "--recovery-key", recovery, "--key-file", str(tmp_path / "key"), "--passwords", str(tmp_path / "list"),
            "--pim", str(PIM), *(opens if right else [])]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["forensiclib", name.split()[0], *words, *keys])
    code, trace = 0, ""
    try:
        main()
    except SystemExit as error:
        code = error.code or 0
    except BaseException as error:  # noqa: BLE001  # a bug of ours would leave with its traceback
        trace = "".join(traceback.format_exception(error))
        code = 1
    stdout, stderr = capfdbinary.readouterr()
    assert not trace and code != 2, (trace, stderr)
    if (not right and name.split()[0] not in ("hash", "verify", "convert")) or (name == "hash --files" and not right):
        assert b"give a password" in stdout + stderr, "what would open it is said"
    written = {str(p.relative_to(out.parent)): p.read_bytes() for p in out.parent.rglob("*") if p.is_file()}
    assert written or name not in ("convert", "examine")
    everything = b"\n".join([stdout, stderr, *written.values(), *(n.encode() for n in written)])
    shown = forms(WRONG.encode(), b"Sesame-file-0815", b"Sesame-line-1", b"Sesame-line-2", recovery.encode())
    shown += forms(str(PIM).encode(), f"{PIM:,}".encode(), recovery.replace("-", "").encode())
    shown += forms(key) if right else []
    for form in shown:
        assert form not in everything


def test_info_says_what_would_unlock_it(unpacked):
    folder = unpacked("bitlk-images.tar.xz")
    command = [sys.executable, "-m", "forensiclib", "info", folder / "bitlk-aes-xts-128-startup-key.img"]
    text = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    assert "give a" in text and "recovery key" in text and "startup key" in text and "AES-XTS 128" in text
    files = [x for p in folder.glob("*.BEK") for x in ("--key-file", str(p))]
    text = subprocess.run([*command, *files], capture_output=True, text=True, timeout=60).stdout
    assert "ntfs" in text and "give a" not in text


def test_keys_show_only_their_number():
    keys = Keys(["a-Xq7#", "b-Xq7#"], recovery="123456", keyfile=b"c-Xq7#")
    assert repr(keys) == str(keys) == "Keys(2 passwords, 1 recovery keys, 1 key files)"
    assert "Xq7#" not in repr(fl.Run(keys=keys))
    assert repr(Keys(pim=[4711, 12])) == "Keys(0 passwords, 0 recovery keys, 0 key files, 2 PIMs)" and Keys(pim=1) and not Keys()
