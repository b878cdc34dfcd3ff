"""The data set: as declared, stable under growth, resumed after an interrupt, refused where senseless."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch

from attribute_recovery.config import Compute, ConfigError, load_config
from attribute_recovery.config_world import WorldDataset
from attribute_recovery.dataset import prepare
from attribute_recovery.dataset.attributes import read_schema
from attribute_recovery.dataset.store import read_images, read_parquet, read_table
from attribute_recovery.dataset.world import renderer as world_renderer
from attribute_recovery.dataset.world.camera import EYE_LEVEL, EYE_SPAN
from attribute_recovery.dataset.world.renderer import Renderer
from attribute_recovery.dataset.world.schema import SCHEMA

CONFIG = Path(__file__).parents[2] / "config"
COMPUTE = Compute(threads=1, device="cpu", precision="float32")
COUNTS = {"recognizer": 2, "train": 3, "calibration": 2, "test": 2}


def dataset(**changes: Any) -> WorldDataset:
    """The tiny config's data set with even fewer people, and keys of `world` replaced."""
    values = load_config(CONFIG / "tiny.yaml").dataset.model_dump(mode="json")
    values["world"] |= {"identities": COUNTS, "images_per_identity": COUNTS} | changes
    return WorldDataset.model_validate(values)


def with_marginal(name: str, marginal: dict[str, Any] | None) -> WorldDataset:
    """The same with one attribute's marginal replaced, or taken away."""
    marginals = load_config(CONFIG / "tiny.yaml").dataset.model_dump(mode="json")["world"]["marginals"]
    marginals.pop(name, None)
    return dataset(marginals=marginals | ({name: marginal} if marginal else {}))


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


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file of a data set, hidden ones too."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.fixture(autouse=True)
def process_as_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Preparing sets torch's threads and the compiler's cache for the whole process."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    before, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A data set, and what the call returned."""
    folder = tmp_path_factory.mktemp("dataset")
    return folder, prepare.prepare_dataset(dataset(), 5, COMPUTE, **files(folder))


def test_rows_of_table_and_images_belong_together(made: tuple[Path, dict[str, Any]]) -> None:
    paths = files(made[0])
    table, images = read_table(paths["table"]), read_images(paths["images"])
    assert images.shape == (4 + 9 + 4 + 4, 32, 32, 3)
    assert table["sha256"].tolist() == [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
    assert table["image_id"].iloc[[0, -1]].tolist() == ["recognizer-0000/000", "test-0001/001"]
    assert (table["image_id"].str.split("/").str[0] == table["identity"]).all()
    assert (table["identity"].str.split("-").str[0] == table["split"]).all()


def test_images_are_those_of_the_attributes_in_the_table(made: tuple[Path, dict[str, Any]]) -> None:
    paths = files(made[0])
    table = read_table(paths["table"])
    encoded = read_schema(paths["attributes"]).encode(SCHEMA.from_table(table))
    again = np.concatenate(list(Renderer(32, 2, compiled=False).uint8(encoded[[3, 17]])))
    np.testing.assert_array_equal(read_images(paths["images"], [3, 17]), again)


def test_attributes_of_the_identity_are_the_same_in_all_its_images(made: tuple[Path, dict[str, Any]]) -> None:
    table = read_table(files(made[0])["table"])
    different = table.groupby("identity")[[f"attribute.{name}" for name in SCHEMA.names]].nunique().max()
    for attribute in read_schema(files(made[0])["attributes"]):
        if attribute.level == "identity":
            assert different[f"attribute.{attribute.name}"] == 1, attribute.name
    assert different["attribute.yaw"] == 3


def test_the_report_says_what_the_table_holds(made: tuple[Path, dict[str, Any]]) -> None:
    folder, found = made
    table = read_table(files(folder)["table"])
    assert json.loads(files(folder)["report"].read_text()) == found
    assert found["renderer"] == "plain"
    assert found["crop"] == {"template": "world", "eye_level": EYE_LEVEL, "eye_span": EYE_SPAN}
    assert len(read_parquet(files(folder)["pairs"])) == 0
    assert found["splits"]["train"] == {"identities": 3, "images": 9}
    train = table[table["split"] == "train"]
    yaw = found["attributes"]["yaw"]["splits"]["train"]
    assert yaw["mean"] == pytest.approx(train["attribute.yaw"].astype(float).mean(), abs=1e-5)
    assert yaw["sd"] == pytest.approx(train["attribute.yaw"].astype(float).std(ddof=0), abs=1e-5)
    counts = found["attributes"]["glasses"]["splits"]["train"]["counts"]
    assert counts == {name: int((train["attribute.glasses"] == name).sum()) for name in ("off", "on")}


def test_the_same_call_gives_the_same_bytes(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    prepare.prepare_dataset(dataset(), 5, COMPUTE, **files(tmp_path))
    assert digests(tmp_path) == digests(made[0])


def test_an_interrupted_call_goes_on_and_ends_with_the_same_bytes(
    made: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rendered = []
    whole = Renderer.uint8

    def counted(self: Renderer, encoded: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.uint8]]:
        rendered.append(len(encoded))
        yield from whole(self, encoded)

    def interrupted(self: Renderer, encoded: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.uint8]]:
        yield from whole(self, encoded[:8])
        yield whole(self, encoded[8:12]).__next__()  # half a batch, as if killed while writing
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare, "renderer_of", lambda *_: Renderer(32, 2, batch_size=8, compiled=False))
    monkeypatch.setattr(Renderer, "uint8", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare.prepare_dataset(dataset(), 5, COMPUTE, **files(tmp_path))
    assert not any(path.exists() for path in files(tmp_path).values())
    monkeypatch.setattr(Renderer, "uint8", counted)
    prepare.prepare_dataset(dataset(), 5, COMPUTE, **files(tmp_path))
    assert rendered == [21 - 8]
    assert "goes on at image 8 of 21" in capsys.readouterr().err
    assert digests(tmp_path) == digests(made[0])


def test_images_of_another_run_are_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((32, 32, 3), np.uint8)

    def one(self: Renderer, encoded: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.uint8]]:
        del self, encoded
        yield image[None]
        raise KeyboardInterrupt

    monkeypatch.setattr(Renderer, "uint8", one)
    names = []
    for seed in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            prepare.prepare_dataset(dataset(), seed, COMPUTE, **files(tmp_path))
        names.append([path.name for path in tmp_path.glob(".*.rendered")])
    assert len(names[0]) == len(names[1]) == 1
    assert names[0] != names[1]


