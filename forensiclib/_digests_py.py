"""Plain Python twins of _digests: the same names, the specification of each."""

from forensiclib._plain.blockhash import BLOCK_LEVELS as BLOCK_LEVELS
from forensiclib._plain.blockhash import block_digests as block_digests
from forensiclib._plain.blockset import digest_find as digest_find
from forensiclib._plain.blockset import digest_index as digest_index
from forensiclib._plain.blockset import digest_sort as digest_sort
from forensiclib._plain.blockverdict import BLOCK_VERDICTS as BLOCK_VERDICTS
from forensiclib._plain.blockverdict import block_measures as block_measures
from forensiclib._plain.marvin import marvin32 as marvin32
