"""The critic comes back from its JSON as it was, and its τ is of real impostors."""

import json

import numpy as np
import pytest
import torch
from benchmarks.validation.attacks.critic import (
    channels_of,
    critic_of,
    own_threshold,
    packed_network,
    repeated,
)

from attribute_recovery.recognizer.networks import EmbeddingNetwork


@pytest.mark.parametrize("side", [32, 64])
def test_a_critic_comes_back_to_the_bit(side: int) -> None:
    torch.manual_seed(1)
    network = EmbeddingNetwork(side, channels_of(side), 10)
    network(torch.randn(8, 3, side, side))  # statistics of batch norm, and how many batches
    told = json.loads(json.dumps(packed_network(network)))
    critic = critic_of(told, torch.device("cpu"))
    found = critic.network.state_dict()
    assert all(torch.equal(found[name], value) for name, value in network.state_dict().items())
    images = np.random.default_rng(0).integers(0, 255, (3, side, side, 3), np.uint8)
    assert np.linalg.norm(critic.embed_batches(images), axis=1) == pytest.approx(1, abs=1e-5)


def test_its_threshold_stands_on_real_impostors() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat([f"p{i}" for i in range(40)], 3).astype(object)
    embeddings = rng.standard_normal((120, 8)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    found = own_threshold(embeddings, people, 0.01, 1)
    cosine = (embeddings @ embeddings.T)[people[:, None] < people[None]]
    assert found.achieved_fmr == pytest.approx((cosine >= found.value).mean(), abs=1e-3)
    assert 0.008 < found.achieved_fmr <= 0.01 and found.fmr == 0.01
    # 780 pairs of people bear no smaller rate.
    assert own_threshold(embeddings, people, 1e-5, 1).fmr == pytest.approx(3 / 780)


def test_widths_of_larger_images_are_the_last_one_again() -> None:
    assert channels_of(128) == (12, 40, 64, 96, 96)
    assert repeated((5, 3), 1) == (5,)
