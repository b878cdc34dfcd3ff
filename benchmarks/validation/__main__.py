"""`python -m benchmarks.validation`: measures the rows and writes docs/validation.md."""

import argparse
import sys
from pathlib import Path

from attribute_recovery.tracking.digest import atomic_output
from benchmarks.validation.page import page, read_results
from benchmarks.validation.rows import ROWS, row_named
from benchmarks.validation.runner import ROOT, run_row

RESULTS = ROOT / "benchmarks" / "validation" / "results"
SCRATCH = ROOT / ".cache" / "validation"
PAGE = ROOT / "docs" / "validation.md"


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; 1 after a mistake, told in one sentence."""
    asked = _parser().parse_args(arguments)
    try:
        if not asked.page:
            chosen = [row_named(name) for name in asked.only] or [row for row in ROWS if row.module]
            results = SCRATCH / "quick-results" if asked.quick else RESULTS
            for row in chosen:
                path = run_row(
                    row,
                    seed=asked.seed,
                    quick=asked.quick,
                    processes=asked.processes,
                    results=asked.results or results,
                    scratch=asked.scratch,
                )
                print(f"written: {path}", flush=True)
        if not asked.quick:
            write_page(asked.results or RESULTS, PAGE)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def write_page(results: Path, path: Path) -> None:
    """Write the page of the results in a folder."""
    text = page(read_results(results))
    with atomic_output(path) as partial:
        partial.write_text(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.validation", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="ROW", help="one row; may be repeated")
    parser.add_argument("--quick", action="store_true", help="a few tiny draws, for the tests; no page")
    parser.add_argument("--page", action="store_true", help="write the page anew from what was measured")
    parser.add_argument("--processes", type=int, default=2, help="chunks at once (default 2)")
    parser.add_argument("--seed", type=int, default=1, help="of every draw (default 1)")
    parser.add_argument("--results", type=Path, help="folder of the results")
    parser.add_argument("--scratch", type=Path, default=SCRATCH, help="folder of unfinished runs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
