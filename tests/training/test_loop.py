"""An interrupted run ends with the same bytes as one that was not; rates, averages, steps in closed form."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn

from attribute_recovery.training.loop import (
    LoopSettings,
    Losses,
    Opponent,
    learning_rate_at,
    resolve_precision,
    train,
)

SETTINGS = LoopSettings(
    steps=12,
    learning_rate=0.02,
    warmup_steps=3,
    average=0.8,
    precision="float32",
    device="cpu",
    checkpoint_seconds=0.0,
    seed=5,
)


class InterruptedRunError(Exception):
    """Somebody pulled the plug."""


class Network(nn.Module):
    """Kernels (so that memory formats matter), batch normalisation, a vector and a number."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 2, 3)
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, image: Tensor) -> Tensor:
        """(n, 3, 7, 7) to (n, 2, 3, 3)."""
        result: Tensor = self.scale * self.second(torch.relu(self.norm(self.first(image))))
        return result


class Judge(nn.Module):
    """An opponent with a buffer of its own."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.kernel = nn.Conv2d(2, 3, 2)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, value: Tensor) -> Tensor:
        """(n, 2, 3, 3) to (n, 3, 2, 2)."""
        if self.training:
            self.seen += 1
        result: Tensor = self.kernel(value)
        return result


def noisy_losses(stop_at: int | None = None) -> Callable[[nn.Module, int], Losses]:
    """Of a step's own images, disturbed by torch's global noise."""

    def losses(network: nn.Module, step: int) -> Losses:
        if step == stop_at:
            raise InterruptedRunError
        image = torch.randn(6, 3, 7, 7, generator=torch.Generator().manual_seed(step))
        found = network(image + 0.1 * torch.randn_like(image))
        return {"size": (found - 1).square().mean(), "sum": found.mean().abs()}

    return losses


def finished(
    settings: LoopSettings = SETTINGS, checkpoint: Path | None = None, stop_at: int | None = None
) -> dict[str, Tensor]:
    """Weights and buffers after a run."""
    network = Network()
    train(network, noisy_losses(stop_at), settings, label="test", checkpoint=checkpoint)
    return network.state_dict()


def duel(
    start: int, settings: LoopSettings = SETTINGS, checkpoint: Path | None = None, stop_at: int | None = None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights and buffers of a network and its opponent after a run."""
    network, judge = Network(), Judge()
    made: list[Tensor] = []

    def losses(module: nn.Module, step: int) -> Losses:
        assert not any(p.requires_grad for p in judge.parameters())
        if step == stop_at:
            raise InterruptedRunError
        image = torch.randn(6, 3, 7, 7, generator=torch.Generator().manual_seed(step))
        found = module(image)
        made.append(found.detach())
        terms = {"size": (found - 1).square().mean()}
        return terms | {"verdict": judge(found).square().mean()} if step >= start else terms

    def answer(module: nn.Module, step: int) -> Losses:
        assert module is judge and step >= start
        assert all(p.requires_grad for p in judge.parameters())
        return {"answer": (module(made[-1]) - 2).square().mean()}

    opponent = Opponent(judge, answer, start, 0.05)
    train(network, losses, settings, label="test", checkpoint=checkpoint, opponent=opponent)
    return network.state_dict(), judge.state_dict()


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Bit for bit."""
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("stop_at", [1, 4, 11])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_an_interrupted_run_ends_with_the_same_bytes(tmp_path: Path, stop_at: int, precision: str) -> None:
    settings, checkpoint = (
        replace(SETTINGS, precision=precision),
        tmp_path / "folder" / "checkpoint.safetensors",
    )
    expected = finished(settings)
    with pytest.raises(InterruptedRunError):
        finished(settings, checkpoint, stop_at)
    assert checkpoint.exists()
    assert_same(finished(settings, checkpoint), expected)


def test_a_run_is_interrupted_as_often_as_you_like(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    for stop_at in (2, 5, 6, 9):
        with pytest.raises(InterruptedRunError):
            finished(SETTINGS, checkpoint, stop_at)
    assert_same(finished(SETTINGS, checkpoint), finished())
    assert "test: goes on at step 9 of 12" in capsys.readouterr().out


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    expected = finished(SETTINGS, checkpoint)
    assert_same(finished(SETTINGS, checkpoint, stop_at=0), expected)


def test_another_seed_ends_elsewhere() -> None:
    assert not torch.equal(finished(replace(SETTINGS, seed=6))["first.weight"], finished()["first.weight"])


@pytest.mark.parametrize("change", [{"seed": 6}, {"steps": 13}, {"learning_rate": 0.01}, {"average": 0.5}])
def test_a_checkpoint_of_other_settings_is_not_gone_on_from(
    tmp_path: Path, change: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, other = tmp_path / "checkpoint.safetensors", replace(SETTINGS, **change)  # type: ignore[arg-type]
    with pytest.raises(InterruptedRunError):
        finished(SETTINGS, checkpoint, stop_at=6)
    assert_same(finished(other, checkpoint), finished(other))
    printed = capsys.readouterr().out
    assert "made with other settings, so the run starts anew" in printed and "goes on" not in printed


def test_a_checkpoint_of_other_networks_is_not_gone_on_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    train(
        Judge(),
        lambda module, _: {"a": module(torch.ones(1, 2, 3, 3)).mean()},
        SETTINGS,
        label="",
        checkpoint=checkpoint,
    )
    assert_same(finished(SETTINGS, checkpoint), finished())
    assert "made with other networks, so the run starts anew" in capsys.readouterr().out


def test_a_damaged_checkpoint_is_not_gone_on_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    finished(SETTINGS, checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    assert_same(finished(SETTINGS, checkpoint), finished())
    assert "cannot be read" in capsys.readouterr().out


def test_checkpoints_are_whole_or_not_there(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    finished(SETTINGS, checkpoint)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


@pytest.mark.parametrize("stop_at", [2, 5, 6, 9])
def test_an_interrupted_duel_ends_with_the_same_bytes(tmp_path: Path, stop_at: int) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    expected = duel(5)
    with pytest.raises(InterruptedRunError):
        duel(5, checkpoint=checkpoint, stop_at=stop_at)
    stored = load_file(checkpoint)
    assert ("opponent.network.kernel.weight" in stored) == (stop_at > 5)
    network, judge = duel(5, checkpoint=checkpoint)
    assert_same(network, expected[0])
    assert_same(judge, expected[1])


def test_an_opponent_may_join_a_run_that_began_without_one(tmp_path: Path) -> None:
    """A checkpoint from before its start is the same with it and without."""
    checkpoint = tmp_path / "checkpoint.safetensors"

    def run(path: Path | None, *, joined: bool, stop_at: int | None = None) -> dict[str, Tensor]:
        network, judge = Network(), Judge()
        opponent = Opponent(
            judge, lambda module, _: {"answer": module(torch.ones(1, 2, 3, 3)).mean()}, 5, 0.05
        )

        def losses(module: nn.Module, step: int) -> Losses:
            terms = noisy_losses(stop_at)(module, step)
            image = torch.ones(1, 3, 7, 7)
            return terms | {"verdict": judge(module(image)).mean()} if joined and step >= 5 else terms

        train(network, losses, SETTINGS, label="", checkpoint=path, opponent=opponent if joined else None)
        return network.state_dict()

    with pytest.raises(InterruptedRunError):
        run(checkpoint, joined=False, stop_at=5)
    assert_same(run(checkpoint, joined=True), run(None, joined=True))
    assert_same(run(checkpoint, joined=False), run(None, joined=False))  # and a finished duel is another run


def test_an_opponent_that_is_missed_is_not_gone_on_without(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(InterruptedRunError):
        finished(SETTINGS, checkpoint, stop_at=9)
    network, judge = duel(5, checkpoint=checkpoint)
    assert_same(network, duel(5)[0])
    assert_same(judge, duel(5)[1])


def test_an_opponent_moves_at_a_constant_rate_from_its_start() -> None:
    """Adam without momentum on a constant gradient takes the rate as its step."""
    judge = nn.Linear(1, 1, bias=False)
    before = float(judge.weight.detach())
    opponent = Opponent(judge, lambda module, _: {"answer": module(torch.ones(1, 1)).sum()}, 4, 0.01)
    history = train(Network(), noisy_losses(), SETTINGS, label="", opponent=opponent)
    assert float(judge.weight.detach()) == pytest.approx(before - 0.01 * (12 - 4), abs=1e-5)
    expected = sum(before - 0.01 * i for i in range(8)) / 8  # averaged over the steps in which it took part
    assert history.losses["answer"] == pytest.approx([expected], abs=1e-5)


def test_an_opponent_that_only_watches_changes_nothing() -> None:
    network, judge = Network(), Judge()
    opponent = Opponent(judge, lambda module, _: {"answer": module(torch.ones(1, 2, 3, 3)).mean()}, 0, 0.01)
    train(network, noisy_losses(), SETTINGS, label="", opponent=opponent)
    assert_same(network.state_dict(), finished())


def test_what_is_returned_is_the_average_of_the_weights(tmp_path: Path) -> None:
    checkpoint, raw = tmp_path / "checkpoint.safetensors", []
    network = Network()

    def losses(module: nn.Module, step: int) -> Losses:
        raw.append(network.scale.detach().double().item())
        return noisy_losses()(module, step)

    train(network, losses, SETTINGS, label="", checkpoint=checkpoint)
    raw.append(load_file(checkpoint)["network.scale"].item())
    average = raw[0]
    for i, value in enumerate(raw[1:], start=1):
        decay = min(0.8, (1 + i) / (10 + i))
        average = decay * average + (1 - decay) * value
    assert network.scale.item() == pytest.approx(average, abs=1e-6)
    assert abs(average - raw[-1]) > 1e-3
    assert not network.training


def test_without_averaging_the_last_weights_are_returned(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    found = finished(replace(SETTINGS, average=0.0), checkpoint)
    stored = load_file(checkpoint)
    assert all(torch.equal(value, stored[f"network.{name}"]) for name, value in found.items())


def test_a_quadratic_is_minimised() -> None:
    target = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    network = nn.Linear(2, 2, bias=False)
    settings = replace(SETTINGS, steps=400, learning_rate=0.05, average=0.9, weight_decay=0.0)
    history = train(network, lambda m, _: {"square": (m.weight - target).square().sum()}, settings, label="")
    torch.testing.assert_close(network.weight.detach(), target, atol=2e-3, rtol=0)
    assert history.steps == [400] and len(history.losses["square"]) == 1


def test_only_matrices_and_kernels_decay() -> None:
    network = Network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    settings = replace(SETTINGS, average=0.0, weight_decay=0.3)
    train(network, lambda m, _: {"none": 0.0 * sum(p.sum() for p in m.parameters())}, settings, label="")
    shrunk = 1.0
    for step in range(settings.steps):
        shrunk *= 1 - learning_rate_at(step, settings) * 0.3
    after = network.state_dict()
    torch.testing.assert_close(after["first.weight"], shrunk * before["first.weight"])
    for name in ("first.bias", "norm.weight", "scale"):
        assert torch.equal(after[name], before[name])


def test_history_is_the_mean_of_each_loss(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[float] = []

    def losses(module: nn.Module, step: int) -> Losses:
        terms = noisy_losses()(module, step)
        seen.append(terms["size"].item())
        return terms

    history = train(Network(), losses, SETTINGS, label="mine")
    assert history.losses["size"] == pytest.approx([sum(seen) / 12], rel=1e-5)
    assert "mine: step 12/12  size " in capsys.readouterr().err


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_and_spares_the_checkpoint(
    tmp_path: Path, bad: float
) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"

    def losses(module: nn.Module, step: int) -> Losses:
        terms = noisy_losses()(module, step)
        return terms | {"bad": module.scale * bad} if step == 4 else terms

    with pytest.raises(FloatingPointError, match="test: the loss is not finite at step 5"):
        train(Network(), losses, SETTINGS, label="test", checkpoint=checkpoint)
    assert all(value.isfinite().all() for value in load_file(checkpoint).values())
    assert_same(finished(SETTINGS, checkpoint), finished())


def test_a_gradient_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    """√0 is finite, its slope is not."""

    def losses(module: nn.Module, step: int) -> Losses:
        return {"root": (0.0 * module.scale).sqrt()}

    with pytest.raises(FloatingPointError, match="the gradient is not finite at step 1"):
        train(Network(), losses, SETTINGS, label="", checkpoint=tmp_path / "checkpoint.safetensors")


def test_precision_is_each_runs_own() -> None:
    found = []

    def losses(module: nn.Module, step: int) -> Losses:
        out = module(torch.ones(2, 3, 7, 7))
        found.append(module.second(torch.ones(1, 4, 3, 3)).dtype)
        return {"a": out.float().square().mean()}

    for precision in ("float32", "bf16", "float32"):
        train(Network(), losses, replace(SETTINGS, steps=1, precision=precision), label="")
    assert found == [torch.float32, torch.bfloat16, torch.float32]


def test_resolve_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_precision("bf16") == "bf16" and resolve_precision("float32") == "float32"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(Path, "exists", lambda self: True)
    monkeypatch.setattr(Path, "read_text", lambda self: "flags: sse avx512f avx512_bf16")
    assert resolve_precision("auto") == "bf16"
    monkeypatch.setattr(Path, "read_text", lambda self: "flags: sse avx512f")
    assert resolve_precision("auto") == "float32"
    monkeypatch.setattr(Path, "exists", lambda self: False)
    assert resolve_precision("auto") == "float32"


def test_learning_rate_at_its_corners() -> None:
    settings = replace(SETTINGS, steps=110, warmup_steps=10, learning_rate=2.0)
    assert learning_rate_at(0, settings) == pytest.approx(0.2)
    assert learning_rate_at(9, settings) == learning_rate_at(10, settings) == 2.0
    assert learning_rate_at(60, settings) == pytest.approx(2.0 * (0.01 + 0.99 / 2))
    assert learning_rate_at(110, settings) == pytest.approx(0.02)
    assert learning_rate_at(0, replace(settings, warmup_steps=0)) == 2.0
    assert learning_rate_at(109, replace(settings, warmup_steps=110)) == 2.0


@given(st.integers(1, 500), st.integers(0, 500))
def test_learning_rate_rises_then_falls_and_is_never_nought(steps: int, warmup: int) -> None:
    settings = replace(SETTINGS, steps=steps, warmup_steps=warmup, learning_rate=1.0)
    rates = [learning_rate_at(step, settings) for step in range(steps)]
    top = min(warmup, steps)
    assert all(a < b for a, b in zip(rates[:top], rates[1:top], strict=False))
    assert all(a > b for a, b in zip(rates[top:], rates[top + 1 :], strict=False))
    assert all(0 < rate <= 1 for rate in rates)
