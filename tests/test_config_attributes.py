"""When attributes can be read, and which stages a run goes without where they cannot."""

from pathlib import Path

import pytest

from attribute_recovery.config import STAGES_OF_ATTRIBUTES, load_config

CONFIG = Path(__file__).parents[1] / "config"


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("extends: default.yaml", False),
        ("extends: faces-folders.yaml", True),
        ("extends: faces-table.yaml", False),
        ("extends: faces-table.yaml\ndataset: {attributes: null}\n", None),
        (
            "extends: faces-folders.yaml\n"
            "dataset: {attributes: {hat: {kind: binary, level: image, family: label}}}",
            False,
        ),
    ],
)
def test_stages_about_attributes_are_left_out_without_any(
    tmp_path: Path, text: str, left_out: bool | None
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("extends: ", f"extends: {CONFIG}/"))
    if left_out is None:
        with pytest.raises(ValueError, match="dataset.*attributes"):
            load_config(path)
        return
    config = load_config(path)
    assert config.reads_attributes is not left_out
    assert config.left_out_stages == (list(STAGES_OF_ATTRIBUTES) if left_out else [])
