"""Plain Python twins of _columns: the same names, the specification of each."""

from forensiclib._plain.bits import pack_bits as pack_bits
from forensiclib._plain.regf import marvin32 as marvin32
from forensiclib._plain.regf import regf_columns as regf_columns
from forensiclib._plain.regf import regf_walk as regf_walk
