"""Rows of the validation that stand on a finished run, on the files that a run leaves."""

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.validation import kept, runner
from benchmarks.validation.attacks import attack_chunks, attack_faces, attacks
from benchmarks.validation.blinded import correlated
from benchmarks.validation.blinded.blinded import STILL
from benchmarks.validation.blinded.correlated_people import OTHER
from benchmarks.validation.faults.edited_faces import contributions_of, edited_faces
from benchmarks.validation.finished_run import VARIABLE, finished_run
from benchmarks.validation.forecasts import new_people
from benchmarks.validation.forecasts.new_people import recovery_of
from benchmarks.validation.in_place.rendered_decoder import ground_of, rendered_generator
from benchmarks.validation.kept import VARIABLE as KEPT
from benchmarks.validation.regions import region_maps
from benchmarks.validation.regions.region_attribution import OURS
from benchmarks.validation.rows import row_named

from attribute_recovery.dataset.store import read_array, read_parquet
from attribute_recovery.decoder.pairs import embed_codes
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
    monkeypatch.setenv(kept.VARIABLE, str(tmp_path / "kept"))

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
    # Forecasts that are all the same have no slope, so it is asked for only where something is kept.
    discrete = calibrated["tables"][1]
    kept = [row[discrete["columns"].index("kept by the recognizer")] for row in discrete["rows"]]
    assert len(kept) == len(finished_run().schema.discrete) and set(kept) <= {"yes", "no"}
    assert [len(calibrated["goals"]), len(lost["goals"])] == [5 + ("yes" in kept), 3]
    (slope,) = [goal for goal in calibrated["goals"] if "calibration slope" in goal["goal"]] or [None]
    assert slope is None or f"of {kept.count('yes')} attributes" in slope["measured"]
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


def test_the_renderer_stands_in_the_generators_place(run_row):
    result = run_row("whose-error")
    assert result["goals"] == [] and result["runs"] == [finished_run().digest]
    figures, by_attribute = result["tables"]
    assert {row[0] for row in figures["rows"]} >= {"attacks", "samples-calibrated", "recovery-loses-little"}
    assert len(by_attribute["rows"]) == len(finished_run().schema)
    own = json.loads(finished_run().of_recognizer("decoder/metrics.json").read_text())
    assert figures["rows"][0][2] == f"{100 * own['type_1_tar']:.1f} %"
    ground = ground_of(finished_run(), 0)
    codes = ground.codes.codes(ground.encoded[:3])
    generator = rendered_generator(ground.codes, ground.camera.renderer, ground.device)
    embedded = embed_codes(generator, ground.camera.recognizer, codes)
    assert np.abs(embedded - ground.embeddings(np.arange(3))).max() < 0.05


def test_nothing_is_tested_with_a_recognizer_that_does_not_see_it(run_row, tmp_path):
    result = run_row("nothing-found")
    (folder,) = (tmp_path / "scratch" / "quick").iterdir()
    found = [json.loads(path.read_text())["found"] for path in folder.glob("blinded-*.json")]
    assert len(found) == 2 and found[0]["moved"] == found[1]["moved"]
    nulls = {name for name, distance in found[0]["moved"].items() if distance <= STILL}
    assert nulls and 0 < found[0]["seen"] < 1
    for one in (seed for part in found for seed in part["seeds"]):
        assert set(one["decision"]["p"]) <= nulls and one["decision"]["p"]
        assert all(0 < p <= 1 for listed in one["p"].values() for p in listed)
    assert {path.name.split("-")[0] for path in (tmp_path / "kept").iterdir()} == {"mask", "sight"}
    assert len(result["tables"]) == 3


def test_correlated_attributes_are_seen_one_at_a_time(run_row, tmp_path):
    result = run_row("correlated-apart")
    assert result["goals"][0]["measured"].endswith(f"of {len(correlated.SEEN)}")
    (folder,) = (tmp_path / "scratch" / "quick").iterdir()
    for path in folder.iterdir():
        found = json.loads(path.read_text())["found"]
        assert set(found["truth"]) == set(OTHER) and all(0 <= value <= 2 for value in found["truth"].values())
        for name in OTHER:
            assert 0 <= found["effects"][name]["effect"] <= 2 and 0 < found["effects"][name]["p"] <= 1
            assert set(found["observed"][name]) == {"retained", "retained_p", "fmr_difference", "fmr_p"}


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
        assert row["total"] / row["n"] == pytest.approx(reported[name], rel=1e-3, abs=1e-5)


def test_a_group_is_starved_and_random_groups_are_drawn(run_row, tmp_path):
    result = run_row("group-gap-found")
    assert len(result["goals"]) == 3
    by_seed, clean, by_measure = result["tables"]
    assert [row[1] for row in by_seed["rows"]] == ["skin_tone low", "skin_tone high"]
    assert [row[0] for row in clean["rows"]] == ["skin_tone", "hair_lightness"]
    assert {row[0] for row in by_measure["rows"]} >= {"fmr difference on less off"}
    # The clean recognizer serves its own table and all random groupings.
    assert len([path for path in (tmp_path / "kept").glob("recognizer-*") if path.is_dir()]) == 3
