"""Weights and cards come back as they were written, and whatever does not fit is named in a sentence."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from attribute_recovery.training.weights import load_into, read_card, read_weights, save_weights, write_card


def network() -> nn.Sequential:
    """Floating parameters, floating and integer buffers."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the weights go."""
    return tmp_path / "weights.safetensors"


def test_weights_come_back(path: Path) -> None:
    torch.manual_seed(1)
    written, read = network(), network()
    written[1].num_batches_tracked += 7
    save_weights(written, path)
    load_into(read, path)
    for name, value in written.state_dict().items():
        assert torch.equal(read.state_dict()[name], value)


def test_weights_are_stored_in_the_precision_asked_and_read_as_float32(path: Path) -> None:
    written = network()
    written[1].num_batches_tracked += 1_000_001  # bfloat16 could not hold it
    save_weights(written, path, dtype=torch.bfloat16)
    stored, read = load_file(path), read_weights(path)
    assert stored["0.weight"].dtype is torch.bfloat16
    assert int(stored["1.num_batches_tracked"]) == 1_000_001
    assert read["0.weight"].dtype is torch.float32
    torch.testing.assert_close(read["0.weight"], written[0].weight.detach(), rtol=2**-8, atol=0)


def test_missing_and_damaged_files(path: Path) -> None:
    with pytest.raises(ValueError, match=r"weights.safetensors: cannot be read as safetensors \("):
        read_weights(path)
    save_weights(network(), path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"weights.safetensors: cannot be read as safetensors \(.*\)$"):
        read_weights(path)


def test_a_tensor_too_few_too_many_or_of_another_shape_is_named(path: Path) -> None:
    module = network()
    tensors = {name: value.clone().contiguous() for name, value in module.state_dict().items()}

    save_file({name: value for name, value in tensors.items() if name != "0.bias"}, path)
    with pytest.raises(ValueError, match=r"tensor '0.bias' of shape \(4,\) is missing"):
        load_into(module, path)

    save_file(tensors | {"0.bias": torch.zeros(5)}, path)
    with pytest.raises(
        ValueError, match=r"tensor '0.bias': found shape \(5,\), the card's sizes make \(4,\)"
    ):
        load_into(module, path)

    save_file(tensors | {"2.bias": torch.zeros(5)}, path)
    with pytest.raises(
        ValueError, match="tensor '2.bias' does not belong to the network that the card describes"
    ):
        load_into(module, path)


def test_a_refused_file_changes_nothing(path: Path) -> None:
    module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    save_file({"0.weight": torch.zeros(4, 3, 3, 3)}, path)
    with pytest.raises(ValueError, match="is missing"):
        load_into(module, path)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_cards_come_back_and_equal_cards_are_equal_bytes(tmp_path: Path) -> None:
    values = {"size": 64, "channels": [1, 2], "share": 0.1, "name": "Zoë"}
    write_card(tmp_path / "a.json", values)
    write_card(tmp_path / "b.json", dict(reversed(values.items())))
    assert read_card(tmp_path / "a.json", set(values)) == values
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_cards_are_closed(tmp_path: Path) -> None:
    card = tmp_path / "card.json"
    with pytest.raises(ValueError, match=r"card.json: the weights' card cannot be read \(No such file"):
        read_card(card, {"a", "b"})
    card.write_text('{"a": 1')
    with pytest.raises(ValueError, match=r"card.json: is not JSON \("):
        read_card(card, {"a", "b"})
    card.write_text(json.dumps({"a": 1}))
    with pytest.raises(ValueError, match="card.json: key 'b' is missing; a card has a, b"):
        read_card(card, {"a", "b"})
    card.write_text(json.dumps({"a": 1, "b": 2, "c": 3}))
    with pytest.raises(ValueError, match="card.json: key 'c' is not known; a card has a, b"):
        read_card(card, {"a", "b"})
    assert read_card(card, {"a", "b"}, frozenset({"c", "d"})) == {"a": 1, "b": 2, "c": 3}
    with pytest.raises(ValueError, match="card.json: key 'b' is not known"):
        read_card(card, {"a"}, frozenset({"c"}))
    card.write_text("[1, 2]")
    with pytest.raises(ValueError, match="card.json: key 'a' is missing"):
        read_card(card, {"a", "b"})
