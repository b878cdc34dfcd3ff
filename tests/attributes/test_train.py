"""Losses by formula, heads that learn what is plainly seen, and the rule end to end."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch

import attribute_recovery.attributes.train as module
from attribute_recovery.attributes.heads import (
    AttributeEstimator,
    Estimates,
    load_heads,
)
from attribute_recovery.attributes.networks import HeadsNetwork, split_readout
from attribute_recovery.attributes.train import (
    fit_heads,
    heads_loss,
    measure_heads,
    standardised,
    train_heads,
)
from attribute_recovery.config_attributes import Heads
from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.dataset.store import write_table
from attribute_recovery.generator.load import LoadedGenerator, load_generator
from attribute_recovery.generator.train import to_tensor
from attribute_recovery.training.loop import LoopSettings

Images = npt.NDArray[np.uint8]
Values = dict[str, npt.NDArray[np.generic]]
CPU = torch.device("cpu")
MEANS, SCALES = {"brightness": 120.0}, {"brightness": 46.0}


def test_losses_by_formula(schema: AttributeSchema) -> None:
    readout = torch.tensor([[0.5, -1.0, 0.2, 0.6, 1.0, 0.0, -1.0], [0.0, 5.0, 1.0, 0.0, 0.0, 2.0, 0.5]])
    truth = {
        "brightness": torch.tensor([1.0, -1.0]),
        "glasses": torch.tensor([1, 0]),
        "colour": torch.tensor([0, 2]),
    }
    found = heads_loss(schema, split_readout(schema, readout), truth)
    raw = readout.double().numpy()
    squared = np.array([0.25, 1.0])
    log_sd = np.array([-1.0, 2.0])  # bounded
    assert float(found["squared"]) == pytest.approx(4 * squared.mean())
    assert float(found["spread"]) == pytest.approx(
        0.2 * (log_sd + 0.5 * squared / np.exp(2 * log_sd)).mean(), rel=1e-5
    )

    def log_loss(logits: npt.NDArray[np.float64], label: int) -> float:
        return float(np.log(np.exp(logits).sum()) - logits[label])

    glasses = (log_loss(raw[0, 2:4], 1) + log_loss(raw[1, 2:4], 0)) / 2
    colour = (log_loss(raw[0, 4:], 0) + log_loss(raw[1, 4:], 2)) / 2
    assert float(found["classes"]) == pytest.approx((glasses + colour) / 2, rel=1e-5)


def test_the_deviation_does_not_pull_at_the_mean(schema: AttributeSchema) -> None:
    readout = torch.randn(5, 7, requires_grad=True)
    truth = {
        "brightness": torch.ones(5),
        "glasses": torch.zeros(5, dtype=torch.long),
        "colour": torch.zeros(5, dtype=torch.long),
    }
    heads_loss(schema, split_readout(schema, readout), truth)["spread"].backward()  # type: ignore[no-untyped-call]
    assert readout.grad is not None
    assert readout.grad[:, 1].abs().min() > 0
    assert not bool(readout.grad[:, [0, 2, 3, 4, 5, 6]].any())


def test_the_deviation_is_right_where_its_loss_is_least(schema: AttributeSchema) -> None:
    """At σ² = the squared error."""
    only = AttributeSchema(schema.attributes[:1])
    truth = {"brightness": torch.tensor([0.6])}
    losses = [
        float(heads_loss(only, {"brightness": torch.tensor([[0.0, s]])}, truth)["spread"])
        for s in np.linspace(-2, 1, 301)
    ]
    assert np.linspace(-2, 1, 301)[int(np.argmin(losses))] == pytest.approx(np.log(0.6), abs=0.01)


def test_a_schema_of_one_kind_has_no_other_losses(schema: AttributeSchema) -> None:
    for attributes, absent in (
        (schema.attributes[:1], ["classes"]),
        (schema.attributes[1:], ["squared", "spread"]),
    ):
        part = AttributeSchema(attributes)
        readout = torch.randn(3, 2 if len(part) == 1 else 5)
        truth = {a.name: torch.zeros(3, dtype=torch.long if a.is_discrete else torch.float32) for a in part}
        found = heads_loss(part, split_readout(part, readout), truth)
        assert [name for name, value in found.items() if float(value) == 0] == absent


def test_standardised_values(schema: AttributeSchema, world: tuple[Images, Values]) -> None:
    found = standardised(schema, world[1], MEANS, SCALES)
    assert found["brightness"].dtype == np.float32 and found["colour"].dtype == np.int64
    np.testing.assert_allclose(found["brightness"] * 46.0 + 120.0, world[1]["brightness"], rtol=1e-5)
    assert np.array_equal(found["colour"], world[1]["colour"])


def test_heads_learn_what_is_plainly_seen(schema: AttributeSchema, world: tuple[Images, Values]) -> None:
    images, values = world
    torch.manual_seed(0)
    network = HeadsNetwork(schema, 16, [8, 12], 16)
    settings = Heads(
        source="train", trunk=(8, 12), steps=300, batch_size=32, learning_rate=5e-3, augmentation=0.0
    )
    loop = LoopSettings(
        steps=300, learning_rate=5e-3, warmup_steps=10, average=0.9, precision="float32", device="cpu", seed=1
    )
    truth = standardised(schema, values, MEANS, SCALES)
    fitted = {name: column[:120] for name, column in truth.items()}
    fit_heads(schema, images[:120], images[:120], fitted, network, settings, loop)
    estimator = AttributeEstimator(
        schema, network, MEANS, SCALES, dict.fromkeys(schema.names, 1.0), CPU, torch.float32
    )
    held = {name: column[120:] for name, column in values.items()}
    found = measure_heads(estimator, images[120:], held)
    assert found["r2"]["brightness"] > 0.9
    assert found["balanced_accuracy"]["glasses"] > 0.9 and found["balanced_accuracy"]["colour"] > 0.9
    sd = estimator.estimate(to_tensor(images[120:])).sd["brightness"]
    assert bool((sd < 0.8 * 46).all())  # it knows that it knows more than the mean


def test_decoded_images_are_seen_in_their_share(
    schema: AttributeSchema, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []

    class Watching(HeadsNetwork):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            seen.extend(image.detach().mean((1, 2, 3)).tolist())
            return super().forward(image)

    real, decoded = np.zeros((50, 16, 16, 3), np.uint8), np.full((50, 16, 16, 3), 255, np.uint8)
    truth = standardised(
        schema,
        {"brightness": np.zeros(50), "glasses": np.zeros(50), "colour": np.zeros(50)},
        MEANS,
        SCALES,
    )
    loop = LoopSettings(steps=20, learning_rate=1e-3, precision="float32", device="cpu")
    settings = Heads(
        source="train", trunk=(8, 12), steps=20, batch_size=40, learning_rate=1e-3, augmentation=0.0
    )
    fit_heads(schema, real, decoded, truth, Watching(schema, 16, [8, 12], 4), settings, loop)
    values = np.array(seen[: 20 * 40])  # what comes after is for the statistics of batch norm
    assert (values > 0.8).mean() == pytest.approx(0.5, abs=0.05)
    assert ((np.abs(values - 1) < 0.1) | (np.abs(values + 1) < 0.1)).all()
    assert np.abs(values + 1).max() > 0.01  # a little brightness, as any camera adds


def test_images_are_shifted_and_disturbed_but_never_mirrored(
    schema: AttributeSchema, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dark on the left and fair on the right, which a mirror would turn round."""
    seen: list[torch.Tensor] = []

    class Watching(HeadsNetwork):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            seen.append(image.detach().clone())
            return super().forward(image)

    images = np.zeros((20, 16, 16, 3), np.uint8)
    images[:, :, 8:] = 255
    column = {"brightness": np.zeros(20), "glasses": np.zeros(20), "colour": np.zeros(20)}
    truth = standardised(schema, column, MEANS, SCALES)
    loop = LoopSettings(steps=10, learning_rate=1e-3, precision="float32", device="cpu")
    settings = Heads(
        source="train", trunk=(8, 12), steps=10, batch_size=20, learning_rate=1e-3, augmentation=0.0
    )
    fit_heads(schema, images, images, truth, Watching(schema, 16, [8, 12], 4), settings, loop)
    pixels = torch.cat(seen[:10])
    assert bool((pixels[..., 9:].mean((1, 2, 3)) > pixels[..., :7].mean((1, 2, 3)) + 1).all())
    at_edge = pixels[:, :, :, 7].mean((1, 2))  # dark in place, fair where the image moved left
    assert float((at_edge > 0.5).float().mean()) == pytest.approx(1 / 3, abs=0.15)
    rough = (pixels[:, :, :4, 12:] - pixels[:, :, :4, 12:].mean((2, 3), keepdim=True)).std((1, 2, 3))
    assert 0.3 < float((rough > 1e-3).float().mean()) < 0.8  # noise in its share


