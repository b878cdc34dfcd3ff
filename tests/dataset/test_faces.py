"""Brought faces from files to the stage's outputs: what is left out and why, and who may read it."""

import hashlib
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from attribute_recovery.config import Compute, ConfigError, load_config
from attribute_recovery.dataset import crops, prepare
from attribute_recovery.dataset import faces as faces_module
from attribute_recovery.dataset.alignment import template_points
from attribute_recovery.dataset.attributes import read_schema
from attribute_recovery.dataset.sources.listing import LANDMARKS
from attribute_recovery.dataset.store import read_images, read_table

Settings = Callable[..., Any]
Folder = Callable[[Mapping[str, int]], Path]
Pictures = Callable[..., npt.NDArray[np.uint8]]

COMPUTE = Compute(threads=2, device="cpu", precision="float32")
PEOPLE = dict.fromkeys("abcdefgh", 2)
BINARY = {"kind": "binary", "level": "image", "family": "label"}
ORL = Path(__file__).parents[3] / "shared" / "data" / "orl"


def files(folder: Path) -> dict[str, Path]:
    """Where a data set in `folder` lies."""
    return {
        "images": folder / "images.bcolz",
        "table": folder / "images.parquet",
        "attributes": folder / "attributes.json",
        "report": folder / "report.json",
        "cache": folder / "cache",
        "pairs": folder / "pairs.parquet",
    }


