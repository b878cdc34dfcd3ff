"""Edits in a world whose codes are linear in the attributes, a step in closed form, the rule end to end."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from attribute_recovery.attributes import edit as edit_module
from attribute_recovery.attributes import principal
from attribute_recovery.attributes.edit import (
    DAMPING,
    AttributeEditor,
    EditorNetworks,
    drawn_codes,
    fit_editor,
    load_editor,
    soft_encoding,
    train_editor,
)
from attribute_recovery.attributes.heads import AttributeEstimator
from attribute_recovery.attributes.networks import HeadsNetwork
from attribute_recovery.attributes.principal import PrincipalSpace
from attribute_recovery.attributes.train import train_heads
from attribute_recovery.config_attributes import Editor, Heads
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.dataset.store import read_images, write_array, write_table
from attribute_recovery.generator.load import load_generator
from attribute_recovery.training.loop import LoopSettings
from attribute_recovery.training.weights import write_card

Floats = npt.NDArray[np.float32]
CPU = torch.device("cpu")
CODE = 8


def linear_schema() -> AttributeSchema:
    """Two numbers and a switch."""
    return AttributeSchema(
        (
            Attribute("width", "shape", "continuous", "identity", "mm", (0.0, 10.0)),
            Attribute("yaw", "pose", "continuous", "image", "degrees", (-40.0, 40.0)),
            Attribute("beard", "appearance", "binary", "mixed", "", categories=("off", "on")),
        )
    )


def linear_world(count: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """Codes w = A ã + residual, encoded attributes a in their units, and A (8, 3) over standardised ã.

    A's columns are orthogonal to each other and to the residual, so any code's attributes can be read.
    """
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(np.random.default_rng(99).normal(size=(CODE, CODE)))[0]
    matrix = basis[:, :3] * np.array([1.0, 1.2, 2.0])
    encoded = np.stack([rng.uniform(0, 10, count), rng.normal(0, 15, count), rng.integers(0, 2, count)], 1)
    standard = (encoded - [5.0, 0.0, 0.0]) / [2.9, 15.0, 1.0]
    residual = rng.normal(size=(count, CODE - 3)) @ basis[:, 3:].T
    codes = standard @ matrix.T + residual
    return codes.astype(np.float32), encoded.astype(np.float32), matrix.astype(np.float32)


@pytest.fixture(scope="module")
def editor() -> AttributeEditor:
    """Fitted to 2000 codes of the linear world."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    codes, encoded, _ = linear_world(2000, 0)
    means, scales = np.array([5.0, 0.0, 0.0], np.float32), np.array([2.9, 15.0, 1.0], np.float32)
    torch.manual_seed(0)
    networks = EditorNetworks(3, CODE, 32)
    networks.covariance.copy_(torch.from_numpy(np.cov(codes.T)).float())
    loop = LoopSettings(
        steps=400, learning_rate=5e-3, warmup_steps=20, average=0.98, precision="float32", device="cpu"
    )
    settings = Editor(hidden=32, steps=400, iterations=3)
    fit_editor(networks, codes, (encoded - means) / scales, settings, loop, checkpoint=None)
    networks.requires_grad_(False)
    torch.set_num_threads(threads)
    low, high = {"width": 0.1, "yaw": -35.0}, {"width": 9.9, "yaw": 35.0}
    return AttributeEditor(
        linear_schema(), networks, torch.from_numpy(means), torch.from_numpy(scales), low, high, 3
    )


CHANGES = {"width": (0, 3.0), "yaw": (1, -15.0), "beard": (2, 1.0)}


@pytest.mark.parametrize("name", CHANGES)
def test_an_edit_moves_the_code_by_what_the_world_says_and_holds_the_rest(
    editor: AttributeEditor, name: str
) -> None:
    column, change = CHANGES[name]
    codes, encoded, matrix = linear_world(200, 1)
    if name == "beard":
        codes, encoded = codes[encoded[:, 2] == 0], encoded[encoded[:, 2] == 0]
    wanted = encoded.copy()
    wanted[:, column] += change
    moved = editor.edit(torch.from_numpy(codes), torch.from_numpy(encoded), torch.from_numpy(wanted)).numpy()
    step = change / float(editor.scales[column])
    expected = step * matrix[:, column]
    error = np.linalg.norm(moved - codes - expected, axis=1) / np.linalg.norm(expected)
    assert np.median(error) < 0.3
    read = (moved - codes) @ (matrix / (matrix**2).sum(0))  # the change of each standardised attribute
    assert np.abs(read[:, column] / step - 1).mean() < 0.2
    others = np.delete(read, column, axis=1)
    assert np.sqrt((others**2).mean()) < 0.12 * abs(step)


