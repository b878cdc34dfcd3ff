"""T against closed forms: a linear Gaussian conditional, the optimal velocity, fields that are solved."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from attribute_recovery.decoder.transformer import LatentTransformer, flow_loss
from attribute_recovery.training.loop import LoopSettings, train

A = torch.tensor([[1.5, 0.0, -0.5], [0.4, -1.0, 0.0]])
# Cholesky factor of the conditional covariance.
ROOT = torch.tensor([[0.5, 0.0], [0.3, 0.4]])


def on_sphere(count: int, size: int, generator: torch.Generator) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(count, size, generator=generator), dim=1)


@pytest.fixture(scope="module")
def trained() -> LatentTransformer:
    """T on codes w = A z + noise: p(w given z) is normal with mean A z and covariance ROOT ROOTᵀ."""
    generator = torch.Generator().manual_seed(1)
    z = on_sphere(20_000, 3, generator)
    codes = z @ A.T + torch.randn(len(z), 2, generator=generator) @ ROOT.T
    torch.manual_seed(0)
    network = LatentTransformer(2, 3, hidden=48, blocks=2)
    network.code_mean.copy_(codes.mean(0))
    network.code_scale.copy_(codes.std(0))

    def losses(module: torch.nn.Module, step: int) -> dict[str, Tensor]:
        rows = torch.from_numpy(np.random.default_rng([1, step]).integers(len(codes), size=256))
        return {"flow": flow_loss(module, codes[rows], z[rows])}

    loop = LoopSettings(
        steps=400, learning_rate=3e-3, warmup_steps=50, average=0.99, precision="float32", device="cpu"
    )
    train(network, losses, loop, label="toy")
    return network.requires_grad_(False)


@pytest.mark.parametrize("direction", [(1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (-0.6, 0.0, 0.8)])
def test_samples_have_the_conditional_distribution(
    trained: LatentTransformer, direction: tuple[float, float, float]
) -> None:
    z = torch.tensor([direction])
    noise = torch.randn(4000, 2, generator=torch.Generator().manual_seed(3))
    samples = trained.sample(z.expand(len(noise), -1), noise, 16)
    covariance = ROOT @ ROOT.T
    torch.testing.assert_close(samples.mean(0), (z @ A.T)[0], atol=0.08, rtol=0)
    torch.testing.assert_close(torch.cov(samples.T), covariance, atol=0.06, rtol=0)


def test_samples_are_normal_and_not_only_of_right_moments(trained: LatentTransformer) -> None:
    noise = torch.randn(4000, 2, generator=torch.Generator().manual_seed(4))
    samples = trained.sample(torch.tensor([[1.0, 0.0, 0.0]]).expand(len(noise), -1), noise, 16)
    standard = torch.sort((samples[:, 0] - 1.5) / 0.5).values
    normal = torch.special.ndtri((torch.arange(4000) + 0.5) / 4000)
    assert float((standard - normal)[100:-100].abs().max()) < 0.25


class Field(LatentTransformer):
    """A velocity field that is given."""

    def __init__(self, velocity, size: int = 2) -> None:  # type: ignore[no-untyped-def]
        super().__init__(size, 1, 4, 1)
        self.given = velocity

    def modulation(self, embedding: Tensor) -> Tensor:
        return embedding

    def velocity(self, point: Tensor, time: Tensor, modulation: Tensor) -> Tensor:
        return self.given(point, time[:, None], modulation)


def solve(field: Field, noise: Tensor, steps: int) -> Tensor:
    with torch.no_grad():
        return field.sample(torch.ones(len(noise), 1), noise, steps)


def test_a_velocity_linear_in_time_is_integrated_exactly() -> None:
    noise = torch.tensor([[0.0, 1.0], [2.0, -3.0]])
    found = solve(Field(lambda x, t, z: (2 * t + 1).expand_as(x)), noise, 3)
    torch.testing.assert_close(found, noise + 2)  # ∫ 2t + 1 over (0, 1)


def test_decay_is_solved_with_error_of_second_order() -> None:
    noise = torch.tensor([[1.0, -2.0]])
    field = Field(lambda x, t, z: -x).double()
    errors = [
        float((solve(field, noise.double(), steps) - noise * math.exp(-1)).abs().max())
        for steps in (4, 8, 16)
    ]
    assert errors[0] < 0.02
    for coarse, fine in zip(errors, errors[1:], strict=False):
        assert coarse / fine == pytest.approx(4, rel=0.25)


def test_the_straight_flow_to_one_point_ends_there() -> None:
    """Where the codes have no spread, the velocity is w − ε all along the path."""
    goal = torch.tensor([0.3, -1.2])
    noise = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    found = solve(Field(lambda x, t, z: goal - noise), noise, 4)
    torch.testing.assert_close(found, goal.expand(5, 2))


def test_codes_come_back_in_their_own_scale() -> None:
    field = Field(lambda x, t, z: torch.zeros_like(x))
    field.code_mean.copy_(torch.tensor([3.0, -1.0]))
    field.code_scale.copy_(torch.tensor([0.5, 4.0]))
    noise = torch.tensor([[1.0, 1.0], [0.0, -2.0]])
    found = solve(field, noise, 2)
    torch.testing.assert_close(found, torch.tensor([[3.5, 3.0], [3.0, -9.0]]))
    torch.testing.assert_close(field.standardise(found), noise)


def test_the_same_noise_gives_the_same_code(trained: LatentTransformer) -> None:
    generator = torch.Generator().manual_seed(0)
    z, noise = on_sphere(6, 3, generator), torch.randn(6, 2, generator=generator)
    first = trained.sample(z, noise, 5)
    torch.manual_seed(99)
    assert torch.equal(first, trained.sample(z, noise, 5))
    assert not torch.allclose(first, trained.sample(z, noise + 0.5, 5), atol=1e-3)
    assert not torch.allclose(first, trained.sample(-z, noise, 5), atol=1e-3)


def test_time_and_embedding_modulate_as_a_sum(trained: LatentTransformer) -> None:
    """So an embedding's part holds for all steps, and one time's for all codes."""
    generator = torch.Generator().manual_seed(0)
    z, point = on_sphere(6, 3, generator), torch.randn(6, 2, generator=generator)
    with torch.no_grad():
        expected = trained(point, torch.full((6,), 0.3), z)
        found = trained.velocity(point, torch.tensor([0.3]), trained.modulation(z))
        other = trained.velocity(point, torch.tensor([0.6]), trained.modulation(z))
    torch.testing.assert_close(found, expected)
    assert float((other - expected).abs().max()) > 0.05


def test_flow_loss_of_the_optimal_velocity_is_its_conditional_variance() -> None:
    """For codes N(0, s²), E Var(w − ε given x_t) = ∫ s² / ((1 − t)² + t² s²) dt: no T does better."""
    s = 0.5
    t = np.linspace(0, 1, 2001)
    least = np.trapezoid(s**2 / ((1 - t) ** 2 + t**2 * s**2), t)

    def optimal(x: Tensor, t: Tensor, z: Tensor) -> Tensor:
        return x * (t * s**2 - (1 - t)) / ((1 - t) ** 2 + t**2 * s**2)

    generator = torch.Generator().manual_seed(2)
    codes = s * torch.randn(100_000, 2, generator=generator)
    torch.manual_seed(6)
    z = torch.ones(len(codes), 1)
    assert float(flow_loss(Field(optimal), codes, z)) == pytest.approx(least, rel=0.02)
    worse = flow_loss(Field(lambda x, t, z: optimal(x, t, z) + 0.1), codes, z)
    assert float(worse) == pytest.approx(least + 0.01, rel=0.02)
