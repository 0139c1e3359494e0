"""Plain Python twins of _codecs: the same names, the specification of each."""

from forensiclib._plain.adc import adc as adc
from forensiclib._plain.elephant import elephant_decrypt as elephant_decrypt
from forensiclib._plain.gf256 import gf256_sum as gf256_sum
from forensiclib._plain.lzfse import lzfse as lzfse
from forensiclib._plain.lznt1 import lznt1 as lznt1
from forensiclib._plain.lzo import lzo1x as lzo1x
from forensiclib._plain.lzvn import lzvn as lzvn
from forensiclib._plain.lzx import lzx as lzx
from forensiclib._plain.rtime import rtime as rtime
from forensiclib._plain.runs import byte_runs as byte_runs
from forensiclib._plain.sectors import SECTOR_LEVELS as SECTOR_LEVELS
from forensiclib._plain.sectors import sectors_decrypt as sectors_decrypt
from forensiclib._plain.snappy import snappy as snappy
from forensiclib._plain.xpress import lzxpress as lzxpress
from forensiclib._plain.xpress import lzxpress_huffman as lzxpress_huffman
from forensiclib._plain.zlibscan import zlib_starts as zlib_starts
