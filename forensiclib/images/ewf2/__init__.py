"""EWF2: Ex01 and Lx01. Segments -> sections from the end -> tables -> media."""
