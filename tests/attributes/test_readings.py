"""Labels before readings: what is merged, what is left out and told, what is calibrated."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from attribute_recovery.attributes.card import HeadsCard, checked_card
from attribute_recovery.attributes.heads import Estimates
from attribute_recovery.attributes.readings import (
    CALIBRATED_FROM,
    Readings,
    calibration_factors,
    measure_readings,
    merge_readings,
    moments,
    readings_of,
)
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema

COUNT = 60
EMPTY = AttributeSchema(())


@pytest.fixture
def card(card_values: dict[str, Any]) -> HeadsCard:
    return checked_card(card_values, Path("c.json"))


@pytest.fixture
def rows() -> pd.DataFrame:
    split = np.repeat(["train", "calibration", "test"], COUNT // 3)
    return pd.DataFrame({"image_id": [f"{i}" for i in range(COUNT)], "identity": split, "split": split})


def raw(seed: int = 0) -> torch.Tensor:
    """Read-outs of brightness (mean, log sd), glasses (off, on) and colour (three classes)."""
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(COUNT, 7))
    made[:, 0] = rng.uniform(0.1, 0.9, COUNT)
    return torch.from_numpy(made.astype(np.float32))


def test_what_is_read_fills_what_is_not_labelled(card: HeadsCard, rows: pd.DataFrame) -> None:
    glasses = Attribute(
        "glasses", "label", "binary", "image", "class", categories=("off", "on"), source="by eye"
    )
    rows["attribute.glasses"] = ["on", None] * (COUNT // 2)
    found = merge_readings(card, raw(), rows, AttributeSchema((glasses,)))
    assert found.schema.names == ["brightness", "glasses", "colour"]
    assert found.schema["glasses"].source == "by eye" and found.labelled == {
        "brightness": 0,
        "glasses": 30,
        "colour": 0,
    }
    read = raw()[:, 2:4].numpy().argmax(1)
    np.testing.assert_array_equal(found.values["glasses"][1::2], read[1::2])
    assert (found.values["glasses"][::2] == 1).all()
    assert found.labelled_rows(rows, "test", "glasses").tolist() == list(range(40, 60, 2))
    assert found.labelled_rows(rows, "test", "colour").tolist() == []
    table = readings_of(rows, found)
    assert list(table.columns) == [
        "image_id",
        "identity",
        "split",
        "attribute.brightness",
        "attribute.glasses",
        "attribute.colour",
    ]
    assert not table.isna().any().any()
    means, scales = moments(found)
    assert means["brightness"] == pytest.approx(float(raw()[:, 0].mean()), rel=1e-5)
    assert found.schema["brightness"].dose == pytest.approx(scales["brightness"])


def test_what_cannot_be_used_is_told(card: HeadsCard, rows: pd.DataFrame) -> None:
    hat = Attribute("hat", "label", "binary", "image", "class", categories=("off", "on"))
    rows["attribute.hat"] = "on"
    readouts = raw()
    readouts[:, 0] *= 3  # half of them above 1
    readouts[:, 3] = 99
    found = merge_readings(card, readouts, rows, AttributeSchema((hat,)))
    assert found.schema.names == ["brightness", "colour"]
    assert found.values["brightness"].max() == 1.0
    texts = " ".join(found.notes)
    assert "images brightness was read outside of its range 0 to 1 gray levels" in texts
    assert "The heads read the same glasses in every image" in texts
    assert "The labels hat are not used: no head reads them." in texts
    with pytest.raises(ValueError, match="^heads 'means': read the same in every image, for every attribute"):
        merge_readings(card, torch.zeros(COUNT, 7), rows, EMPTY)


def readings(card: HeadsCard, rows: pd.DataFrame) -> tuple[Readings, torch.Tensor]:
    """Everything labelled; heads that are twice too sure of brightness."""
    schema = card.schema_of()
    rng = np.random.default_rng(1)
    truth = {"brightness": rng.uniform(0, 1, COUNT), "glasses": rng.integers(0, 2, COUNT)}
    truth["colour"] = rng.integers(0, 3, COUNT)
    labelled = pd.concat([rows, schema.to_table(truth)], axis=1)
    readouts = raw(2)
    readouts[:, 0] = torch.from_numpy(truth["brightness"] + 0.2 * rng.normal(size=COUNT)).float()
    readouts[:, 1] = np.log(0.1)
    return merge_readings(card, readouts, labelled, schema), readouts


def test_labels_calibrate_where_there_are_enough(card: HeadsCard, rows: pd.DataFrame) -> None:
    found, readouts = readings(card, rows)
    assert COUNT // 3 == CALIBRATED_FROM
    factors, notes = calibration_factors(readouts, found, rows, {"brightness": 0.0}, {"brightness": 1.0})
    assert notes == [] and factors["brightness"] == pytest.approx(2.0, rel=0.5)
    held = found.labelled_rows(rows, "calibration", "brightness")
    errors = (found.values["brightness"][held] - readouts[held, 0].numpy()) / 0.1
    assert factors["brightness"] == pytest.approx(float(np.sqrt((errors**2).mean())), rel=1e-4)
    rows.loc[held[0], "split"] = "test"
    factors, notes = calibration_factors(readouts, found, rows, {"brightness": 0.0}, {"brightness": 1.0})
    assert set(factors.values()) == {1.0}
    assert notes[0].startswith(
        "How certain the heads are of brightness, glasses, colour was taken as they say"
    )


def test_figures_stand_on_labelled_images_of_the_test_people(card: HeadsCard, rows: pd.DataFrame) -> None:
    found, _ = readings(card, rows)
    perfect = Estimates(
        {"brightness": found.values["brightness"].astype(np.float32)},
        {"brightness": np.ones(COUNT, np.float32)},
        {name: np.eye(3, dtype=np.float32)[found.values[name]] for name in ("glasses", "colour")},
    )
    values = measure_readings(perfect, found, rows)
    assert values["r2"] == {"brightness": 1.0} and values["balanced_accuracy"] == {
        "glasses": 1.0,
        "colour": 1.0,
    }
    assert (values["n_images"], values["n_identities"], values["split"]) == (20, 1, "test")
    nothing = merge_readings(card, raw(), rows, EMPTY)
    assert measure_readings(perfect, nothing, rows) == {
        "r2": {},
        "balanced_accuracy": {},
        "n_images": 0,
        "n_identities": 0,
        "split": "test",
    }
