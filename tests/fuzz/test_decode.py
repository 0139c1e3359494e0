"""Any bytes: what is decoded lies inside of the data, is bounded, and the same when it is asked for again; forged forms end."""

from __future__ import annotations

import base64
import bz2
import gzip
import lzma
import os
import random
import zlib

import lz4.frame
import pytest

from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.search.decode import keyed, packed, pdf, streams, text, windows
from forensiclib.search.decode.regions import Decoding
from forensiclib.search.engine import search
from forensiclib.search.query import Query

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
TRANSFORMS = tuple(t for room in (keyed, packed, pdf, streams, text, windows) for t in room.TRANSFORMS)
PLAIN = b"BT (secretword) Tj <0041> Tj ET http://a.b/?q=%41+b =C3=A4 =\r\nsecretword " * 12
PIECES = [
    gzip.compress(PLAIN), zlib.compress(PLAIN), zlib.compress(PLAIN, 0), bz2.compress(PLAIN), lzma.compress(PLAIN), lz4.frame.compress(PLAIN),
    base64.encodebytes(PLAIN), base64.b64encode(gzip.compress(PLAIN)).decode().encode("utf-16-le"), PLAIN, PLAIN.hex().encode(), PLAIN.hex(" ").encode(),
    b"1 0 obj << /Filter [/ASCII85Decode /LZWDecode] >> stream\r\n" + base64.a85encode(PLAIN) + b"~> endstream",
    b"/Filter /FlateDecode >> stream\n" + zlib.compress(PLAIN), b"/Filter [/AHx /RL /Fl] >> stream\n" + PLAIN.hex().encode() + b">endstream",
    b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(16) + b"\x01\0\0\0" + b"a" + zlib.compress(PLAIN)[2:-4], b"\x81\x81xpress\x0f\xff\xff\0" + bytes(60),
    b"MAM\x04\0\x10\0\0" + bytes(range(256)) * 3, b"MAM\x84\0\x10\0\0" + bytes(300), b"MAM\x03\xff\xff\0\0" + PLAIN, b"\xb3\xb0" + PLAIN, b"\x28\xb5\x2f\xfd" + PLAIN,
    b"\x1f\x8b\x08\x1f" + PLAIN, b"BT (((((" * 40, b"BT <" + b"4" * 300, b"\\x41" * 20, bytes(c ^ 9 for c in PLAIN), b"=\n" * 100, b"%41" * 50, bytes(500),
]  # fmt: skip


def damaged(rng: random.Random) -> bytes:
    out = bytearray()
    for _ in range(rng.randrange(1, 5)):
        piece = bytearray(rng.choice(PIECES))
        for _ in range(rng.choice((0, 0, 1, 3, 20))):
            piece[rng.randrange(len(piece))] = rng.randrange(256)
        out += piece[: rng.randrange(len(piece))] if rng.random() < 0.3 else piece
        out += rng.randbytes(rng.choice((0, 1, 30)))
    data = bytes(out)
    return gzip.compress(data, rng.choice((0, 6))) if rng.random() < 0.2 else data


@pytest.mark.parametrize("part", range(4))
def test_any_bytes(part):
    rng = random.Random(part)
    decoder = Decoding(TRANSFORMS)
    query = Query(words=("secretword",), encodings=("utf-8",))
    for _ in range(COUNT // 4):
        source = MemorySource(damaged(rng))
        for region in decoder(source, 0, source.size, Budget()):
            assert 0 <= region.offset < region.end <= source.size and 0 < region.source.size <= 64 << 20
            first = region.source.read_at(0, region.source.size)
            assert len(first) == region.source.size and region.source.read_at(len(first) // 2, 9) == first[len(first) // 2 :][:9]
            assert all(0 <= low < high <= len(first) for low, high in region.literal)
        hits = list(search(source, query, decoder=decoder, depth=3))
        assert len(set(hits)) == len(hits) and all(h.value == "secretword" and (h.reach > 0) == bool(h.via) for h in hits)
