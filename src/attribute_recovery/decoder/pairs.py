"""Pairs of code and embedding that T learns from: of images, of their mirror images, and of drawn codes."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from attribute_recovery.decoder.correction import PersonDirections
from attribute_recovery.decoder.decoder import Decoder
from attribute_recovery.generator.load import LoadedGenerator
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.training.device import chunks

Floats = npt.NDArray[np.float32]
Images = npt.NDArray[np.uint8]


class Pairs(NamedTuple):
    """Codes and embeddings of the same images.

    Attributes:
        codes: (n, code_size).
        embeddings: theirs, unit length, (n, d).
    """

    codes: Floats
    embeddings: Floats

    def joined(self, other: "Pairs") -> "Pairs":
        """Both, one after the other."""
        return Pairs(
            np.concatenate([self.codes, other.codes]), np.concatenate([self.embeddings, other.embeddings])
        )


def mirrored_pairs(generator: LoadedGenerator, recognizer: Recognizer, images: Images) -> Pairs:
    """(E(x), f(x)) of the mirror images of images (n, size, size, 3)."""
    mirrored = np.ascontiguousarray(images[:, :, ::-1])
    return Pairs(generator.encode_images(mirrored), recognizer.embed_batches(mirrored))


def embed_codes(
    generator: LoadedGenerator, recognizer: Recognizer, codes: Floats, *, batch_size: int = 128
) -> Floats:
    """f(G(w)) of codes (n, code_size): embeddings (n, d) in the recognizer's own precision."""
    result = np.empty((len(codes), recognizer.embedding_size), np.float32)
    with torch.no_grad():
        for part in chunks(len(codes), batch_size):
            images = generator.decode(torch.from_numpy(codes[part]))
            result[part] = recognizer.embed(images).cpu().numpy()
    return result


def drawn_pairs(
    decoder: Decoder,
    recognizer: Recognizer,
    embeddings: Floats,
    images: Floats,
    person: PersonDirections,
    rng: np.random.Generator,
) -> Pairs:
    """True pairs (w, f(G(w))), (n, code_size) and (n, d): for each z, (n, d), the person that T draws, in the
    pose, light and whatever else is not the person's of a real image.

    T's own would be drawn more narrowly each round: what T learns from its samples spreads less than they do.

    Args:
        decoder: T and G.
        recognizer: f.
        embeddings: that T is asked for.
        images: codes of real images, (m, code_size).
        person: the part of code space that is the person's.
        rng: of noise and images.
    """
    codes = np.empty((len(embeddings), decoder.transformer.code_size), np.float32)
    for part in chunks(len(embeddings), 1024):
        noise = torch.from_numpy(rng.standard_normal(codes[part].shape, dtype=np.float32))
        codes[part] = decoder.codes(torch.from_numpy(embeddings[part]), noise).cpu().numpy()
    codes = person.exchanged(codes, images[rng.integers(len(images), size=len(codes))])
    return Pairs(codes, embed_codes(decoder.generator, recognizer, codes))
