"""Sections of the page about one recognizer: its rates, what is decoded, recovered, weighed and changed."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from attribute_recovery.report import sentences as say
from attribute_recovery.report.blocks import Block, Drawing, Points, Section, Text
from attribute_recovery.report.curve import det_svg
from attribute_recovery.report.domain import absent, picture, stands_on
from attribute_recovery.report.results import Results, Values, interval_of, lookup, real, whole
from attribute_recovery.report.tables import (
    counts_of,
    edits_table,
    largest,
    measure_table,
    moves_table,
    spread_table,
)
