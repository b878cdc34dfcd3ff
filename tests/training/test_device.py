"""Threads, device and precision are those of the configuration, and chunks lose no row."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from attribute_recovery.config import Compute
from attribute_recovery.training.device import chunks, frozen, inference_dtype, prepare_torch


def compute(device: str = "cpu", precision: str = "float32", threads: int = 1) -> Compute:
    """A section `compute`."""
    return Compute.model_validate({"threads": threads, "device": device, "precision": precision})


def test_prepare_torch_sets_the_configured_threads_and_deterministic_algorithms() -> None:
    assert prepare_torch(compute(threads=2)) == torch.device("cpu")
    assert torch.get_num_threads() == 2
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize(
    ("gpu", "device", "expected"), [(True, "auto", "cuda"), (True, "cpu", "cpu"), (False, "auto", "cpu")]
)
def test_auto_takes_a_gpu_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, device: str, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert prepare_torch(compute(device)).type == expected


def test_cuda_without_a_gpu_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        ValueError, match=r"^compute.device: found cuda, but torch sees no GPU here; allowed are"
    ):
        prepare_torch(compute("cuda"))


def test_inference_precision() -> None:
    assert inference_dtype(compute(precision="float32")) is torch.float32
    assert inference_dtype(compute(precision="bf16")) is torch.bfloat16


def test_a_frozen_module_takes_no_gradient_and_keeps_its_statistics() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    same = frozen(module, torch.device("cpu"))
    assert same is module
    assert not module.training and not any(p.requires_grad for p in module.parameters())
    assert module[0].weight.is_contiguous(memory_format=torch.channels_last)
    image = torch.ones(2, 3, 5, 5, requires_grad=True)
    module(image).sum().backward()
    assert image.grad is not None  # still differentiable in its input
    assert float(module[1].num_batches_tracked) == 0


class FiveAxes(nn.Module):
    """A weight as StyleGAN2's convolutions have it, and a buffer of four axes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(1.0, 145.0).view(1, 4, 4, 3, 3))
        self.register_buffer("kernel", torch.arange(0.0, 96.0).view(2, 3, 4, 4))


def test_weights_of_five_axes_are_frozen_as_they_are() -> None:
    module = frozen(FiveAxes(), torch.device("cpu"))
    assert torch.equal(module.weight.detach().flatten(), torch.arange(1.0, 145.0))
    assert module.weight.is_contiguous() and not module.weight.requires_grad
    assert module.kernel.is_contiguous(memory_format=torch.channels_last)


@given(st.integers(0, 300), st.integers(1, 70))
def test_chunks_cover_every_row_once_in_order(count: int, size: int) -> None:
    parts = [list(range(count))[part] for part in chunks(count, size)]
    assert [row for part in parts for row in part] == list(range(count))
    assert all(len(part) == size for part in parts[:-1])
    assert all(0 < len(part) <= size for part in parts)
