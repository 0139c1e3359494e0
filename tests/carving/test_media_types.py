"""Files of every media type, made by other programs, between foreign bytes: one find, exact; cut short, never whole."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from forensiclib.carving.engine import Carved, carve
from forensiclib.catalog import load
from forensiclib.core.source import MemorySource

CARVERS = load().carvers
FF = "ffmpeg -nostdin -v error -y"
PICTURE = f"{FF} -f lavfi -i testsrc=size=96x64:rate=5 -frames:v 1 -update 1"
VIDEO = f"{FF} -f lavfi -i testsrc=size=96x64:rate=10 -f lavfi -i sine=sample_rate=44100 -t 2 -shortest"
SOUND = f"{FF} -f lavfi -i sine=sample_rate=44100:duration=2"
SPEECH = f"{FF} -f lavfi -i sine=sample_rate=8000:duration=2 -ac 1 -ar 8000"
IM = "/usr/bin/convert -size 97x61 plasma:red-blue"

# what is made, by which program, and the extension that a find must have
RECIPES: dict[str, tuple[str, str]] = {
    # pictures
    "a.apng": (f"{FF} -f lavfi -i testsrc=size=64x48:rate=5:duration=1 -f apng", "apng"),
    "a.jp2": (f"{IM} -quality 60", "jp2"),
    "a.j2k": (f"{IM} -quality 60", "j2k"),
    "a.jls": (f"{PICTURE} -c:v jpegls -f image2", "jls"),
    "a.jxl": ("cjxl PNG OUT --container=1 --quiet", "jxl"),
    "a.jxr": ("JxrEncApp -i BMP -o OUT", "jxr"),
    "a.mng": (f"{IM}", "mng"),
    "a.jng": (f"{IM}", "jng"),
    "a.ico": (f"{IM} -resize 32x32!", "ico"),
    "b.ico": (f"{IM} -define icon:auto-resize=256,64,48,32,16", "ico"),
    "a.psd": (f"{IM}", "psd"),
    "b.psd": (f"{IM} -compress none", "psd"),
    "a.psb": (f"{IM}", "psb"),
    "a.pcx": (f"{IM}", "pcx"),
    "b.pcx": (f"{IM} -colors 200 -type palette", "pcx"),
    "a.dcx": (f"{IM} {IM.partition(' ')[2]}", "dcx"),
    "a.sgi": (f"{PICTURE}", "sgi"),
    "b.sgi": (f"{IM} -compress none", "sgi"),
    "a.ras": (f"{PICTURE} -c:v sunrast", "ras"),
    "a.fits": (f"{IM}", "fits"),
    "a.dpx": (f"{IM}", "dpx"),
    "b.dpx": (f"{PICTURE}", "dpx"),
    "a.cin": (f"{IM} CIN:OUT", "cin"),
    "a.exr": (f"{PICTURE} -pix_fmt gbrpf32le", "exr"),
    "b.exr": (f"{PICTURE} -pix_fmt gbrpf32le -compression zip1", "exr"),
    "a.hdr": (f"{IM}", "hdr"),
    "a.dds": (f"{IM} -resize 64x64!", "dds"),
    "b.dds": (f"{IM} -define dds:compression=none", "dds"),
    "a.qoi": (f"{PICTURE}", "qoi"),
    "a.ppm": (f"{IM}", "ppm"),
    "a.pgm": (f"{IM}", "pgm"),
    "a.pbm": (f"{IM}", "pbm"),
    "a.pam": (f"{IM}", "pam"),
    "a.pfm": (f"{IM}", "pfm"),
    "a.djvu": ("c44 PPM OUT", "djvu"),
    "b.djvu": ("djvm -c OUT DJV DJV", "djvu"),
    "a.eps": ("gs -q -dNOPAUSE -dBATCH -sDEVICE=eps2write -sOutputFile=OUT PSFILE", "eps"),
    "a.ps": ("gs -q -dNOPAUSE -dBATCH -sDEVICE=ps2write -sOutputFile=OUT PSFILE", "ps"),
    "a.dcm": ("img2dcm JPG OUT", "dcm"),
    "a.heic": ("heif-enc PNG -o OUT", "heic"),
    "a.avif": ("avifenc PNG OUT", "avif"),
    # sound
    "a.wav": (f"{SOUND}", "wav"),
    "b.wav": (f"{SOUND} -write_bext 1 -metadata description=d", "wav"),
    "a.rf64": (f"{SOUND} -rf64 always -f wav", "rf64"),
    "a.w64": (f"{SOUND}", "w64"),
    "a.aif": (f"{SOUND}", "aif"),
    "a.aifc": (f"{SOUND} -c:a pcm_mulaw -f aiff", "aifc"),
    "b.aifc": ("sox WAV OUT", "aifc"),
    "a.8svx": ("sox WAV OUT", "8svx"),
    "a.au": (f"{SOUND}", "au"),
    "b.au": ("sox WAV OUT", "au"),
    "a.caf": (f"{SOUND}", "caf"),
    "a.voc": ("sox WAV8U OUT", "voc"),
    "a.flac": (f"{SOUND}", "flac"),
    "b.flac": ("flac --silent -8 WAV -o OUT", "flac"),
    "c.flac": ("sox -n -r 48000 -c 2 -b 24 OUT synth 1 pinknoise", "flac"),
    "a.ogg": (f"{SOUND} -c:a libvorbis", "ogg"),
    "a.opus": (f"{SOUND} -c:a libopus", "opus"),
    "a.spx": (f"{SPEECH} -c:a libspeex", "spx"),
    "a.oga": (f"{SOUND} -c:a flac -f ogg", "oga"),
    "a.ogv": (f"{VIDEO} -c:v libtheora -c:a libvorbis", "ogv"),
    "a.aac": (f"{SOUND} -c:a aac", "aac"),
    "a.loas": (f"{SOUND} -c:a aac -f latm", "loas"),
    "a.ac3": (f"{SOUND}", "ac3"),
    "b.ac3": (f"{SOUND} -ar 48000 -b:a 384k", "ac3"),
    "c.ac3": (f"{SOUND} -ar 32000", "ac3"),
    "a.eac3": (f"{SOUND}", "eac3"),
    "a.dts": (f"{SOUND} -c:a dca -strict -2", "dts"),
    "a.mp3": (f"{SOUND}", "mp3"),
    "a.mp2": (f"{SOUND}", "mp2"),
    "a.wv": (f"{SOUND}", "wv"),
    "b.wv": ("wavpack -q -y WAV -o OUT", "wv"),
    "a.tta": (f"{SOUND}", "tta"),
    "a.mpc": ("mpcenc --silent WAV OUT", "mpc"),
    "a.wma": (f"{SOUND}", "wma"),
    "a.ra": (f"{SOUND} -c:a real_144 -ac 1 -ar 8000 -f rm", "rm"),
    "a.m4a": (f"{SOUND}", "m4a"),
    "a.mka": (f"{SOUND} -c:a flac", "mka"),
    "a.weba": (f"{SOUND} -c:a libopus -f webm", "weba"),
    # video
    "a.wmv": (f"{VIDEO}", "wmv"),
    "a.mkv": (f"{VIDEO} -c:v libx264", "mkv"),
    "b.mkv": (f"{VIDEO} -c:v libx264 -cluster_time_limit 200", "mkv"),
    "live.mkv": (f"{VIDEO} -c:v libx264 -f matroska -live 1", "mkv"),
    "a.webm": (f"{VIDEO} -c:v libvpx -c:a libvorbis", "webm"),
    "a.flv": (f"{VIDEO}", "flv"),
    "a.swf": (f"{VIDEO} -c:v flv -an", "swf"),
    "a.ts": (f"{VIDEO} -c:v libx264", "ts"),
    "a.m2ts": (f"{VIDEO} -c:v libx264 -c:a ac3", "m2ts"),
    "a.mpg": (f"{VIDEO} -r 25 -f mpeg", "mpg"),
    "a.vob": (f"{VIDEO} -r 25 -f dvd", "vob"),
    "a.dv": (f"{FF} -f lavfi -i testsrc=size=720x576:rate=25 -f lavfi -i sine=sample_rate=48000 -t 0.3 -shortest -target pal-dv", "dv"),
    "b.dv": (f"{FF} -f lavfi -i testsrc=size=720x480:rate=30000/1001 -f lavfi -i sine=sample_rate=48000 -t 0.3 -shortest -target ntsc-dv", "dv"),
    "a.ivf": (f"{VIDEO} -an -c:v libvpx", "ivf"),
    "a.y4m": (f"{VIDEO} -an -pix_fmt yuv420p", "y4m"),
    "b.y4m": (f"{VIDEO} -an -pix_fmt yuv422p10le -strict -1", "y4m"),
    "a.mxf": (f"{FF} -f lavfi -i testsrc=size=720x576:rate=25 -t 0.3 -c:v mpeg2video", "mxf"),
    "a.mp4": (f"{VIDEO} -c:v libx264", "mp4"),
    "frag.mp4": (f"{VIDEO} -c:v libx264 -movflags frag_keyframe+empty_moov", "mp4"),
    "a.mov": (f"{VIDEO} -c:v libx264", "mov"),
    "a.m4v": (f"{VIDEO} -c:v libx264", "m4v"),
    "a.3gp": (f"{FF} -f lavfi -i testsrc=size=176x144:rate=10 -t 1 -c:v h263", "3gp"),
    "a.3g2": (f"{FF} -f lavfi -i testsrc=size=176x144:rate=10 -t 1 -c:v h263", "3g2"),
    "a.f4v": (f"{VIDEO} -c:v libx264", "f4v"),
    "psp.mp4": (f"{VIDEO} -c:v libx264 -f psp", "mp4"),
    "a.avi": (f"{VIDEO}", "avi"),
    "a.rm": (f"{VIDEO} -c:v rv10 -an", "rm"),
}  # fmt: skip

SOURCES = {
    "PNG": "/usr/bin/convert -size 97x61 plasma:red-blue PNG:OUT",
    "JPG": "/usr/bin/convert -size 97x61 plasma:red-blue JPEG:OUT",
    "PPM": "/usr/bin/convert -size 97x61 plasma:red-blue PPM:OUT",
    "BMP": "/usr/bin/convert -size 97x61 plasma:red-blue BMP3:OUT",
    "WAV": "sox -n -r 44100 -c 2 -b 16 -t wavpcm OUT synth 2 sine 440",
    "WAV8U": "sox -n -r 8000 -c 1 -b 8 -e unsigned-integer -t wav OUT synth 2 sine 440",
    "DJV": "c44 PPM OUT",
}
"""What some programs start from."""


def run(command: str, out: Path, sources: Path) -> None:
    """One command; OUT is the file to make, or it comes last. Skips when the program is not there."""
    words = command.split()
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    if not any("OUT" in word for word in words):
        words.append("OUT")
    line = []
    for word in words:
        if word in SOURCES:
            path = sources / f"source{word.lower()}.{word[:3].lower()}"
            if not path.exists():
                run(SOURCES[word], path, sources)
            line.append(str(path))
        elif word == "PSFILE":
            path = sources / "page"
            path.write_bytes(b"%!\n/Helvetica findfont 20 scalefont setfont 72 72 moveto (text) show showpage\n")
            line.append(str(path))
        else:
            line.append(word.replace("OUT", str(out)))
    made = subprocess.run(line, capture_output=True, check=False, timeout=120, cwd=sources)
    if made.returncode or not out.exists():
        pytest.skip(f"{words[0]} here cannot make it: {made.stderr[-200:]!r}")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


def carved(data: bytes) -> list[Carved]:
    return list(carve(MemorySource(data), CARVERS))


BLIND = {  # the last: a file without its last end of line, or without its tags, is whole
    "ts",
    "m2ts",
    "aac",
    "loas",
    "ac3",
    "eac3",
    "dts",
    "mp2",
    "mp3",
    "flv",
    "amr",
    "awb",
    "dcm",
    "mpg",
    "vob",
    "y4m",
    "dv",
    "mkv",
    "rm",
    "eps",
    "ps",
    "wv",
    "tta",
}
"""Nothing marks their end: cut exactly between two frames they are whole."""
OPEN = {"mpg", "vob"}
"""Reported incomplete when neither an end mark nor fill follows."""
UNOWNED = {"ppm", "pgm", "pbm", "pam", "pfm", "dds", "ras", "sgi", "au", "cin", "dpx", "aifc", "pcx", "bmp"}
"""Nothing but the header states their length."""


def exactly_once(content: bytes, extension: str) -> None:
    """Between noise at an odd place, and between zeros on a sector: one find, exact; cut, none that is whole."""
    rng = random.Random(len(content))
    noise = rng.randbytes(40_000)
    for before, behind in (
        (b"", noise),
        (noise[:7777] + bytes(9), noise),
        (bytes(1024), bytes(5000)),
        (noise[:4096], bytes(70_001) + content),
    ):
        aligned = len(before) % 512 == 0
        finds = carved(before + content + behind)
        mine = [f for f in finds if f.offset == len(before)]
        if not mine and not aligned:
            assert any(s.align > 1 for c in CARVERS for s in c.signatures if s.matches(content[:4096])), extension
            continue
        assert [(f.length, f.extension) for f in mine] == [(len(content), extension)], (len(before), len(content), finds)
        assert mine[0].find.complete or (extension in OPEN and behind.strip(b"\0")), finds
        inside = [f for f in finds if len(before) < f.offset < len(before) + len(content)]
        assert not inside, finds
        assert not [
            f for f in finds if f.find.complete and not (f.offset == len(before) or f.offset == len(before) + len(content) + 70_001)
        ], finds
    for keep in (len(content) // 3, len(content) // 2, len(content) - 1):
        for find in carved(content[:keep]):
            if find.offset == 0 and find.find.complete:
                assert extension in BLIND, (keep, find)
                assert find.length <= keep


@pytest.mark.drivers
@pytest.mark.parametrize("name", RECIPES)
def test_what_other_programs_made(name: str, sources: Path) -> None:
    out = sources / name
    command, extension = RECIPES[name]
    run(command, out, sources)
    exactly_once(out.read_bytes(), extension)
