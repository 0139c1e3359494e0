"""Files of every media type, made by other programs, between foreign bytes: one find, exact; cut short, never whole."""

from __future__ import annotations

import io
import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from forensiclib.carving.engine import Carved, carve
from forensiclib.catalog import load
from forensiclib.core.limits import Budget
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
    "a.cur": (f"{IM} -resize 32x32!", "cur"),
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
    "a.cin": (f"{IM} CIN:", "cin"),
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
    "b.djvu": ("djvm -c OUT DJVU DJVU", "djvu"),
    "a.eps": (f"{IM}", "eps"),
    "a.ps": (f"{IM}", "ps"),
    "a.dcm": ("img2dcm JPG OUT", "dcm"),
    "b.dcm": (f"{IM} DCM:", "dcm"),
    "a.svg": ("svg", "svg"),
    "a.heic": ("heif-enc PNG -o OUT", "heic"),
    "a.avif": ("avifenc PNG OUT", "avif"),
    # sound
    "a.wav": (f"{SOUND}", "wav"),
    "b.wav": (f"{SOUND} -write_bext 1 -metadata description=d", "wav"),
    "a.rf64": (f"{SOUND} -rf64 always -f wav", "rf64"),
    "a.w64": (f"{SOUND}", "w64"),
    "a.aif": (f"{SOUND}", "aif"),
    "a.aifc": (f"{SOUND} -c:a pcm_mulaw -f aiff", "aifc"),
    "b.aifc": (f"sox WAV OUT", "aifc"),
    "a.8svx": ("sox WAV OUT", "8svx"),
    "a.au": (f"{SOUND}", "au"),
    "b.au": ("sox WAV OUT", "au"),
    "a.caf": (f"{SOUND}", "caf"),
    "a.amr": ("sox WAV8 OUT", "amr"),
    "a.awb": ("sox WAV16 -C 3 OUT", "awb"),
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
    "a.mpg": (f"{VIDEO} -f mpeg", "mpg"),
    "a.vob": (f"{VIDEO} -f vob", "vob"),
    "a.dv": (f"{FF} -f lavfi -i testsrc=size=720x576:rate=25 -f lavfi -i sine=sample_rate=48000 -t 0.3 -shortest -target pal-dv", "dv"),
    "b.dv": (f"{FF} -f lavfi -i testsrc=size=720x480:rate=30000/1001 -f lavfi -i sine=sample_rate=48000 -t 0.3 -shortest -target ntsc-dv", "dv"),
    "a.ivf": (f"{VIDEO} -an -c:v libvpx", "ivf"),
    "a.y4m": (f"{VIDEO} -an", "y4m"),
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
