"""Files that real programs wrote, one of a type: exact among foreign bytes, never whole when cut, found once on a disk."""

from __future__ import annotations

import plistlib
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from forensiclib.carving.engine import carve
from forensiclib.core.source import MemorySource
from tests.carving.rooms import EVERY

TEXT = b"".join(b"line %d of a text that compresses well enough\n" % i for i in range(2000))
NOISE = random.Random(1).randbytes(30_000)

MADE: dict[str, tuple[str, str]] = {
    "lzip": ("lzip -k a", "a.lz"),
    "lzop": ("lzop -q a", "a.lzo"),
    "lzma": ("xz --format=lzma -k a", "a.lzma"),
    "cpio newc": ("ls a b | cpio -o -H newc > x", "x"),
    "cpio odc": ("ls a b | cpio -o -H odc > x", "x"),
    "cpio bin": ("ls a b | cpio -o -H bin > x", "x"),
    "ar": ("ar rc x.a a b", "x.a"),
    "ar deb": ("mkdir -p p/DEBIAN && printf 'Package: p\\nVersion: 1\\nArchitecture: all\\nMaintainer: m\\nDescription: d\\n' > p/DEBIAN/control && dpkg-deb -b p x.deb", "x.deb"),
    "arj": ("arj a -y x.arj a b", "x.arj"),
    "lha 0": ("jlha c0 x.lzh a b", "x.lzh"),
    "lha 1": ("jlha c1 x.lzh a b", "x.lzh"),
    "lha 2": ("jlha c2 x.lzh a b", "x.lzh"),
    "wim": ("mkdir w && cp a b w && wimcapture w x.wim", "x.wim"),
    "wim esd": ("mkdir w && cp a b w && wimcapture w x.esd --solid", "x.esd"),
    "qcow2": ("truncate -s 2M r && cat b >> r && qemu-img convert -O qcow2 -o cluster_size=4096 r x", "x"),
    "vdi": ("truncate -s 2M r && cat b >> r && qemu-img convert -O vdi r x", "x"),
    "vhd": ("truncate -s 2M r && cat b >> r && qemu-img convert -O vpc r x", "x"),
    "vmdk": ("truncate -s 2M r && cat b >> r && qemu-img convert -O vmdk r x", "x"),
    "iso9660": ("mkdir w && cp a b w && xorriso -as mkisofs -quiet -no-pad -o x w", "x"),
    "squashfs": ("mkdir w && cp a b w && mksquashfs w x -quiet -no-progress", "x"),
    "cramfs": ("mkdir w && cp a b w && mkfs.cramfs w x", "x"),
    "romfs": ("mkdir w && cp a b w && genromfs -d w -f x", "x"),
    "dtb": ("printf '/dts-v1/; / { model=\"x\"; a { b = <1 2>; }; };' | dtc -q -O dtb -o x -", "x"),
    "uimage": ("mkimage -A arm -O linux -T kernel -C none -d b x", "x"),
    "android-sparse": ("truncate -s 1M r && cat b >> r && truncate -s 2M r && img2simg r x", "x"),
    "der cer": ("openssl req -x509 -newkey rsa:2048 -nodes -keyout k -subj /CN=x -outform der -out x", "x"),
    "der key": ("openssl genpkey -algorithm RSA -outform der -out x", "x"),
    "der p12": ("openssl req -x509 -newkey rsa:2048 -nodes -keyout k -subj /CN=x -out c && openssl pkcs12 -export -in c -inkey k -passout pass:x -out x", "x"),
    "der csr": ("openssl req -new -newkey rsa:2048 -nodes -keyout k -subj /CN=x -outform der -out x", "x"),
    "pem": ("openssl req -x509 -newkey rsa:2048 -nodes -keyout k -subj /CN=x -out x", "x"),
    "pem key": ("ssh-keygen -q -t ed25519 -N '' -f x", "x"),
    "ssh-public": ("ssh-keygen -q -t ed25519 -N '' -f x", "x.pub"),
    "openpgp": ("mkdir -m 700 g && gpg -q --homedir g --batch --passphrase x -c -o x b", "x"),
    "openpgp key": ("mkdir -m 700 g && gpg -q --homedir g --batch --passphrase '' --quick-gen-key t@x rsa2048 && gpg -q --homedir g --export > x", "x"),
    "git-pack": ("git init -q r && cp a b r && cd r && git add -A && git -c user.name=a -c user.email=a@b commit -qm m && git gc -q && cp .git/objects/pack/*.pack ../x", "x"),
    "git-idx": ("git init -q r && cp a b r && cd r && git add -A && git -c user.name=a -c user.email=a@b commit -qm m && git gc -q && cp .git/objects/pack/*.idx ../x", "x"),
    "git-index": ("git init -q r && cp a b r && cd r && git add -A && cp .git/index ../x", "x"),
    "mo": ("printf 'msgid \"\"\\nmsgstr \"Content-Type: text/plain; charset=UTF-8\\\\n\"\\nmsgid \"a\"\\nmsgstr \"b\"\\n' | msgfmt -o x -", "x"),
    "wasm": ("printf '(module (func (export \"a\") (result i32) i32.const 7) (memory 1) (data (i32.const 0) \"hi\"))' > w && wat2wasm w -o x", "x"),
    "class": ("printf 'public class H { long a=3; public static void main(String[] a){ System.out.println(1); } }' > H.java && javac H.java", "H.class"),
    "beam": ("printf -- '-module(m).\\n-export([f/1]).\\nf(X)->X+1.\\n' > m.erl && erlc m.erl", "m.beam"),
    "jks": ("keytool -genkeypair -storetype JKS -keystore x -storepass changeit -keypass changeit -dname CN=x -alias a -keyalg RSA", "x"),
    "bdb btree": ("printf 'k\\nv\\nl\\nw\\n' | db5.3_load -T -t btree x || printf 'k\\nv\\n' | db_load -T -t btree x", "x"),
    "bdb hash": ("printf 'k\\nv\\nl\\nw\\n' | db5.3_load -T -t hash x || printf 'k\\nv\\n' | db_load -T -t hash x", "x"),
    "lmdb": ("printf 'VERSION=3\\nformat=print\\ntype=btree\\nmapsize=1048576\\nHEADER=END\\n k\\n v\\nDATA=END\\n' | mdb_load -n x", "x"),
}  # fmt: skip
CHECKED = frozenset(("lzip", "arj", "cramfs", "uimage", "git-pack", "git-idx", "git-index", "wim", "cpio", "lha"))
"""Formats whose checksums or chains tell their own bytes from others that follow a cut. The rest state a length."""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """Runs the program once a type; skips where it is not installed."""
    held: dict[str, bytes] = {}

    def make(name: str) -> bytes:
        if name not in held:
            folder = tmp_path_factory.mktemp("made")
            (folder / "a").write_bytes(TEXT)
            (folder / "b").write_bytes(NOISE)
            command, result = MADE[name]
            done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True)
            if done.returncode == 127 or not (folder / result).exists():
                pytest.skip(f"not installed: {command.split('|')[-1].split()[0]}: {done.stderr[-80:]!r}")
            held[name] = (folder / result).read_bytes()
        return held[name]

    return make


