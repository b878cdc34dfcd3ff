"""Known temperatures and known factors are found again."""

import numpy as np
import pytest
import torch

from attribute_recovery.attributes.calibration import calibrate, deviation_factor, temperature
from attribute_recovery.dataset.attributes import AttributeSchema


def sampled(count: int, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels drawn from their softmax."""
    random = torch.Generator().manual_seed(0)
    logits = 1.5 * torch.randn(count, classes, generator=random)
    return logits, torch.multinomial(torch.softmax(logits, 1), 1, generator=random)[:, 0]


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_a_known_temperature_is_found(factor: float, classes: int) -> None:
    logits, labels = sampled(4000, classes)
    assert temperature(logits * factor, labels) == pytest.approx(factor, rel=0.08)


def test_the_temperature_minimises_the_log_loss() -> None:
    logits, labels = sampled(500, 3)
    found = temperature(3 * logits, labels)
    grid = np.geomspace(0.2, 20, 400)
    losses = [float(torch.nn.functional.cross_entropy(3 * logits / t, labels)) for t in grid]
    assert found == pytest.approx(grid[int(np.argmin(losses))], rel=0.02)


def test_temperatures_stay_within_bounds() -> None:
    """Logits that are always right call for none at all, logits that say nothing for a boundless one."""
    labels = torch.tensor([0, 1, 0, 1])
    always_right = torch.nn.functional.one_hot(labels, 2).float() * 2 - 1
    assert 0.05 <= temperature(always_right, labels) < 0.5
    assert temperature(-always_right, labels) == 20.0


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_a_known_deviation_factor_is_found(factor: float) -> None:
    rng = np.random.default_rng(0)
    log_sd = torch.from_numpy(rng.uniform(-2, 1, 20000))
    mean = torch.from_numpy(rng.normal(size=20000))
    truth = mean + factor * torch.exp(log_sd) * torch.from_numpy(rng.normal(size=20000))
    assert deviation_factor(mean, log_sd, truth) == pytest.approx(factor, rel=0.02)


def test_the_deviation_factor_by_hand() -> None:
    found = deviation_factor(torch.zeros(2), torch.tensor([0.0, np.log(2.0)]), torch.tensor([3.0, 2.0]))
    assert found == pytest.approx(np.sqrt((9 + 1) / 2))


def test_deviations_are_bounded_as_the_heads_bound_them() -> None:
    found = deviation_factor(torch.zeros(1), torch.tensor([9.0]), torch.tensor([np.e**2]))
    assert found == pytest.approx(1.0)
    assert deviation_factor(torch.zeros(1), torch.zeros(1), torch.zeros(1)) == pytest.approx(0.05)


def test_every_attribute_gets_its_own_number(schema: AttributeSchema) -> None:
    binary, labels = sampled(4000, 2)
    categorical, classes = sampled(4000, 3)
    rng = np.random.default_rng(0)
    parts = {
        "brightness": torch.stack([torch.zeros(4000), torch.zeros(4000)], 1),
        "glasses": 2 * binary,
        "colour": 0.5 * categorical,
    }
    truth = {"brightness": 3 * rng.normal(size=4000), "glasses": labels.numpy(), "colour": classes.numpy()}
    found = calibrate(schema, parts, truth)
    assert list(found) == ["brightness", "glasses", "colour"]
    assert [found[name] for name in found] == pytest.approx([3.0, 2.0, 0.5], rel=0.08)


def test_images_without_a_value_do_not_count_and_excluded_attributes_stay(schema: AttributeSchema) -> None:
    random = torch.Generator().manual_seed(1)
    parts = {
        "brightness": torch.randn(200, 2, generator=random),
        "colour": torch.randn(200, 3, generator=random),
    }
    parts["glasses"] = torch.randn(200, 2, generator=random)
    truth = {
        "brightness": np.random.default_rng(0).standard_normal(200).astype(np.float32),
        "glasses": np.arange(200) % 2,
        "colour": np.arange(200) % 3,
    }
    known = np.arange(200) % 4 != 0
    expected = calibrate(
        schema,
        {name: part[torch.from_numpy(known)] for name, part in parts.items()},
        {name: column[known] for name, column in truth.items()},
    )
    missing = {
        "brightness": np.where(known, truth["brightness"], np.float32(np.nan)),
        "glasses": np.where(known, truth["glasses"], -1),
        "colour": truth["colour"],
    }
    found = calibrate(schema, parts, missing, {"colour"})
    assert found == {**expected, "colour": 1.0}
