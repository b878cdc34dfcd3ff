"""Rows of the validation that stand on a finished run, on the files that a run leaves."""

import json

import pytest
from benchmarks.validation import new_people, runner
from benchmarks.validation.edited_faces import contributions_of, edited_faces
from benchmarks.validation.finished_run import VARIABLE, finished_run
from benchmarks.validation.kept import VARIABLE as KEPT
from benchmarks.validation.new_people import recovery_of
from benchmarks.validation.rows import row_named

from attribute_recovery.dataset.store import read_array, read_parquet
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.recognizer.load import load_recognizer
from attribute_recovery.training.device import prepare_torch

pytestmark = pytest.mark.slow


@pytest.fixture
def run_row(first_run, tmp_path, monkeypatch):
    """Function (name, said) -> the result of a row's quick run on the tiny run, as a mapping."""
    clone, done = first_run
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.setenv(VARIABLE, str(clone.folder / "config" / "tiny.yaml"))
    monkeypatch.setenv(KEPT, str(tmp_path / "kept"))

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


def test_a_shortcut_is_planted_and_recognizers_are_compared(run_row, tmp_path):
    result = run_row("shortcut-found")
    run = finished_run()
    device = prepare_torch(run.compute)
    by_seed, by_attribute = result["tables"]
    assert len(result["goals"]) == 1 and len(by_seed["rows"]) == 2
    # Images, rendered or edited, are made once; each seed trains two recognizers.
    kinds = sorted(path.name.rpartition("-")[0] for path in (tmp_path / "kept").iterdir() if path.is_dir())
    assert kinds == ["edited-faces", *["recognizer"] * 4, "toggled-glasses"]
    # Seen by the run's own recognizer, the shared images have the effects that the run reports.
    table = contributions_of(edited_faces(run, device), load_recognizer(*run.f, device))
    sums = table.groupby("attribute")[["total", "n"]].sum()
    reported = json.loads(run.of_recognizer("significance/metrics.json").read_text())["decision_effect"]
    assert set(sums.index) == {name for name, value in reported.items() if value is not None}
    assert {row[0] for row in by_attribute["rows"]} == set(sums.index)
    for name, row in sums.iterrows():
        assert row["total"] / row["n"] == pytest.approx(reported[name], rel=0.1, abs=1e-3)


def test_a_group_is_starved_and_random_groups_are_drawn(run_row, tmp_path):
    result = run_row("group-gap-found")
    assert len(result["goals"]) == 3
    by_seed, clean, by_measure = result["tables"]
    assert [row[1] for row in by_seed["rows"]] == ["skin_tone low", "skin_tone high"]
    assert [row[0] for row in clean["rows"]] == ["skin_tone", "hair_lightness"]
    assert {row[0] for row in by_measure["rows"]} >= {"fmr difference on less off"}
    # The clean recognizer serves its own table and all random groupings.
    assert len([path for path in (tmp_path / "kept").glob("recognizer-*") if path.is_dir()]) == 3
