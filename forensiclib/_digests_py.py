"""Plain Python twins of _digests: the same names, the specification of each."""

from forensiclib._plain.marvin import marvin32 as marvin32
