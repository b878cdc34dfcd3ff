"""Nothing that may name somebody is left in a record that goes into MLflow, and all else is as it was."""

import copy
import json
from typing import Any

import pytest

from attribute_recovery.tracking.withheld import WITHHELD, without_names

FACES = {
    "source": "table",
    "path": "/data/Ann Lee/faces.csv",
    "root": "/data/Ann Lee",
    "labels": [{"path": "/data/ann lee.csv", "key": "image_id"}],
    "image_size": 64,
    "align": {"by": "given", "template": "unknown"},
}


def job(rule: str, **more: Any) -> dict[str, Any]:
    """A record of a job as far as it matters here."""
    inputs = [
        {"name": "source", "path": "/data/Ann Lee/faces.csv", "sha256": "ab" * 32, "size": 3, "kind": "file"},
        {
            "name": "table",
            "path": "mine/dataset/images.parquet",
            "sha256": "cd" * 32,
            "size": 3,
            "kind": "file",
        },
    ]
    return {"rule": rule, "params": {"settings": FACES, "seed": 3}, "inputs": inputs, **more}


def test_where_faces_lie_is_not_told_and_files_are_known_by_their_hash() -> None:
    record = job("dataset")
    before = copy.deepcopy(record)
    found = without_names(record)
    assert record == before
    assert "ann lee" not in json.dumps(found).lower()
    kept = found["params"]["settings"]
    assert kept["path"] == kept["root"] == kept["labels"] == WITHHELD
    assert (kept["image_size"], kept["align"], found["params"]["seed"]) == (64, FACES["align"], 3)
    source, table = found["inputs"]
    assert source == before["inputs"][0] | {"path": "source-abababababab.csv"}
    assert table == before["inputs"][1]


def test_settings_without_a_place_stay_as_they_are() -> None:
    world = {"source": "world", "world": {"image_size": 64}}
    found = without_names(job("dataset") | {"params": {"settings": world}})
    assert found["params"] == {"settings": world}
    none = {"source": "lfw", "path": "/data/lfw", "pairs": None, "labels": []}
    kept = without_names(job("dataset") | {"params": {"settings": none}})["params"]["settings"]
    assert (kept["path"], kept["pairs"], kept["labels"]) == (WITHHELD, None, [])


def test_other_rules_keep_their_settings_and_inputs() -> None:
    record = job("recognizer")
    assert without_names(record) == record


def test_a_folder_of_photographs_to_decode_is_not_told_either() -> None:
    folder = {"images": "/data/Ann Lee", "batch_size": 8}
    own = without_names({"rule": "decoder_folder", "params": {"settings": folder}})
    assert own["params"]["settings"] == {"images": WITHHELD, "batch_size": 8}
    whole = {"rule": "decoder_train", "params": {"settings": {"steps": 3, "folder": folder, "images": 7}}}
    kept = without_names(whole)["params"]["settings"]
    assert kept == {"steps": 3, "folder": own["params"]["settings"], "images": 7}
    none = {"rule": "decoder_train", "params": {"settings": {"folder": None}}}
    assert without_names(none) == none


def test_words_of_errors_are_withheld_and_their_kinds_are_not() -> None:
    failed = job("embeddings", error={"type": "ValueError", "message": "image 'Ann Lee/1': is broken"})
    assert without_names(failed)["error"] == {"type": "ValueError", "message": WITHHELD}
    assert without_names({"error": "Ann Lee", "command": "make run"}) == {
        "error": WITHHELD,
        "command": "make run",
    }
    assert without_names({"error": ""}) == {"error": ""}


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("snakemake --configfile config/mine.yaml --profile config/profiles/local", True),
        ("snakemake --config 'dataset={path: /data/ann}'", False),
        ("snakemake --config=dataset={path:/data/ann}", False),
        ("snakemake -C experiment=ann --cores 2", False),
        ("snakemake 'no end", True),
    ],
)
def test_settings_in_the_command_are_withheld(command: str, told: bool) -> None:
    assert without_names({"command": command})["command"] == (command if told else WITHHELD)
