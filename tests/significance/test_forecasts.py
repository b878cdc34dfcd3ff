"""Forecasts read back from the table of recovered attributes."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.recovery.routes import ContinuousForecast, DiscreteForecast
from attribute_recovery.significance.forecasts import recovered_attributes, target_columns

ROUTES = {"length": "decoder", "yaw": "decoder", "glasses": "probe", "hair": "probe"}


@pytest.fixture(scope="module")
def listed(stage_files: dict[str, Path]) -> pd.DataFrame:
    return pd.read_parquet(stage_files["recovered"])


def test_the_chosen_route_is_read(schema: Any, listed: pd.DataFrame) -> None:
    population = schema.from_table(listed)
    found = {
        one.attribute.name: one
        for one in recovered_attributes(schema, listed, ROUTES, population, listed["identity"])
    }
    yaw, hair = found["yaw"].forecast, found["hair"].forecast
    assert isinstance(yaw, ContinuousForecast)
    assert isinstance(hair, DiscreteForecast)
    assert yaw.tilted is not None
    assert yaw.tilted.location == pytest.approx(listed["recovered.yaw.location"].to_numpy())
    assert np.corrcoef(yaw.mean, yaw.tilted.location)[0, 1] > 0.9
    assert (hair.probabilities.argmax(axis=1) == found["hair"].truth).all()
    assert found["hair"].readouts().shape == found["hair"].targets().shape == (36, 2)
    assert found["yaw"].readouts().shape == (36, 1)


def test_missing_columns_and_unknown_routes_are_refused(schema: Any, listed: pd.DataFrame) -> None:
    population = schema.from_table(listed)
    with pytest.raises(ValueError, match=r"probe\.yaw\.location"):
        recovered_attributes(schema, listed, ROUTES | {"yaw": "probe"}, population, listed["identity"])
    with pytest.raises(ValueError, match=r"chosen\.yaw: found 'guess'"):
        recovered_attributes(schema, listed, ROUTES | {"yaw": "guess"}, population, listed["identity"])


def test_target_columns_leave_out_the_first_class(schema: Any) -> None:
    assert target_columns(schema["hair"], [0, 1, 2]).tolist() == [[0, 0], [1, 0], [0, 1]]
    assert target_columns(schema["yaw"], [0.5]).tolist() == [[0.5]]


def test_missing_values_have_no_targets(schema: Any) -> None:
    assert np.isnan(target_columns(schema["hair"], [-1, 2])).tolist() == [[True, True], [False, False]]
    assert target_columns(schema["hair"], [1, 2, 0]).tolist() == [[1, 0], [0, 1], [0, 0]]
    assert np.isnan(target_columns(schema["yaw"], [np.nan, 2.0])).tolist() == [[True], [False]]
