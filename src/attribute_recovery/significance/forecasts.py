"""What the stages before recovered, as this one takes it: one calibrated forecast an attribute, of held-out
images."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.recovery.forecast import ContinuousMarginal, Marginal, Tilted, marginals
from attribute_recovery.recovery.recover import TILT
from attribute_recovery.recovery.routes import ContinuousForecast, DiscreteForecast, Forecast
from attribute_recovery.statistics.inputs import FloatArray

# Prefix of the columns of recovered.parquet by route.
PREFIXES = {"decoder": "recovered", "probe": "probe"}


@dataclass(frozen=True)
class Recovered:
    """One attribute of n held-out images.

    Attributes:
        attribute: the attribute.
        route: "decoder" or "probe", whichever was better on `calibration`.
        forecast: p(a given z) by that route.
        truth: true values or class numbers (n,).
        marginal: the attribute's in the split `train`.
    """

    attribute: Attribute
    route: str
    forecast: Forecast
    truth: npt.NDArray[np.generic]
    marginal: Marginal

    def readouts(self) -> FloatArray:
        """What is read as numbers: the mean (n, 1), or the probabilities of all classes but the first (n,
        classes − 1)."""
        if isinstance(self.forecast, ContinuousForecast):
            return self.forecast.mean[:, None]
        return self.forecast.probabilities[:, 1:]

    def targets(self) -> FloatArray:
        """The truth in the same columns: values (n, 1), or 0 and 1 (n, classes − 1)."""
        return target_columns(self.attribute, self.truth)


def target_columns(attribute: Attribute, values: npt.ArrayLike) -> FloatArray:
    """Values (n,) as (n, 1), or class numbers (n,) as 0 and 1 for all classes but the first (n, classes −
    1); NaN where a value is missing."""
    if attribute.is_discrete:
        # The last row is that of −1.
        rows = np.concatenate([np.eye(attribute.n_classes), np.full((1, attribute.n_classes), np.nan)])
        return rows[np.asarray(values, dtype=np.int64)][:, 1:]
    return np.asarray(values, dtype=np.float64)[:, None]


def recovered_attributes(
    schema: AttributeSchema,
    recovered: pd.DataFrame,
    chosen: Mapping[str, str],
    population: Mapping[str, npt.ArrayLike],
    people: npt.ArrayLike,
) -> list[Recovered]:
    """The forecasts of the rows of a table.

    Args:
        schema: the attributes.
        recovered: rows of recovered.parquet, see `recovery.recover.recovered_table`, in which all of the
            attributes are known.
        chosen: "decoder" or "probe" by attribute.
        population: values of the split `train` by attribute, (m,) each.
        people: identities of these images, (m,).

    Raises:
        ValueError: a column is missing, a route is not known, or a continuous attribute has an atom.
    """
    truth, reference = schema.from_table(recovered), marginals(schema, population, people)
    return [
        Recovered(
            a,
            chosen[a.name],
            _forecast(a, recovered, chosen[a.name], reference[a.name]),
            truth[a.name],
            reference[a.name],
        )
        for a in schema
    ]


def _forecast(attribute: Attribute, recovered: pd.DataFrame, route: str, marginal: Marginal) -> Forecast:
    if route not in PREFIXES:
        raise ValueError(f"chosen.{attribute.name}: found {route!r}, allowed are {', '.join(PREFIXES)}")
    endings = attribute.categories if attribute.is_discrete else TILT
    names = [f"{PREFIXES[route]}.{attribute.name}.{ending}" for ending in endings]
    missing = [name for name in names if name not in recovered]
    if missing:
        raise ValueError(f"recovered: column {missing[0]!r} is missing")
    columns = recovered[names].to_numpy(np.float64)
    if attribute.is_discrete:
        return DiscreteForecast(columns / columns.sum(axis=1, keepdims=True))
    assert isinstance(marginal, ContinuousMarginal)
    location, scale, contamination = columns.T
    return ContinuousForecast.of(Tilted(location, scale, float(contamination[0]), marginal))
