"""Rows of the validation that stand on a finished run, on the files that a run leaves."""

import json
from pathlib import Path

import pytest
from benchmarks.validation import new_people, region_maps, runner
from benchmarks.validation.finished_run import VARIABLE, finished_run
from benchmarks.validation.new_people import recovery_of
from benchmarks.validation.region_attribution import OURS
from benchmarks.validation.rows import row_named

from attribute_recovery.dataset.store import read_array, read_parquet
from attribute_recovery.embeddings.store import read_embeddings

pytestmark = pytest.mark.slow


@pytest.fixture
def run_row(first_run, tmp_path, monkeypatch):
    """Function (name, said) -> the result of a row's quick run on the tiny run, as a mapping."""
    clone, done = first_run
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.setenv(VARIABLE, str(clone.folder / "config" / "tiny.yaml"))

    def run(name, said=None):
        path = runner.run_row(
            row_named(name),
            seed=1,
            quick=True,
            processes=1,
            results=tmp_path / "results",
            scratch=tmp_path / "scratch",
            say=([] if said is None else said).append,
        )
        return json.loads(path.read_text())

    return run


def test_effects_are_set_against_heads_rendered_again(run_row, tmp_path):
    result = run_row("effects-true")
    assert len(result["goals"]) == 3
    (folder,) = (tmp_path / "scratch" / "quick").iterdir()
    found = [json.loads(path.read_text())["found"] for path in folder.iterdir()]
    run = finished_run()
    assert result["runs"] == [run.digest]
    assert {run.schema[one["attribute"]].kind for one in found} == {"continuous", "binary", "categorical"}
    reported = json.loads(run.of_recognizer("significance/metrics.json").read_text())["decision_effect"]
    for one in found:
        effects = one["effects"]
        assert effects["product"][""] == pytest.approx(reported[one["attribute"]])
        assert set(effects) == {"product", "truth", "through_generator", "generator_replaced"}
        assert all(0 <= value <= 2 for by_direction in effects.values() for value in by_direction.values())
        assert effects["truth"][""] > 0
        # Edits are planned from what the heads read, so that these two have the same directions.
        assert set(effects["product"]) == set(effects["generator_replaced"])
    shares, listed = result["tables"]
    assert len(shares["rows"]) == 3 and len(listed["rows"]) >= 6


def test_planted_attributes_are_looked_for(run_row, tmp_path, monkeypatch):
    stand_in = Path(__file__).parents[1] / "benchmarks" / "captum_stand_in"
    monkeypatch.setenv(region_maps.VARIABLE, str(stand_in))
    result = run_row("region-attribution")
    (folder,) = (tmp_path / "scratch" / "quick").iterdir()
    found = [json.loads(path.read_text())["found"] for path in folder.iterdir()]
    run = finished_run()
    assert {run.schema[one["attribute"]].kind for one in found} == {"continuous", "binary", "categorical"}
    for one in found:
        assert all(0 < gap <= 2 for gap in one["gaps"])
        assert all(0 <= share < 1 for share in one["region"])
        assert len(one["named"]) == len(OURS) + len(region_maps.MAPS) * len(region_maps.SCORES)
        for named in one["named"].values():
            assert len(named) == 2 and set(named) <= {"", *run.schema.names}
    assert len(result["goals"]) == 1
    overall, ways, listed = result["tables"]
    assert [len(table["rows"]) for table in (overall, ways, listed)] == [9, 4, 3]


def test_two_rows_ask_about_the_same_new_people(run_row, tmp_path):
    calibrated = run_row("samples-calibrated")
    said: list[str] = []
    lost = run_row("recovery-loses-little", said)
    assert said == ["recovery-loses-little: 2 of 2 chunks are there"]
    assert [len(result["goals"]) for result in (calibrated, lost)] == [6, 3]
    run = finished_run()
    assert len(lost["tables"][0]["rows"]) == len(run.schema)
    assert len(calibrated["tables"][0]["rows"]) == len(run.schema.continuous)
    (folder,) = (tmp_path / "scratch" / "quick").iterdir()
    found = {path.stem: json.loads(path.read_text())["found"] for path in folder.iterdir()}
    recovery = recovery_of(found)
    assert len(recovery.rows) == 24 and len(set(recovery.people)) == 24
    known = run.images()
    assert not set(recovery.people) & set(known["identity"])
    assert not set(recovery.rows["attribute.jaw_width"]) & set(known["attribute.jaw_width"])


def test_the_runs_own_images_would_be_recovered_as_the_run_did(run_row, monkeypatch):
    """With the run's own test images in the place of new people, its own figures come out."""
    run = finished_run()
    listed = read_parquet(run.of_recognizer("decoder/samples.parquet"))
    test = listed["split"] == "test"
    rows = run.images().set_index("image_id").loc[listed[test]["image_id"]].reset_index()
    read = read_array(run.of_recognizer("decoder/samples_read.bcolz"))[test.to_numpy()]
    people = rows[[name for name in rows if not name.startswith("attribute.")]]
    monkeypatch.setattr(new_people, "_drawn", lambda *given: (people, run.schema.from_table(rows)))
    part = {"run": run.digest, "first": 0, "people": len(rows), "seed": 1}
    part |= {"embeddings": new_people.packed(read_embeddings(run.shards(), rows))}
    recovery = recovery_of({"all": part | {"read": new_people.packed(read)}})
    own = json.loads(run.of_recognizer("recovery/metrics.json").read_text())
    for route in ("decoder", "probe"):
        for name, value in own[route]["information"].items():
            assert recovery.metrics[route]["information"][name] == pytest.approx(value, abs=1e-3)
            assert recovery.gain(route, name).mean() == pytest.approx(value, abs=1e-3)
        assert recovery.metrics[route]["log_loss"] == pytest.approx(own[route]["log_loss"], abs=1e-3)
