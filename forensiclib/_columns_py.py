"""Plain Python twins of _columns: the same names, the specification of each."""

from forensiclib._plain.bits import pack_bits as pack_bits
