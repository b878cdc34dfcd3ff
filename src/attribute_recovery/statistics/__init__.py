"""Ground floor of statistics: rates, intervals, dependence, permutations, false discovery, quality.

Arrays in; numbers, arrays and frozen dataclasses out. Nothing here knows of files, networks or attribute
names.
"""
