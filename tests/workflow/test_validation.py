"""Rows of the validation that stand on a finished run, on the files that a run leaves."""

import json

import pytest
from benchmarks.validation import attack_chunks, attack_faces, attacks, new_people, runner
from benchmarks.validation.finished_run import VARIABLE, finished_run
from benchmarks.validation.new_people import recovery_of
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


def test_decoded_images_are_judged_by_f_and_by_a_critic(run_row, tmp_path):
    result = run_row("attacks")
    assert len(result["goals"]) == 4
    by_f = result["tables"][0]
    assert [len(table["rows"]) for table in result["tables"]] == [5, 5, 5]
    run = finished_run()
    own = json.loads(run.of_recognizer("decoder/metrics.json").read_text())
    told = {row[0]: row for row in by_f["rows"]}
    product, rebuilt = (told[attacks.WAYS[way]] for way in ("product", "rebuilt"))
    # Attacks are judged as pictures of 8 bits, so a pair at τ may be decided otherwise.
    assert float(product[1].split()[0]) == pytest.approx(own["type_1_tar"], abs=0.1)
    assert float(product[5]) == pytest.approx(own["sample_cosine"], abs=0.01)
    assert float(rebuilt[5]) == pytest.approx(own["reconstruction_cosine"], abs=0.01)
    (folder,) = (tmp_path / "scratch" / "quick").iterdir()
    found = {path.stem: json.loads(path.read_text())["found"] for path in folder.iterdir()}
    assert set(found) == {"critic", *attacks.WAYS}
    assert found["product"]["spread"] > 0 and found["mean"]["spread"] == 0
    images = attack_chunks.unpacked_images(found["nbnet"]["images"])
    assert images.shape == (32, 32, 32, 3)
    picture = tmp_path / "attacks.png"
    asked = ["--quick", "--scratch", str(tmp_path / "scratch"), "--to", str(picture)]
    assert attack_faces.main(asked) == 0
    assert 0 < picture.stat().st_size < 200_000
    assert attack_faces.main([*asked, "--seed", "2"]) == 1
