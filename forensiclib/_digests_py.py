"""Plain Python twins of _digests: the same names, the specification of each."""

from forensiclib._plain.marvin import marvin32 as marvin32
from forensiclib._plain.sums import SUM_LEVELS as SUM_LEVELS
from forensiclib._plain.sums import SUM_SHA as SUM_SHA
from forensiclib._plain.sums import sum_begin as sum_begin
from forensiclib._plain.sums import sum_finish as sum_finish
from forensiclib._plain.sums import sum_update as sum_update
