"""Plain Python twins of _digests: the same names, the specification of each."""

from forensiclib._plain.ctph import CTPH_LEVELS as CTPH_LEVELS
from forensiclib._plain.ctph import ctph_digest as ctph_digest
from forensiclib._plain.ctph import ctph_record as ctph_record
from forensiclib._plain.ctph import ctph_scores as ctph_scores
from forensiclib._plain.ctph import ctph_state as ctph_state
from forensiclib._plain.ctph import ctph_update as ctph_update
from forensiclib._plain.gear import gear_cuts as gear_cuts
from forensiclib._plain.hamming import hamming_distances as hamming_distances
from forensiclib._plain.hamming import hamming_pairs as hamming_pairs
from forensiclib._plain.hamming import square_distances as square_distances
from forensiclib._plain.marvin import marvin32 as marvin32
from forensiclib._plain.oldhash import old_digest as old_digest
from forensiclib._plain.oldhash import old_pbkdf2 as old_pbkdf2
from forensiclib._plain.pdq import pdq_hash as pdq_hash
from forensiclib._plain.pdq import picture_dct as picture_dct
from forensiclib._plain.tlsh import TLSH_LEVELS as TLSH_LEVELS
from forensiclib._plain.tlsh import tlsh_digest as tlsh_digest
from forensiclib._plain.tlsh import tlsh_distances as tlsh_distances
from forensiclib._plain.tlsh import tlsh_state as tlsh_state
from forensiclib._plain.tlsh import tlsh_update as tlsh_update