@pytest.mark.parametrize("name", MADE)
def test_a_real_file_is_found_exactly(exact, measure, sample, name: str) -> None:
    carver, _, extension = name.partition(" ")
    content = sample(name)
    found = exact(carver, content)
    assert found.confidence >= 0.8
    if extension in ("deb", "esd", "cer", "p12", "csr"):
        assert found.extension == extension
    for part in (0.4, 0.6, 0.8):
        head = content[: int(len(content) * part)]
        for tail in (b"", NOISE * 20) if carver in CHECKED - {"wim"} else (b"",):
            cut = measure(carver, head + tail) if len(head) > 600 else None
            assert cut is None or not cut.complete, (part, cut)


def test_each_is_found_once_on_a_disk_of_noise(sample) -> None:
    """At sector offsets between random bytes: exactly these finds, nothing inside them."""
    rng, disk, expected = random.Random(7), bytearray(), []
    for name in MADE:
        try:
            content = sample(name)
        except pytest.skip.Exception:
            continue
        if len(content) > 2 << 20:
            continue
        disk += rng.randbytes(5000)
        disk += rng.randbytes(-len(disk) % 512)
        expected.append((len(disk), len(content), name.split()[0]))
        disk += content
    disk += rng.randbytes(5000)
    found = [(c.offset, c.length, c.carver.name) for c in carve(MemorySource(bytes(disk)), EVERY) if c.find.complete]
    assert found == expected
    assert len(expected) > 20


