"""The comparison's entry, from files to files."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from attribute_recovery.config_significance import SignificanceSection
from attribute_recovery.dataset.attributes import write_schema
from attribute_recovery.dataset.store import read_table, write_table
from attribute_recovery.embeddings.rates import split_pairs, threshold_of
from attribute_recovery.embeddings.store import write_embeddings
from attribute_recovery.significance.compare import common_rates, compare
from attribute_recovery.significance.contributions import contributions_table
from attribute_recovery.statistics.rates import true_accept_rate

SETTINGS = SignificanceSection(
    permutations=99, placebos=19, bootstrap=50, images=8, dose_images=0, cross_talk=0.5
)
PEOPLE = {"calibration": 10, "test": 16}
# Of both recognizers, that they hold nothing of an attribute.
OWN_P = {"yaw": 0.002, "glasses": 0.3}


def _write_recognizer(
    folder: Path, images: pd.DataFrame, noise: float, fmr: float, make_recovered: Any
) -> None:
    """Embeddings of people with so much noise, τ at that rate, contributions with forecasts as good."""
    rng = np.random.default_rng(round(100 * noise))
    _, codes = np.unique(images["identity"].to_numpy(str), return_inverse=True)
    points = np.random.default_rng(5).standard_normal((codes.max() + 1, 16))[codes]
    write_embeddings(
        folder / "embeddings/shards",
        images["image_id"].tolist(),
        points + noise * rng.standard_normal(points.shape),
        count=2,
    )
    (folder / "recognizer").mkdir()
    calibration = split_pairs(images, folder / "embeddings/shards", "calibration", 0)
    (folder / "recognizer/threshold.json").write_text(json.dumps(asdict(threshold_of(calibration, fmr))))
    test = images[images["split"] == "test"]
    people: npt.NDArray[np.object_] = test["identity"].to_numpy(object)
    _, places = np.unique(people.astype(str), return_inverse=True)
    found = [make_recovered(name, places, hit=0.9 - 0.4 * noise) for name in ("yaw", "glasses")]
    write_table(contributions_table(found, people, [], people), folder / "significance/contributions.parquet")
    rows = [
        {"attribute": name, "measure": measure, "direction": "", "p": p}
        for name, p in OWN_P.items()
        for measure in ("retained_information", "identity_share")
    ]
    table = pd.DataFrame(rows).assign(recognizer=folder.name)
    write_table(table, folder / "significance/significance.parquet")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory, schema: Any, make_recovered: Any) -> Path:
    """Two recognizers of one experiment: `sharp` and, with more noise and a stricter rate, `blurred`."""
    root = tmp_path_factory.mktemp("experiment")
    keys = [
        {
            "image_id": f"{split}-{i}/{j}",
            "identity": f"{split}-{i:02d}",
            "split": split,
            "path": "",
            "sha256": "",
        }
        for split, count in PEOPLE.items()
        for i in range(count)
        for j in range(4)
    ]
    images = pd.DataFrame(keys)
    write_table(images, root / "images.parquet")
    write_schema(schema, root / "attributes.json")
    _write_recognizer(root / "sharp", images, 0.5, 0.1, make_recovered)
    _write_recognizer(root / "blurred", images, 1.5, 0.07, make_recovered)
    return root


def _run(root: Path, out: Path, *names: str) -> dict[str, Any]:
    return compare(
        SETTINGS,
        1,
        experiment_dir=root,
        recognizers=names,
        table=root / "images.parquet",
        attributes=root / "attributes.json",
        comparison=out / "comparison.parquet",
        metrics=out / "metrics.json",
        figure=out / "comparison.png",
    )


def test_the_later_recognizer_less_the_earlier_one(experiment: Path, tmp_path: Path) -> None:
    metrics = _run(experiment, tmp_path, "blurred", "sharp")
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    table = pd.read_parquet(tmp_path / "comparison.parquet").set_index(["measure", "attribute"])
    retained = table.loc[("retained_information", "yaw")]
    assert (retained["recognizer"], retained["other"]) == ("sharp", "blurred")
    assert retained["estimate"] > 0
    # Nobody is found to hold anything of the glasses, so there is nothing to differ.
    assert (
        retained["p"] < 0.05 and table.loc[("retained_information", "glasses")]["p"] >= 2 * OWN_P["glasses"]
    )
    tar = table.loc[("tar_at_same_fmr", "")]
    assert tar["estimate"] > 0.2 and tar["low"] > 0 and tar["p"] <= 0.02
    assert (tar["n_identities"], tar["n_images"], tar["split"]) == (16, 64, "test")
    pair = metrics["sharp"]["blurred"]
    assert pair["tar_at_same_fmr"] == tar["estimate"]
    assert pair["retained_information"]["yaw"] == retained["estimate"]
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_both_are_held_to_the_larger_false_match_rate(experiment: Path) -> None:
    images = read_table(experiment / "images.parquet")
    folders = {name: experiment / name for name in ("sharp", "blurred")}
    fmr, figures = common_rates(images, folders, 0)
    assert fmr == 0.1  # 3/n of ten people is 0.067, so both rates asked for are claimable
    for name, folder in folders.items():
        calibration, test = (
            split_pairs(images, folder / "embeddings/shards", split, 0) for split in ("calibration", "test")
        )
        tau = threshold_of(calibration, 0.1).value
        found = figures[name]["tar_at_same_fmr", "", ""].value(np.ones((1, 16)))[0]
        assert found == pytest.approx(true_accept_rate(test.genuine.scores, tau))
        found = figures[name]["fmr_at_same_fmr", "", ""].value(np.ones((1, 16)))[0]
        assert found == pytest.approx((test.impostor.scores >= tau).mean())


def test_a_threshold_without_its_rate_counts_by_what_it_accepts(experiment: Path, tmp_path: Path) -> None:
    images = read_table(experiment / "images.parquet")
    shutil.copytree(experiment / "sharp", tmp_path / "sharp")
    given = {"value": 0.4, "fmr": None, "achieved_fmr": 0.2}
    (tmp_path / "sharp/recognizer/threshold.json").write_text(json.dumps(given))
    folders = {"sharp": tmp_path / "sharp", "blurred": experiment / "blurred"}
    assert common_rates(images, folders, 0)[0] == 0.2


def test_equal_inputs_give_equal_files(experiment: Path, tmp_path: Path) -> None:
    for part in ("a", "b"):
        _run(experiment, tmp_path / part, "sharp", "blurred")
    for name in ("comparison.parquet", "metrics.json", "comparison.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_cannot_be_compared_is_refused(experiment: Path, tmp_path: Path, make_recovered: Any) -> None:
    with pytest.raises(ValueError, match="recognizers: found 1, allowed are two or more"):
        _run(experiment, tmp_path, "sharp")
    with pytest.raises(ValueError, match="nobody/significance/contributions.parquet: is missing"):
        _run(experiment, tmp_path, "sharp", "nobody")
    images = read_table(experiment / "images.parquet")
    third = experiment / "third"
    _write_recognizer(third, images, 1.0, 0.1, make_recovered)
    (third / "recognizer/threshold.json").write_text('{"value": 0.4}')
    with pytest.raises(
        ValueError, match="third/recognizer/threshold.json: found no number under fmr or achieved_fmr"
    ):
        _run(experiment, tmp_path, "sharp", "third")
    parts = pd.read_parquet(third / "significance/contributions.parquet")
    write_table(parts.drop(columns="total"), third / "significance/contributions.parquet")
    with pytest.raises(ValueError, match="contributions.parquet: column 'total' is missing"):
        _run(experiment, tmp_path, "sharp", "third")
    assert not list(tmp_path.iterdir())