def test_an_edit_to_what_is_there_changes_nothing(editor: AttributeEditor) -> None:
    codes, encoded, _ = (torch.from_numpy(value) for value in linear_world(20, 2))
    torch.testing.assert_close(editor.edit(codes, encoded, encoded), codes, atol=1e-5, rtol=0)


def test_an_edit_does_not_depend_on_the_codes_beside_it(editor: AttributeEditor) -> None:
    codes, encoded, _ = (torch.from_numpy(value) for value in linear_world(20, 2))
    wanted = encoded + torch.tensor([1.0, 0.0, 0.0])
    alone = editor.edit(codes[7:8], encoded[7:8], wanted[7:8])
    torch.testing.assert_close(editor.edit(codes, encoded, wanted)[7:8], alone, atol=1e-4, rtol=0)


def test_attributes_are_read_in_their_units(editor: AttributeEditor) -> None:
    codes, encoded, _ = linear_world(300, 3)
    found = editor.read(torch.from_numpy(codes)).numpy()
    for column, scale in enumerate(editor.scales.tolist()):
        error = found[:, column] - encoded[:, column]
        assert np.sqrt((error**2).mean()) < 0.25 * scale
    standard = editor.standardise(torch.from_numpy(encoded))
    torch.testing.assert_close(standard * editor.scales + editor.means, torch.from_numpy(encoded))


class Linear(EditorNetworks):
    """R a known matrix, H nought: what is left is the Gauss-Newton step."""

    def __init__(self, matrix: Tensor, covariance: Tensor) -> None:
        super().__init__(len(matrix), matrix.shape[1], 4)
        reader = nn.Linear(matrix.shape[1], len(matrix), bias=False)
        reader.weight = nn.Parameter(matrix)
        self.reader = nn.Sequential(reader)
        self.covariance.copy_(covariance)

    def forward(self, encoded: Tensor) -> Tensor:
        """Nothing moves."""
        return torch.zeros(len(encoded), self.covariance.shape[0])


@pytest.mark.parametrize("iterations", [1, 2, 8])
def test_the_correction_is_the_smallest_step_in_mahalanobis_norm(iterations: int) -> None:
    """Δw = Σ Jᵀ (J Σ Jᵀ + λI)⁻¹ (Δa − J Δw), so many times, by numpy in double precision."""
    rng = np.random.default_rng(0)
    jacobian, root = rng.normal(size=(3, CODE)), rng.normal(size=(CODE, CODE)) / 3
    covariance = root @ root.T
    networks = Linear(torch.from_numpy(jacobian).float(), torch.from_numpy(covariance).float())
    editor = AttributeEditor(linear_schema(), networks, torch.zeros(3), torch.ones(3), {}, {}, iterations)
    code, change = rng.normal(size=(2, CODE)), rng.normal(size=(2, 3))
    found = editor.edit(torch.from_numpy(code).float(), torch.zeros(2, 3), torch.from_numpy(change).float())
    gain = covariance @ jacobian.T @ np.linalg.inv(jacobian @ covariance @ jacobian.T + DAMPING * np.eye(3))
    moved = np.zeros((2, CODE))
    for _ in range(iterations):
        moved += (change - moved @ jacobian.T) @ gain.T
    np.testing.assert_allclose(found.detach().numpy() - code, moved, atol=1e-4)
    if iterations == 8:
        np.testing.assert_allclose(moved @ jacobian.T, change, atol=0.02)
        weight = np.linalg.pinv(covariance)
        other = moved + (np.eye(CODE) - np.linalg.pinv(jacobian) @ jacobian)[0]  # reads the same
        assert moved[0] @ weight @ moved[0] < other[0] @ weight @ other[0]


def test_drawn_codes() -> None:
    codes = np.random.default_rng(0).normal(size=(50, CODE)).astype(np.float32)
    found = drawn_codes(codes, 120, np.random.default_rng(7))
    assert found.shape == (120, CODE) and found.dtype == np.float32
    assert np.array_equal(found, drawn_codes(codes, 120, np.random.default_rng(7)))
    assert not np.array_equal(found, drawn_codes(codes, 120, np.random.default_rng(8)))


def test_drawn_codes_lie_between_two_and_nearer_to_one() -> None:
    """Between two points 100 apart, with noise of 0.1."""
    codes = np.zeros((2, 3), np.float32)
    codes[1, 0] = 100
    found = drawn_codes(codes, 4000, np.random.default_rng(0))
    along = np.minimum(found[:, 0], 100 - found[:, 0])
    assert along.min() > -0.6 and 39 < along.max() < 40.6
    assert (along > 1).mean() == pytest.approx(0.5 * (1 - 1 / 40), abs=0.03)  # half the pairs are the same
    assert found[:, 1:].std() == pytest.approx(0.1, rel=0.05)


