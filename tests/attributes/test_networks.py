"""Heads that start from E read what a ridge regression of its codes reads, with weights of their own."""

import numpy as np
import pytest
import torch

from attribute_recovery.attributes.networks import EncoderHeads, EncoderTrunk, split_readout
from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.generator.networks import Encoder


@pytest.fixture
def encoder() -> Encoder:
    """Of images of side 16, its statistics those of some images."""
    torch.manual_seed(2)
    found = Encoder(16, 5, (8, 6), (1, 0))
    for _ in range(200):
        found(torch.rand(40, 3, 16, 16) * 2 - 1)
    return found.eval()


def test_heads_from_the_encoder_start_as_the_ridge_regression_of_its_codes(
    schema: AttributeSchema, encoder: Encoder
) -> None:
    rng = np.random.default_rng(3)
    images = torch.from_numpy(rng.uniform(-1, 1, (60, 3, 16, 16)).astype(np.float32))
    with torch.no_grad():
        codes = encoder(images).numpy()
    weights = rng.normal(size=5)
    brightness = (codes @ weights + 0.3).astype(np.float32)
    brightness[:7] = np.nan  # as where an image has no label
    network = EncoderHeads(schema, 16, EncoderTrunk((6, 8), (0, 1), 5), 7).eval()
    network.start(encoder, codes, {"brightness": brightness, "glasses": np.zeros(60), "colour": np.zeros(60)})
    assert torch.equal(network.code.weight, encoder.code.weight)  # of a size that an optimiser's step leaves
    with torch.no_grad():
        read = split_readout(schema, network(images))["brightness"].numpy()
    x, y = codes[7:].astype(np.float64), brightness[7:].astype(np.float64)
    centred = x - x.mean(0)
    ridge = np.linalg.solve(centred.T @ centred + 1e-3 * len(x) * np.eye(5), centred.T @ (y - y.mean()))
    np.testing.assert_allclose(read[:, 0], (codes - x.mean(0)) @ ridge + y.mean(), atol=1e-4)
    np.testing.assert_allclose(read[:, 1], -1.2, atol=1e-5)


def test_heads_from_the_encoder_share_no_weights_with_it(schema: AttributeSchema, encoder: Encoder) -> None:
    network = EncoderHeads(schema, 16, EncoderTrunk((6, 8), (0, 1), 5), 7)
    network.start(encoder, np.zeros((4, 5), np.float32), {"brightness": np.full(4, np.nan)})
    before = encoder.trunk.fold.weight.detach().clone()
    with torch.no_grad():
        network.trunk.fold.weight += 1
    assert torch.equal(encoder.trunk.fold.weight, before)
