"""The game of re-rendered heads: equal attributes give equal images; what f does not see is worth nothing."""

from dataclasses import dataclass

import numpy as np
import pytest

from attribute_recovery.counterfactuals import rendered
from attribute_recovery.counterfactuals.rendered import RenderedGame
from attribute_recovery.counterfactuals.shapley import shapley_values
from attribute_recovery.dataset.world.renderer import Renderer
from attribute_recovery.dataset.world.schema import SCHEMA

VALUES = {"light_elevation": 30.0, "hair_lightness": 0.3, "skin_tone": 0.5, "smile": 0.3}


@dataclass
class MeanColour:
    """f: the mean colour of the lower half, as seen from a gray, and a constant, as a direction."""

    asked: int = 0

    def embed_batches(self, images: np.ndarray) -> np.ndarray:
        self.asked += len(images)
        colour = np.column_stack([images[:, 16:].mean((1, 2)) - 110, np.full(len(images), 20.0)])
        return (colour / np.linalg.norm(colour, axis=1, keepdims=True)).astype(np.float32)


def head(**values: float) -> np.ndarray:
    """Encoded attributes (width,) of a head, classes by number."""
    columns = {name: [0 if SCHEMA[name].is_discrete else 0.0] for name in SCHEMA.names}
    return SCHEMA.encode(columns | {name: [value] for name, value in (VALUES | values).items()})[0]


@pytest.fixture(scope="module")
def game() -> RenderedGame:
    """Two pairs: one of skin, light and beard, one of the beard alone."""
    recognizer = MeanColour()
    own = np.stack([head(), head(beard=1)])
    wanted = np.stack([head(skin_tone=0.9, light_azimuth=40.0, beard=1, eye_color=2), head()])
    render = Renderer(32, 2, compiled=False).uint8
    others = recognizer.embed_batches(np.concatenate(list(render(wanted))))
    return RenderedGame(SCHEMA, render, recognizer, own, wanted, others)


def test_those_play_in_which_the_heads_differ(game: RenderedGame) -> None:
    names = [player.name for player in game.players]
    playing = [{names[k] for k in np.flatnonzero(row)} for row in game.playing]
    assert playing == [{"skin_tone", "light_azimuth", "beard", "eye_color"}, {"beard"}]


def test_values_add_up_to_what_is_missing_to_equal_images(game: RenderedGame) -> None:
    shares = shapley_values(game.worth, game.playing, antithetic_pairs=2, seed=1)
    np.testing.assert_allclose(shares.everyone, 1, atol=1e-6)
    images = np.concatenate(list(game.render(game.own)))
    scores = (game.recognizer.embed_batches(images) * game.others).sum(1)
    np.testing.assert_allclose(shares.nobody, scores, atol=1e-6)
    np.testing.assert_allclose(shares.values.sum(1), 1 - scores, atol=1e-6)
    names = [player.name for player in game.players]
    values = dict(zip(names, shares.values[0], strict=True))
    assert values["skin_tone"] > 1e-3
    assert values["eye_color"] == pytest.approx(0, abs=1e-6)  # the eyes are in the upper half
    beard = dict(zip(names, shares.values[1], strict=True))["beard"]
    assert beard == pytest.approx(1 - scores[1], abs=1e-6) and beard > 1e-3


def test_worths_do_not_depend_on_the_batch(game: RenderedGame, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    numbers, members = rng.integers(2, size=6), rng.random((6, len(game.players))) < 0.5
    whole = game.worth(numbers, members)
    monkeypatch.setattr(rendered, "BATCH", 4)
    np.testing.assert_allclose(game.worth(numbers, members), whole, atol=1e-6)