def test_soft_encoding_has_the_schemas_columns(schema: AttributeSchema) -> None:
    torch.manual_seed(0)
    network = HeadsNetwork(schema, 16, [8, 12], 4)
    torch.nn.init.normal_(network.readout.weight)
    ones = dict.fromkeys(schema.names, 1.0)
    estimator = AttributeEstimator(
        schema, network, {"brightness": 5.0}, {"brightness": 2.0}, ones, CPU, torch.float32
    )
    image = torch.randn(6, 3, 16, 16)
    found, estimates = soft_encoding(estimator, image), estimator.estimate(image)
    assert found.shape == (6, schema.width) and found.dtype == np.float32
    np.testing.assert_array_equal(found[:, 0], estimates.mean["brightness"])
    np.testing.assert_array_equal(found[:, 1], estimates.probabilities["glasses"][:, 1])
    np.testing.assert_array_equal(found[:, 2:], estimates.probabilities["colour"])


@pytest.fixture
def trained(experiment: Any, tmp_path: Path) -> Any:
    """A call of the rule, its outputs in a folder of that name."""
    heads, codes = tmp_path / "heads.safetensors", tmp_path / "codes.bcolz"
    train_heads(
        Heads(source="train", trunk=(8, 12), steps=5, batch_size=16, learning_rate=5e-3, augmentation=0.0),
        1,
        experiment.compute,
        images=experiment.images,
        table=experiment.table,
        attributes=experiment.attributes,
        generator_weights=experiment.generator_weights,
        generator_card=experiment.generator_card,
        weights=heads,
        card=tmp_path / "heads.json",
        metrics=tmp_path / "metrics.json",
        checkpoint=tmp_path / "heads-checkpoint.safetensors",
    )
    generator = load_generator(experiment.generator_weights, experiment.generator_card, CPU, torch.float32)
    found = generator.encode_images(read_images(experiment.images))
    write_array(codes, [found], (6,), np.float32, len(found))

    def call(name: str, seed: int = 1) -> tuple[dict[str, Any], Path]:
        folder = tmp_path / name
        folder.mkdir()
        result = train_editor(
            Editor(hidden=12, steps=8, iterations=2),
            seed,
            experiment.compute,
            table=experiment.table,
            attributes=experiment.attributes,
            codes=codes,
            generator_weights=experiment.generator_weights,
            generator_card=experiment.generator_card,
            heads_weights=heads,
            heads_card=tmp_path / "heads.json",
            weights=folder / "editor.safetensors",
            card=folder / "editor.json",
            checkpoint=folder / "checkpoint.safetensors",
        )
        return result, folder

    return call


def test_the_rule_writes_an_editor_that_loads(trained: Any, schema: AttributeSchema, world: Any) -> None:
    result, folder = trained("editor")
    assert result == {"drawn_codes": 80}  # one for each image of the split `train`
    assert {path.name for path in folder.iterdir()} == {"editor.safetensors", "editor.json"}
    editor = load_editor(folder / "editor.safetensors", folder / "editor.json", CPU)
    fitted = world[1]["brightness"][:80].astype(np.float64)
    assert editor.schema == schema and editor.iterations == 2
    assert editor.low["brightness"] == pytest.approx(np.quantile(fitted, 0.01))
    assert editor.high["brightness"] == pytest.approx(np.quantile(fitted, 0.99))
    assert editor.means.tolist() == pytest.approx([fitted.mean(), 0, 0, 0, 0], rel=1e-5)
    assert editor.scales.tolist() == pytest.approx([fitted.std(), 1, 1, 1, 1], rel=1e-5)
    found = editor.edit(torch.zeros(3, 6), torch.zeros(3, 5), torch.ones(3, 5))
    assert found.shape == (3, 6) and bool(found.isfinite().all()) and bool(found.any())
    assert not torch.equal(editor.networks.covariance, torch.eye(6))


