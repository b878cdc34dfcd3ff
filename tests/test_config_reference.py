"""What is generated is what is committed, closed at every level, and complete."""

import difflib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from attribute_recovery import config_reference as reference
from attribute_recovery.config import Config, read_overlaid

ROOT = Path(__file__).parents[1]


def assert_same(path: Path, expected: Path) -> None:
    """Fail with a diff and the command that mends it."""
    found, wanted = path.read_text().splitlines(), expected.read_text().splitlines()
    diff = "\n".join(difflib.unified_diff(found, wanted, str(path), "generated", lineterm=""))
    assert not diff, f"run `{reference.COMMAND}` in the repository's root:\n{diff}"


def test_the_committed_schema_is_todays(tmp_path: Path) -> None:
    reference.write_schema(tmp_path / "schema.json")
    assert_same(ROOT / reference.SCHEMA, tmp_path / "schema.json")


def test_the_committed_page_is_todays(tmp_path: Path) -> None:
    reference.write_page(tmp_path / "page.md", default=ROOT / reference.DEFAULT)
    assert_same(ROOT / reference.PAGE, tmp_path / "page.md")


def test_the_command_writes_both_where_they_belong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / reference.DEFAULT).write_text((ROOT / reference.DEFAULT).read_text())
    monkeypatch.chdir(tmp_path)
    reference.main()
    for path in (reference.SCHEMA, reference.PAGE):
        assert_same(ROOT / path, tmp_path / path)


def objects(node: object) -> list[dict[str, Any]]:
    """Every schema of an object, at any depth."""
    if isinstance(node, list):
        return [found for inner in node for found in objects(inner)]
    if not isinstance(node, dict):
        return []
    here = [node] if node.get("type") == "object" else []
    return here + [found for inner in node.values() for found in objects(inner)]


def test_the_schema_is_closed_at_every_level_and_has_no_defaults() -> None:
    found = objects(reference.config_schema())
    assert len(found) > 20
    for node in found:
        closed = node.get("additionalProperties") is False
        named = isinstance(node.get("additionalProperties"), dict) and "properties" not in node
        assert closed or named, node.get("title")
    assert '"default":' not in json.dumps(reference.config_schema())


@pytest.mark.parametrize(
    ("above", "key"),
    [
        ([], "sed"),
        (["recognizers"], "Big Name"),
        (["recognizers", "default"], "x"),
        (["dataset", "world", "marginals", "yaw"], "x"),
    ],
)
def test_the_schema_refuses_what_is_not_known(above: list[str], key: str) -> None:
    values = read_overlaid(ROOT / reference.DEFAULT)
    jsonschema.validate(values, reference.config_schema())
    inner = values
    for part in above:
        inner = inner[part]
    inner[key] = values["recognizers"]["default"] if key == "Big Name" else 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, reference.config_schema())


def leaves(value: object, above: str = "") -> list[str]:
    """Keys of a configuration down to its values, as the page names them."""
    if isinstance(value, dict) and not above.endswith(".classes"):
        named = above in {"recognizers", "dataset.world.marginals"}
        inner = [leaves(v, f"{above}.{'<name>' if named else k}".strip(".")) for k, v in value.items()]
        return [leaf for part in inner for leaf in part]
    return [above]


def test_the_page_has_a_line_for_every_key_with_its_value() -> None:
    default = read_overlaid(ROOT / reference.DEFAULT)
    page = reference.configuration_page(default)
    for leaf in leaves(default):
        assert f"| `{leaf}` |" in page, leaf
    assert "| `compute.threads` | integer, ≥ 1 | `2` | torch's threads in each job;" in page
    assert "| `compute.device` | `auto`, `cpu`, `cuda` | `auto` |" in page
    assert "| `recognizers.<name>.threshold.fmr` | number, > 0, < 1 | `0.001` |" in page
    assert "| `recognizers.<name>.threshold.from` | text, of `^[a-z0-9_]+$` |  |" in page
    assert "| `recognizers.<name>.trusted` | `true` |  |" in page
    assert "| `recognizers.<name>.weights` | path |  |" in page
    assert "| `tracking.uri` | text or null |  |" in page
    assert "| `dataset.align.by` | `landmarks`, `detector`, `given` |  |" in page  # kinds told apart by a key
    assert page.count("| `dataset.image_size` |") == 1  # what kinds have in common is told once
    assert "| `dataset.source` | `celeba` |  |" in page  # and has no value where the default is of another
    assert "| `counterfactuals.quantile_range` | two of number, ≥ 0, ≤ 1 | `[0.01, 0.99]` |" in page
    assert all(
        f"## {name}" in page
        for name, field in Config.model_fields.items()
        if name not in {"seed", "experiment"}
    )
