"""The card is closed: what is wrong is one sentence with file, field, found and allowed."""

import json
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from attribute_recovery.recognizer.card import (
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
FIELDS = [field.name for field in fields(RecognizerCard)]


def _written(path: Path, **changes: object) -> Path:
    path.write_text(json.dumps(asdict(CARD) | changes))
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_recognizer_card(CARD, tmp_path / "card.json")
    assert read_recognizer_card(tmp_path / "card.json") == CARD


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
        ("score", "euclidean"),
        ("architecture", "iresnet"),
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
    with pytest.raises(ValueError, match=r"card\.json: is missing; .*weights_sha256 .*write_recognizer_card"):
        read_recognizer_card(tmp_path / "card.json")


def test_other_weights_than_the_cards_are_refused(tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    with pytest.raises(ValueError, match="is missing, expected the weights of recognizer 'toy'"):
        check_weights(CARD, weights)
    weights.write_bytes(b"a")
    with pytest.raises(ValueError, match=rf"found sha256 {sha256_file(weights)}, the card allows 0000"):
        check_weights(CARD, weights)
    check_weights(RecognizerCard(**{**CARD.__dict__, "weights_sha256": sha256_file(weights)}), weights)