def test_long_codes_are_edited_along_their_principal_components(
    trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same world with the bound below its six numbers a code."""
    monkeypatch.setattr(edit_module, "LONGEST_CODE", 5)
    monkeypatch.setattr(principal, "MOST_COMPONENTS", 3)
    result, folder = trained("long")
    assert result["drawn_codes"] == 80 and 0.3 < result["kept_variance"] < 1
    editor = load_editor(folder / "editor.safetensors", folder / "editor.json", CPU)
    space = editor.networks.space
    assert (
        space is not None
        and len(space.deviations) == json.loads((folder / "editor.json").read_text())["components"]
    )
    code, outside = torch.randn(3, 6), torch.randn(3, 6)
    outside = outside - space.moved(torch.zeros(3, 6), space.within(space.centre + outside))
    current, wanted = torch.zeros(3, 5), torch.ones(3, 5)
    found = editor.edit(code, current, wanted)
    assert bool((found - code).abs().sum(1).gt(0).all())
    # What the space does not hold of a code changes nothing, and is not changed.
    torch.testing.assert_close(
        editor.edit(code + outside, current, wanted) - outside, found, atol=1e-3, rtol=1e-3
    )
    torch.testing.assert_close(editor.edit(code, current, current), code, atol=1e-3, rtol=1e-3)
    assert editor.read(code).shape == (3, 5)


def test_an_edit_along_components_is_the_edit_in_the_space() -> None:
    """With all directions, and rotated, R reads the same and an exact edit does the same."""
    jacobian = torch.randn(2, 3)
    turn = torch.linalg.qr(torch.randn(3, 3))[0]
    plain = Linear(jacobian, torch.eye(3))
    turned = Linear(jacobian @ turn.T, torch.eye(3))
    turned.space = PrincipalSpace(3, 3)
    turned.space.directions.copy_(turn)
    ones, zeros = torch.ones(2), torch.zeros(2)
    editors = [AttributeEditor(None, networks, zeros, ones, {}, {}, 3) for networks in (plain, turned)]  # type: ignore[arg-type]
    code, current, wanted = torch.randn(4, 3), torch.zeros(4, 2), torch.randn(4, 2)
    first, second = (editor.edit(code, current, wanted) for editor in editors)
    torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)


def test_the_same_seed_gives_the_same_bytes(trained: Any) -> None:
    def digest(folder: Path) -> str:
        return hashlib.sha256((folder / "editor.safetensors").read_bytes()).hexdigest()

    torch.manual_seed(123)
    once = digest(trained("once")[1])
    torch.manual_seed(456)
    assert digest(trained("again")[1]) == once
    assert digest(trained("other", seed=2)[1]) != once


def test_files_that_do_not_fit_are_refused(trained: Any) -> None:
    _, folder = trained("editor")
    weights, path = folder / "editor.safetensors", folder / "editor.json"
    card = json.loads(path.read_text())

    def refused(change: dict[str, Any], sentence: str) -> None:
        write_card(path, card | change)
        with pytest.raises(ValueError, match=sentence):
            load_editor(weights, path, CPU)

    refused({"hidden": 13}, "editor.safetensors: tensor 'mean_code.0.weight': found shape")
    refused({"code_size": 7}, "editor.safetensors: tensor 'covariance': found shape")
    refused({"attributes": card["attributes"][:1]}, "editor.safetensors: tensor 'mean_code.0.weight'")
    refused({"other": 1}, "editor.json: key 'other' is not known")
    write_card(path, card)
    weights.write_bytes(b"")
    with pytest.raises(ValueError, match="editor.safetensors: cannot be read as safetensors"):
        load_editor(weights, path, CPU)


def test_missing_labels_are_read_and_do_not_enter_means_and_ranges(
    trained: Any, experiment: Any, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pd.read_parquet(experiment.table)
    gone = np.random.default_rng(2).random(160) < 0.4
    table["attribute.brightness"] = table["attribute.brightness"].mask(gone)
    table["attribute.glasses"] = table["attribute.glasses"].mask(table["identity"] != "train-0001")
    write_table(table, experiment.table)
    seen: list[Any] = []
    fit = edit_module.fit_editor
    monkeypatch.setattr(edit_module, "fit_editor", lambda *a, **b: (seen.append(a[2]), fit(*a, **b)))
    _, folder = trained("editor")
    editor = load_editor(folder / "editor.safetensors", folder / "editor.json", CPU)
    fitted = world[1]["brightness"][:80][~gone[:80]].astype(np.float64)
    assert editor.low["brightness"] == pytest.approx(np.quantile(fitted, 0.01))
    assert float(editor.means[0]) == pytest.approx(fitted.mean(), rel=1e-5)
    assert float(editor.scales[0]) == pytest.approx(fitted.std(), rel=1e-5)
    assert [attribute.editable for attribute in editor.schema] == [True, False, True]
    encoded = seen[0][:80]
    assert np.isfinite(encoded).all()
    known = ~gone[:80]
    assert encoded[known, 0] == pytest.approx((fitted - fitted.mean()) / fitted.std(), abs=1e-4)
    assert 0 < encoded[10, 1] < 1  # a probability that heads read
    assert set(encoded[4:8, 1]) <= {0.0, 1.0}  # the one person whose glasses are known
