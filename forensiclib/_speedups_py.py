"""Plain Python twins of _speedups: the same names, the specification of each."""

from forensiclib._plain.jpeg import jpeg_scan as jpeg_scan
from forensiclib._plain.lznt1 import lznt1 as lznt1
from forensiclib._plain.marvin import marvin32 as marvin32
from forensiclib._plain.scan import SCAN_LEVELS as SCAN_LEVELS
from forensiclib._plain.scan import scan as scan
from forensiclib._plain.scan import scan_compile as scan_compile
from forensiclib._plain.xpress import lzxpress as lzxpress
from forensiclib._plain.xpress import lzxpress_huffman as lzxpress_huffman
