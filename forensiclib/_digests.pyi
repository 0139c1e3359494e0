from forensiclib._digests_py import *
