"""Pairs of code and embedding: each is true, wherever its code comes from."""

import numpy as np
import pytest
import torch
from torch import Tensor

from attribute_recovery.dataset.store import read_images
from attribute_recovery.decoder.correction import PersonDirections
from attribute_recovery.decoder.decoder import Decoder
from attribute_recovery.decoder.pairs import Pairs, drawn_pairs, embed_codes, mirrored_pairs
from attribute_recovery.decoder.transformer import LatentTransformer

CODES, EMBEDDINGS = 3, 4


class StubGenerator:
    """G doubles the code."""

    code_size, device = CODES, torch.device("cpu")

    def decode(self, code: Tensor) -> Tensor:
        return 2 * code


class StubRecognizer:
    """f is a fixed linear map, normalised."""

    embedding_size = EMBEDDINGS
    matrix = torch.randn(CODES, EMBEDDINGS, generator=torch.Generator().manual_seed(0))

    def embed(self, images: Tensor) -> Tensor:
        return torch.nn.functional.normalize(images @ self.matrix, dim=1)


def embedded(codes: np.ndarray) -> np.ndarray:
    features = 2 * codes @ StubRecognizer.matrix.numpy()
    return features / np.linalg.norm(features, axis=1, keepdims=True)


@pytest.fixture
def pairs() -> Pairs:
    codes = np.random.default_rng(0).standard_normal((100, CODES)).astype(np.float32)
    return Pairs(codes, embedded(codes).astype(np.float32))


def test_embed_codes_is_f_of_g_whatever_the_batch(pairs) -> None:
    for batch_size in (1, 7, 100, 1000):
        found = embed_codes(StubGenerator(), StubRecognizer(), pairs.codes, batch_size=batch_size)
        np.testing.assert_allclose(found, pairs.embeddings, atol=1e-6)
    assert embed_codes(StubGenerator(), StubRecognizer(), pairs.codes[:0]).shape == (0, EMBEDDINGS)


def test_drawn_pairs_are_true_pairs_of_codes_that_t_drew(pairs) -> None:
    torch.manual_seed(0)
    network = LatentTransformer(CODES, EMBEDDINGS, 8, 1)
    torch.nn.init.normal_(network.out.weight)
    decoder = Decoder(network, StubGenerator(), 2, torch.device("cpu"))
    whole = PersonDirections(np.eye(CODES, dtype=np.float32), np.eye(CODES, dtype=np.float32))
    given = decoder, StubRecognizer(), pairs.embeddings, pairs.codes
    codes, z = drawn_pairs(*given, whole, np.random.default_rng(5))
    np.testing.assert_allclose(z, embedded(codes), atol=1e-5)
    noise = torch.from_numpy(np.random.default_rng(5).standard_normal(codes.shape, dtype=np.float32))
    with torch.no_grad():
        drawn = network.sample(torch.from_numpy(pairs.embeddings), noise, 2)
    np.testing.assert_allclose(codes, drawn.numpy(), atol=1e-5)


def test_what_is_not_the_persons_is_that_of_real_images(pairs: Pairs) -> None:
    torch.manual_seed(0)
    network = LatentTransformer(CODES, EMBEDDINGS, 8, 1)
    network.code_scale.fill_(3.0)
    decoder = Decoder(network, StubGenerator(), 2, torch.device("cpu"))
    first = np.eye(CODES, dtype=np.float32)[:, :1]
    given = decoder, StubRecognizer(), pairs.embeddings, pairs.codes
    codes, z = drawn_pairs(*given, PersonDirections(first, first.T), np.random.default_rng(5))
    np.testing.assert_allclose(z, embedded(codes), atol=1e-5)
    assert codes[:, 0].std() == pytest.approx(3.0, rel=0.3)
    for row in codes[:, 1:]:
        assert (pairs.codes[:, 1:] == row).all(1).any()


def test_mirrored_pairs_are_those_of_the_mirror_images(tiny_run, models) -> None:  # type: ignore[no-untyped-def]
    images = read_images(tiny_run.path("images"), [0, 5, 9])
    found = mirrored_pairs(*models, images)
    mirrored = np.stack([image[:, ::-1] for image in images])
    np.testing.assert_array_equal(found.codes, models[0].encode_images(mirrored))
    np.testing.assert_array_equal(found.embeddings, models[1].embed_batches(mirrored))
    assert not np.allclose(found.codes, models[0].encode_images(images), atol=1e-3)


def test_joined_pairs_stay_pairs(pairs: Pairs) -> None:
    both = pairs.joined(Pairs(pairs.codes[:3], pairs.embeddings[:3]))
    assert len(both.codes) == len(both.embeddings) == 103
    np.testing.assert_array_equal(both.codes[100:], pairs.codes[:3])
    np.testing.assert_array_equal(both.embeddings[100:], pairs.embeddings[:3])
