"""The card of brought heads: the example is allowed, whatever is wrong is one sentence."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from attribute_recovery.attributes.card import EXAMPLE, HeadsCard, checked_card, read_heads_card
from attribute_recovery.recognizer.template import Template

GONE = object()


def changed(values: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    made = copy.deepcopy(values)
    *above, last = key.split(".")
    inner: Any = made
    for part in above:
        inner = inner[int(part) if part.isdigit() else part]
    if value is GONE:
        del inner[last]
    else:
        inner[last] = value
    return made


def test_the_example_is_allowed_but_for_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "heads.json"
    path.write_text(json.dumps(EXAMPLE | {"weights_sha256": "0" * 64}))
    card = read_heads_card(path)
    assert card.schema_of().names == ["glasses", "age"]
    assert checked_card(card.model_dump(mode="json"), path) == card


def test_the_schema_is_what_the_card_declares(card_values: dict[str, Any]) -> None:
    schema = checked_card(card_values, Path("c.json")).schema_of()
    assert [(a.kind, a.level, a.categories) for a in schema] == [
        ("continuous", "image", ()),
        ("binary", "image", ("off", "on")),
        ("categorical", "identity", ("red", "green", "blue")),
    ]
    assert schema["brightness"].unit == "gray levels" and schema["brightness"].range == (0.0, 1.0)
    assert {a.source for a in schema} == {"heads means"}


def test_crops_are_prepared_by_the_cards_fields(card_values: dict[str, Any]) -> None:
    eyes = {"eye_level": 0.4, "eye_span": 0.3}
    card = checked_card(card_values | {"template": eyes, "channel_order": "BGR"}, Path("c.json"))
    crops = card.crops("arcface")
    assert crops.template == Template(0.4, 0.3) and crops.channel_order == "BGR"
    assert crops.fitted is not None and crops.fitted.images == "arcface"
    assert (crops.crop_size, crops.value_range, crops.embedding_size) == (16, (0.0, 1.0), 5)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("crop_size", 0, "key crop_size: found 0, allowed is 1 or more"),
        ("colour", 1, "key colour: is not known; allowed are attributes, channel_order"),
        ("licence", GONE, "key licence: found nothing, allowed is a value"),
        ("template", "eyes", "key template: found 'eyes', allowed is an object with eye_level and eye_span"),
        ("template", {"eye_level": 2, "eye_span": 0.3}, "key template: found {'eye_level': 2"),
        ("value_range", [1.0, 0.0], r"key value_range: found \[1, 0\], allowed is a smaller number before"),
        ("weights_sha256", "abc", "key weights_sha256: found 'abc', allowed are 64 hexadecimal digits"),
        ("weights_sha256", "", r"key weights_sha256: found '', .* \(empty for format python only\)"),
        ("attributes", [], "key attributes: found"),
        ("attributes.0.kind", "number", r"attributes\.0\.kind: found 'number', allowed is 'binary' or"),
        (
            "attributes.0.sd",
            None,
            r"attributes\.0\.sd: found null, allowed is a number where there",
        ),
        ("attributes.0.columns", [0, 1], r"attributes\.0\.sd: found 0.1, allowed is null where"),
        (
            "attributes.1.columns",
            [0, 0],
            r"attributes\.1\.columns: found \[0, 0\], allowed are different",
        ),
        ("attributes.1.columns", [], r"attributes\.1\.columns: found \[\], allowed are different whole"),
        (
            "attributes.1.activation",
            "tanh",
            r"attributes\.1\.activation: found 'tanh', allowed is 'logits'",
        ),
        (
            "attributes.2.columns",
            [1, 2],
            r"attributes\.2\.columns: found 2, allowed are 3, one",
        ),
        (
            "attributes.2.categories",
            ["a", "a", "b"],
            r"categories: found \['a', 'a', 'b'\], allowed are",
        ),
        ("attributes.2.name", "glasses", "key attributes: found glasses twice, allowed is each name once"),
    ],
)
def test_what_is_wrong_is_one_sentence(card_values: dict[str, Any], key: str, value: Any, says: str) -> None:
    with pytest.raises(ValueError, match=f"^c.json: .*{says}" if says.startswith("key") else says) as caught:
        checked_card(changed(card_values, key, value), Path("c.json"))
    assert "\n" not in str(caught.value)


def test_a_card_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    path = tmp_path / "heads.json"
    with pytest.raises(ValueError, match=r"heads.json: is missing; heads are only loaded with their card"):
        read_heads_card(path)
    path.write_text("{")
    with pytest.raises(ValueError, match=r"heads.json: is not JSON"):
        read_heads_card(path)
    path.write_text("[]")
    with pytest.raises(ValueError, match=r"heads.json: found list, allowed is a JSON object"):
        read_heads_card(path)


def test_a_function_needs_no_digest(card_values: dict[str, Any]) -> None:
    found = checked_card(card_values | {"format": "python", "weights_sha256": ""}, Path("c.json"))
    assert isinstance(found, HeadsCard) and found.weights_sha256 == ""
