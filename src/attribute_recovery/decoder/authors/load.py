"""The authors' models read back from weights and cards, and run: image → embedding → code → image."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from attribute_recovery.decoder.authors.convert import Sizes, model_files
from attribute_recovery.decoder.authors.encoder import INTERPOLATION, PointTransformer, RecognizerEncoder
from attribute_recovery.decoder.decoder import CARD_KEYS as TRANSFORMER_KEYS
from attribute_recovery.decoder.decoder import Decoder, check_origin
from attribute_recovery.decoder.transformer import LatentTransformer
from attribute_recovery.generator.load import CARD_KEYS as GENERATOR_KEYS
from attribute_recovery.generator.load import LoadedGenerator
from attribute_recovery.generator.stylegan2 import OffsetGenerator
from attribute_recovery.generator.train import Autoencoder
from attribute_recovery.recognizer.architectures.catalogue import build
from attribute_recovery.tracking.digest import sha256_file
from attribute_recovery.training.weights import load_into, read_card


class AuthorsAutoencoder(nn.Module):
    """G and E of the reference, under the names that `generator.train.Autoencoder` has them.

    Args:
        generator: G.
        encoder: E, by way of the recognizer.
    """

    def __init__(self, generator: OffsetGenerator, encoder: RecognizerEncoder) -> None:
        super().__init__()
        self.generator, self.encoder = generator, encoder


@dataclass(frozen=True)
class AuthorsModels:
    """Recognizer, T and G of the reference, frozen, float32.

    Attributes:
        networks: G, and E, which has the recognizer and T in it.
        device: where they run.
    """

    networks: AuthorsAutoencoder
    device: torch.device

    @property
    def transformer(self) -> PointTransformer:
        """T."""
        return self.networks.encoder.transformer

    @property
    def crop_size(self) -> int:
        """Side of the recognizer's crops."""
        return self.networks.encoder.crop_size

    def represent(self, images: Tensor) -> Tensor:
        """Embeddings (n, d) before normalisation of images (n, 3, h, w) in [-1, 1]."""
        return self.networks.encoder.represent(images.to(self.device, torch.float32))

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings (n, d) of unit length of images (n, 3, h, w) in [-1, 1]."""
        return self.networks.encoder.embed(images.to(self.device, torch.float32))

    def styles(self, embedding: Tensor) -> Tensor:
        """Codes in W+ with the mean added, (n, layers, style_size), of embeddings (n, d) of unit length."""
        code = self.transformer(embedding.to(self.device, torch.float32))
        return self.networks.generator.styles(code)

    def decode(self, embedding: Tensor) -> Tensor:
        """Images (n, 3, size, size), about in [-1, 1], not clamped, of embeddings (n, d) of unit length."""
        image: Tensor = self.networks.generator.network(self.styles(embedding))
        return image

    def generator(self) -> LoadedGenerator:
        """G and E as the stages take them."""
        networks = cast(Autoencoder, self.networks)  # has the two parts that are used
        return LoadedGenerator(networks, self.networks.generator.size, self.device, torch.float32)

    def decoder(self) -> Decoder:
        """G after T as the stages take it; all samples of an embedding are the same."""
        transformer = cast(LatentTransformer, self.transformer)  # has the parts that are used
        return Decoder(transformer, self.generator(), 0, self.device)


def load_authors(models: Path, device: torch.device) -> AuthorsModels:
    """Read what `convert.import_authors` wrote.

    Args:
        models: the folder.
        device: where the models are to run.

    Returns:
        The models.

    Raises:
        ValueError: a file is missing or damaged, weights and card do not fit each other, or T is of another
            recognizer or generator.
    """
    files = model_files(models)
    origin = {f"{part}_weights": files[part][0] for part in ("recognizer", "generator")}
    for weights in origin.values():
        if not weights.is_file():
            raise ValueError(f"{weights}: is missing, expected weights of decoder.authors.convert")
    check_origin(files["transformer"][1], **origin)
    card = _recognizer_card(*files["recognizer"])
    recognizer = build(card["architecture"], card["embedding_size"], card["crop_size"])
    load_into(recognizer, files["recognizer"][0])
    generator = _network(files["generator"][1])
    load_into(generator, files["generator"][0])

    values = read_card(files["transformer"][1], TRANSFORMER_KEYS)
    transformer = PointTransformer(values["embedding_size"], values["blocks"], values["hidden"])
    load_into(transformer, files["transformer"][0])
    encoder = RecognizerEncoder(recognizer, card["crop_size"], transformer)
    networks = AuthorsAutoencoder(generator, encoder).to(device).eval().requires_grad_(False)
    return AuthorsModels(networks, device)


def _network(card: Path) -> OffsetGenerator:
    """The generator that a card describes."""
    values = read_card(card, GENERATOR_KEYS)
    network = dict(values["network"])
    if network.pop("architecture", None) != "stylegan2" or set(network) != {"style", "widest", "total"}:
        raise ValueError(
            f"{card}: field network: found {values['network']!r}, allowed is an object with the architecture "
            "stylegan2, style, widest and total"
        )
    return Sizes(image=values["image_size"], **network).generator()


def _recognizer_card(weights: Path, card: Path) -> dict[str, Any]:
    """What a card says of the recognizer's network, if it is the card of these weights."""
    names = ("architecture", "embedding_size", "crop_size", "interpolation", "weights_sha256")
    try:
        content = json.loads(card.read_text("utf-8"))
        values = {name: content[name] for name in names}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{card}: cannot be read as the card of a recognizer ({error!r})") from error
    if values["interpolation"] != INTERPOLATION:
        raise ValueError(
            f"{card}: field interpolation: found {values['interpolation']!r}, allowed is {INTERPOLATION!r}"
        )
    wanted = values["weights_sha256"]
    found = sha256_file(weights)
    if found != wanted:
        raise ValueError(
            f"{weights}: found sha256 {found}, the card allows {wanted}; these are other weights"
        )
    return values
