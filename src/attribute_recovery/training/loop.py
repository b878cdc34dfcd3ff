"""The one training loop: device, precision, warm-up and decay, averaged weights, checkpoints, progress.

A step's batch is a function of its number, so a run that was interrupted goes on from its last checkpoint and
ends with the same bytes as one that was not. The device is left to Accelerate; checkpoints are safetensors.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

if TYPE_CHECKING:
    from accelerate import Accelerator

Losses = dict[str, Tensor]

SHOWN_SECONDS = 10.0


@dataclass(frozen=True)
class LoopSettings:
    """How long and how to train.

    Attributes:
        steps: optimiser steps in all.
        learning_rate: at its highest; a linear warm-up before, a cosine down to a hundredth after.
        warmup_steps: steps of the warm-up.
        weight_decay: of AdamW, on matrices and kernels only.
        average: decay of the exponential moving average of the weights, which is what is returned; 0 for
            none. Buffers, such as the statistics of batch normalisation, are those of the last step.
        clip_norm: largest norm of the gradient.
        precision: "bf16" or "float32".
        device: "cpu", "cuda" or "auto".
        checkpoint_seconds: time between two checkpoints.
        seed: of the networks' own random numbers, such as noise on codes.
    """

    steps: int
    learning_rate: float
    warmup_steps: int = 100
    weight_decay: float = 1e-4
    average: float = 0.999
    clip_norm: float = 1.0
    precision: str = "bf16"
    device: str = "auto"
    checkpoint_seconds: float = 60.0
    seed: int = 0


@dataclass(frozen=True)
class Opponent:
    """A second network that is trained in turn with the first, such as a discriminator.

    Attributes:
        network: what is trained; not averaged, closed to gradients while the first network takes its step.
        losses: of a step, given the network and the step's number, called after the first network's losses of
            that step, so that it may judge what was made there; their sum is minimised.
        start: the first step in which it takes part; before, checkpoints lack it and nothing may call it.
        learning_rate: the same in all steps, of AdamW without momentum or decay.
    """

    network: nn.Module
    losses: Callable[[nn.Module, int], Losses]
    start: int
    learning_rate: float


@dataclass(frozen=True)
class History:
    """Losses by name, averaged over each reported stretch, and the step at the end of each stretch.

    A loss that begins later, an opponent's, has values for the last stretches only.
    """

    steps: list[int]
    losses: dict[str, list[float]]


def learning_rate_at(step: int, settings: LoopSettings) -> float:
    """Rate of a step: linear warm-up, then half a cosine down to a hundredth.

    Source: Loshchilov & Hutter, ICLR 2017.
    """
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def resolve_precision(precision: str) -> str:
    """What "auto" means: "bf16" where the processor multiplies in it, else "float32"; others stay.

    On x86 that is found in the processor's flags; a GPU of compute capability 8 or later has it.
    """
    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "float32"
    flags = Path("/proc/cpuinfo")
    text = flags.read_text() if flags.exists() else ""
    return "bf16" if "avx512_bf16" in text or "amx_bf16" in text else "float32"


def train(
    networks: nn.Module,
    losses: Callable[[nn.Module, int], Losses],
    settings: LoopSettings,
    *,
    label: str,
    checkpoint: Path | None = None,
    opponent: Opponent | None = None,
) -> History:
    """Train `networks` in place; afterwards they hold the averaged weights and are in evaluation mode.

    Args:
        networks: all parameters that are trained.
        losses: of a step, given the networks and the step's number; their sum is minimised.
        settings: see LoopSettings.
        label: what the progress lines call it.
        checkpoint: safetensors file to go on from and to write to; removed by the caller when the result is
            safe. One of another run (other settings, other networks) or a damaged one is not gone on from.
        opponent: a second network, trained in turn with the first.

    Raises:
        FloatingPointError: a loss or its gradient is not finite; the checkpoint is then from before.
    """
    from accelerate import Accelerator

    torch.manual_seed(settings.seed)
    # Accelerate knows one precision a process, but a process may train several networks: autocast is ours.
    accelerator = Accelerator(mixed_precision="no", cpu=settings.device == "cpu")
    run = _Run(networks, losses, settings, opponent, accelerator)
    if checkpoint is not None and checkpoint.exists() and run.load(checkpoint):
        print(f"{label}: goes on at step {run.step} of {settings.steps}", flush=True)
    networks.train()
    report = _Report(label, settings.steps, run.step)
    saved = time.monotonic()
    while run.step < settings.steps:
        terms, norm = run.advance()
        report.add(run.step, terms, norm)
        if checkpoint is not None and time.monotonic() - saved > settings.checkpoint_seconds:
            report.require_finite(run.step)
            run.save(checkpoint)
            saved = time.monotonic()
    if checkpoint is not None:
        run.save(checkpoint)
    run.settle()
    networks.eval()
    return report.history


def _groups(networks: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    matrices = [p for p in networks.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in networks.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


class _Learner:
    """A network and its optimiser."""

    def __init__(
        self,
        network: nn.Module,
        losses: Callable[[nn.Module, int], Losses],
        settings: LoopSettings,
        accelerator: "Accelerator",
        *,
        weight_decay: float,
        betas: tuple[float, float],
    ) -> None:
        self.accelerator, self.losses, self.clip_norm = accelerator, losses, settings.clip_norm
        self.half = resolve_precision(settings.precision) == "bf16"
        self.network = network.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(_groups(network, weight_decay), lr=0.0, betas=betas, fused=True)

    def learn(self, step: int, learning_rate: float) -> tuple[Losses, Tensor]:
        """One step; its losses and the norm of the gradient before clipping."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        with torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=self.half):
            terms = self.losses(self.network, step)
        total = torch.stack([term.float() for term in terms.values()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(total)
        norm = self.accelerator.clip_grad_norm_(self.network.parameters(), self.clip_norm)
        self.optimizer.step()
        return terms, torch.as_tensor(norm)

    def tensors(self, prefix: str) -> dict[str, Tensor]:
        """Weights, buffers and the optimiser's moments."""
        found = {f"{prefix}network.{name}": value for name, value in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                found[f"{prefix}optimizer.{key}.{name}"] = value
        return found

    def fits(self, tensors: dict[str, Tensor], prefix: str) -> bool:
        """Whether a checkpoint is of this network: the same tensors in the same shapes."""
        wanted = {f"{prefix}network.{name}": value.shape for name, value in self.network.state_dict().items()}
        return wanted == {k: v.shape for k, v in tensors.items() if k.startswith(f"{prefix}network.")}

    def restore(self, tensors: dict[str, Tensor], prefix: str) -> None:
        """The inverse of `tensors`."""
        start = f"{prefix}network."
        own = {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
        self.network.load_state_dict(own)
        for name, parameter in self.network.named_parameters():
            moments = {key: f"{prefix}optimizer.{key}.{name}" for key in ("step", "exp_avg", "exp_avg_sq")}
            if moments["step"] in tensors:
                found = {key: tensors[full] for key, full in moments.items()}
                self.optimizer.state[parameter] = {k: _laid_out(v, parameter) for k, v in found.items()}


def _laid_out(value: Tensor, parameter: Tensor) -> Tensor:
    """A moment on its parameter's device and in its memory format: the fused optimiser pairs by address."""
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter, requires_grad=False).copy_(value)


class _Run:
    """Everything a run needs to go on: weights, their average, the optimisers' moments, the step."""

    def __init__(
        self,
        networks: nn.Module,
        losses: Callable[[nn.Module, int], Losses],
        settings: LoopSettings,
        opponent: Opponent | None,
        accelerator: "Accelerator",
    ) -> None:
        self.networks, self.settings, self.step = networks, settings, 0
        self.first = _Learner(
            networks, losses, settings, accelerator, weight_decay=settings.weight_decay, betas=(0.9, 0.99)
        )
        self.average = {name: value.detach().clone() for name, value in networks.named_parameters()}
        self.opponent, self.second, self.opened = opponent, None, list[nn.Parameter]()
        if opponent is not None:
            self.second = _Learner(
                opponent.network,
                opponent.losses,
                settings,
                accelerator,
                weight_decay=0.0,
                betas=(0.0, 0.99),
            )
            opponent.network.train()
            self.opened = [p for p in opponent.network.parameters() if p.requires_grad]

    def advance(self) -> tuple[Losses, Tensor]:
        """One step of the networks, and of the opponent once it takes part; losses, norm of gradients."""
        step = self.step
        torch.manual_seed(self.settings.seed * 1_000_003 + step)  # noise is a function of the step too
        _open(self.opened, False)
        terms, norm = self.first.learn(step, learning_rate_at(step, self.settings))
        _open(self.opened, True)
        if self.opponent is not None and self.second is not None and step >= self.opponent.start:
            others, other_norm = self.second.learn(step, self.opponent.learning_rate)
            terms, norm = terms | others, norm + other_norm
        self.step += 1
        self._follow()
        return terms, norm

    def _follow(self) -> None:
        decay = min(self.settings.average, (1 + self.step) / (10 + self.step))
        names, values = zip(*self.networks.named_parameters(), strict=True)
        averages = [self.average[name] for name in names]
        with torch.no_grad():
            torch._foreach_lerp_(averages, [v.detach() for v in values], 1 - decay)

    def settle(self) -> None:
        """Put the averaged weights in place."""
        with torch.no_grad():
            for name, value in self.networks.named_parameters():
                value.copy_(self.average[name])

    def _opponent_takes_part(self, step: int) -> bool:
        return self.opponent is not None and step > self.opponent.start

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        tensors = self.first.tensors("")
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        if self.second is not None and self._opponent_takes_part(self.step):
            tensors |= self.second.tensors("opponent.")
        tensors = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        beside = path.with_suffix(".partial")
        metadata = {"step": str(self.step), "settings": json.dumps(asdict(self.settings), sort_keys=True)}
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, beside, metadata=metadata)
        beside.replace(path)

    def load(self, path: Path) -> bool:
        """Take a checkpoint's state; whether it was one of this run."""
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
            tensors = load_file(path)
        except (OSError, SafetensorError) as error:
            print(f"{path}: cannot be read ({error}), so the run starts anew", flush=True)
            return False
        if metadata.get("settings") != json.dumps(asdict(self.settings), sort_keys=True):
            print(f"{path}: made with other settings, so the run starts anew", flush=True)
            return False
        step = int(metadata["step"])
        if not self._fits(tensors, step):
            print(f"{path}: made with other networks, so the run starts anew", flush=True)
            return False
        self.step = step
        self.first.restore(tensors, "")
        if self.second is not None and self._opponent_takes_part(step):
            self.second.restore(tensors, "opponent.")
        for name, value in self.average.items():
            value.copy_(tensors[f"average.{name}"])
        return True

    def _fits(self, tensors: dict[str, Tensor], step: int) -> bool:
        """An opponent that has not taken part yet is not in a checkpoint: such a run may still get one."""
        if self.second is not None and self._opponent_takes_part(step):
            return self.first.fits(tensors, "") and self.second.fits(tensors, "opponent.")
        return self.first.fits(tensors, "") and not any(name.startswith("opponent.") for name in tensors)


def _open(parameters: Iterable[nn.Parameter], value: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(value)


class _Report:
    """A line every ten seconds or so, readable in a log file: step, losses, time left."""

    def __init__(self, label: str, steps: int, start: int) -> None:
        self.label, self.steps = label, steps
        self.began, self.shown, self.first = time.monotonic(), time.monotonic(), start
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.norms = torch.zeros(())
        self.history = History([], {})

    def add(self, step: int, terms: Losses, norm: Tensor) -> None:
        for name, term in terms.items():
            self.sums[name] = self.sums.get(name, torch.zeros(())) + term.detach().float().cpu()
            self.counts[name] = self.counts.get(name, 0) + 1
        self.norms = self.norms + norm.detach().float().cpu()
        if step == self.steps or time.monotonic() - self.shown >= SHOWN_SECONDS:
            self.require_finite(step)
            self._show(step)

    def _means(self) -> dict[str, float]:
        return {name: float(value) / self.counts[name] for name, value in self.sums.items()}

    def require_finite(self, step: int) -> None:
        """Refuse what came since the last line if a loss or a gradient in it was not finite."""
        means = self._means()
        if not all(math.isfinite(value) for value in means.values()):
            raise FloatingPointError(f"{self.label}: the loss is not finite at step {step}: {means}")
        if not math.isfinite(float(self.norms)):
            raise FloatingPointError(f"{self.label}: the gradient is not finite at step {step}: {means}")

    def _show(self, step: int) -> None:
        means = self._means()
        now = time.monotonic()
        left = (now - self.began) / max(1, step - self.first) * (self.steps - step)
        shown = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        line = f"{self.label}: step {step}/{self.steps}  {shown}  {left:.0f} s left"
        print(line, file=sys.stderr, flush=True)
        self.history.steps.append(step)
        for name, value in means.items():
            self.history.losses.setdefault(name, []).append(value)
        self.shown, self.sums, self.counts, self.norms = now, {}, {}, torch.zeros(())
