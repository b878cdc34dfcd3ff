"""The card is closed: what is wrong is one sentence with file, field, found and allowed."""

import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from attribute_recovery.recognizer import card_fields
from attribute_recovery.recognizer.card import (
    Fitted,
    RecognizerCard,
    Template,
    check_weights,
    read_recognizer_card,
    write_recognizer_card,
)
from attribute_recovery.tracking.digest import sha256_file

CARD = RecognizerCard(
    name="toy",
    architecture="residual",
    channels=(8, 16),
    crop_size=16,
    template=Template(0.44, 0.265),
    channel_order="RGB",
    value_range=(-1.0, 1.0),
    interpolation="bilinear",
    embedding_size=16,
    precision="float32",
    score="cosine",
    data_sha256="",
    licence="MIT",
    weights_sha256="0" * 64,
)
FIELDS = [field.name for field in fields(RecognizerCard) if field.name != "fitted"]
FITTED = Fitted("arcface", "converted", ("They agree.",), True, "1" * 64)

pytestmark = pytest.mark.usefixtures("catalogue")


def _written(path: Path, **changes: object) -> Path:
    path.write_text(json.dumps(asdict(CARD) | changes))
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fitted": FITTED},
        {"fitted": replace(FITTED, images=Template(0.3, 0.2), notes=())},
        {"architecture": "toynet", "channels": None, "template": "arcface"},
        {"architecture": "onnx", "channels": None, "template": "as given", "channel_order": "gray"},
        {"architecture": "python", "channels": None, "weights_sha256": "", "score": "euclidean"},
        {"architecture": "torchscript", "channels": None, "interpolation": "area", "precision": "bf16"},
    ],
)
def test_what_is_written_is_read_back(tmp_path: Path, changes: dict[str, object]) -> None:
    card = replace(CARD, **changes)
    write_recognizer_card(card, tmp_path / "card.json")
    assert read_recognizer_card(tmp_path / "card.json") == card


def test_a_card_that_somebody_wrote_needs_no_findings(tmp_path: Path) -> None:
    values = asdict(CARD)
    del values["fitted"]
    (tmp_path / "card.json").write_text(json.dumps(values))
    assert read_recognizer_card(tmp_path / "card.json") == CARD


def test_the_example_is_a_card(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text(json.dumps(card_fields.EXAMPLE | {"weights_sha256": "0" * 64}))
    assert read_recognizer_card(tmp_path / "card.json").template == "arcface"


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_is_required(tmp_path: Path, name: str) -> None:
    values = asdict(CARD)
    del values[name]
    path = tmp_path / "card.json"
    path.write_text(json.dumps(values))
    with pytest.raises(
        ValueError, match=rf"card\.json: field {name}: is missing, found .*allowed are name, "
    ):
        read_recognizer_card(path)


def test_an_unknown_field_is_refused_with_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"field crop: is not known, found 112; allowed are name, architecture"
    ):
        read_recognizer_card(_written(tmp_path / "card.json", crop=112))


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_refuses_a_value_of_another_kind(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"field {name}: found \{{'a': 1\}}, allowed is|field template\.a: is not known"
    ):
        read_recognizer_card(_written(tmp_path / "card.json", **{name: {"a": 1}}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("channel_order", "GRB"),
        ("precision", "float16"),
        ("score", "angle"),
        ("architecture", "iresnet"),
        ("template", "ours"),
        ("interpolation", "nearest"),
        ("channels", None),
        ("channel_order", "gray"),
        ("weights_sha256", ""),
        ("crop_size", True),
        ("embedding_size", 0),
        ("value_range", [1.0, -1.0]),
        ("channels", []),
        ("weights_sha256", "0" * 63),
        ("data_sha256", "unknown"),
        ("licence", " "),
    ],
)
def test_values_out_of_range_are_refused(tmp_path: Path, name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"field {name}: found .*, allowed is "):
        read_recognizer_card(_written(tmp_path / "card.json", **{name: value}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"architecture": "onnx"},
            r"field channels: found \[8, 16\], allowed is null for architecture 'onnx'",
        ),
        (
            {"architecture": "onnx", "channels": None, "precision": "bf16"},
            "field precision: found 'bf16', allowed is 'float32' for architecture 'onnx', which runs as it",
        ),
        (
            {"architecture": "toynet", "channels": None, "channel_order": "gray"},
            "field channel_order: found 'gray', allowed is 'RGB' or 'BGR' for architecture 'toynet'",
        ),
    ],
)
def test_fields_that_contradict_each_other_are_refused(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=rf"card\.json: {said}"):
        read_recognizer_card(_written(tmp_path / "card.json", **changes))


def test_an_unknown_architecture_is_told_all_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="found 'facenet', allowed is 'residual' or 'toynet' or 'onnx' or 'exported' or "
    ):
        read_recognizer_card(_written(tmp_path / "card.json", architecture="facenet"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gradients": "some"}, "gradients: found 'some', allowed is 'own' or 'converted' or 'none'"),
        ({"notes": [3]}, r"notes: found \[3\], allowed is a list of texts"),
        ({"runs_user_code": 1}, "runs_user_code: found 1, allowed is true or false"),
        ({"source_sha256": "abc"}, "source_sha256: found 'abc', allowed is 64"),
        ({"images": "ours"}, "images: found 'ours', allowed is an object"),
        ({"images": {"eye_level": 0.4}}, "images.eye_span: is missing"),
        ({"images": {"eye_level": 0.4, "eye_span": 2}}, "images.eye_span: found 2, allowed is a number"),
        ({"more": 1}, "more: is not known"),
    ],
)
def test_findings_are_checked_too(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=rf"card\.json: field fitted\.{said}"):
        read_recognizer_card(_written(tmp_path / "card.json", fitted=asdict(FITTED) | changes))
    with pytest.raises(ValueError, match=r"field fitted: found 3, allowed is null or an object"):
        read_recognizer_card(_written(tmp_path / "card.json", fitted=3))


@pytest.mark.parametrize("place", [0.0, 1.0, "a", None, float("nan")])
def test_the_template_lies_inside_the_crop(tmp_path: Path, place: object) -> None:
    path = _written(tmp_path / "card.json", template={"eye_level": 0.4, "eye_span": place})
    with pytest.raises(ValueError, match=r"field template\.eye_span: found .*between 0 and 1"):
        read_recognizer_card(path)


@pytest.mark.parametrize("text", ["{", "[]", "3"])
def test_what_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "card.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"card\.json: .*allowed is a JSON object"):
        read_recognizer_card(path)


def test_a_missing_card_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as raised:
        read_recognizer_card(tmp_path / "card.json")
    assert "card.json: is missing; weights are only loaded with their card" in str(raised.value)
    assert "`attribute-recovery card FILE` writes a draft" in str(raised.value)
    assert json.dumps(card_fields.EXAMPLE) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_other_weights_than_the_cards_are_refused(tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    with pytest.raises(ValueError, match="is missing, expected the weights of recognizer 'toy'"):
        check_weights(CARD, weights)
    weights.write_bytes(b"a")
    with pytest.raises(ValueError, match=rf"found sha256 {sha256_file(weights)}, the card allows 0000"):
        check_weights(CARD, weights)
    check_weights(RecognizerCard(**{**CARD.__dict__, "weights_sha256": sha256_file(weights)}), weights)