def test_losses_of_missing_labels_are_those_of_the_others(schema: AttributeSchema) -> None:
    readout = torch.randn(6, 7, generator=torch.Generator().manual_seed(0)).requires_grad_()
    truth = {
        "brightness": torch.tensor([1.0, torch.nan, 0.5, torch.nan, 0.0, 1.0]),
        "glasses": torch.tensor([1, -1, -1, 1, 1, -1]),
        "colour": torch.tensor([0, 2, 1, 1, 0, 2]),
    }
    found = heads_loss(schema, split_readout(schema, readout), truth, ["brightness", "glasses"])
    bright, glasses = [0, 2, 4, 5], [0, 3, 4]
    some = {name: column[bright].clamp_min(0) for name, column in truth.items()}
    expected = heads_loss(schema, split_readout(schema, readout[bright]), some)
    assert float(found["squared"].detach()) == pytest.approx(float(expected["squared"].detach()), rel=1e-5)
    assert float(found["spread"].detach()) == pytest.approx(float(expected["spread"].detach()), rel=1e-5)
    classes = torch.nn.functional.cross_entropy(readout[glasses, 2:4], truth["glasses"][glasses])
    colours = torch.nn.functional.cross_entropy(readout[:, 4:], truth["colour"])
    assert float(found["classes"].detach()) == pytest.approx(
        float((classes + colours).detach()) / 2, rel=1e-5
    )
    torch.stack(list(found.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert readout.grad is not None and bool(readout.grad.isfinite().all())
    assert not readout.grad[[1, 3], :2].any() and not readout.grad[[1, 2, 5], 2:4].any()
    assert bool(readout.grad[0].all())


def test_a_batch_without_any_label_has_no_loss(schema: AttributeSchema) -> None:
    readout = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    nothing = {"brightness": torch.full((4,), torch.nan), "glasses": torch.full((4,), -1)}
    nothing["colour"] = nothing["glasses"]
    found = heads_loss(schema, split_readout(schema, readout), nothing, schema.names)
    assert [float(term) for term in found.values()] == [0, 0, 0]


def test_measures_of_known_estimates(schema: AttributeSchema, monkeypatch: pytest.MonkeyPatch) -> None:
    brightness = np.array([0.0, 1.0, 2.0, 4.0], np.float32)
    truth = {
        "brightness": np.array([0.0, 1.0, 2.0, 3.0]),
        "glasses": np.array([0, 0, 1, 1]),
        "colour": np.arange(4) % 3,
    }
    probabilities = {
        "glasses": np.eye(2, dtype=np.float32)[[0, 0, 1, 0]],
        "colour": np.eye(3, dtype=np.float32)[[0, 1, 2, 0]],
    }
    estimator = AttributeEstimator(
        schema, HeadsNetwork(schema, 8, [4], 2), MEANS, SCALES, {}, CPU, torch.float32
    )
    estimates = Estimates({"brightness": brightness}, {"brightness": brightness}, probabilities)
    monkeypatch.setattr(AttributeEstimator, "estimate", lambda self, image: estimates)
    found = measure_heads(estimator, np.zeros((4, 8, 8, 3), np.uint8), truth)
    assert found["r2"] == {"brightness": pytest.approx(1 - 1 / 5)}
    assert found["balanced_accuracy"] == {"glasses": 0.75, "colour": 1.0}
    assert found["median_r2"] == pytest.approx(0.8) and found["median_balanced_accuracy"] == 0.875


def run(
    experiment: Any,
    folder: Path,
    steps: int = 30,
    seed: int = 1,
    trunk: Any = (8, 12),
    learning_rate: float = 5e-3,
) -> dict[str, Any]:
    """The rule's call, its outputs in `folder`."""
    folder.mkdir(exist_ok=True)
    return train_heads(
        Heads(
            source="train",
            trunk=trunk,
            steps=steps,
            batch_size=16,
            learning_rate=learning_rate,
            augmentation=0.0,
        ),
        seed,
        experiment.compute,
        images=experiment.images,
        table=experiment.table,
        attributes=experiment.attributes,
        generator_weights=experiment.generator_weights,
        generator_card=experiment.generator_card,
        weights=folder / "heads.safetensors",
        card=folder / "heads.json",
        metrics=folder / "metrics.json",
        checkpoint=folder / "checkpoint.safetensors",
    )


def outputs(folder: Path) -> dict[str, str]:
    """Digests of the files in a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_rule_writes_heads_that_load_and_measures_them_on_the_split_test(
    tmp_path: Path, experiment: Any, world: tuple[Images, Values], schema: AttributeSchema
) -> None:
    folder = tmp_path / "heads"
    found = run(experiment, folder)
    assert set(outputs(folder)) == {"heads.safetensors", "heads.json", "metrics.json"}
    assert json.loads((folder / "metrics.json").read_text()) == found
    assert (found["n_images"], found["n_identities"], found["split"]) == (40, 10, "test")
    images, values = world
    estimator = load_heads(folder / "heads.safetensors", folder / "heads.json", CPU, torch.float32)
    held = {name: column[120:] for name, column in values.items()}
    assert measure_heads(estimator, images[120:], held)["r2"] == pytest.approx(found["r2"])
    fitted = values["brightness"][:80].astype(np.float64)
    assert estimator.means["brightness"] == pytest.approx(fitted.mean())
    assert estimator.scales["brightness"] == pytest.approx(fitted.std())
    errors = values["brightness"][80:120] - estimator.estimate(to_tensor(images[80:120])).mean["brightness"]
    sd = estimator.estimate(to_tensor(images[80:120])).sd["brightness"]
    assert float(((errors / sd) ** 2).mean()) == pytest.approx(1, rel=0.02)  # calibrated on `calibration`


def test_the_rule_starts_from_the_encoder_where_it_is_asked_to(
    tmp_path: Path, experiment: Any, world: tuple[Images, Values]
) -> None:
    found = run(experiment, tmp_path / "heads", steps=1, trunk="encoder", learning_rate=1e-7)
    card = json.loads((tmp_path / "heads" / "heads.json").read_text())
    assert card["trunk"] == {"channels": [8, 12], "blocks": [0, 1], "code_size": 6}
    generator = load_generator(experiment.generator_weights, experiment.generator_card, CPU, torch.float32)
    codes = generator.encode_images(world[0])
    truth = world[1]["brightness"].astype(np.float64)
    design = np.column_stack([codes, np.ones(len(codes))])
    fitted, *_ = np.linalg.lstsq(design[:80], truth[:80], rcond=None)
    errors = truth[120:] - design[120:] @ fitted
    expected = 1 - float((errors**2).sum() / ((truth[120:] - truth[120:].mean()) ** 2).sum())
    assert found["r2"]["brightness"] == pytest.approx(expected, abs=1e-3)  # one tiny step from there


def test_an_encoder_without_a_trunk_is_refused(
    tmp_path: Path, experiment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_file = load_generator(experiment.generator_weights, experiment.generator_card, CPU, torch.float32)
    eigenfaces = SimpleNamespace(encoder=torch.nn.Identity(), generator=of_file.networks.generator)
    shown = replace(of_file, networks=eigenfaces)  # type: ignore[arg-type]
    monkeypatch.setattr(
        LoadedGenerator, "encode_images", lambda self, images: np.zeros((len(images), 6), "f4")
    )
    monkeypatch.setattr(module, "load_generator", lambda *arguments: shown)
    with pytest.raises(ValueError, match="attributes.heads.trunk is 'encoder', and this generator's encoder"):
        run(experiment, tmp_path / "heads", trunk="encoder")


def test_an_interrupted_rule_ends_with_the_same_bytes(
    tmp_path: Path, experiment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(experiment, tmp_path / "once", steps=10)
    calls = iter(range(100))

    def stopping(*arguments: Any) -> dict[str, torch.Tensor]:
        if next(calls) == 6:
            raise KeyboardInterrupt
        return heads_loss(*arguments)

    settings = module._loop_settings
    monkeypatch.setattr(module, "heads_loss", stopping)
    monkeypatch.setattr(module, "_loop_settings", lambda *a: replace(settings(*a), checkpoint_seconds=0.0))
    with pytest.raises(KeyboardInterrupt):
        run(experiment, tmp_path / "again", steps=10)
    assert set(outputs(tmp_path / "again")) == {"checkpoint.safetensors"}
    monkeypatch.setattr(module, "heads_loss", heads_loss)
    run(experiment, tmp_path / "again", steps=10)
    assert outputs(tmp_path / "once") == outputs(tmp_path / "again")
    run(experiment, tmp_path / "other", steps=10, seed=2)
    assert outputs(tmp_path / "once")["heads.safetensors"] != outputs(tmp_path / "other")["heads.safetensors"]


def knock_out(experiment: Any, unknown: dict[str, npt.NDArray[np.bool_]]) -> None:
    """Take labels out of the images table."""
    table = pd.read_parquet(experiment.table)
    for name, rows in unknown.items():
        table[f"attribute.{name}"] = table[f"attribute.{name}"].mask(rows)
    write_table(table, experiment.table)


def test_attributes_are_learned_calibrated_and_measured_where_they_are_known(
    tmp_path: Path, experiment: Any, world: tuple[Images, Values]
) -> None:
    images, values = world
    rng, rows = np.random.default_rng(4), np.arange(160)
    gone = rng.random(160) < 0.3
    knock_out(experiment, {"brightness": gone, "glasses": (rows >= 80) & (rows < 120)})
    folder = tmp_path / "heads"
    found = run(experiment, folder)
    estimator = load_heads(folder / "heads.safetensors", folder / "heads.json", CPU, torch.float32)
    fitted = values["brightness"][:80][~gone[:80]].astype(np.float64)
    assert estimator.means["brightness"] == pytest.approx(fitted.mean())
    assert estimator.scales["brightness"] == pytest.approx(fitted.std())
    held = np.flatnonzero(~gone[80:120]) + 80
    read = estimator.estimate(to_tensor(images[held]))
    errors = (values["brightness"][held] - read.mean["brightness"]) / read.sd["brightness"]
    assert float((errors**2).mean()) == pytest.approx(1, rel=0.02)
    assert estimator.calibration["glasses"] == 1.0 != estimator.calibration["colour"]
    assert found["not_calibrated"] == {"glasses": "no image of the split calibration has a value"}
    test = np.flatnonzero(~gone[120:]) + 120
    measured = measure_heads(estimator, images[test], {name: c[test] for name, c in values.items()})
    assert found["r2"]["brightness"] == pytest.approx(measured["r2"]["brightness"])
    assert found["known_images"] == {"brightness": len(test)}
    assert found["n_images"] == 40 and "not_learned" not in found and "not_measured" not in found


def test_attributes_of_which_too_little_is_known_are_named(tmp_path: Path, experiment: Any) -> None:
    table = pd.read_parquet(experiment.table)
    one_person = (table["identity"] != "train-0003").to_numpy()
    test = (table["split"] == "test").to_numpy()
    knock_out(experiment, {"brightness": one_person, "colour": test})
    found = run(experiment, tmp_path / "heads", steps=3)
    assert set(found["not_learned"]) == {"brightness"}
    assert found["not_measured"] == {
        "brightness": "no image of the split test has a value",
        "colour": "no image of the split test has a value",
    }
    assert found["r2"] == {} and set(found["balanced_accuracy"]) == {"glasses"}
    assert "median_r2" not in found
    everything = np.ones(len(table), dtype=bool)
    knock_out(experiment, dict.fromkeys(("brightness", "glasses", "colour"), everything))
    sentence = (
        "^attributes: found none that heads can learn .brightness: no image of the split train has a val"
    )
    with pytest.raises(ValueError, match=sentence):
        run(experiment, tmp_path / "none", steps=3)
