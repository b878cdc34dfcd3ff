"""The stage: rates over all attempted pairs, what counts as a flip, and the entry on tiny files."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.config import Compute, CounterfactualsSection
from attribute_recovery.counterfactuals.explain import (
    explain,
    explain_attributes,
    explain_representations,
    flip_rate,
)
from attribute_recovery.counterfactuals.material import Material
from attribute_recovery.decoder.decoder import Decoder
from attribute_recovery.decoder.train import train_decoder
from attribute_recovery.report.weight import flip_sentences

TAU = math.cos(math.radians(30))


@pytest.fixture
def people(world, material) -> Material:
    """Four people whose jaws, and so whose embeddings, are 45° apart; three images each, within 10°."""
    jaws = np.concatenate([centre + np.array([-0.05, 0.0, 0.05]) for centre in (-0.8, -0.3, 0.2, 0.7)])
    attributes = np.stack([world.encoded(hair=i % 3, jaw=jaw, nose=-jaw) for i, jaw in enumerate(jaws)])
    return material(attributes, [f"p{i // 3}" for i in range(12)], TAU)


def test_all_pairs_flip_where_the_jaw_alone_is_who_somebody_is(
    people: Material, settings: CounterfactualsSection, tmp_path: Path
) -> None:
    table, values = explain_attributes(people, settings, 1, 20, tmp_path)
    assert values["attribute_flip_rate"] == 1
    # Four people have four impostor pairs here: many draws of people leave none.
    assert values["attribute_flip_rate_interval"] == [None, None]
    assert values["attribute_flip_rate_by_kind"] == {"genuine": 1.0, "impostor": 1.0}
    assert values["attribute_pairs"] == len(table) == 8
    assert values["attributes_changed"] == 1
    assert values["reconstruction_kept"] == 1
    assert table["kind"].tolist() == ["genuine"] * 4 + ["impostor"] * 4
    for row in table.to_dict("records"):
        change = json.loads(row["changes"])
        assert [entry["attribute"] for entry in change] == ["jaw"]
        assert change[0]["unit"] == "of its range"
        # Both are told to a thousandth, and may lie six of them apart to the last bit.
        assert change[0]["read"] == pytest.approx(change[0]["to"], abs=0.006 + 1e-9)
        assert (row["score_after"] >= TAU) == (row["kind"] == "impostor")
        assert row["cross_talk"] < 0.005
    same = table["image_id"].str[:2] == table["other_image_id"].str[:2]
    assert (same == (table["kind"] == "genuine")).all()
    assert {path.name for path in tmp_path.iterdir()} == {
        f"attribute-{kind}{ending}.png" for kind in ("genuine", "impostor") for ending in ("", "-decoded")
    }


def test_a_flip_that_the_reconstruction_shows_already_counts_as_failed(
    people: Material, settings: CounterfactualsSection, tmp_path: Path
) -> None:
    """E sees the first person's images as the last one's: its genuine pairs are lost before any edit."""
    codes = people.codes.copy()
    codes[:3] = codes[9:]
    table, values = explain_attributes(
        replace(people, codes=codes), settings.model_copy(update={"attribute_pairs": 48}), 1, 20, tmp_path
    )
    genuine = table[table["kind"] == "genuine"]
    lost = genuine["image_id"].str.startswith("p0")
    assert lost.sum() == 6 and len(genuine) == 24
    assert (genuine["kept"] == ~lost).all()
    assert (genuine["flipped"] == ~lost).all()
    assert (genuine.loc[lost, "n_attributes"] == 0).all()
    kept_rate = table["kept"].mean()
    assert values["reconstruction_kept"] == pytest.approx(kept_rate)
    assert values["attribute_flip_rate"] == pytest.approx(table["flipped"].mean())
    assert values["attribute_flip_rate_by_kind"]["genuine"] == pytest.approx(18 / 24)
    assert values["attribute_pairs"] == len(table)


def test_pairs_that_cannot_flip_stay_in_the_rate(
    people: Material, settings: CounterfactualsSection, tmp_path: Path, world
) -> None:
    stiff = replace(people, recognizer=world.StubRecognizer(world.linear(jaw=90, age=0)))
    stiff.editor.high.update(
        dict.fromkeys(stiff.editor.high, 0.71)
    )  # from the last person one cannot leave upwards
    stiff.editor.low.update(dict.fromkeys(stiff.editor.low, 0.69))
    table, values = explain_attributes(
        stiff, settings.model_copy(update={"attribute_pairs": 48}), 1, 20, tmp_path
    )
    last = table["image_id"].str.startswith("p3") & (table["kind"] == "genuine")
    assert not table.loc[last, "flipped"].any()
    assert table.loc[(table["kind"] == "genuine") & ~last, "flipped"].all()
    assert values["attribute_flip_rate_by_kind"]["genuine"] == pytest.approx(18 / 24)


def test_classes_are_told_by_name(world, material, settings: CounterfactualsSection, tmp_path: Path) -> None:
    attributes = np.stack([world.encoded(hair=h, glasses=g) for h, g in ((0, 1), (0, 1), (1, 0), (1, 0))])
    made = material(attributes, ["a", "a", "b", "b"], TAU, short=0, long=80, glasses=40)
    table, _ = explain_attributes(made, settings, 1, 20, tmp_path)
    impostor = table[table["kind"] == "impostor"].iloc[0]
    assert impostor["flipped"]
    changes = {change["attribute"]: change for change in json.loads(impostor["changes"])}
    assert set(changes) == {"hair", "glasses"}
    first = impostor["image_id"].startswith("a")
    for name, classes in (("hair", ("short", "long")), ("glasses", ("on", "off"))):
        start, end = classes if first else classes[::-1]
        assert changes[name] == {"attribute": name, "from": start, "to": end, "read": end, "unit": "class"}


def test_edits_that_spill_over_show_as_cross_talk(
    people: Material, settings: CounterfactualsSection, tmp_path: Path, world
) -> None:
    class Leaky(world.StubEditor):  # type: ignore[misc, name-defined]
        def edit(self, code, current, wanted):  # type: ignore[no-untyped-def]
            changed = super().edit(code, current, wanted)
            changed[:, 2] += 0.5
            return changed

    table, _ = explain_attributes(replace(people, editor=Leaky()), settings, 1, 20, tmp_path)
    expected = math.sqrt(0.5**2 / 7)  # one of the seven columns other than jaw moved by half its deviation
    np.testing.assert_allclose(table["cross_talk"], expected, atol=0.005)


def test_representations_flip_in_both_directions(
    people: Material, settings: CounterfactualsSection, tmp_path: Path
) -> None:
    table, values = explain_representations(people, settings, 1, 20, tmp_path)
    assert values["representation_flip_rate"] == {"to_non_match": 1.0, "to_match": 1.0}
    assert values["representation_pairs"] == {"to_non_match": 6, "to_match": 6}
    assert table["direction"].tolist() == ["to_non_match"] * 6 + ["to_match"] * 6
    same = table["image_id"].str[:2] == table["other_image_id"].str[:2]
    assert (same == (table["direction"] == "to_non_match")).all()
    assert {path.name for path in tmp_path.iterdir()} == {
        f"representation-{way}{ending}.png"
        for way in ("to_match", "to_non_match")
        for ending in ("", "-decoded")
    }


def test_t_of_one_point_is_decoded_once_and_has_no_standard_error(
    people: Material, settings: CounterfactualsSection, tmp_path: Path, world
) -> None:
    point = Decoder(world.StubTransformer(), people.generator, 0, people.decoder.device)
    table, values = explain_representations(replace(people, decoder=point), settings, 1, 20, tmp_path)
    errors = [name for name in table.columns if name.startswith("change_se.")]
    assert errors and table[errors].isna().all(axis=None)
    assert set(table["flipped_samples"]) <= {0.0, 1.0}
    assert values["representation_flip_rate"]["to_non_match"] == 1.0


def test_failed_representations_stay_in_the_rate(
    people: Material, settings: CounterfactualsSection, tmp_path: Path, world
) -> None:
    off = replace(
        people, decoder=Decoder(world.StubTransformer(bias=0.5), people.generator, 1, people.decoder.device)
    )
    table, values = explain_representations(off, settings, 1, 20, tmp_path)
    assert values["representation_flip_rate"]["to_non_match"] == 0  # 45° off: no genuine pair keeps its match
    assert values["representation_pairs"]["to_non_match"] == 6 == (table["direction"] == "to_non_match").sum()
    assert not (tmp_path / "representation-to_non_match.png").exists()


def test_no_pair_of_a_kind_gives_no_rate_and_no_error(
    world, material, settings: CounterfactualsSection, tmp_path: Path
) -> None:
    everybody_rejected = material([world.encoded(jaw=a) for a in (-0.9, 0.0, 0.9)], ["a", "a", "b"], TAU)
    table, values = explain_representations(everybody_rejected, settings, 1, 20, tmp_path)
    assert values["representation_flip_rate"]["to_non_match"] is None
    assert values["representation_flip_rate_interval"]["to_non_match"] == [None, None]
    assert values["representation_pairs"] == {"to_non_match": 0, "to_match": 4}
    everybody_accepted = replace(
        everybody_rejected, tau=-0.99, identities=np.array(list("abc"), dtype=object)
    )
    table, values = explain_representations(everybody_accepted, settings, 1, 20, tmp_path)
    edited, more = explain_attributes(everybody_accepted, settings, 1, 20, tmp_path)
    assert len(table) == len(edited) == more["attribute_pairs"] == 0
    assert more["attribute_flip_rate"] is more["reconstruction_kept"] is None
    json.dumps(values | more, allow_nan=False)
    assert all("nan" not in sentence for sentence in flip_sentences(values | more))


def test_flip_rates_have_an_interval_where_there_are_two_people() -> None:
    flips, names = np.array([True, False, True, True]), np.array(list("aabb"), dtype=object)
    rate, (low, high) = flip_rate(flips, names, names, 200, 1)
    assert rate == 0.75
    # Two people say next to nothing: Student's t has one degree of freedom.
    assert 0 <= low < 0.1
    assert 0.99 < high <= 1
    assert flip_rate(flips[:2], names[:2], names[:2], 200, 1) == (0.5, [None, None])
    assert flip_rate(flips[:0], names[:0], names[:0], 200, 1) == (None, [None, None])


def test_flip_rates_know_that_either_side_of_a_pair_may_be_the_reason() -> None:
    """Whether a pair flips goes with both people: the truth is the mean over everybody who may be drawn."""
    rng, covered = np.random.default_rng(0), []
    grid = 1.7 * np.sqrt(2) * rng.standard_normal(200_000)
    truth = float((1 / (1 + np.exp(-grid))).mean())
    for _ in range(150):
        effect = 1.7 * rng.standard_normal(50)
        first = rng.integers(50, size=200)
        second = (first + rng.integers(1, 50, size=200)) % 50
        flipped = rng.random(200) < 1 / (1 + np.exp(-effect[first] - effect[second]))
        names = np.array([f"p{i}" for i in range(50)], dtype=object)
        _, (low, high) = flip_rate(flipped, names[first], names[second], 199, 1)
        assert low is not None and high is not None
        covered.append(low <= truth <= high)
    assert np.mean(covered) > 0.9


def test_flips_of_everybody_leave_open_what_so_few_could_hide() -> None:
    names = np.array([f"p{i}" for i in range(12)], dtype=object)
    rate, ends = flip_rate(np.ones(12, bool), names, names, 99, 1)
    assert (rate, *ends) == pytest.approx((1, 0.05 ** (1 / 12), 1))


def test_a_flip_rate_over_both_kinds_of_pairs_joins_theirs() -> None:
    names = np.array([f"p{i}" for i in range(20)], dtype=object)
    genuine, impostor = np.arange(20) % 4 > 0, np.arange(20) % 2 > 0
    ends = [flip_rate(genuine, names, names, 499, 1), flip_rate(impostor, names, np.roll(names, 1), 499, 1)]
    rate, (low, high) = flip_rate(
        np.append(genuine, impostor), np.append(names, names), np.append(names, np.roll(names, 1)), 499, 1
    )
    (a, (a_low, a_high)), (b, (b_low, b_high)) = ends
    assert rate == pytest.approx((a + b) / 2)
    assert low == pytest.approx(rate - np.hypot(a - a_low, b - b_low) / 2)
    assert high == pytest.approx(rate + np.hypot(a_high - a, b_high - b) / 2)


@pytest.fixture(scope="module")
def tiny(tiny_files, compute: Compute, tmp_path_factory):  # type: ignore[no-untyped-def]
    """Paths of a tiny run with a trained T."""
    run = tiny_files.write_run(tmp_path_factory.mktemp("tiny"))
    models = run.paths("generator_weights", "generator_card", "recognizer_weights", "recognizer_card")
    data = run.paths("images", "codes", "shards") | {"table": run.path("images_table")}
    transformer = run.paths("transformer_weights", "transformer_card")
    train_decoder(
        tiny_files.decoder_settings(),
        1,
        compute,
        **data,
        **models,
        weights=transformer["transformer_weights"],
        card=transformer["transformer_card"],
        checkpoint=run.root / "c.safetensors",
    )
    others = run.paths("images", "threshold", "heads_weights", "heads_card", "editor_weights", "editor_card")
    return data | models | transformer | others


def outputs(folder: Path) -> dict[str, Path]:
    names = {
        "representation": "r.parquet",
        "attribute": "a.parquet",
        "shapley": "s.parquet",
        "metrics": "m.json",
        "pictures": "pictures",
    }
    return {name: folder / file for name, file in names.items()}


def test_the_entry_writes_tables_rates_and_a_folder_of_pictures(
    tiny, settings: CounterfactualsSection, compute: Compute, tmp_path: Path
) -> None:
    written = outputs(tmp_path)
    values = explain(settings, 3, 20, compute, **tiny, **written)
    assert json.loads(written["metrics"].read_text()) == values
    moved, edited = pd.read_parquet(written["representation"]), pd.read_parquet(written["attribute"])
    for direction in ("to_match", "to_non_match"):
        mine = moved[moved["direction"] == direction]
        assert values["representation_pairs"][direction] == len(mine) == 6
        assert values["representation_flip_rate"][direction] == pytest.approx(mine["flipped"].mean())
    assert values["attribute_pairs"] == len(edited) == 8
    assert values["attribute_flip_rate"] == pytest.approx(edited["flipped"].mean())
    assert (edited["n_attributes"] <= settings.max_attributes).all()
    assert moved["image_id"].str.startswith("test-").all()
    assert written["pictures"].is_dir()
    assert values["n_identities"] == 5
    explained = pd.read_parquet(written["shapley"])
    assert explained["pair"].nunique() == sum(values["explained_pairs"].values()) == 6
    assert explained["image_id"].str.startswith("test-").all()


def test_no_error_is_explained_where_none_is_asked_for(
    tiny, settings: CounterfactualsSection, compute: Compute, tmp_path: Path
) -> None:
    """And all else is as it is beside them, byte for byte."""
    with_errors, without = outputs(tmp_path / "a"), outputs(tmp_path / "b")
    explain(settings, 3, 20, compute, **tiny, **with_errors)
    off = settings.model_copy(update={"error_pairs": 0})
    values = explain(off, 3, 20, compute, **tiny, **without)
    assert len(pd.read_parquet(without["shapley"])) == values["error_images"] == 0
    assert not list(without["pictures"].glob("errors*"))
    for name in ("representation", "attribute"):
        assert with_errors[name].read_bytes() == without[name].read_bytes()


def test_the_entry_gives_the_same_tables_again(
    tiny, settings: CounterfactualsSection, compute: Compute, tmp_path: Path
) -> None:
    first, second = outputs(tmp_path / "a"), outputs(tmp_path / "b")
    for written in (first, second):
        explain(settings, 3, 20, compute, **tiny, **written)
    for name in ("representation", "attribute", "shapley", "metrics"):
        assert first[name].read_bytes() == second[name].read_bytes()


def test_the_entry_succeeds_where_nothing_can_flip(
    tiny, settings: CounterfactualsSection, compute: Compute, tmp_path: Path
) -> None:
    """τ just below 1: nobody is accepted, no impostor becomes a match, no picture is drawn."""
    strict = tmp_path / "threshold.json"
    strict.write_text(json.dumps({"value": 1 - 1e-9}))
    written = outputs(tmp_path)
    values = explain(settings, 3, 20, compute, **(tiny | {"threshold": strict}), **written)
    assert values["representation_flip_rate"] == {"to_non_match": None, "to_match": 0.0}
    assert values["attribute_flip_rate"] == 0
    assert values["attributes_changed"] is None
    assert values["wrong_pairs"]["false_match"] == 0 < values["wrong_pairs"]["false_non_match"]
    assert all(path.name.startswith("errors") for path in written["pictures"].iterdir())


def test_edits_stay_inside_the_configured_quantiles(
    tiny, settings: CounterfactualsSection, compute: Compute, tmp_path: Path
) -> None:
    narrow = settings.model_copy(update={"quantile_range": (0.4, 0.6), "attribute_pairs": 30})
    written = outputs(tmp_path)
    explain(narrow, 3, 20, compute, **tiny, **written)
    table = pd.read_parquet(tiny["table"])
    train = table[table["split"] == "train"]
    checked = 0
    for changes in pd.read_parquet(written["attribute"])["changes"]:
        for change in json.loads(changes):
            if change["attribute"] in ("yaw", "smile"):
                low, high = np.quantile(train[f"attribute.{change['attribute']}"], [0.4, 0.6])
                assert low - 1e-3 <= change["to"] <= high + 1e-3
                checked += 1
    assert checked


def test_t_of_another_generator_is_refused(
    tiny, settings: CounterfactualsSection, compute: Compute, tmp_path: Path
) -> None:
    card = tmp_path / "card.json"
    card.write_text(
        json.dumps(json.loads(tiny["transformer_card"].read_text()) | {"generator_sha256": "0" * 64})
    )
    with pytest.raises(ValueError, match="the generator that .* was trained for"):
        explain(settings, 3, 20, compute, **(tiny | {"transformer_card": card}), **outputs(tmp_path))
