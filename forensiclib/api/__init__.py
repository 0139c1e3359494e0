"""The staircase: from an image to records. The only floor that composes the others."""

from forensiclib.api.examining import examine as examine
from forensiclib.api.opening import OpenImage as OpenImage
from forensiclib.api.opening import OpenVolume as OpenVolume
from forensiclib.api.opening import Verification as Verification
from forensiclib.api.opening import open_image as open_image
from forensiclib.api.run import Run as Run
