"""Plain Python twins of _columns: the same names, the specification of each."""

from forensiclib._plain.bits import pack_bits as pack_bits
from forensiclib._plain.evtx import evtx_chunks as evtx_chunks
from forensiclib._plain.evtx_xml import evtx_xml as evtx_xml
