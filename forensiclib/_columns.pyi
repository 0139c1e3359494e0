from forensiclib._columns_py import *