def test_random_bytes_and_english_give_nothing() -> None:
    rng = random.Random(3)
    words = [w.decode() for w in sorted(set(TEXT.split()))] + (Path(__file__).parents[2] / "docs" / "design.md").read_text(
        encoding="utf-8"
    ).split()
    prose = " ".join(rng.choice(words) for _ in range(600_000)).encode()
    for name, data in (("random", rng.randbytes(16 << 20)), ("prose", prose)):
        assert [c for c in carve(MemorySource(data), EVERY) if c.find.complete] == [], name


TEXTS: dict[str, bytes] = {
    "vobject": b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:A B\r\nPHOTO;ENCODING=b:AAAA\r\n BBBB\r\nEND:VCARD\r\n",
    "xml": plistlib.dumps({"a": [1, 2, 3], "b": "x" * 100}),
    "html": b"<!DOCTYPE html>\n<html><head><title>x</title></head><body><p>hello</p></body></html>\n",
    "json": b'{"a": [1, 2, {"b": "c\\n\\"}"}], "d": "a text of some length"}\n',
    "rtf": b"{\\rtf1\\ansi{\\fonttbl\\f0 Times;}\\f0\\b a \\{ b\\b0{\\pict\\bin5 }}}{{ c}\\par}\r\n",
    "eml": b'Return-Path: <a@b>\r\nFrom: a@b\r\nTo: c@d\r\nSubject: s\r\nContent-Type: multipart/mixed; boundary="xx"\r\n\r\n--xx\r\n\r\nhello\r\n--xx--\r\n',
    "uuencode": b"begin 644 x\n#86)C\n`\nend\n",
    "bencode": b"d8:announce17:http://tracker/an4:infod6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces20:" + b"\x8f" * 20 + b"ee",
    "warc": b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 5\r\n\r\nhello\r\n\r\n",
    "npy": b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<i4', 'fortran_order': False, 'shape': (3, 4), }".ljust(117) + b"\n" + bytes(range(48)),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_ends_where_its_grammar_says(exact, name: str) -> None:
    assert exact(name, TEXTS[name]).confidence >= 0.8


def test_data_files_of_pyarrow(exact, cuts, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.feather as feather
    import pyarrow.parquet as parquet

    table = pa.table({"a": list(range(3000)), "b": [str(i) for i in range(3000)]})
    parquet.write_table(table, tmp_path / "x.parquet")
    feather.write_feather(table, tmp_path / "x.feather")
    for name, path in (("parquet", "x.parquet"), ("arrow", "x.feather")):
        content = (tmp_path / path).read_bytes()
        assert exact(name, content).confidence == 1.0
        cuts(name, content)


def test_python_bytecode(exact, cuts, tmp_path: Path) -> None:
    import json.decoder
    import py_compile

    py_compile.compile(str(json.decoder.__file__), cfile=str(tmp_path / "x.pyc"))
    content = (tmp_path / "x.pyc").read_bytes()
    exact("pyc", content)
    cuts("pyc", content, blind=len(content))


REAL = {
    "plaso/Outlook.NK2": "nk2", "plaso/wintask.job": "job", "plaso/recycler/INFO2": "info2", "plaso/recycler/$II3DF3L.zip": "recycled",
    "plaso/recycler/$I103S5F.jpg": "recycled", "plaso/login.keychain": "keychain", "plaso/Cookies.binarycookies": "binarycookies",
    "plaso/mlocate.db": "mlocate", "plaso/SysEvent.Evt": "evt", "plaso/msiecf/Content.IE5/index.dat": "index-dat",
    "plaso/customDestinations-ms/5afe4de1b92fc382.customDestinations-ms": "custom-destinations", "plaso/localtime.tzif": "tzif",
    "recentfilecacheparser/RecentFileCache.Test/Files/RecentFileCache.bcf": "recent-file-cache", "plaso/image.E01": "ewf",
    "dtformats/backgrounditems.btm.bookmark_data": "bookmark", "dtformats/unified_logging/0000000000000030.tracev3": "tracev3",
    "dtformats/unified_logging/timesync/0000000000000002.timesync": "timesync", "plaso/bencode/transmission": "bencode",
}  # fmt: skip


@pytest.mark.corpus
@pytest.mark.parametrize("path", REAL)
def test_real_artifacts(exact, corpus: Path, path: str) -> None:
    exact(REAL[path], (corpus / path).read_bytes())
