"""Maps of a pair's score, and which region they mean."""

from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.validation.regions import region_maps
from benchmarks.validation.regions.region_maps import MAPS, SCORES, captum_attr, maps_of, scores_of

STAND_IN = Path(__file__).parent / "captum_stand_in"
SIDE = 16


@pytest.fixture
def captum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(region_maps.VARIABLE, str(STAND_IN))


class Corner:
    """f: mean colour of the upper left quarter as an angle, and nothing else."""

    device = torch.device("cpu")

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        angle = images[:, :, : SIDE // 2, : SIDE // 2].mean((1, 2, 3))
        return torch.stack([angle.cos(), angle.sin()], 1)


def test_missing_captum_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(region_maps.VARIABLE, "/nowhere")
    with pytest.raises(ValueError, match="/nowhere: captum is not there; `make validation` installs"):
        captum_attr()


def test_maps_lie_where_the_recognizer_looks(captum: None) -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 200, (3, SIDE, SIDE, 3), dtype=np.uint8)
    second = first + 55  # differs everywhere
    found = maps_of(Corner(), first, second)  # type: ignore[arg-type]
    assert set(found) == set(MAPS)
    for each in found.values():
        assert each.shape == (3, SIDE, SIDE) and (each >= 0).all()
        inside = each[:, : SIDE // 2, : SIDE // 2].sum((1, 2))
        assert (inside > 0.9 * each.sum((1, 2))).all()  # windows reach across the edge


def test_gradients_from_the_other_image_add_up_to_the_gap(captum: None) -> None:
    first, second = (np.full((1, SIDE, SIDE, 3), level, np.uint8) for level in (100, 190))
    apart = 90 / 127.5
    found = maps_of(Corner(), first, second)["gradients, from the other image"]  # type: ignore[arg-type]
    assert found.sum() == pytest.approx(1 - np.cos(apart), rel=1e-3)


def test_a_map_means_the_region_that_it_fills() -> None:
    masks = np.zeros((1, 4, SIDE, SIDE), bool)
    masks[0, 0, :4, :4] = True
    masks[0, 1, :8, :8] = True
    masks[0, 2] = True  # a region of everything tells nothing
    magnitudes = np.zeros((1, SIDE, SIDE))
    magnitudes[0, :8, :8] = 1.0
    found = scores_of(magnitudes, masks)
    assert set(found) == set(SCORES)
    for scores in found.values():
        assert np.isneginf(scores[0, 2:]).all()
        assert scores[0, 1] > 0
    assert found["correlation"].argmax() == 1 and found["overlap"].argmax() == 1
    assert found["overlap"][0, 1] == 1
    np.testing.assert_allclose(found["density"][0, :2], [1 - 48 / 240, 1])


def test_correlations_are_those_of_map_and_mask() -> None:
    rng = np.random.default_rng(1)
    magnitudes, masks = rng.random((2, SIDE, SIDE)), rng.random((2, 3, SIDE, SIDE)) < 0.3
    found = scores_of(magnitudes, masks)["correlation"]
    expected = np.array(
        [
            [np.corrcoef(each.ravel(), mask.ravel())[0, 1] for mask in own]
            for each, own in zip(magnitudes, masks, strict=True)
        ]
    )
    ratio = found / expected
    np.testing.assert_allclose(ratio, np.repeat(ratio[:, :1], 3, axis=1))


def test_magnitudes_are_sums_over_the_channels() -> None:
    given = torch.tensor([[[[1.0]], [[-3.0]], [[1.0]]]])
    assert region_maps._magnitude(given).tolist() == [[[1.0]]]