def people(settings: WorldDataset, seed: int) -> pd.DataFrame:
    """Key columns and attributes, by image_id."""
    population = prepare.population_of(settings.world)
    keys, values = prepare.draw_people(population, settings.world, seed)
    return pd.concat([keys, population.schema.to_table(values)], axis=1).set_index("image_id")


def test_people_stay_when_others_come() -> None:
    few = people(dataset(), 5)
    more = people(
        dataset(identities={**COUNTS, "recognizer": 4}, images_per_identity={**COUNTS, "test": 5}), 5
    )
    pd.testing.assert_frame_equal(few, more.loc[few.index])
    assert len(more) == 21 + 4 + 6


def test_people_differ_by_seed_split_and_number() -> None:
    same_numbers = dict.fromkeys(COUNTS, 3)
    table = people(dataset(identities=same_numbers, images_per_identity=same_numbers), 5)
    assert table["attribute.jaw_width"].nunique() == 12
    assert table["attribute.yaw"].nunique() == 36
    other = people(dataset(), 6)
    assert not set(other["attribute.yaw"]) & set(table["attribute.yaw"])


def test_a_split_without_people_is_left_out() -> None:
    table = people(dataset(identities={**COUNTS, "recognizer": 0}), 5)
    assert sorted(set(table["split"])) == ["calibration", "test", "train"]


def test_an_attribute_that_never_varies_is_refused(tmp_path: Path) -> None:
    rare = with_marginal("glasses", {"classes": {"off": 0.999999, "on": 0.000001}, "identity_share": 0.0})
    with pytest.raises(ValueError, match=r"'attribute\.glasses' is off in every image"):
        prepare.prepare_dataset(rare, 5, COMPUTE, **files(tmp_path))


def test_the_report_warns_of_copies_and_of_classes_that_a_split_lacks(
    made: tuple[Path, dict[str, Any]],
) -> None:
    table = read_table(files(made[0])["table"])
    table.loc[[0, 20], "sha256"] = "same"
    table["attribute.eye_color"] = "brown"
    table["attribute.roll"] = np.float32(1.0)
    schema = read_schema(files(made[0])["attributes"])
    found = prepare.data_report(table, schema, dataset().world, compiled=True)
    assert found["renderer"] == "compiled"
    assert found["duplicates"] == {
        "images": 1,
        "across_splits": 1,
        "examples": ["recognizer-0000/000", "test-0001/001"],
    }
    assert "2 images have the same pixels as another" in found["warnings"]
    assert "split test: no image with eye_color blue, green" in found["warnings"]
    assert "split test: roll has the same value in every image" in found["warnings"]


