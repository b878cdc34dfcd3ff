"""What the row of attacks says of images that pass, and of images that do not."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from benchmarks.validation.attacks import attacks
from benchmarks.validation.attacks.attack_chunks import CRITIC, PRODUCT, REBUILT
from benchmarks.validation.attacks.attacks import WAYS, Estimate, Judge, Judged, Rates, rates_of, real_rate

PEOPLE, EACH, D = 30, 4, 16


@pytest.fixture(autouse=True)
def few_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attacks, "REPLICATES", 60)


def unit(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def judge(tau: float = 0.5) -> Judge:
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.standard_normal((PEOPLE, D)), EACH, axis=0)
    real = unit(centres + 0.7 * rng.standard_normal(centres.shape))
    return Judge(tau, 1e-3, real, np.repeat([f"p{i}" for i in range(PEOPLE)], EACH).astype(object))


def decoded(noise: float) -> npt.NDArray[np.float32]:
    real = judge().real
    rng = np.random.default_rng(1)
    return unit(real + noise / np.sqrt(D) * rng.standard_normal(real.shape))


def concluded(monkeypatch: pytest.MonkeyPatch, noise: dict[str, float]) -> dict[str, Any]:
    by = {"f": judge(), CRITIC: judge()}
    quality = {"sharpness_ratio": 0.5, "band_power_ratio": [1.0, 0.9, 0.4, 0.3], "l1": 0.1}
    judged = Judged(
        {
            name: {way: rates_of(decoded(noise[name] if way == PRODUCT else 3.0), one) for way in WAYS}
            for name, one in by.items()
        },
        {name: real_rate(one) for name, one in by.items()},
        by,
        dict.fromkeys(WAYS, quality),
        {way: {PRODUCT: 0.12, REBUILT: None}.get(way, 0.0) for way in WAYS},
        0.2,
        (720, 10),
    )
    monkeypatch.setattr(attacks, "judged_of", lambda found: judged)
    return attacks.conclude({})


def test_images_that_embed_where_they_should_reach_the_goals(monkeypatch: pytest.MonkeyPatch) -> None:
    result = concluded(monkeypatch, {"f": 0.05, CRITIC: 0.1})
    assert [goal["reached"] for goal in result["goals"]] == [True, True, True, True]
    assert result["goals"][0]["measured"].startswith("1.000 (")
    by_f, by_critic, quality = result["tables"]
    assert [row[0] for row in by_f["rows"]] == [row[0] for row in by_critic["rows"]] == list(WAYS.values())
    assert [row[-1] for row in quality["rows"]] == ["0.120", "none", "none", "none", ""]
    assert quality["rows"][0][1:4] == ["0.50", "0.40", "0.30"]


def test_images_that_do_not_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    result = concluded(monkeypatch, {"f": 1.0, CRITIC: 0.1})
    assert [goal["reached"] for goal in result["goals"]] == [False, False, True, True]
    result = concluded(monkeypatch, {"f": 0.05, CRITIC: 2.0})
    assert [goal["reached"] for goal in result["goals"]] == [True, True, False, False]


def test_ratios_are_to_the_real_pairs() -> None:
    one = judge(0.6)
    rates, real = rates_of(decoded(0.5), one), real_rate(one)
    assert real.value is not None and 0.5 < real.value < 1
    for ratio, share in ((rates.type_1_ratio, rates.type_1), (rates.type_2_ratio, rates.type_2)):
        assert ratio.value is not None and share.value is not None
        assert ratio.value == pytest.approx(share.value / real.value)
        assert ratio.low is not None and ratio.high is not None and ratio.low < ratio.value < ratio.high
    perfect = rates_of(one.real, one)
    assert perfect.type_1.value == 1 and perfect.type_2_ratio.value == pytest.approx(1)


def test_where_no_real_pair_is_accepted_nothing_is_reached() -> None:
    rates: Rates = rates_of(decoded(0.5), judge(0.99999))
    assert rates.type_2_ratio.value is None and str(rates.type_1_ratio) == "not defined"
    assert not rates.type_2_ratio.at_least(0.0)
    assert str(Estimate(0.5, None, None)) == "0.500"
