from forensiclib._codecs_py import *