def prepared(settings: Any, folder: Path, seed: int = 3) -> tuple[dict[str, Any], pd.DataFrame]:
    """The report and the images table of a data set."""
    report = prepare.prepare_dataset(settings, seed, COMPUTE, **files(folder))
    return report, read_table(files(folder)["table"])


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file of a data set, hidden ones too."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_rows_of_table_and_images_belong_together(
    settings_of: Settings, face_folder: Folder, tmp_path: Path
) -> None:
    root = face_folder(PEOPLE)
    report, table = prepared(settings_of("folders", root), tmp_path / "out")
    images = read_images(tmp_path / "out" / "images.bcolz")
    assert images.shape == (16, 32, 32, 3)
    assert table["image_id"].tolist() == [f"{name}/{i}.png" for name in PEOPLE for i in (0, 1)]
    assert table["path"].tolist() == table["image_id"].tolist()
    assert table["sha256"].tolist() == [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
    whole = Image.open(root / "c" / "1.png").resize((32, 32), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(images[5], np.asarray(whole))
    assert table.groupby("identity")["split"].nunique().max() == 1
    assert table.groupby("split")["identity"].nunique().to_dict() == {"train": 4, "calibration": 2, "test": 2}
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    assert report["source"] == "folders" and report["image_size"] == 32
    assert report["images"] == 16 and report["listed"] == {"images": 16, "identities": 8}
    assert report["crop"]["template"] == "as given"
    assert report["splits"]["train"] == {"identities": 4, "images": 8}
    assert len(read_schema(tmp_path / "out" / "attributes.json")) == 0
    assert len(pd.read_parquet(tmp_path / "out" / "pairs.parquet")) == 0
    assert any("8 identities are fewer than 100" in warning for warning in report["warnings"])


def test_only_the_owner_can_read_faces_and_names(
    settings_of: Settings, face_folder: Folder, tmp_path: Path
) -> None:
    prepared(settings_of("folders", face_folder(PEOPLE)), tmp_path / "out")
    for path in (tmp_path / "out").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    (tmp_path / "other").touch()
    assert (tmp_path / "other").stat().st_mode & 0o044  # the umask is as it was


def test_the_same_call_gives_the_same_bytes(
    settings_of: Settings, face_folder: Folder, tmp_path: Path
) -> None:
    settings = settings_of("folders", face_folder(PEOPLE))
    _, first = prepared(settings, tmp_path / "one")
    prepared(settings, tmp_path / "two")
    prepared(settings, tmp_path / "two")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    _, other = prepared(settings, tmp_path / "three", seed=4)
    assert other["split"].tolist() != first["split"].tolist()
    assert other.drop(columns="split").equals(first.drop(columns="split"))


def test_an_interrupted_call_leaves_nothing(
    settings_of: Settings, face_folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of("folders", face_folder(PEOPLE))

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    for module, name in (
        (crops, "decode_image"),
        (faces_module, "write_array"),
        (faces_module, "write_json"),
    ):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(module, name, interrupted)
            prepared(settings, tmp_path / "out")
        assert not (tmp_path / "out" / "report.json").exists()
        assert not list((tmp_path / "out").glob(".*"))
    prepared(settings, tmp_path / "out")


@pytest.fixture
def faulty(face_folder: Folder, pictures: Pictures) -> Path:
    """Eight people as they should be, and one of each fault."""
    root = face_folder({**PEOPLE, "lone": 1, "pair": 2})
    (root / "a" / "cut.png").write_bytes((root / "a" / "0.png").read_bytes()[:100])
    (root / "a" / "again.png").write_bytes((root / "a" / "0.png").read_bytes())
    Image.open(root / "b" / "0.png").save(root / "b" / "same.webp", lossless=True)
    (root / "pair" / "1.png").write_bytes((root / "c" / "0.png").read_bytes())
    Image.fromarray(pictures(99, 20)).save(root / "d" / "small.png")
    (root / "d" / "notes.txt").touch()
    return root


def test_faults_are_left_out_and_named(settings_of: Settings, faulty: Path, tmp_path: Path) -> None:
    report, table = prepared(settings_of("folders", faulty), tmp_path / "out")
    found = {kind: entry["examples"] for kind, entry in report["faults"].items()}
    assert found["unreadable"] == [found["unreadable"][0]]
    assert found["unreadable"][0].startswith("a/cut.png: cannot be read as PNG, JPEG, PGM or WebP (")
    assert found["small"] == ["d/small.png: 20 pixels for a crop of 32"]
    # What is said to show two people is left out of both, the rest once.
    assert sorted(found["duplicate"]) == [
        "a/again.png: as a/0.png",
        "b/same.webp: as b/0.png",
        "c/0.png: as c/0.png, of somebody else",
        "pair/1.png: as c/0.png, of somebody else",
    ]
    assert sorted(found["one_image"]) == ["c", "lone", "pair"]
    assert found["no_face"] == found["unknown_label"] == found["constant_label"] == []
    kept = [f"{name}/{i}.png" for name in "abdefgh" for i in (0, 1)]
    assert table["image_id"].tolist() == kept
    assert report["ignored_files"] == 1
    assert report["listed"]["images"] == 23 and report["images"] == 14
    assert "4 images have the same pixels as another: left out" in report["warnings"]
    assert "3 identities have one image only: left out" in report["warnings"]
    assert "1 images cannot be read: left out" in report["warnings"]


def test_what_may_be_kept_is_kept_and_named(settings_of: Settings, faulty: Path, tmp_path: Path) -> None:
    actions = {"all": "skip", "small": "keep", "duplicate": "keep", "one_image": "keep"}
    report, table = prepared(settings_of("folders", faulty, on_fault=actions), tmp_path / "out")
    assert len(table) == 22 and "a/cut.png" not in set(table["image_id"])
    assert {"lone/0.png", "d/small.png", "a/again.png", "pair/1.png"} <= set(table["image_id"])
    assert report["faults"]["one_image"] == {"count": 1, "action": "keep", "examples": ["lone"]}
    assert report["duplicates"]["images"] == 3
    assert "1 identities have one image only: kept" in report["warnings"]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("unreadable", r"1 images cannot be read \(a/cut\.png: cannot be read as .*\)"),
        ("small", r"1 images have fewer pixels than their crop \(d/small\.png: 20 pixels for a crop of 32\)"),
        (
            "duplicate",
            r"4 images have the same pixels as another \(a/again\.png: as a/0\.png; .*; and 1 more\)",
        ),
        ("one_image", r"3 identities have one image only \(c; lone; pair\)"),
    ],
)
def test_a_fault_may_be_fatal(
    settings_of: Settings, faulty: Path, tmp_path: Path, fault: str, says: str
) -> None:
    settings = settings_of("folders", faulty, on_fault={"all": "skip", fault: "fail"})
    with pytest.raises(ValueError, match=rf"^dataset: {says}, and dataset\.on_fault says fail for {fault}$"):
        prepared(settings, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_nothing_left_is_an_error_that_says_why(
    settings_of: Settings, face_folder: Folder, tmp_path: Path
) -> None:
    settings = settings_of("folders", face_folder({"a": 2, "b": 1, "c": 1}))
    with pytest.raises(ValueError, match="of 4 images 2 can be used, at least 2 identities are needed; 2 id"):
        prepared(settings, tmp_path / "out")
    settings = settings_of("folders", tmp_path / "faces", image_size=64)
    with pytest.raises(ValueError, match="of 4 images 0 can be used, .*; 4 images have fewer pixels than"):
        prepared(settings, tmp_path / "out")


@pytest.fixture
def labelled(face_folder: Folder, tmp_path: Path) -> Callable[..., Path]:
    """A table of eight people's images with further columns."""

    def made(**columns: list[Any]) -> Path:
        face_folder(PEOPLE)
        names = [f"{name}/{i}.png" for name in PEOPLE for i in (0, 1)]
        frame = pd.DataFrame({"path": names, "identity": [name[0] for name in names], **columns})
        frame.to_csv(tmp_path / "faces.csv", index=False)
        return tmp_path / "faces.csv"

    return made


AGE = {"kind": "continuous", "level": "identity", "family": "label", "unit": "years", "range": [0, 100]}


def test_labels_are_joined_missing_ones_null_and_counted(
    settings_of: Settings, labelled: Callable[..., Path], tmp_path: Path
) -> None:
    hats = [1, 0, None, "hat", *[0, 1] * 6]
    ages = [value for i in range(8) for value in (20 + i, 20 + i)]
    path = labelled(Hat=hats, age=[None, *ages[1:15], 900], dull=[1] * 16)
    attributes = {"hat": BINARY, "age": AGE, "dull": BINARY}
    settings = settings_of("table", path, root=str(tmp_path / "faces"), attributes=attributes)
    report, table = prepared(settings, tmp_path / "out")
    schema = read_schema(tmp_path / "out" / "attributes.json")
    assert schema.names == ["hat", "age"]
    found = schema.known_from_table(table)
    assert found.values["hat"].tolist() == [1, 0, -1, -1, *[0, 1] * 6]
    assert found.known["age"].tolist() == [False, *[True] * 14, False]
    assert schema["age"].dose == pytest.approx(np.std(ages[1:15]))
    assert schema["age"].source == "faces.csv"
    assert report["faults"]["unknown_label"]["examples"] == ["b/1.png: hat 'hat'", "h/1.png: age '900.0'"]
    assert report["faults"]["constant_label"]["examples"] == ["dull"]
    assert "hat: 2 images have no value" in report["warnings"]
    assert "1 attributes have the same value in every image: left out" in report["warnings"]
    counts = [facts["counts"] for facts in report["attributes"]["hat"]["splits"].values()]
    assert sum(count["on"] for count in counts) == 7 and sum(count["off"] for count in counts) == 7
    for fault, says in (("unknown_label", "2 labels are not among"), ("constant_label", "1 attributes have")):
        fatal = settings.model_copy(update={"on_fault": {"all": "skip", fault: "fail"}})
        with pytest.raises(ValueError, match=f"^dataset: {says}"):
            prepared(fatal, tmp_path / "other")


def test_the_source_s_own_splits_are_used_and_checked(
    settings_of: Settings, labelled: Callable[..., Path], tmp_path: Path
) -> None:
    parts = [*["train"] * 6, *["calibration"] * 4, *["test"] * 6]
    path = labelled(part=parts)
    columns = {"path": "path", "identity": "identity", "split": "part"}
    changes = {"root": str(tmp_path / "faces"), "columns": columns, "splits": {"by": "source"}}
    _, table = prepared(settings_of("table", path, **changes), tmp_path / "out")
    assert table["split"].tolist() == parts
    path.write_text(path.read_text().replace("a/1.png,a,train", "a/1.png,a,test"))
    with pytest.raises(ValueError, match="identity 'a' is in the splits test and train"):
        prepared(settings_of("table", path, **changes), tmp_path / "out")


def test_splits_that_a_source_does_not_have_are_refused(
    settings_of: Settings, face_folder: Folder, tmp_path: Path
) -> None:
    settings = settings_of("folders", face_folder(PEOPLE), splits={"by": "source"})
    with pytest.raises(ValueError, match=r"dataset\.splits\.by: found source, but the source has no splits"):
        prepared(settings, tmp_path / "out")


def test_landmarks_align_faces_and_swapped_ones_are_noticed(
    settings_of: Settings, faces: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    """Faces of the default world, turned and moved, with landmarks that undo it."""
    rng = np.random.default_rng(0)
    (tmp_path / "faces").mkdir()
    rows = []
    for i, face in enumerate(faces):
        scene = Image.new("RGB", (200, 180))
        x, y = (int(v) for v in rng.integers(0, 80, 2))
        scene.paste(Image.fromarray(face).resize((96, 96), Image.Resampling.BICUBIC), (x, y))
        scene.save(tmp_path / "faces" / f"{i:02d}.png")
        points = (template_points(96) + np.array([x, y])).ravel()
        places = dict(zip(LANDMARKS, points, strict=True))
        rows.append({"path": f"{i:02d}.png", "identity": str(i % 8), **places})
    pd.DataFrame(rows).to_csv(tmp_path / "faces.csv", index=False)
    changes = {"root": str(tmp_path / "faces"), "align": {"by": "landmarks"}}
    settings = settings_of("table", tmp_path / "faces.csv", image_size=64, **changes)
    report, _ = prepared(settings, tmp_path / "out")
    images = read_images(tmp_path / "out" / "images.bcolz")
    assert np.abs(images.astype(int) - faces.astype(int)).mean() < 3
    assert report["crop"]["template"] == "arcface"
    assert report["alignment"]["residual"] < 1e-4 and report["alignment"]["spread"] < 0.03
    assert not any("align" in warning or "landmarks" in warning for warning in report["warnings"])
    places = [f"{part}_{axis}" for part in ("eye", "mouth") for axis in "xy"]
    left_for_right = {f"left{place}": f"right{place}" for place in places}
    left_for_right |= {right: left for left, right in left_for_right.items()}
    pd.DataFrame(rows).rename(columns=left_for_right).to_csv(tmp_path / "faces.csv", index=False)
    report, _ = prepared(settings, tmp_path / "out")
    assert report["alignment"]["residual"] > 0.1
    assert any("landmarks do not fit an upright face" in warning for warning in report["warnings"])
    given = settings_of("table", tmp_path / "faces.csv", image_size=64, root=str(tmp_path / "faces"))
    report, _ = prepared(given, tmp_path / "out")
    assert any("the crops do not look aligned" in warning for warning in report["warnings"])


def test_pairs_follow_the_image_that_stays_and_lost_ones_are_counted(
    settings_of: Settings, face_folder: Folder, tmp_path: Path
) -> None:
    root = face_folder({"all": 24})
    images = [(root / "all" / f"{number}.png").read_bytes() for number in range(24)]
    images[5] = images[0]  # a copy, which joins the third pair with the first one's person
    images[22] = b"not an image"
    same = [True] * 10 + [False, False]
    (root / "lfw.bin").write_bytes(pickle.dumps((images, same)))
    align = {"by": "given", "crop": "centre", "template": "arcface"}
    settings = settings_of("insightface", root, form="bin", align=align)
    report, table = prepared(settings, tmp_path / "out")
    pairs = pd.read_parquet(tmp_path / "out" / "pairs.parquet")
    assert report["crop"]["template"] == "arcface"
    assert report["pairs"] == {"pairs": 10, "lost": 2, "genuine": 10, "folds": 8}
    assert (
        "2 of the standard pairs have an image that is not among these: not the full protocol; one_image: "
        "keep may keep most of them" in report["warnings"]
    )
    assert any("the set names nobody" in warning for warning in report["warnings"])
    assert pairs.loc[2, ["first", "second"]].tolist() == ["lfw/000004", "lfw/000000"]
    assert set(pairs["first"]) | set(pairs["second"]) == set(table["image_id"])
    people = table.set_index("image_id")["identity"]
    assert people["lfw/000004"] == people["lfw/000001"]


def test_what_is_missing_is_said_before_any_job_with_file_and_key(
    settings_of: Settings, face_folder: Folder, tmp_path: Path
) -> None:
    path = Path("my.yaml")
    with pytest.raises(ConfigError, match=r"^my\.yaml: key dataset\.path: found .*no, which is not a folder"):
        prepare.check_dataset(settings_of("folders", tmp_path / "no"), path)
    align = {"by": "detector", "detector": "yunet", "weights": "no.onnx", "confidence": 0.5}
    settings = settings_of("folders", face_folder(PEOPLE), align=align)
    with pytest.raises(
        ConfigError, match=r"^my\.yaml: key dataset\.align\.weights: found no\.onnx, which is not a file; all"
    ):
        prepare.check_dataset(settings, path)
    (tmp_path / "d.onnx").touch()
    present = align | {"weights": str(tmp_path / "d.onnx")}
    prepare.check_dataset(settings_of("folders", tmp_path / "faces", align=present), path)


def test_checking_is_light() -> None:
    code = (
        "import sys; import attribute_recovery.dataset.faces; "
        "print([name for name in ('torch', 'onnxruntime', 'bcolz', 'mlflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(not ORL.is_dir(), reason="../shared/data/orl is not there")
def test_the_orl_photographs(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "config" / "faces-table.yaml"
    (tmp_path / "orl.yaml").write_text(
        f"extends: {example}\nexperiment: orl\ndataset: {{path: {ORL}/attributes.csv, root: {ORL}}}\n"
    )
    config = load_config(tmp_path / "orl.yaml")
    prepare.check_dataset(config.dataset, tmp_path / "orl.yaml")
    report, table = prepared(config.dataset, tmp_path / "out")
    assert report["images"] == 400 and report["identities"] == 40
    assert all(entry["count"] == 0 for entry in report["faults"].values())
    counts = table[["attribute.glasses", "attribute.facial_hair", "attribute.mouth_open"]]
    assert (counts == "on").sum().tolist() == [119, 80, 123]
    assert counts.notna().sum().tolist() == [400, 370, 400]
    assert "facial_hair: 30 images have no value" in report["warnings"]
    assert report["alignment"]["spread"] > report["alignment"]["aligned_spread"]
    images = read_images(tmp_path / "out" / "images.bcolz")
    assert (images[..., 0] == images[..., 2]).all()


def test_a_continuous_label_with_an_atom_stops_here_and_leaves_nothing(
    settings_of: Settings, face_folder: Folder, tmp_path: Path
) -> None:
    root = face_folder(PEOPLE)
    rows = [{"path": f"{name}/{i}.png", "identity": name} for name in PEOPLE for i in (0, 1)]
    age = {"kind": "continuous", "level": "image", "family": "label", "unit": "years", "range": [0, 99]}
    ages = [30 if number < 12 else number for number in range(16)]
    pd.DataFrame(rows).assign(age=ages).to_csv(tmp_path / "faces.csv", index=False)
    settings = settings_of("table", tmp_path / "faces.csv", root=str(root), attributes={"age": age})
    with pytest.raises(
        ValueError, match=r"^dataset: attribute 'age': \d+ of \d+ values of the split train are"
    ):
        prepared(settings, tmp_path / "out")
    assert not any((tmp_path / "out").iterdir())
