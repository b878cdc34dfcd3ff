"""Each source's settings reach its module, and what only some sources have is refused for the others."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from attribute_recovery.config_files import ConfigError
from attribute_recovery.dataset.sources import celeba, choose, folders, insightface, lfw, table
from attribute_recovery.dataset.sources.listing import Listing

Settings = Callable[..., Any]
BINARY = {"kind": "binary", "level": "image", "family": "label"}
MODULES = {"folders": folders, "table": table, "celeba": celeba, "lfw": lfw, "insightface": insightface}


@pytest.mark.parametrize("source", MODULES)
def test_each_source_has_its_module(
    source: str, settings_of: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    called = []

    def listed(settings: Any) -> Listing:
        called.append(settings.source)
        return Listing(["a/1.png"], ["a"], lambda row: b"")

    monkeypatch.setattr(MODULES[source], f"list_{source}", listed)
    monkeypatch.setattr(MODULES[source], f"check_{source}", listed)
    if source == "table":
        monkeypatch.setattr(table, "label_columns", lambda settings: [])
    settings = settings_of(source, tmp_path)
    choose.check_source(settings)
    found = choose.list_source(settings)
    assert called == [source, source]
    assert list(found.image_ids) == ["a/1.png"]
    assert len(found.labels) == 1


@pytest.mark.parametrize("source", ["folders", "lfw", "insightface"])
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"align": {"by": "landmarks"}},
            r"dataset\.align\.by: found landmarks, which source \w+ does not have; allowed are detector and",
        ),
        (
            {"splits": {"by": "source"}},
            r"dataset\.splits\.by: found source, but source \w+ has no splits; allowed is shares",
        ),
    ],
)
def test_landmarks_and_splits_are_not_everywhere(
    source: str,
    changes: dict[str, Any],
    says: str,
    settings_of: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(MODULES[source], f"check_{source}", lambda settings: None)
    with pytest.raises(ConfigError, match=f"^{says}"):
        choose.check_source(settings_of(source, tmp_path, **changes))


def test_an_attribute_without_a_column_is_refused(
    settings_of: Settings, face_folder: Callable[[Mapping[str, int]], Path], tmp_path: Path
) -> None:
    root = face_folder({"a": 1, "b": 1})
    with pytest.raises(ConfigError, match=r"^dataset\.attributes\.hat: has no column of that name; allowed"):
        choose.check_source(settings_of("folders", root, attributes={"hat": BINARY}))
    (tmp_path / "l.csv").write_text("id,Smile,Big Nose\n")
    labels = [{"path": str(tmp_path / "l.csv"), "format": "table", "key": "id"}]
    with pytest.raises(ConfigError, match=r"^dataset\.attributes\.hat: .*; allowed are big_nose, smile$"):
        choose.check_source(settings_of("folders", root, attributes={"hat": BINARY}, labels=labels))
    choose.check_source(settings_of("folders", root, attributes={"big_nose": BINARY}, labels=labels))


def test_an_attribute_in_two_places_is_refused(settings_of: Settings, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("path,identity,Hat\n")
    (tmp_path / "l.csv").write_text("id,hat\n")
    settings = settings_of(
        "table",
        tmp_path / "own.csv",
        root=str(tmp_path),
        attributes={"hat": BINARY},
        labels=[{"path": str(tmp_path / "l.csv"), "format": "table", "key": "id"}],
    )
    with pytest.raises(ConfigError, match=r"^dataset\.attributes\.hat: found it in own\.csv and in l\.csv,"):
        choose.check_source(settings)


def test_attributes_of_celeba_are_known_before_any_job(settings_of: Settings, tmp_path: Path) -> None:
    for name in ("identity_CelebA.txt", "list_attr_celeba.txt"):
        (tmp_path / name).write_text("0\nBald Smiling\n")
    (tmp_path / "img_align_celeba").mkdir()
    with pytest.raises(ConfigError, match=r"^dataset\.attributes\.hat: .*; allowed are bald, smiling$"):
        choose.check_source(settings_of("celeba", tmp_path, attributes={"hat": BINARY}))
    choose.check_source(settings_of("celeba", tmp_path, attributes={"bald": BINARY}))


@pytest.mark.parametrize(
    ("source", "changes", "names"),
    [
        ("folders", {}, []),
        ("table", {}, ["root"]),
        (
            "celeba",
            {"align": {"by": "landmarks"}},
            ["identity_CelebA.txt", "list_landmarks_align_celeba.txt"],
        ),
        ("lfw", {}, []),
        ("lfw", {"pairs": "pairs.txt"}, ["pairs.txt"]),
        ("insightface", {}, ["lfw_list.npy"]),
        ("insightface", {"form": "rec"}, ["lfw.rec", "lfw.idx"]),
    ],
)
def test_files_that_a_source_is_read_from_are_known(
    settings_of: Settings, source: str, changes: dict[str, Any], names: list[str]
) -> None:
    labels = [{"path": "mine/l.csv", "format": "table", "key": "id"}]
    found = choose.source_files(settings_of(source, Path("root"), labels=labels, **changes))
    assert [path.name for path in found] == [*names, "l.csv"]
    align = {"by": "detector", "detector": "yunet", "weights": "d.onnx", "confidence": 0.5}
    if "align" not in changes:
        found = choose.source_files(settings_of(source, Path("root"), align=align, **changes))
        assert [path.name for path in found] == [*names, "d.onnx"]
