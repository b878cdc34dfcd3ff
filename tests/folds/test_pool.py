"""What a rule wrote in every fold, as if there were one."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from attribute_recovery.dataset.store import write_table
from attribute_recovery.folds.pool import pool_stage

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """An experiment in three folds, of one, two and two people held out."""
    for number, people in enumerate((1, 2, 2), start=1):
        rows = [
            {"image_id": f"{number}{i}/{j}", "identity": f"{number}{i}", "path": "", "sha256": ""}
            for i in range(people)
            for j in range(2)
        ]
        held_out = pd.DataFrame(rows).assign(split="test")
        other = held_out.assign(split="calibration", image_id="x" + held_out["image_id"], identity="x")
        fold = tmp_path / f"fold_{number}"
        write_table(pd.concat([held_out, other]), fold / "dataset/images.parquet")
        stage = fold / "r/recovery"
        write_table(pd.concat([held_out, other])[["image_id", "split"]], stage / "recovered.parquet")
        (stage / "metrics.json").write_text(json.dumps({"r2": number / 10, "n_images": 2 * people}))
        (stage / "card.json").write_text(json.dumps({"number": number}))
        (stage / "reliability.png").write_bytes(PNG + bytes([number]))
        (stage / "pictures").mkdir()
        (stage / "pictures/1.png").write_bytes(PNG + bytes([number]))
    return tmp_path


def outputs(experiment: Path, **names: str) -> dict[str, Path]:
    """Files of the stage recovery by name."""
    return {name: experiment / "r/recovery" / file for name, file in names.items()}


def test_metrics_are_pooled_tables_stacked_pictures_the_first_folds(experiment: Path) -> None:
    written = outputs(
        experiment,
        metrics="metrics.json",
        recovered="recovered.parquet",
        card="card.json",
        figures="reliability.png",
        pictures="pictures",
    )
    values = pool_stage(3, experiment_dir=experiment, outputs=written)
    assert values == {"r2": pytest.approx((0.1 + 0.4 + 0.6) / 5), "n_images": 10, "folds": 3}
    assert json.loads(written["metrics"].read_text()) == values
    table = pd.read_parquet(written["recovered"])
    assert table["image_id"].tolist() == [
        "10/0",
        "10/1",
        "20/0",
        "20/1",
        "21/0",
        "21/1",
        "30/0",
        "30/1",
        "31/0",
        "31/1",
    ]
    assert table["fold"].tolist() == [1, 1, 2, 2, 2, 2, 3, 3, 3, 3]
    assert json.loads(written["card"].read_text()) == {"number": 1}
    assert written["figures"].read_bytes() == PNG + b"\x01"
    assert (written["pictures"] / "1.png").read_bytes() == PNG + b"\x01"
    assert all(path.stat().st_mode & 0o077 == 0 for name, path in written.items() if name != "metrics")
    assert not list((experiment / "r/recovery").glob(".*"))


def test_pictures_of_another_run_are_replaced(experiment: Path) -> None:
    written = outputs(experiment, pictures="pictures")
    written["pictures"].mkdir(parents=True)
    (written["pictures"] / "old.png").write_bytes(PNG)
    pool_stage(3, experiment_dir=experiment, outputs=written)
    assert [path.name for path in written["pictures"].iterdir()] == ["1.png"]


def test_p_values_of_the_summary_are_those_of_the_pooled_table(experiment: Path) -> None:
    from attribute_recovery.significance.table import COLUMNS, OWN_COLUMNS, WORDS

    (experiment / "dataset").mkdir()
    entry: dict[str, Any] = {
        "name": "glasses",
        "family": "label",
        "kind": "binary",
        "level": "image",
        "unit": "",
        "categories": ["off", "on"],
    }
    (experiment / "dataset/attributes.json").write_text(json.dumps([entry]))
    for number in (1, 2, 3):
        row = dict.fromkeys(COLUMNS, "test") | {
            "attribute": "glasses",
            "measure": "retained_information",
            "direction": "",
            "estimate": 0.1 * number,
            "low": 0.0,
            "high": 0.5,
            "p": 0.001,
            "q": 0.001,
            "p_identity": 0.001,
            "p_image": 0.001,
            "n_identities": 2,
            "n_images": 4,
        }
        own = {name: "" if name in WORDS else 0.5 for name in OWN_COLUMNS}
        stage = experiment / f"fold_{number}/r/significance"
        write_table(pd.DataFrame([row | own]), stage / "significance.parquet")
        summary = {
            "retained_information": {"glasses": 9.0},
            "retained_information_p": {"glasses": 9.0},
            "flips": 1,
        }
        (stage / "metrics.json").write_text(json.dumps(summary))
    names = {"significance": "significance.parquet", "metrics": "metrics.json", "figure": "figure.png"}
    written = {name: experiment / "r/significance" / file for name, file in names.items()}
    for number in (1, 2, 3):
        (experiment / f"fold_{number}/r/significance/figure.png").write_bytes(PNG)
    values = pool_stage(3, experiment_dir=experiment, outputs=written)
    assert values["retained_information"]["glasses"] == pytest.approx((0.1 + 0.4 + 0.6) / 5)
    assert values["retained_information_p"]["glasses"] == pytest.approx(0.001)
    assert values["significant"]["retained_information"] == ["glasses"]
    assert values["flips"] == 1
    assert len(written["figure"].read_bytes()) > 1000


def test_a_fold_that_lacks_a_file_is_named(experiment: Path) -> None:
    (experiment / "fold_2/r/recovery/metrics.json").unlink()
    with pytest.raises(ValueError, match="fold_2/r/recovery/metrics.json: cannot be read"):
        pool_stage(3, experiment_dir=experiment, outputs=outputs(experiment, metrics="metrics.json"))
    (experiment / "fold_1/r/recovery/reliability.png").unlink()
    with pytest.raises(ValueError, match="fold_1/r/recovery/reliability.png: is missing"):
        pool_stage(3, experiment_dir=experiment, outputs=outputs(experiment, figures="reliability.png"))
