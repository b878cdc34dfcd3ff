"""Attacks on embeddings whose rates are known, and the rule end to end."""

import json
import math

import numpy as np
import pandas as pd
import pytest

import attribute_recovery.decoder.attacks as module
from attribute_recovery.config import Compute, DecoderSection
from attribute_recovery.dataset.store import read_array, read_table
from attribute_recovery.decoder.attacks import (
    attack_metrics,
    attack_rates,
    other_images,
    read_threshold,
    sample_and_attack,
    sampled_rows,
)
from attribute_recovery.decoder.pairs import embed_codes
from attribute_recovery.decoder.train import train_decoder
from attribute_recovery.embeddings.store import read_embeddings


def at(*degrees: float) -> np.ndarray:
    """Embeddings in the plane at these angles."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


PEOPLE = np.array(["a", "a", "b", "b", "b"], dtype=object)
TAU = math.cos(math.radians(30))


def test_other_images_are_all_ordered_pairs_of_one_person() -> None:
    first, second = other_images(PEOPLE)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [
        (0, 1), (1, 0), (2, 3), (2, 4), (3, 2), (3, 4), (4, 2), (4, 3)
    ]  # fmt: skip
    assert not len(other_images(np.array(["a", "b"], dtype=object))[0])


def test_attack_rates_of_known_angles() -> None:
    real = at(0, 20, 100, 120, 140)
    decoded = at(-15, 20, 140, 120, 190)
    rates = attack_rates(decoded, real, PEOPLE, TAU)
    assert rates.type_1 == pytest.approx(3 / 5)  # 15°, 0°, 40°, 0°, 50°
    # 35°, 20°; 20°, 0° (third against the others of b), 20°, 20°; 90°, 70°
    assert rates.type_2 == pytest.approx(5 / 8)
    assert rates.real == pytest.approx(6 / 8)  # 20° twice in a; 20°, 20° and 40° twice each in b
    assert rates.cosine == pytest.approx(np.cos(np.radians([15, 0, 40, 0, 50])).mean(), abs=1e-6)


def test_a_score_equal_to_the_threshold_is_accepted() -> None:
    z = at(0, 60)
    score = float((z[:1] * z[1:]).sum())
    people = np.array(["a", "a"], dtype=object)
    for tau, accepted in ((score, 1.0), (float(np.nextafter(np.float32(score), np.float32(1))), 0.0)):
        assert attack_rates(z[::-1], z, people, tau).type_1 == accepted
        assert attack_rates(z, z, people, tau).real == accepted


def test_metrics_are_rates_over_what_real_images_reach() -> None:
    real, decoded = at(0, 20, 100, 120, 140), at(-15, 20, 140, 120, 190)
    found = attack_metrics(decoded, real, real, PEOPLE, TAU, 50, 1)
    assert found["type_2_tar_ratio"] == pytest.approx(5 / 6)
    assert found["reconstruction_tar_ratio"] == 1
    assert found["reconstruction_type_1_tar"] == 1
    assert found["reconstruction_tar_ratio_interval"] == [1, 1]
    for key in ("type_1_tar", "type_2_tar_ratio"):
        low, high = found[f"{key}_interval"]
        assert low <= found[key] <= high


def test_no_ratio_of_rates_reaches_below_none() -> None:
    """Of six people one has decoded images that are accepted as the other image."""
    people = np.repeat(np.array(list("abcdef"), dtype=object), 2)
    real = at(*[60.0 * number + image for number in range(6) for image in (0, 5)])
    decoded = at(0, 5, *[60.0 * number + 40 for number in range(1, 6) for _ in range(2)])
    found = attack_metrics(decoded, real, real, people, TAU, 99, 1)
    low, high = found["type_2_tar_ratio_interval"]
    assert found["type_2_tar_ratio"] == pytest.approx(1 / 6)
    assert 0 < low < 1 / 6 < high


def test_what_is_not_defined_is_none_and_never_nan() -> None:
    apart = at(0, 90, 180, 270)
    people = np.array(["a", "a", "b", "b"], dtype=object)
    nobody_accepted = attack_metrics(apart, apart, apart, people, TAU, 20, 1)
    assert nobody_accepted["real_tar"] == 0
    assert nobody_accepted["type_2_tar_ratio"] is None
    assert nobody_accepted["type_2_tar_ratio_interval"] == [None, None]
    single = attack_metrics(apart, apart, apart, np.array(list("abcd"), dtype=object), TAU, 20, 1)
    assert single["type_2_tar"] is None
    assert single["reconstruction_tar_ratio_interval"] == [None, None]
    json.dumps([nobody_accepted, single], allow_nan=False)


def test_sampled_rows_are_the_whole_test_and_a_part_of_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALIBRATION_IMAGES", 480)
    # 300 people with two images each, and one with a hundred of them
    people = [f"p{i % 300}" for i in range(600)] + ["many"] * 100
    table = pd.DataFrame(
        {
            "split": ["train"] * 5 + ["calibration"] * 700 + ["test"] * 30,
            "identity": ["t"] * 5 + people + ["q"] * 30,
        }
    )
    rows = sampled_rows(table, 1)
    held = rows[table["split"].iloc[rows] == "calibration"]
    assert len(held) == 480 == len(set(held))
    assert (np.diff(held) > 0).all()
    counts = table["identity"].iloc[held].value_counts()
    assert len(counts) == 301 and counts.max() == 2
    assert rows[table["split"].iloc[rows] == "test"].tolist() == list(range(705, 735))
    assert len(rows) == 480 + 30
    assert np.array_equal(rows, sampled_rows(table, 1))
    assert not np.array_equal(rows, sampled_rows(table, 2))
    few = table.iloc[600:].reset_index(drop=True)
    assert sampled_rows(few, 1).tolist() == list(range(135))  # few enough to take all


@pytest.fixture(scope="module")
def attacked(tiny_run, settings: DecoderSection, compute: Compute, tmp_path_factory):  # type: ignore[no-untyped-def]
    """Metrics of the entry and the folder it wrote, after training T for real."""
    folder = tmp_path_factory.mktemp("attacked")
    models = tiny_run.paths("generator_weights", "generator_card", "recognizer_weights", "recognizer_card")
    data = tiny_run.paths("images", "codes", "shards") | {"table": tiny_run.path("images_table")}
    weights, card = folder / "t.safetensors", folder / "t.json"
    train_decoder(
        settings,
        1,
        compute,
        **data,
        **models,
        weights=weights,
        card=card,
        checkpoint=folder / "c.safetensors",
    )
    outputs = {"samples": "samples.bcolz", "samples_read": "read.bcolz", "samples_table": "samples.parquet"}
    outputs |= {"metrics": "metrics.json", "figure": "samples.png", "figure_decoded": "samples-decoded.png"}
    arguments = data | models | tiny_run.paths("images", "threshold", "heads_weights", "heads_card")
    arguments |= {"transformer_weights": weights, "transformer_card": card}
    arguments |= {name: folder / file for name, file in outputs.items()}
    return sample_and_attack(settings, 2, 30, compute, **arguments), arguments


def test_the_entry_writes_samples_of_calibration_and_test(attacked, tiny_run) -> None:
    _, paths = attacked
    listed = pd.read_parquet(paths["samples_table"])
    assert list(listed.columns) == ["image_id", "identity", "split"]
    assert listed["split"].tolist() == ["calibration"] * 12 + ["test"] * 20
    assert read_array(paths["samples"]).shape == (32, 19, 6)
    read = read_array(paths["samples_read"])
    assert read.shape == (32, 19, 7)
    np.testing.assert_allclose(read[:, :, 1:3].sum(2), 1, atol=1e-5)
    heights = []
    for name in ("figure", "figure_decoded"):
        assert paths[name].read_bytes().startswith(b"\x89PNG")
        assert paths[name].stat().st_mode & 0o777 == 0o600
        heights.append(int.from_bytes(paths[name].read_bytes()[20:24], "big"))
    assert heights[1] < heights[0]  # without the row of real images


def test_the_entrys_rates_are_those_of_its_files(attacked, tiny_run, models) -> None:
    values, paths = attacked
    assert values == json.loads(paths["metrics"].read_text())
    listed = pd.read_parquet(paths["samples_table"])
    test = np.flatnonzero(listed["split"] == "test")
    real = read_embeddings(paths["shards"], listed.iloc[test])
    found = embed_codes(*models, read_array(paths["samples"])[test, 0])
    tau = read_threshold(paths["threshold"])
    rates = attack_rates(found, real, listed["identity"].to_numpy(object)[test], tau)
    assert values["type_1_tar"] == pytest.approx(rates.type_1)
    assert values["type_2_tar"] == pytest.approx(rates.type_2)
    assert values["sample_cosine"] == pytest.approx(rates.cosine, abs=1e-6)
    table = read_table(tiny_run.path("images_table"))
    own = embed_codes(*models, read_array(paths["codes"])[table["split"] == "test"])
    assert values["reconstruction_cosine"] == pytest.approx(float((own * real).sum(1).mean()), abs=1e-6)
    assert (values["n_images"], values["n_identities"], values["split"]) == (20, 5, "test")
    assert set(values["coverage_90"]) == {"yaw", "smile"}


def test_without_heads_the_attacks_are_the_same_and_nothing_is_read(
    attacked, settings: DecoderSection, compute: Compute, tmp_path
) -> None:
    values, paths = attacked
    own = {name: tmp_path / paths[name].name for name in ("samples", "samples_table", "metrics")}
    own |= {name: tmp_path / paths[name].name for name in ("figure", "figure_decoded")}
    heads = ("heads_weights", "heads_card", "samples_read")
    given = {name: path for name, path in paths.items() if name not in heads}
    found = sample_and_attack(settings, 2, 30, compute, **(given | own))
    spread_alone = {"coverage_90", "coverage_90_interval", "crps_skill", "not_measured"}
    assert found == {name: value for name, value in values.items() if name not in spread_alone}
    assert (read_array(own["samples"]) == read_array(paths["samples"])).all()


def test_t_of_another_recognizer_is_refused(
    attacked, tiny_run, settings: DecoderSection, compute: Compute, tmp_path
) -> None:
    _, paths = attacked
    other = tmp_path / "card.json"
    other.write_text(
        json.dumps(json.loads(paths["transformer_card"].read_text()) | {"recognizer_sha256": "0" * 64})
    )
    with pytest.raises(ValueError, match="the recognizer that .* was trained for; train the decoder again"):
        sample_and_attack(settings, 2, 30, compute, **(paths | {"transformer_card": other}))
