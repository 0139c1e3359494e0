"""Made the aff4*.aff4 here, with pyaff4 0.34 (Apache-2.0) and rdflib 5: run in this folder, in an environment that has them."""

import datetime
import hashlib
import io

from pyaff4 import aff4_image, aff4_map, container, data_store, hashes, lexicon, linear_hasher, rdfvalue, zip
from pyaff4.version import Version


def noise(n: int, seed: int = 0) -> bytes:
    return b"".join(hashlib.sha256(b"%d:%d" % (seed, i)).digest() for i in range(-(-n // 32)))[:n]


FILES = {
    "./docs/plain.txt": b"hello world\n",
    "docs/two words.txt": b"a" * 5000,
    "docs/ネコ.txt": "ネコ\n".encode(),
    "docs/100%25 {braces}.bin": noise(3000, 1),
    "C:\\Users\\Ann\\note.txt": b"windows",
    "/etc/empty": b"",
    "docs/mixed.bin": b"x" * 40000 + noise(20000, 2) + bytes(9000),
}
WHEN = datetime.datetime(2024, 2, 29, 13, 14, 15, 500000, datetime.timezone(datetime.timedelta(hours=1)))
TEXT = b"".join(b"line %06d of the evidence\n" % i for i in range(400))
MEDIA = TEXT[:8192] + noise(4096, 1) + TEXT[:3000] + noise(1096, 2)
METHODS = {
    "zlib": lexicon.AFF4_IMAGE_COMPRESSION_ZLIB,
    "lz4": lexicon.AFF4_IMAGE_COMPRESSION_LZ4,
    "snappy": lexicon.AFF4_IMAGE_COMPRESSION_SNAPPY,
    "stored": lexicon.AFF4_IMAGE_COMPRESSION_STORED,
}


def files(path: str, how: str) -> None:
    with data_store.MemoryDataStore() as resolver, container.Container.createURN(resolver, rdfvalue.URN.FromFileName(path)) as volume:
        if how == "stream":
            volume.maxSegmentResidentSize = 1000
        for name, data in FILES.items():
            if how == "dedupe":
                urn = volume.writeLogicalStreamHashBased(name, io.BytesIO(data), len(data), False)
            else:
                hasher = linear_hasher.StreamHasher(io.BytesIO(data), [lexicon.HASH_SHA1, lexicon.HASH_MD5])
                urn = volume.writeLogicalStream(name, hasher, len(data))
                for made in hasher.hashes:
                    found = hashes.newImmutableHash(made.hexdigest(), hasher.hashToType[made])
                    resolver.Add(urn, urn, rdfvalue.URN(lexicon.standard.hash), found)
            resolver.Add(urn, urn, rdfvalue.URN(lexicon.AFF4_STREAM_SIZE), rdfvalue.XSDInteger(len(data)))
            resolver.Add(urn, urn, rdfvalue.URN(lexicon.standard11.lastWritten), rdfvalue.XSDDateTime(WHEN))


def disk(path: str, method: str) -> None:
    """MEDIA, 4 KiB of zeros, and the third 4 KiB of MEDIA once more, over a stream in chunks of 1 KiB, 5 a bevy."""
    with data_store.MemoryDataStore() as resolver:
        resolver.Set(
            lexicon.transient_graph, rdfvalue.URN.FromFileName(path), lexicon.AFF4_STREAM_WRITE_MODE, rdfvalue.XSDString("truncate")
        )
        with zip.ZipFile.NewZipFile(resolver, Version(1, 0, "pyaff4"), rdfvalue.URN.FromFileName(path)) as volume:
            with volume.CreateMember(volume.urn.Append("version.txt")) as member:
                member.Write(b"major=1\nminor=0\ntool=pyaff4\n")
            image, stream, mapped = (volume.urn.Append(n) for n in ("image", "stream", "map of it"))
            with aff4_image.AFF4Image.NewAFF4Image(resolver, stream, volume.urn) as out:
                out.chunk_size, out.chunks_per_segment = 1024, 5
                out.setCompressionMethod(method)
                out.Write(MEDIA)
            with aff4_map.AFF4Map.NewAFF4Map(resolver, mapped, volume.urn) as out:
                out.AddRange(0, 0, len(MEDIA), stream)
                out.AddRange(len(MEDIA) + 4096, 8192, 4096, stream)
            for kind in (lexicon.standard.Image, lexicon.standard.of("DiskImage")):
                resolver.Add(volume.urn, image, lexicon.AFF4_TYPE, rdfvalue.URN(kind))
            resolver.Add(volume.urn, image, lexicon.standard.dataStream, mapped)


for how in ("segment", "stream", "dedupe"):
    files(f"aff4l-{how}.aff4", how)
for name, method in METHODS.items():
    disk(f"aff4-{name}.aff4", method)
