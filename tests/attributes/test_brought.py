"""Brought heads as a network: outputs become the read-outs that trained heads give, forward only."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attribute_recovery.attributes.brought import BroughtHeads, is_brought, open_outputs
from attribute_recovery.attributes.card import checked_card
from attribute_recovery.generator.train import to_tensor
from attribute_recovery.recognizer.blackbox import BatchLimits
from attribute_recovery.recognizer.python_function import write_reference

NAMES = ["brightness", "glasses", "colour"]


def network(card: Any, outputs: Any, limits: BatchLimits | None = None, names: Any = None) -> BroughtHeads:
    return BroughtHeads(
        card,
        outputs,
        limits or BatchLimits(),
        attributes=names or NAMES,
        means={"brightness": 0.5},
        scales={"brightness": 0.2},
        image_size=16,
        images="as given",
    )


def test_an_onnx_file_gives_the_readouts_of_its_formulas(heads_file, nodes, world) -> None:
    path = heads_file.write(nodes)
    card = checked_card(json.loads(path.with_suffix(".json").read_text()), path)
    image = to_tensor(world[0][:7])
    found = network(card, *open_outputs(path, card))(image).numpy()
    means = world[0][:7].astype(np.float64).mean((1, 2)) / 255
    np.testing.assert_allclose(found[:, 0], (means.mean(1) - 0.5) / 0.2, atol=1e-4)
    np.testing.assert_allclose(found[:, 1], np.log(0.1 / 0.2), atol=1e-6)
    np.testing.assert_allclose(found[:, 2], 0)
    np.testing.assert_allclose(found[:, 3], 18 - 12 * means.sum(1), atol=1e-3)
    np.testing.assert_allclose(found[:, 4:], 30 * means, atol=1e-3)


def test_a_fixed_batch_is_filled_up(heads_file, nodes, world) -> None:
    path = heads_file.write(nodes)
    card = checked_card(json.loads(path.with_suffix(".json").read_text()), path)
    image = to_tensor(world[0][:7])
    free = network(card, *open_outputs(path, card))(image)
    fixed = type(heads_file)(path.with_name("fixed.onnx"), 4).write(nodes)
    outputs, limits = open_outputs(fixed, card)
    assert (limits.low, limits.high) == (4, 4)
    torch.testing.assert_close(network(card, outputs, limits)(image), free)


def test_attributes_may_be_some_of_the_cards_in_any_order(heads_file, nodes, world) -> None:
    path = heads_file.write(nodes)
    card = checked_card(json.loads(path.with_suffix(".json").read_text()), path)
    outputs, limits = open_outputs(path, card)
    image = to_tensor(world[0][:5])
    whole = network(card, outputs, limits)(image)
    part = network(card, outputs, limits, ["colour", "brightness"])(image)
    torch.testing.assert_close(part, torch.cat([whole[:, 4:], whole[:, :2]], 1))


@pytest.mark.parametrize(
    ("columns", "activation", "given", "logits"),
    [
        ([0], "logits", [[1.5]], [[0.0, 1.5]]),
        ([0], "probabilities", [[0.8]], [[np.log(0.2), np.log(0.8)]]),
        ([1, 0], "probabilities", [[0.8, 0.2]], [[np.log(0.2), np.log(0.8)]]),
        ([0, 1], "logits", [[0.3, -2.0]], [[0.3, -2.0]]),
        ([0], "probabilities", [[1.0]], [[np.log(1e-6), 0.0]]),
    ],
)
def test_binary_outputs_become_two_logits(card_values, columns, activation, given, logits) -> None:
    entry = card_values["attributes"][1] | {"columns": columns, "activation": activation, "output": None}
    card = checked_card(card_values | {"attributes": [entry]}, Path("c.json"))
    made = network(card, lambda crops: {"": np.array(given)}, names=["glasses"])
    np.testing.assert_allclose(made(torch.zeros(1, 3, 16, 16)), logits, atol=1e-6)


def test_a_second_column_is_the_standard_deviation(card_values) -> None:
    entry = card_values["attributes"][0] | {"columns": [1, 0], "sd": None}
    card = checked_card(card_values | {"attributes": [entry]}, Path("c.json"))
    made = network(card, lambda crops: {"brightness": np.array([[0.1, 0.7]])}, names=["brightness"])
    np.testing.assert_allclose(made(torch.zeros(1, 3, 16, 16)), [[1.0, np.log(0.5)]], atol=1e-5)


def test_crops_are_as_the_card_says(card_values) -> None:
    seen: list[Tensor] = []

    def outputs(crops: Tensor) -> dict[str, Any]:
        seen.append(crops)
        return {"brightness": crops.mean((1, 2, 3)), "classes": crops.new_ones(len(crops), 4)}

    card = checked_card(card_values | {"channel_order": "BGR", "crop_size": 8}, Path("c.json"))
    image = torch.full((2, 3, 16, 16), -1.0)
    image[:, 0] = 1.0
    network(card, outputs)(image)
    assert seen[0].shape == (2, 3, 8, 8)
    assert bool((seen[0][:, 2] == 1).all()) and bool((seen[0][:, :2] == 0).all())


def test_asking_for_a_gradient_fails_aloud(heads_file, nodes) -> None:
    path = heads_file.write(nodes)
    card = checked_card(json.loads(path.with_suffix(".json").read_text()), path)
    image = torch.zeros(1, 3, 16, 16, requires_grad=True)
    with pytest.raises(RuntimeError, match="heads 'means': are a black box and have no gradient"):
        network(card, *open_outputs(path, card))(image).sum().backward()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"other": np.zeros((2, 9)), "more": 0},
            "found the outputs 'other', 'more', the card asks",
        ),
        ({"brightness": np.zeros((3, 1))}, r"found shape \(3, 1\) for 2 images, allowed is \(2, k\)"),
        ({"brightness": np.zeros((2, 0))}, r"found shape \(2, 0\) for 2 images"),
        ({"brightness": object()}, "found object, allowed is an array of numbers"),
    ],
)
def test_other_outputs_are_one_sentence(card_values, given, says) -> None:
    card = checked_card(card_values, Path("c.json"))
    with pytest.raises(ValueError, match=f"^heads 'means': attribute brightness: {says}"):
        network(card, lambda crops: given)(torch.zeros(2, 3, 16, 16))


def test_a_graph_that_is_not_the_cards_is_refused(heads_file, nodes, card_values) -> None:
    path = heads_file.write(nodes)
    other = checked_card(card_values | {"crop_size": 32}, path)
    with pytest.raises(ValueError, match=r"found the inputs image .* allowed is one .* \(n, 3, 32, 32\)"):
        open_outputs(path, other)
    values = card_values | {"attributes": [card_values["attributes"][0] | {"output": "age"}]}
    with pytest.raises(ValueError, match="attribute brightness: found the outputs .* asks for 'age'"):
        open_outputs(path, checked_card(values, path))
    values = card_values | {"attributes": [card_values["attributes"][0] | {"output": None}]}
    with pytest.raises(ValueError, match="the card asks for None"):
        open_outputs(path, checked_card(values, path))
    path.write_bytes(b"no")
    with pytest.raises(ValueError, match="cannot be run in ONNX Runtime"):
        open_outputs(path, checked_card(card_values, path))


FUNCTIONS = """
import numpy as np

