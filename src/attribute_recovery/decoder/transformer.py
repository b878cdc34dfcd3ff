"""T: the conditional distribution of codes given an embedding, p(w given z), by flow matching.

Lipman et al., ICLR 2023, with the straight path w_t = (1 − t) ε + t w, ε standard normal, whose velocity is
w − ε. T regresses it from (w_t, t, z); integrating from t = 0 to 1 turns noise into a code. The reference's
deterministic encoder is the special case of one point.
"""

import math

import torch
from torch import Tensor, nn

from attribute_recovery.decoder.correction import Correction
from attribute_recovery.embeddings.whitening import Whitened


class ConditionedBlock(nn.Module):
    """Residual block whose normalised input is scaled, shifted and gated (Peebles & Xie, ICCV 2023)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.inner = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, value: Tensor, modulation: Tensor) -> Tensor:
        """Values (n, width) and modulations (n, 3 width) to values."""
        scale, shift, gate = modulation.chunk(3, dim=1)
        result: Tensor = value + (1 + gate) * self.inner(self.norm(value) * (1 + scale) + shift)
        return result


class LatentTransformer(nn.Module):
    """The velocity field of T.

    Time and embedding modulate the blocks as a sum, each through a part of its own: an embedding's part is
    worked out once for all steps of the flow, a time's once for all codes of a step.

    Args:
        code_size: length of the code.
        embedding_size: d.
        hidden: width of its blocks.
        blocks: number of its blocks.
        directions: that its correction moves samples in; 0 where it has none, see `identity`.
    """

    code_mean: Tensor
    code_scale: Tensor

    def __init__(
        self, code_size: int, embedding_size: int, hidden: int, blocks: int, directions: int = 0
    ) -> None:
        super().__init__()
        self.code_size, self.embedding_size = code_size, embedding_size
        self.code = nn.Linear(code_size, hidden)
        self.told = Whitened(embedding_size)
        self.embedding = _modulation(2 * embedding_size, hidden, 3 * hidden * blocks)
        self.time = _modulation(64, max(1, hidden // 4), 3 * hidden * blocks)
        self.blocks = nn.ModuleList(ConditionedBlock(hidden) for _ in range(blocks))
        self.out = nn.Linear(hidden, code_size)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("code_mean", torch.zeros(code_size))
        self.register_buffer("code_scale", torch.ones(code_size))
        self.correction: Correction | None = None
        if directions:
            self.correction = Correction(code_size, embedding_size, directions, hidden)

    def forward(self, point: Tensor, time: Tensor, embedding: Tensor) -> Tensor:
        """Velocities (n, code_size) at standardised points (n, code_size), times (n,), embeddings (n, d)."""
        return self.velocity(point, time, self.modulation(embedding))

    def modulation(self, embedding: Tensor) -> Tensor:
        """What embeddings (n, d) do to the blocks, (n, 3 hidden blocks)."""
        result: Tensor = self.embedding(self.told(embedding))
        return result

    def velocity(self, point: Tensor, time: Tensor, modulation: Tensor) -> Tensor:
        """`forward` with the embeddings' modulation; times are (n,), or (1,) for the same one everywhere."""
        parts = (modulation + self.time(_waves(time))).chunk(len(self.blocks), dim=1)
        value = self.code(point)
        for block, part in zip(self.blocks, parts, strict=True):
            value = block(value, part)
        velocity: Tensor = self.out(nn.functional.silu(value)) + _of_a_normal(time)[:, None] * point
        return velocity

    def standardise(self, code: Tensor) -> Tensor:
        """Codes with each component at mean 0 and variance 1, as the flow moves them."""
        return (code - self.code_mean) / self.code_scale

    def unstandardise(self, point: Tensor) -> Tensor:
        """Codes of standardised ones."""
        return point * self.code_scale + self.code_mean

    def flow(self, embedding: Tensor, noise: Tensor, steps: int) -> Tensor:
        """Standardised codes, the same for the same noise: Heun's method (Karras et al., NeurIPS 2022).

        Args:
            embedding: (n, d), unit length.
            noise: standard normal (n, code_size).
            steps: of equal length from t = 0 to 1.

        Returns:
            (n, code_size).
        """
        point, length, modulation = noise, 1.0 / steps, self.modulation(embedding)
        for i in range(steps):
            time = torch.full((1,), i * length, device=point.device)
            first = self.velocity(point, time, modulation)
            second = self.velocity(point + length * first, time + length, modulation)
            point = point + 0.5 * length * (first + second)
        return point

    def sample(self, embedding: Tensor, noise: Tensor, steps: int) -> Tensor:
        """Codes w ~ p(w given z), (n, code_size) in their own scale: the flow's, corrected if T learned it.

        Arguments as `flow` has them.
        """
        point = self.flow(embedding, noise, steps)
        if self.correction is not None:
            point = self.correction(point, embedding)
        return self.unstandardise(point)


def _modulation(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    last = nn.Linear(hidden, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last)


def _of_a_normal(time: Tensor) -> Tensor:
    """Velocity over point, at times (n,), where codes are standard normal and nothing is known of them:
    E[w − ε | w_t] = w_t (2t − 1) / (t² + (1 − t)²).

    The network only learns what differs from that (after Karras et al., NeurIPS 2022). Left to learn all of
    it, it falls short a little everywhere, and what it draws spreads too little.
    """
    return (2 * time - 1) / (time**2 + (1 - time) ** 2)


def _waves(time: Tensor) -> Tensor:
    """Sinusoids of time (n,) at 32 frequencies from 0.1 to 100 turns, (n, 64)."""
    frequencies = 2 * math.pi * torch.logspace(-1, 2, 32, device=time.device)
    angles = time[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)


def flow_loss(network: LatentTransformer, code: Tensor, embedding: Tensor) -> Tensor:
    """Flow-matching loss of codes (n, code_size): mean squared error of the velocity at uniform times."""
    target = network.standardise(code)
    noise = torch.randn_like(target)
    time = torch.rand(len(target), device=target.device)
    point = torch.lerp(noise, target, time[:, None])
    loss: Tensor = (network(point, time, embedding).float() - (target - noise)).square().mean()
    return loss