@pytest.mark.parametrize(
    ("n_images", "size", "supersample", "can", "compiled", "says"),
    [
        (199, 64, 2, True, False, "fewer than 200 images"),
        (200, 64, 2, True, True, "compiled renderer"),
        (200, 64, 2, False, False, "torch cannot compile here"),
        (200, 32, 2, True, False, "images of side 32 with supersample 2"),
        (200, 32, 4, True, True, "compiled renderer"),
    ],
)
def test_which_renderer_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    n_images: int,
    size: int,
    supersample: int,
    can: bool,
    compiled: bool,
    says: str,
) -> None:
    monkeypatch.setattr(world_renderer, "compiles", lambda: can)
    world = dataset(image_size=size, supersample=supersample).world
    found = prepare.renderer_of(world, n_images, tmp_path)
    assert found == Renderer(size, supersample, compiled=compiled)
    assert says in capsys.readouterr().err


SHAPE = "uniform: [low, high], or normal: [mean, sd] with range: [low, high], within -1 and 1"


@pytest.mark.parametrize(
    ("name", "marginal", "says"),
    [
        ("jaw_width", None, f".jaw_width: is missing; allowed is {SHAPE}"),
        ("beard", None, ".beard: is missing; allowed is classes: {off: probability, on: probability}"),
        (
            "jaw",
            {"uniform": [0, 1], "identity_share": 1},
            ".jaw: is not known; allowed are jaw_width, face_length",
        ),
        (
            "jaw_width",
            {"classes": {"off": 0.5, "on": 0.5}, "identity_share": 1},
            f".jaw_width: found classes, allowed is {SHAPE}",
        ),
        (
            "beard",
            {"uniform": [0, 1], "identity_share": 1},
            ".beard: found uniform, allowed is classes: {off: probability, on: probability}",
        ),
        (
            "beard",
            {"classes": {"no": 0.5, "on": 0.5}, "identity_share": 1},
            ".beard.classes: found no, on, allowed are all of off, on",
        ),
        (
            "hair_style",
            {"classes": {"short": 0.5, "long": 0.5}, "identity_share": 1},
            ".hair_style.classes: found short, long, allowed are all of short, long, curly",
        ),
        (
            "yaw",
            {"normal": [0, 16], "range": [-90, 40], "identity_share": 0},
            ".yaw.range: found [-90, 40], allowed is a range within -42 and 42 degrees",
        ),
        (
            "smile",
            {"uniform": [0, 1.5], "identity_share": 0},
            ".smile.uniform: found [0, 1.5], allowed is a range within 0 and 1 of full",
        ),
    ],
)
def test_a_population_that_does_not_fit_the_world(
    name: str, marginal: dict[str, Any] | None, says: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        prepare.check_dataset(with_marginal(name, marginal), Path("my.yaml"))
    assert str(raised.value).startswith("my.yaml: key dataset.world.marginals" + says)


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ([("yaw", "hair", 0.5)], ".0.attributes: found 'hair', allowed are jaw_width, face_length"),
        (
            [("yaw", "yaw", 0.5)],
            ".0.attributes: found yaw and yaw, allowed are two attributes, and each pair once",
        ),
        (
            [("yaw", "roll", 0.5), ("roll", "yaw", 0.1)],
            ".1.attributes: found roll and yaw, allowed are two attributes, and each pair once",
        ),
        (
            [("yaw", "roll", 0.9), ("roll", "pitch", 0.9), ("yaw", "pitch", -0.9)],
            ": found values that no distribution has together, allowed are values that make a positive",
        ),
    ],
)
def test_correlations_that_cannot_be(pairs: list[tuple[str, str, float]], says: str) -> None:
    entries = [{"attributes": [first, second], "value": value} for first, second, value in pairs]
    with pytest.raises(ConfigError) as raised:
        prepare.check_dataset(dataset(correlations=entries), Path("my.yaml"))
    assert str(raised.value).startswith("my.yaml: key dataset.world.correlations" + says)


def test_classes_may_stand_in_any_order() -> None:
    world = with_marginal("beard", {"classes": {"on": 0.2, "off": 0.8}, "identity_share": 0.5}).world
    assert prepare.population_of(world).marginals["beard"].probabilities == (0.8, 0.2)


@pytest.mark.parametrize("name", ["default.yaml", "tiny.yaml", "world-generator.yaml"])
def test_what_is_shipped_fits(name: str) -> None:
    prepare.check_dataset(load_config(CONFIG / name).dataset, CONFIG / name)


def test_checking_imports_no_torch() -> None:
    code = "import sys; import attribute_recovery.dataset.prepare; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
