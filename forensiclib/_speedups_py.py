"""Plain Python twins of _speedups: the same names, the specification of each."""

from forensiclib._plain.lznt1 import lznt1 as lznt1
from forensiclib._plain.marvin import marvin32 as marvin32
