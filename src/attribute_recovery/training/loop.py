"""The one training loop: device, precision, warm-up and decay, averaged weights, checkpoints, progress.

A step's batch is a function of its number, so a run that was interrupted goes on from its last checkpoint and ends with
the same bytes as one that was not. Device and precision are left to Accelerate; checkpoints are safetensors.
"""

import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

Losses = dict[str, Tensor]


@dataclass(frozen=True)
class LoopSettings:
    """How long and how to train.

    Attributes:
        steps: optimiser steps in all.
        learning_rate: at its highest; a linear warm-up before, a cosine down to a hundredth after.
        warmup_steps: steps of the warm-up.
        weight_decay: of AdamW, on matrices and kernels only.
        average: decay of the exponential moving average of the weights, which is what is returned; 0 for none.
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
class History:
    """Losses by name, averaged over each reported stretch, with the step at its end; and images or rows a second."""

    steps: list[int]
    losses: dict[str, list[float]]


def learning_rate_at(step: int, settings: LoopSettings) -> float:
    """Rate of a step: linear warm-up, then half a cosine (Loshchilov & Hutter, ICLR 2017) down to a hundredth."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def resolve_precision(precision: str) -> str:
    """"auto" becomes "bf16" where the processor multiplies in it, else "float32"; others stay.

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
) -> History:
    """Train `networks` in place; afterwards they hold the averaged weights and are in evaluation mode.

    Args:
        networks: all parameters that are trained.
        losses: of a step, given the networks and the step's number; their sum is minimised.
        settings: see LoopSettings.
        label: what the progress lines call it.
        checkpoint: safetensors file to go on from and to write to; removed by the caller when the result is safe.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    from accelerate import Accelerator

    torch.manual_seed(settings.seed)
    precision = resolve_precision(settings.precision)
    accelerator = Accelerator(mixed_precision="bf16" if precision == "bf16" else "no", cpu=settings.device == "cpu")
    networks = networks.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(_groups(networks, settings.weight_decay), lr=0.0, betas=(0.9, 0.99), fused=True)
    state = _State(networks, optimizer, settings)
    if checkpoint is not None and checkpoint.exists():
        state.load(checkpoint)
        print(f"{label}: goes on at step {state.step} of {settings.steps}", flush=True)
    networks.train()
    report = _Report(label, settings.steps, state.step)
    saved = time.monotonic()
    while state.step < settings.steps:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(state.step, settings)
        torch.manual_seed(settings.seed * 1_000_003 + state.step)  # noise is a function of the step too
        with accelerator.autocast():
            terms = losses(networks, state.step)
        total = torch.stack([term.float() for term in terms.values()]).sum()
        optimizer.zero_grad(set_to_none=True)
        accelerator.backward(total)
        accelerator.clip_grad_norm_(networks.parameters(), settings.clip_norm)
        optimizer.step()
        state.advance()
        report.add(state.step, terms)
        if checkpoint is not None and time.monotonic() - saved > settings.checkpoint_seconds:
            state.save(checkpoint)
            saved = time.monotonic()
    if checkpoint is not None:
        state.save(checkpoint)
    state.settle()
    networks.eval()
    return report.history


def _groups(networks: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    matrices = [p for p in networks.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in networks.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


class _State:
    """Everything a run needs to go on: weights, their average, the optimiser's moments, the step."""

    def __init__(self, networks: nn.Module, optimizer: torch.optim.Optimizer, settings: LoopSettings) -> None:
        self.networks, self.optimizer, self.settings = networks, optimizer, settings
        self.step = 0
        self.average = {name: value.detach().clone() for name, value in networks.named_parameters()}

    def advance(self) -> None:
        self.step += 1
        decay = min(self.settings.average, (1 + self.step) / (10 + self.step))
        names, values = zip(*self.networks.named_parameters(), strict=True)
        with torch.no_grad():
            torch._foreach_lerp_([self.average[name] for name in names], [v.detach() for v in values], 1 - decay)

    def settle(self) -> None:
        with torch.no_grad():
            for name, value in self.networks.named_parameters():
                value.copy_(self.average[name])

    def save(self, path: Path) -> None:
        tensors = {f"network.{name}": value for name, value in self.networks.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        for name, parameter in self.networks.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{key}.{name}"] = value
        tensors = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        beside = path.with_suffix(".partial")
        metadata = {"step": str(self.step), "settings": json.dumps(asdict(self.settings), sort_keys=True)}
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, beside, metadata=metadata)
        beside.replace(path)

    def load(self, path: Path) -> None:
        from safetensors import safe_open

        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
        if metadata["settings"] != json.dumps(asdict(self.settings), sort_keys=True):
            print(f"{path}: made with other settings, so the run starts anew", flush=True)
            return
        tensors = load_file(path)
        device = next(self.networks.parameters()).device
        self.step = int(metadata["step"])
        own = {k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")}
        self.networks.load_state_dict(own)
        for name, parameter in self.networks.named_parameters():
            self.average[name] = tensors[f"average.{name}"].to(device)
            moments = {key: f"optimizer.{key}.{name}" for key in ("step", "exp_avg", "exp_avg_sq")}
            if moments["step"] in tensors:
                self.optimizer.state[parameter] = {key: tensors[full].to(device) for key, full in moments.items()}


class _Report:
    """A line every ten seconds or so, readable in a log file: step, losses, pace, time left."""

    def __init__(self, label: str, steps: int, start: int) -> None:
        self.label, self.steps = label, steps
        self.began, self.shown, self.first, self.last = time.monotonic(), time.monotonic(), start, start
        self.sums: dict[str, Tensor] = {}
        self.history = History([], {})

    def add(self, step: int, terms: Losses) -> None:
        for name, term in terms.items():
            self.sums[name] = self.sums.get(name, torch.zeros(())) + term.detach().float().cpu()
        now = time.monotonic()
        if step != self.steps and now - self.shown < 10:
            return
        means = {name: float(value) / (step - self.last) for name, value in self.sums.items()}
        if not all(math.isfinite(value) for value in means.values()):
            raise FloatingPointError(f"{self.label}: the loss is not finite at step {step}: {means}")
        left = (now - self.began) / max(1, step - self.first) * (self.steps - step)
        shown = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        print(f"{self.label}: step {step}/{self.steps}  {shown}  {left:.0f} s left", file=sys.stderr, flush=True)
        self.history.steps.append(step)
        for name, value in means.items():
            self.history.losses.setdefault(name, []).append(value)
        self.shown, self.last, self.sums = now, step, {}
