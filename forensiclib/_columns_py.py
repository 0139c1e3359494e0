"""Plain Python twins of _columns: the same names, the specification of each."""

from forensiclib._plain.bitmap import clear_runs as clear_runs
from forensiclib._plain.bits import pack_bits as pack_bits
from forensiclib._plain.block_runs import block_runs as block_runs
from forensiclib._plain.evtx import evtx_chunks as evtx_chunks
from forensiclib._plain.evtx_xml import evtx_xml as evtx_xml
from forensiclib._plain.mft import mft_owners as mft_owners
from forensiclib._plain.mft import mft_scan as mft_scan
from forensiclib._plain.mft_index import index_names as index_names
from forensiclib._plain.mft_index import mft_lost as mft_lost
from forensiclib._plain.mft_index import mft_ranges as mft_ranges
from forensiclib._plain.mft_index import mft_verdicts as mft_verdicts
from forensiclib._plain.mft_listing import mft_listing as mft_listing
from forensiclib._plain.regf import regf_walk as regf_walk
from forensiclib._plain.regf_columns import regf_columns as regf_columns
