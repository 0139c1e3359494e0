from forensiclib._speedups_py import *
