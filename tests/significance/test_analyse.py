"""The stage's entry, from files to files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.config import Compute
from attribute_recovery.config_significance import SignificanceSection
from attribute_recovery.dataset.attributes import read_schema
from attribute_recovery.dataset.store import write_table
from attribute_recovery.recovery.forecast import continuous_gain, continuous_marginal
from attribute_recovery.significance.analyse import analyse

SETTINGS = SignificanceSection(
    permutations=19, placebos=19, bootstrap=19, images=8, dose_images=4, cross_talk=0.5
)
COMPUTE = Compute(threads=1, device="cpu", precision="float32")


def _outputs(folder: Path) -> dict[str, Path]:
    names = {
        "significance": "significance.parquet",
        "contributions": "contributions.parquet",
        "metrics": "metrics.json",
        "figure": "significance.png",
        "edits": "edits.png",
        "group_rates": "groups.parquet",
        "group_curves": "group_curves.parquet",
        "group_figure": "groups.png",
        "doses": "dose_response.parquet",
        "dose_figure": "dose_response.png",
    }
    return {name: folder / file for name, file in names.items()}


@pytest.fixture(scope="module")
def run(stage_files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    outputs = _outputs(tmp_path_factory.mktemp("out"))
    return analyse(SETTINGS, 1, COMPUTE, recognizer="toy", **stage_files, **outputs), outputs


def test_every_attribute_has_all_three_measures(run: Any, schema: Any) -> None:
    table = pd.read_parquet(run[1]["significance"])
    overall = table[table["direction"] == ""]
    assert len(overall) == 3 * len(schema)
    assert set(table["recognizer"]) == {"toy"}
    assert overall["estimate"].notna().all()
    # What is recovered here lies near the truth.
    assert (overall.loc[overall["measure"] == "retained_information", "p"] <= 0.1).all()


def test_metrics_are_what_is_written(run: Any) -> None:
    metrics, outputs = run
    assert json.loads(outputs["metrics"].read_text()) == metrics
    assert metrics["edited_images"] == 8
    assert metrics["placebo_images"] == 4  # people among the eight images
    assert (metrics["n_identities"], metrics["n_images"], metrics["split"]) == (9, 36, "test")
    assert set(metrics["flips"]["glasses"]) == {
        "genuine_lost",
        "genuine_gained",
        "impostor_gained",
        "impostor_lost",
    }
    for name in ("figure", "edits", "group_figure", "dose_figure"):
        assert outputs[name].stat().st_size > 0


def test_contributions_are_of_the_same_figures(run: Any) -> None:
    table = pd.read_parquet(run[1]["significance"])
    parts = pd.read_parquet(run[1]["contributions"])
    keys = ["measure", "attribute", "direction"]
    assert set(map(tuple, table[keys].to_numpy())) <= set(map(tuple, parts[keys].to_numpy()))
    means = parts[parts["part"] == ""].groupby(keys)[["total", "n"]].sum()
    for _, row in table[table["measure"] != "identity_share"].iterrows():
        total, n = means.loc[tuple(row[keys])]
        assert total / n == pytest.approx(row["estimate"])
        assert n == row["n_images"]


def test_equal_inputs_give_equal_files(run: Any, stage_files: dict[str, Path], tmp_path: Path) -> None:
    outputs = _outputs(tmp_path)
    analyse(SETTINGS, 1, COMPUTE, recognizer="toy", **stage_files, **outputs)
    for name, path in outputs.items():
        assert path.read_bytes() == run[1][name].read_bytes()


def test_recovered_images_must_be_of_this_run(stage_files: dict[str, Path], tmp_path: Path) -> None:
    recovered = pd.read_parquet(stage_files["recovered"])
    recovered.loc[3, "image_id"] = "nobody/000"
    write_table(recovered, tmp_path / "recovered.parquet")
    paths = stage_files | {"recovered": tmp_path / "recovered.parquet"}
    with pytest.raises(ValueError, match="nobody/000"):
        analyse(SETTINGS, 1, COMPUTE, recognizer="toy", **paths, **_outputs(tmp_path))
    assert not np.any([path.exists() for path in _outputs(tmp_path).values()])


def test_rates_by_group_and_responses_are_of_all_attributes(run: Any, schema: Any) -> None:
    metrics, outputs = run
    groups = pd.read_parquet(outputs["group_rates"])
    assert set(groups["attribute"]) == set(schema.names)
    assert set(groups["recognizer"]) == {"toy"}
    row = groups[(groups["measure"] == "fmr_difference") & (groups["attribute"] == "glasses")].iloc[0]
    assert metrics["fmr_difference"]["glasses"][row["direction"]] == pytest.approx(row["estimate"])
    assert set(pd.read_parquet(outputs["group_curves"])["attribute"]) <= set(schema.names)
    doses = pd.read_parquet(outputs["doses"])
    assert set(doses["attribute"]) == {"length", "yaw"} == set(metrics["dose_ratio"])
    assert (doses["n_images"] <= 4).all()


UNKNOWN_TEST = "no image of the split test has a value"
ONE_PERSON = "known for 1 person of the split train only, at least 3 are needed"


def _knocked_out(files: dict[str, Path], folder: Path) -> dict[str, Path]:
    """Labels of yaw and glasses missing at random, each elsewhere, and in the card of the editor, of hair
    known for one person of `train`."""
    rng = np.random.default_rng(3)
    images, recovered = pd.read_parquet(files["table"]), pd.read_parquet(files["recovered"])
    gone = {name: rng.random(len(images)) < 0.25 for name in ("yaw", "glasses")}
    gone["hair"] = (images["identity"] != "train-2").to_numpy()
    gone["length"] = np.zeros(len(images), dtype=bool)
    places = images.set_index("image_id").index.get_indexer(recovered["image_id"])
    for name, rows in gone.items():
        column = f"attribute.{name}"
        images[column], recovered[column] = images[column].mask(rows), recovered[column].mask(rows[places])
    write_table(images, folder / "images.parquet")
    write_table(recovered, folder / "recovered.parquet")
    card = json.loads(files["editor_card"].read_text())
    for entry in card["attributes"]:
        entry["editable"] = entry["name"] != "hair"
    (folder / "editor.json").write_text(json.dumps(card))
    (folder / "recovery.json").write_text(
        json.dumps({"chosen": {"length": "decoder", "yaw": "decoder", "glasses": "probe"}})
    )
    return files | {
        "table": folder / "images.parquet",
        "recovered": folder / "recovered.parquet",
        "editor_card": folder / "editor.json",
        "recovery_metrics": folder / "recovery.json",
    }


@pytest.fixture(scope="module")
def partial(stage_files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("partial")
    files, outputs = _knocked_out(stage_files, folder), _outputs(folder)
    return analyse(SETTINGS, 1, COMPUTE, recognizer="toy", **files, **outputs), outputs, files


def test_each_attribute_is_tested_on_the_images_where_it_is_known(partial: Any, run: Any) -> None:
    metrics, outputs, files = partial
    table, whole = (pd.read_parquet(each["significance"]) for each in (outputs, run[1]))
    assert table[["attribute", "measure"]].drop_duplicates().to_numpy().tolist() == (
        whole[["attribute", "measure"]].drop_duplicates().to_numpy().tolist()
    )
    images = pd.read_parquet(files["table"])
    known = images[images["split"] == "test"].groupby("identity").count()
    keys = ["measure", "attribute", "direction"]
    by_key, complete = table.set_index(keys), whole.set_index(keys)
    for name in ("length", "yaw", "glasses"):
        counts = known[f"attribute.{name}"]
        for measure in ("retained_information", "identity_share"):
            row = by_key.loc[(measure, name, "")]
            assert (row["n_images"], row["n_identities"]) == (counts.sum(), (counts > 0).sum())
            assert np.isfinite(row["estimate"])
    # Of what is known everywhere nothing changes, and a decision needs no label.
    for key in [("retained_information", "length", ""), ("identity_share", "length", "")]:
        assert by_key.loc[key, ["estimate", "low", "high"]].tolist() == pytest.approx(
            complete.loc[key, ["estimate", "low", "high"]].tolist(), nan_ok=True
        )
    effect = ("decision_effect", "yaw", "")
    assert by_key.loc[effect, "estimate"] == pytest.approx(complete.loc[effect, "estimate"])
    assert set(metrics["known_images"]) == {"yaw", "glasses", "hair"}


def test_the_estimate_is_that_of_the_known_images_alone(partial: Any) -> None:
    _, outputs, files = partial
    schema = read_schema(files["attributes"])
    images, listed = pd.read_parquet(files["table"]), pd.read_parquet(files["recovered"])
    fitted = images[(images["split"] == "train") & images["attribute.yaw"].notna()]
    seen = listed[listed["attribute.yaw"].notna()]
    marginal = continuous_marginal("yaw", fitted["attribute.yaw"], fitted["identity"])
    gain = continuous_gain(
        seen["recovered.yaw.location"], seen["recovered.yaw.scale"], seen["attribute.yaw"], marginal
    )
    table = pd.read_parquet(outputs["significance"])
    row = table[(table["attribute"] == "yaw") & (table["measure"] == "retained_information")].iloc[0]
    assert row["estimate"] == pytest.approx(gain.mean(), abs=1e-6)
    assert schema["yaw"].kind == "continuous"


def test_what_cannot_be_tested_is_said_with_its_reason(partial: Any) -> None:
    metrics, outputs, _ = partial
    table = pd.read_parquet(outputs["significance"])
    hair = table[table["attribute"] == "hair"]
    assert hair["measure"].tolist() == ["retained_information", "identity_share", "decision_effect"]
    assert hair[["estimate", "low", "high", "p", "q"]].isna().all().all()
    assert hair["method"].tolist() == [f"not testable: {ONE_PERSON}"] * 3
    assert hair["n_images"].tolist() == hair["n_identities"].tolist() == [0, 0, 0]
    assert metrics["not_testable"] == {
        measure: {"hair": ONE_PERSON}
        for measure in ("retained_information", "identity_share", "decision_effect")
    }
    parts = pd.read_parquet(outputs["contributions"])
    assert set(parts["attribute"]) == {"length", "yaw", "glasses"}
    assert "hair" not in set(table["cross_talk_worst_attribute"])
    means = parts[parts["part"] == ""].groupby(["measure", "attribute", "direction"])[["total", "n"]].sum()
    for _, row in table[(table["measure"] != "identity_share") & table["estimate"].notna()].iterrows():
        total, n = means.loc[(row["measure"], row["attribute"], row["direction"])]
        assert total / n == pytest.approx(row["estimate"]) and n == row["n_images"]


def test_a_run_in_which_no_attribute_is_known_in_test_goes_on(
    stage_files: dict[str, Path], tmp_path: Path
) -> None:
    images, recovered = (pd.read_parquet(stage_files[name]) for name in ("table", "recovered"))
    for name in ("length", "yaw", "glasses", "hair"):
        column = f"attribute.{name}"
        images[column] = images[column].mask(images["split"] == "test")
        recovered[column] = recovered[column].mask(recovered["split"] == "test")
    write_table(images, tmp_path / "images.parquet")
    write_table(recovered, tmp_path / "known.parquet")
    files = stage_files | {"table": tmp_path / "images.parquet", "recovered": tmp_path / "known.parquet"}
    metrics = analyse(SETTINGS, 1, COMPUTE, recognizer="toy", **files, **_outputs(tmp_path))
    assert metrics["not_testable"]["retained_information"] == dict.fromkeys(
        ("length", "yaw", "glasses", "hair"), UNKNOWN_TEST
    )
    assert all(value is not None for value in metrics["decision_effect"].values())
