"""A draft has what the file says, and is refused until its owner has said the rest."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from attribute_recovery.recognizer.card import read_recognizer_card
from attribute_recovery.recognizer.card_draft import draft_card, write_draft
from attribute_recovery.recognizer.card_fields import EXAMPLE
from attribute_recovery.tracking.digest import sha256_file

OWNERS = {"template", "channel_order", "value_range", "interpolation", "score", "licence"}

pytestmark = pytest.mark.usefixtures("catalogue")


def test_an_onnx_file_tells_its_sizes(tmp_path: Path, make_onnx: Callable[..., Any]) -> None:
    path = tmp_path / "gate.onnx"
    onnx.save(make_onnx(1), path)
    found = draft_card(str(path))
    assert list(found) == list(EXAMPLE)
    known = {
        "name": "gate",
        "architecture": "onnx",
        "crop_size": 16,
        "embedding_size": 6,
        "weights_sha256": sha256_file(path),
    }
    assert known.items() <= found.items()
    assert {name for name, value in found.items() if value is None} == OWNERS | {"channels"}


def test_an_exported_program_tells_its_sizes(tmp_path: Path, toy: nn.Module) -> None:
    path = tmp_path / "gate.pt2"
    torch.export.save(torch.export.export(toy, (torch.rand(1, 3, 16, 16),)), path)
    found = draft_card(str(path))
    assert (found["architecture"], found["crop_size"], found["embedding_size"]) == ("exported", 16, 6)


def test_a_checkpoint_tells_its_digest_only(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "a.pth")
    found = draft_card(str(tmp_path / "a.pth"))
    assert {name for name, value in found.items() if value is not None} == {
        "name",
        "precision",
        "data_sha256",
        "weights_sha256",
    }


def test_a_function_tells_the_digest_of_its_module(tmp_path: Path) -> None:
    path, left = write_draft("json.decoder:scanstring", tmp_path / "card.json")
    values = json.loads(path.read_text())
    assert (values["architecture"], len(values["weights_sha256"])) == ("python", 64)
    assert "channels" not in left


def test_a_draft_is_refused_until_the_rest_is_said(tmp_path: Path, make_onnx: Callable[..., Any]) -> None:
    onnx.save(make_onnx(), tmp_path / "gate.onnx")
    path, left = write_draft(str(tmp_path / "gate.onnx"))
    assert path == tmp_path / "gate.json"
    assert set(left) == OWNERS
    with pytest.raises(ValueError, match=r"gate\.json: field template: found None, allowed is an object"):
        read_recognizer_card(path)
    said = {name: EXAMPLE[name] for name in OWNERS}
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    assert read_recognizer_card(path).crop_size == 16


def test_nothing_is_written_over(tmp_path: Path, make_onnx: Callable[..., Any]) -> None:
    onnx.save(make_onnx(), tmp_path / "gate.onnx")
    (tmp_path / "gate.json").write_text("mine")
    with pytest.raises(ValueError, match=r"gate\.json: is there already"):
        write_draft(str(tmp_path / "gate.onnx"))
    assert (tmp_path / "gate.json").read_text() == "mine"
    with pytest.raises(ValueError, match=r"none\.onnx: is missing, allowed is a file or package"):
        draft_card(str(tmp_path / "none.onnx"))
