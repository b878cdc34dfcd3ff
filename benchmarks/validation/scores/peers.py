"""Rates by pyeer and bob.measure of score files, in an environment of their own (`envs/benchmarks.txt`): both
want another numpy than the product. Run as a script: SCORES THRESHOLDS, JSON on standard output."""

import json
import sys
from typing import Any

import bob.measure
import bob.measure.load
import numpy as np
from pyeer.eer_stats import calculate_roc, get_eer_values


def rates_of(scores: str, thresholds: str) -> dict[str, Any]:
    """Both tools' FMR and FNMR at each threshold, and the rates between which each sees the equal error rate.

    Args:
        scores: file of two columns, −1 (impostor) or 1 (genuine) and the score.
        thresholds: file of one number a line.
    """
    negatives, positives = bob.measure.load.split(scores)
    taus = np.loadtxt(thresholds, ndmin=1)
    at_bob = np.array([bob.measure.farfrr(negatives, positives, tau) for tau in taus])
    crossing = bob.measure.eer_threshold(negatives, positives)
    bracket_bob = bob.measure.farfrr(negatives, positives, crossing)
    known, fmr, fnmr = calculate_roc(list(positives), list(negatives))
    # pyeer gives rates at scores that occur: at any other threshold those of the next higher one.
    place = np.searchsorted(known, taus)
    beyond = place == len(known)
    index = np.minimum(place, len(known) - 1)
    _, low, high, _ = get_eer_values(fmr, fnmr)
    return {
        "bob.measure": {
            "fmr": at_bob[:, 0].tolist(),
            "fnmr": at_bob[:, 1].tolist(),
            "eer": sorted(map(float, bracket_bob)),
        },
        "pyeer": {
            "fmr": np.where(beyond, 0.0, fmr[index]).tolist(),
            "fnmr": np.where(beyond, 1.0, fnmr[index]).tolist(),
            "eer": sorted(map(float, (low, high))),
        },
    }


if __name__ == "__main__":
    json.dump(rates_of(*sys.argv[1:3]), sys.stdout)
