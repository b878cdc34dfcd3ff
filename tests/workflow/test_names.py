"""People's names end where the experiment's folder ends: neither page nor figures nor MLflow has one."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from attribute_recovery.config import Compute, DatasetConfig, load_config
from attribute_recovery.dataset.prepare import prepare_dataset
from attribute_recovery.report.page import write_report
from attribute_recovery.tracking.executions import begin_execution, end_execution
from attribute_recovery.tracking.ingest import ingest
from attribute_recovery.tracking.records import recorded_job
from attribute_recovery.tracking.scripts import flat_metrics

ROOT = Path(__file__).parents[2]
NAMES = (b"xylophina", b"quantock")


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """Faces with every fault and labels, all named after the same person: folders, files, table."""
    root, rng, rows = tmp_path / "The Quantock case", np.random.default_rng(2), []
    for i in range(9):
        for j in range(3):
            path = root / f"Xylophina {i}" / f"Quantock_{j}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(path)
            label = "perhaps Xylophina" if (i, j) == (4, 1) else str((i + j) % 2)
            rows.append([path.relative_to(root).as_posix(), label])
    (root / "Xylophina 0" / "broken Quantock.png").write_bytes(b"no image")
    (root / "Xylophina 1" / "copy.png").write_bytes((root / "Xylophina 1" / "Quantock_0.png").read_bytes())
    Image.new("RGB", (8, 8)).save(root / "Xylophina 2" / "small.png")
    (root / "Xylophina Lonely").mkdir()
    Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(root / "Xylophina Lonely" / "one.png")
    with (tmp_path / "Quantock labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image_id", "glasses"], *rows[3:], ["Xylophina 99/x.png", "1"]])
    return {
        "source": "folders",
        "path": str(root),
        "image_size": 32,
        "align": {"by": "given", "crop": "stretch", "template": "unknown"},
        "splits": {"by": "shares", "recognizer": 0.0, "train": 0.5, "calibration": 0.25, "test": 0.25},
        "on_fault": {"all": "skip"},
        "labels": [
            {"path": str(tmp_path / "Quantock labels.csv"), "format": "table", "key": "image_id"},
        ],
        "attributes": {"glasses": {"kind": "binary", "level": "image", "family": "label"}},
    }


def brought_in(settings: dict[str, Any], tmp_path: Path, identities: str) -> tuple[Path, bytes]:
    """The experiment's folder after dataset, a failed job and the report; all that can be handed on."""
    experiment = tmp_path / "results" / "mine"
    begin_execution(experiment, command=["snakemake", "--config", f"dataset={settings['path']}"])
    data = experiment / "dataset"
    outputs = {name: data / f"{name}.json" for name in ("attributes", "report")}
    outputs |= {"images": data / "images.bcolz", "table": data / "images.parquet"}
    told: dict[str, Any] = {"experiment_dir": experiment, "params": {"settings": settings}, "seed": 3}
    source = [settings["labels"][0]["path"]]
    with recorded_job(
        rule="dataset",
        log=experiment / "logs/dataset.log",
        inputs={"source": source},
        outputs=outputs,
        **told,
    ) as job:
        config: DatasetConfig = TypeAdapter(DatasetConfig).validate_python(settings)
        compute = Compute(threads=1, device="cpu", precision="float32")
        report = prepare_dataset(config, 3, compute, **outputs, cache=tmp_path / "cache")
        job.log_metrics(flat_metrics(report))
    with (
        pytest.raises(SystemExit),
        recorded_job(
            rule="rates", log=experiment / "logs/rates.log", inputs={}, outputs={}, **told | {"params": {}}
        ),
    ):
        raise ValueError("image 'Xylophina 3/Quantock_1.png' has no embedding")
    end_execution(experiment, "failed", error="Xylophina")
    section = load_config(ROOT / "config/default.yaml").report.model_copy(update={"identities": identities})
    page, metrics = experiment / "report/index.html", experiment / "report/metrics.json"
    write_report(section, experiment_dir=experiment, recognizers=["default"], page=page, metrics=metrics)
    ingest(experiment, experiment_name="names", identities=identities)  # type: ignore[arg-type]
    database = experiment.parent / "mlflow.db"
    files = [*page.parent.iterdir(), *database.parent.glob("mlflow.db*"), *database.parent.glob("ml*/**/*")]
    return experiment, b"".join(path.read_bytes() for path in files if path.is_file()).lower()


def test_no_name_leaves_the_folder_where_people_are_pseudonymous(settings: Any, tmp_path: Path) -> None:
    experiment, handed_on = brought_in(settings, tmp_path, "pseudonymous")
    for name in NAMES:
        assert name not in handed_on
    assert b"perhaps" not in handed_on
    report = experiment / "dataset/report.json"
    # Whoever has the data finds there which files are meant.
    for words in ("Xylophina 0/broken Quantock.png: ", "Xylophina Lonely", "as Xylophina 1/Quantock_0.png"):
        assert words in report.read_text()
    assert report.stat().st_mode & 0o777 == 0o600
    assert b"have pseudonyms" in handed_on and b"faults.small.count" in handed_on


def test_names_are_there_where_the_configuration_says_so(settings: Any, tmp_path: Path) -> None:
    _, handed_on = brought_in(settings, tmp_path, "named")
    for name in NAMES:
        assert name in handed_on
