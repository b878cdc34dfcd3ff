"""Files are laid over the one they extend, and a file that cannot be used says why."""

import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribute_recovery.config_files import ConfigError, read_overlaid, sentence


def written(folder: Path, **files: str) -> Path:
    """Write files name.yaml; the path of the last."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / f"{name}.yaml"


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        ("a: {b: 1, c: 2}", "a: {b: 3}", {"a": {"b": 3, "c": 2}}),
        ("a: [1, 2]", "a: [3]", {"a": [3]}),
        ("a: {b: 1}", "a: 5", {"a": 5}),
        ("a: {b: {c: 1}, d: 2}", "a: {b: null}", {"a": {"d": 2}}),
        ("a: 1", "a: null", {"a": None}),
        (
            "m: {yaw: {normal: [0, 1], range: [0, 1], share: 0}}",
            "m: {yaw: {uniform: [0, 1], share: 1}}",
            {"m": {"yaw": {"uniform": [0, 1], "share": 1}}},
        ),
        (
            "m: {yaw: {normal: [0, 1], range: [0, 1], share: 0}}",
            "m: {yaw: {share: 1}}",
            {"m": {"yaw": {"normal": [0, 1], "range": [0, 1], "share": 1}}},
        ),
        (
            "recognizers: {a: {source: train, channels: [1]}}",
            "recognizers: {a: {source: weights, weights: w}}",
            {"recognizers": {"a": {"source": "weights", "weights": "w"}}},
        ),
        (
            "recognizers: {a: {source: train, channels: [1]}}",
            "recognizers: {a: {source: train, size: 2}, b: {source: x}}",
            {"recognizers": {"a": {"source": "train", "channels": [1], "size": 2}, "b": {"source": "x"}}},
        ),
        (
            "dataset: {source: world, world: {image_size: 64}}",
            "dataset: {source: folders, path: faces}",
            {"dataset": {"source": "folders", "path": "faces"}},
        ),
        (
            "dataset: {source: folders, path: faces, align: {by: given, crop: centre}}",
            "dataset: {path: mine, align: {crop: stretch}}",
            {"dataset": {"source": "folders", "path": "mine", "align": {"by": "given", "crop": "stretch"}}},
        ),
        ("a: {b: {by: given, crop: 1}}", "a: {b: {by: landmarks}}", {"a": {"b": {"by": "landmarks"}}}),
        ("a: {b: {kind: x, n: 1}}", "a: {b: {kind: y}}", {"a": {"b": {"kind": "y"}}}),
        ("generator: {source: x, n: 1}", "generator: {source: y}", {"generator": {"source": "y", "n": 1}}),
        (
            "generator: {source: train, n: 1}",
            "generator: {source: file, weights: w}",
            {"generator": {"source": "file", "weights": "w"}},
        ),
        (
            "generator: {source: file, weights: w}",
            "generator: {source: train, n: 1}",
            {"generator": {"source": "train", "n": 1}},
        ),
        (
            "generator: {source: file, weights: w, card: null}",
            "generator: {card: c}",
            {"generator": {"source": "file", "weights": "w", "card": "c"}},
        ),
    ],
)
def test_mappings_merge_and_all_else_replaces(tmp_path: Path, base: str, over: str, expected: object) -> None:
    path = written(tmp_path, base=base, over=f"extends: base.yaml\n{over}")
    assert read_overlaid(path) == expected


def test_files_extend_relative_to_themselves_and_through_several(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    written(tmp_path, first="a: 1\nb: 1\nc: 1", second="extends: first.yaml\nb: 2\nc: 2")
    path = written(tmp_path / "deep", third="extends: ../second.yaml\nc: 3")
    assert read_overlaid(path) == {"a": 1, "b": 2, "c": 3}


LEAF = st.integers(0, 9)
KEY = st.sampled_from("abc")
INNER = st.dictionaries(KEY, LEAF, max_size=2)
MAPPINGS = st.dictionaries(KEY, LEAF | INNER | st.dictionaries(KEY, INNER, max_size=2), max_size=3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(base=MAPPINGS, over=MAPPINGS)
def test_laying_a_file_over_twice_changes_nothing_more(
    tmp_path_factory: pytest.TempPathFactory, base: dict[str, object], over: dict[str, object]
) -> None:
    folder = tmp_path_factory.mktemp("overlay")
    once = read_overlaid(
        written(
            folder,
            base=yaml.safe_dump(base),
            once=yaml.safe_dump({**copy.deepcopy(over), "extends": "base.yaml"}),
        )
    )
    twice = read_overlaid(
        written(folder, twice=yaml.safe_dump({**copy.deepcopy(over), "extends": "once.yaml"}))
    )
    assert once == twice
    assert set(once) == set(base) | set(over)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1", "is not YAML (while parsing a flow sequence"),
        ("a: 1\nb: 2\na: 3", "is not YAML (key 'a' is there twice"),
        ("a: {x: 1, x: 1}", "is not YAML (key 'x' is there twice"),
        ("- 1", "found list, allowed is a mapping of keys to values"),
        ("", "found NoneType, allowed is a mapping of keys to values"),
        ("a: {off: 1}", 'key a: found the key False, allowed are strings; write it in quotes, such as "off"'),
        ("a: [{1: 1}]", "key a.0: found the key 1, allowed are strings;"),
        ("extends: [1]", "key extends: found [1], allowed is the path of a configuration file"),
        (
            "extends: x.yaml",
            "key extends: found x.yaml, allowed is a file that does not lead back to this one",
        ),
        ("a: !!python/object:os.system 1", "is not YAML (could not determine a constructor"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, x=text)
    with pytest.raises(ConfigError) as raised:
        read_overlaid(path)
    assert str(raised.value).removeprefix(f"{path}: ").startswith(says)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.yaml: cannot be read \(No such file or directory\)"):
        read_overlaid(tmp_path / "no.yaml")
    with pytest.raises(ConfigError, match=r"no\.yaml: cannot be read"):
        read_overlaid(written(tmp_path, x="extends: no.yaml"))


def test_an_unknown_key_is_named_before_the_one_that_is_missing_for_it() -> None:
    errors = [
        {"type": "missing", "loc": ("a", "steps"), "msg": "Field required", "input": {}},
        {"type": "extra_forbidden", "loc": ("stps",), "msg": "", "input": 1},
    ]
    schema = {"properties": {"steps": {}, "size": {}}}
    assert sentence(errors, schema, Path("f")) == "f: key stps: is not known; allowed are size, steps"


def test_an_error_of_a_type_not_thought_of_is_still_a_sentence() -> None:
    errors = [{"type": "new_one", "loc": ("a",), "msg": "Input should be nice", "input": 1}]
    assert sentence(errors, {}, Path("f")) == "f: key a: found 1, allowed is nice"
