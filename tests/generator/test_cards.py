"""T of another recognizer or generator is refused by the digests on its card."""

import json
from pathlib import Path

import pytest

from attribute_recovery.generator.cards import TRANSFORMER_KEYS, check_origin
from attribute_recovery.tracking.digest import sha256_file


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Weights of both, and T's card that names them."""
    own = {f"{name}_weights": tmp_path / f"{name}.safetensors" for name in ("generator", "recognizer")}
    for name, path in own.items():
        path.write_bytes(name.encode())
    card = dict.fromkeys(TRANSFORMER_KEYS, 1) | {
        f"{name}_sha256": sha256_file(own[f"{name}_weights"]) for name in ("generator", "recognizer")
    }
    (tmp_path / "transformer.json").write_text(json.dumps(card))
    return own


def test_its_own_are_taken(files: dict[str, Path], tmp_path: Path) -> None:
    check_origin(tmp_path / "transformer.json", **files)


@pytest.mark.parametrize("name", ["generator", "recognizer"])
def test_others_are_refused(files: dict[str, Path], tmp_path: Path, name: str) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"x")
    with pytest.raises(
        ValueError, match=f"other.safetensors: found sha256 .*, the {name} that .* was trained for"
    ):
        check_origin(tmp_path / "transformer.json", **(files | {f"{name}_weights": other}))


def test_a_card_that_lacks_a_key_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "transformer.json").write_text("{}")
    with pytest.raises(ValueError, match="key .* is missing"):
        check_origin(tmp_path / "transformer.json", **files)
