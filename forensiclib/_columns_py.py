"""Plain Python twins of _columns: the same names, the specification of each."""

from forensiclib._plain.bits import pack_bits as pack_bits
from forensiclib._plain.regf import regf_walk as regf_walk
from forensiclib._plain.regf_columns import regf_columns as regf_columns
