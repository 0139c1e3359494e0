"""Damaged files of the newer types: a carver returns a Find within the bytes, or None, or raises EvidenceError."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from forensiclib.core.declare import Carver
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.testing.contracts import mutations, rows_or_evidence_error
from tests.carving.rooms import EVERY

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
REAL = (
    "plaso/Outlook.NK2", "plaso/wintask.job", "plaso/recycler/INFO2", "plaso/recycler/$II3DF3L.zip", "plaso/login.keychain",
    "plaso/Cookies.binarycookies", "plaso/mlocate.db", "plaso/SysEvent.Evt", "plaso/msiecf/Content.IE5/index.dat", "plaso/localtime.tzif",
    "plaso/customDestinations-ms/5afe4de1b92fc382.customDestinations-ms", "plaso/image.E01", "plaso/image.qcow2", "plaso/image.vmdk",
    "dtformats/unified_logging/0000000000000030.tracev3", "dtformats/backgrounditems.btm.bookmark_data", "plaso/bencode/utorrent",
    "dfvfs/syslog.newc.cpio", "dfvfs/syslog.bin.cpio", "dfvfs/syslog.Z", "dfvfs/syslog.lzma", "dfvfs/image.vhd", "plaso/iso9660.raw",
    "fact_extractor/squashFS/gzip.sqfs", "fact_extractor/sevenz/cramfs.img", "plaso/usage-history.xml",
)  # fmt: skip


NAMES = frozenset((
    "ace", "aff", "android-backup", "android-boot", "android-sparse", "android-xml", "appledouble", "applescript", "ar", "arj",
    "arrow", "avro", "axcrypt", "bdb", "beam", "bencode", "biff", "binarycookies", "bookmark", "chm", "class", "compress", "cpio",
    "cramfs", "crash-dump", "crx", "custom-destinations", "dbf", "dbx", "der", "dex", "ds-store", "dtb", "eml", "evt", "ewf",
    "git-idx", "git-index", "git-pack", "hdf4", "hdf5", "html", "hwp3", "icc", "index-dat", "info2", "iso9660", "jet", "jks",
    "job", "json", "kdbx", "keychain", "lha", "lmdb", "lotus", "luajit", "lzip", "lzma", "lzop", "macho", "mat", "mbox",
    "minidump", "mlocate", "mo", "mz", "netcdf", "nk2", "npy", "odex", "onenote", "openpgp", "palm", "parallels", "parquet",
    "pbzx", "pcap", "pcapng", "pdb", "pem", "ppk", "pst", "pyc", "qcow2", "realm", "recent-file-cache", "recycled",
    "registry-export", "res", "romfs", "rpm", "rtf", "sas7bdat", "segb", "settings", "snappy", "snoop", "sqlite-journal",
    "squashfs", "ssh-public", "stuffit", "szdd", "thumbcache", "timesync", "tnef", "tracev3", "tzif", "uimage", "uuencode", "vdi",
    "vhd", "vhdx", "vmdk", "vobject", "warc", "wasm", "wim", "winhelp", "wordperfect", "write", "xar", "xml"
))  # fmt: skip


def test_none_is_left_out() -> None:
    assert {carver.name for carver in EVERY} == NAMES


def asked(carver: Carver, data: bytes) -> bool:
    return any(signature.matches(data[:65_536]) for signature in carver.signatures)


def target(carvers: tuple[Carver, ...]):
    def run(data: bytes, budget: Budget) -> None:
        for carver in carvers:
            found = carver.measure(MemorySource(data), budget)
            assert found is None or (0 < found.length <= len(data) and 0 < found.confidence <= 1 and found.reason), (carver.name, found)

    return run


@pytest.mark.corpus
@pytest.mark.parametrize("path", REAL)
def test_damaged_real_files(corpus: Path, path: str) -> None:
    sample = (corpus / path).resolve().read_bytes()[: 64 << 10]
    carvers = tuple(carver for carver in EVERY if asked(carver, sample))
    if not carvers:
        pytest.skip("no carver of these rooms is asked")
    assert rows_or_evidence_error(target(carvers), mutations(sample, COUNT)) == COUNT


@pytest.mark.parametrize("carver", EVERY, ids=lambda c: c.name)
def test_noise_behind_a_signature(carver: Carver) -> None:
    """Random bytes, small numbers and text behind each signature: what header fields alone can ask for."""
    rng = random.Random(carver.name)
    made = []
    for number in range(COUNT):
        sig = rng.choice(carver.signatures)
        size = rng.choice((16, 64, 600, 5000))
        filler = (rng.randbytes(size), bytes(rng.choice((0, 0, 0, 1, 2, 4, 16, 255)) for _ in range(size)), b"a: b\r\n" * (size // 6 + 1))[
            number % 3
        ]
        made.append(rng.randbytes(sig.offset) + sig.pattern + filler)
    assert rows_or_evidence_error(target((carver,)), iter(made)) == COUNT
