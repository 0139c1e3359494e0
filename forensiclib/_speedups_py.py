"""Plain Python twins of _speedups: the same names, the specification of each."""

from forensiclib._plain.gif import gif_codes as gif_codes
from forensiclib._plain.jpeg import jpeg_progressive as jpeg_progressive
from forensiclib._plain.jpeg import jpeg_scan as jpeg_scan
from forensiclib._plain.scan import SCAN_LEVELS as SCAN_LEVELS
from forensiclib._plain.scan import scan as scan
from forensiclib._plain.scan import scan_columns as scan_columns
from forensiclib._plain.scan import scan_compile as scan_compile