def by_name(images):
    assert images.dtype == np.float32
    return {"brightness": images.mean((1, 2, 3)), "classes": images.mean((2, 3)) @ np.ones((3, 4))}

def one(images):
    return images.mean((1, 2, 3))

def broken(images):
    raise OSError("no service")

def nothing(images):
    return {}
"""


def test_functions_give_arrays_or_arrays_by_name(card_values, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("heads_functions_of_a_test.py").write_text(FUNCTIONS)
    card = checked_card(card_values | {"format": "python"}, Path("c.json"))
    single = card_values["attributes"][0] | {"output": None}
    alone = checked_card(card_values | {"format": "python", "attributes": [single]}, Path("c.json"))
    image, path = torch.rand(3, 3, 16, 16) * 2 - 1, tmp_path / "reference"

    def run(name: str, described: Any, names: Any = None) -> Tensor:
        write_reference(f"heads_functions_of_a_test:{name}", path)
        result: Tensor = network(described, *open_outputs(path, described), names)(image)
        return result

    expected = (((image + 1) / 2).mean((1, 2, 3)) - 0.5) / 0.2
    torch.testing.assert_close(run("by_name", card)[:, 0], expected)
    torch.testing.assert_close(run("one", alone, ["brightness"])[:, 0], expected)
    with pytest.raises(ValueError, match=r"function '.*:broken': failed on images .*OSError: no service"):
        run("broken", card)
    with pytest.raises(ValueError, match="found no outputs, allowed are arrays by name"):
        run("nothing", card)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"source_sha256": "0" * 64}))
    with pytest.raises(ValueError, match="run the stage attributes again"):
        open_outputs(path, card)


def test_cards_of_the_results_tell_whether_heads_were_brought(tmp_path: Path) -> None:
    path = tmp_path / "heads.json"
    assert not is_brought(path)
    for text, found in (
        ("{", False),
        ("[]", False),
        ('{"channels": []}', False),
        ('{"brought": {}}', True),
    ):
        path.write_text(text)
        assert is_brought(path) is found
