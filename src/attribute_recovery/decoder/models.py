"""The models behind a decoded face, read from their files: T before G, f, and the heads that read it."""

from dataclasses import dataclass
from pathlib import Path

import torch

from attribute_recovery.attributes.heads import AttributeEstimator, load_heads
from attribute_recovery.config import Compute
from attribute_recovery.decoder.decoder import Decoder, load_decoder
from attribute_recovery.generator.cards import check_origin
from attribute_recovery.generator.load import load_generator
from attribute_recovery.recognizer.load import Recognizer, load_recognizer
from attribute_recovery.training.device import inference_dtype

Files = tuple[Path, Path]


@dataclass(frozen=True)
class Models:
    """What decodes, embeds and reads.

    Attributes:
        decoder: T and G.
        recognizer: f.
        estimator: p(a given x).
    """

    decoder: Decoder
    recognizer: Recognizer
    estimator: AttributeEstimator


def load_models(
    compute: Compute,
    device: torch.device,
    *,
    generator: Files,
    heads: Files,
    recognizer: Files,
    transformer: Files,
) -> Models:
    """Read all models; each is given by its weights and its card.

    Args:
        compute: precision of G and heads; f runs in its card's, T in float32.
        device: where they run.
        generator: G and E.
        heads: p(a given x).
        recognizer: f.
        transformer: T.

    Raises:
        ValueError: a file is missing or damaged, weights and card do not fit each other, or T was trained for
            another generator or recognizer.
    """
    decoder, f = load_attack(
        compute, device, generator=generator, recognizer=recognizer, transformer=transformer
    )
    return Models(decoder, f, load_heads(*heads, device, inference_dtype(compute)))


def load_attack(
    compute: Compute, device: torch.device, *, generator: Files, recognizer: Files, transformer: Files
) -> tuple[Decoder, Recognizer]:
    """Read T before G, and f: what an attack needs, which reads no attributes; otherwise as `load_models`."""
    check_origin(transformer[1], generator_weights=generator[0], recognizer_weights=recognizer[0])
    loaded = load_generator(*generator, device, inference_dtype(compute))
    return load_decoder(*transformer, loaded), load_recognizer(*recognizer, device)
