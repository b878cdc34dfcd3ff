"""The decision threshold τ: from a false match rate, as a deployed system has it, or from another experiment.

Whatever fixed it, what it does on the split `calibration` is counted, and no false match rate below 3/n is
claimed, n the distinct pairs of identities there.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from attribute_recovery.config_recognizers import ExperimentThreshold, FmrThreshold, ThresholdConfig
from attribute_recovery.embeddings.pairs import Pairs
from attribute_recovery.statistics.rates import false_match_rate, threshold_at_fmr

Kind = Literal["fmr", "value", "from"]


@dataclass(frozen=True)
class DecisionThreshold:
    """τ and what it stands on.

    Attributes:
        kind: the configuration's key that fixed it: "fmr", "value" or "from".
        value: τ; a pair is accepted when the cosine of its embeddings is at least this, in (−1, 1).
        requested_fmr: false match rate that was asked for; None where none was.
        fmr: the rate that may be claimed at τ: the one asked for, or what was counted, but never below
            `claimable_fmr`.
        achieved_fmr: share of the impostor pairs of `calibration` that τ accepts.
        claimable_fmr: 3/n, the smallest rate that the people of `calibration` can bear.
        n_pairs: impostor pairs of images on `calibration`.
        n_identity_pairs: distinct pairs of identities among them, n.
        distance: largest distance between embeddings before normalisation that the deployed system accepts,
            if its score is euclidean; else None.
        origin: experiment that τ was taken from; None if from none.
        weights_sha256: digest of the recognizer's weights.
    """

    kind: Kind
    value: float
    requested_fmr: float | None
    fmr: float
    achieved_fmr: float
    claimable_fmr: float
    n_pairs: int
    n_identity_pairs: int
    distance: float | None
    origin: str | None
    weights_sha256: str

    def to_json(self) -> dict[str, Any]:
        """As threshold.json has it."""
        return asdict(self)


@dataclass(frozen=True)
class Calibration:
    """What fixes a threshold.

    Attributes:
        impostors: pairs of two people on the split `calibration`.
        n_identities: people there.
        distances: between the embeddings of these pairs before normalisation, (n,) float64, if the card's
            score is euclidean; else None.
        typical_length: median length of embeddings before normalisation.
        weights_sha256: digest of the recognizer's weights.
    """

    impostors: Pairs
    n_identities: int
    distances: npt.NDArray[np.float64] | None
    typical_length: float
    weights_sha256: str


def fixed_threshold(settings: ThresholdConfig, calibration: Calibration, *, other: Path) -> DecisionThreshold:
    """Fix τ as the configuration says.

    Args:
        settings: of the recognizer.
        calibration: what it is fixed on, or counted on.
        other: threshold.json of the experiment that `from` names; unused by the other kinds.

    Returns:
        The threshold.

    Raises:
        ValueError: a value lies where no pair, or every pair, is accepted, or the other experiment has no
            threshold of this recognizer.
    """
    if isinstance(settings, FmrThreshold):
        return _at_rate(settings.fmr, calibration)
    if isinstance(settings, ExperimentThreshold):
        found = read_decision(other, settings.from_, calibration.weights_sha256)
        return _counted("from", found["value"], found["distance"], settings.from_, calibration)
    tau, distance = settings.value, None
    if calibration.distances is not None:
        distance = settings.value
        tau = cosine_of_distance(distance, calibration.typical_length)
    if not -1 < tau < 1:
        allowed = "-1 to 1, ends excluded: the card's score is cosine"
        if distance is not None:
            allowed = (
                f"more than 0 and less than {2 * calibration.typical_length:.4g}, twice the median length"
            )
        raise ValueError(f"threshold.value: found {settings.value:g}, allowed is {allowed}")
    return _counted("value", tau, distance, None, calibration)


def cosine_of_distance(distance: float, length: float) -> float:
    """The cosine of two embeddings of equal length at a distance: 1 − distance² / (2 length²).

    Args:
        distance: between embeddings before normalisation, 0 or more.
        length: of both.

    Returns:
        The cosine; below −1 where no two such embeddings are so far apart, above 1 where the distance is
        negative.

    >>> cosine_of_distance(1.0, 1.0)
    0.5
    """
    return 1 - math.copysign(distance**2, distance) / (2 * length**2)


def read_decision(path: Path, experiment: str, weights_sha256: str) -> dict[str, Any]:
    """Read another experiment's threshold.

    Args:
        path: its threshold.json.
        experiment: its name, for errors.
        weights_sha256: digest of the weights of the recognizer that is to use it.

    Returns:
        The fields of `DecisionThreshold`.

    Raises:
        ValueError: the file is not there or no threshold, or belongs to other weights.
    """
    where = f"threshold.from: experiment {experiment!r}"
    if not path.is_file():
        raise ValueError(
            f"{where}: {path} is missing; run that experiment first, with a recognizer of the same name"
        )
    try:
        found = json.loads(path.read_text("utf-8"))
        values = {name: found[name] for name in DecisionThreshold.__dataclass_fields__}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{where}: {path} is no threshold of this version; run that experiment again"
        ) from error
    if values["weights_sha256"] != weights_sha256:
        raise ValueError(
            f"{where}: found a threshold of weights {values['weights_sha256'][:12]}, allowed is one of the "
            f"same recognizer, {weights_sha256[:12]}"
        )
    return values


def identity_pairs(impostors: Pairs) -> int:
    """Distinct pairs of identities among impostor pairs."""
    low = np.minimum(impostors.identity_a, impostors.identity_b)
    high = np.maximum(impostors.identity_a, impostors.identity_b)
    return len(np.unique(low * (int(high.max()) + 1) + high))


def _at_rate(fmr: float, calibration: Calibration) -> DecisionThreshold:
    """Where impostors pass at most at the rate, or at the smallest claimable one."""
    pairs = identity_pairs(calibration.impostors)
    counts = {"n_identities": calibration.n_identities, "n_identity_pairs": pairs}
    found = threshold_at_fmr(calibration.impostors.scores, fmr, **counts)
    distance = None
    if calibration.distances is not None:
        distance = -threshold_at_fmr(-calibration.distances, fmr, **counts).value
    return DecisionThreshold(
        kind="fmr",
        value=found.value,
        requested_fmr=found.requested_fmr,
        fmr=found.fmr,
        achieved_fmr=found.achieved_fmr,
        claimable_fmr=min(1.0, 3 / pairs),
        n_pairs=found.n_pairs,
        n_identity_pairs=pairs,
        distance=distance,
        origin=None,
        weights_sha256=calibration.weights_sha256,
    )


def _counted(
    kind: Kind, tau: float, distance: float | None, origin: str | None, calibration: Calibration
) -> DecisionThreshold:
    """A threshold that is given; what it does on the split is counted."""
    pairs = identity_pairs(calibration.impostors)
    floor = min(1.0, 3 / pairs)
    achieved = false_match_rate(calibration.impostors.scores, tau)
    return DecisionThreshold(
        kind=kind,
        value=tau,
        requested_fmr=None,
        fmr=max(achieved, floor),
        achieved_fmr=achieved,
        claimable_fmr=floor,
        n_pairs=len(calibration.impostors.scores),
        n_identity_pairs=pairs,
        distance=distance,
        origin=origin,
        weights_sha256=calibration.weights_sha256,
    )
