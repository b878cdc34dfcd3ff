"""The authors' G and E in the pipeline: made of the folder of models that `decoder.authors.convert` writes.

Their G has no encoder of its own: the code of an image is the code of its embedding, w = T(f(x)/‖f(x)‖). So E
is T after f, the weights of the stage hold G, f and T side by side, and the card names f by its digest.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from attribute_recovery.generator.authors_files import IMPORT, check_models, model_files
from attribute_recovery.generator.cards import GENERATOR_KEYS, TRANSFORMER_KEYS, check_origin
from attribute_recovery.generator.point_encoder import INTERPOLATION, PointTransformer, RecognizerEncoder
from attribute_recovery.generator.stylegan2 import OffsetGenerator, StyleGAN2
from attribute_recovery.recognizer.architectures.catalogue import build
from attribute_recovery.tracking.digest import sha256_file
from attribute_recovery.training.weights import load_into, read_card, save_weights, write_card

ARCHITECTURE = "stylegan2"


@dataclass(frozen=True)
class Sizes:
    """Sizes of the authors' networks; other ones are for trying.

    Attributes:
        crop: side of the recognizer's crops.
        embedding: d.
        image: side of the generator's images.
        style: length of a style of W+.
        widest: most channels of the generator.
        total: most channels × side of the generator.
    """

    crop: int = 112
    embedding: int = 512
    image: int = 256
    style: int = 512
    widest: int = 512
    total: int = 32_768

    def generator(self) -> OffsetGenerator:
        """The generator's network."""
        return OffsetGenerator(StyleGAN2(self.image, self.style, widest=self.widest, total=self.total))

    def network(self) -> dict[str, Any]:
        """What a generator's card says of its network."""
        sizes = {key: value for key, value in asdict(self).items() if key in ("style", "widest", "total")}
        return {"architecture": ARCHITECTURE} | sizes


class AuthorsAutoencoder(nn.Module):
    """G and E of the reference, under the names that `generator.train.Autoencoder` has them.

    Args:
        generator: G.
        encoder: E, by way of the recognizer.
    """

    def __init__(self, generator: OffsetGenerator, encoder: RecognizerEncoder) -> None:
        super().__init__()
        self.generator, self.encoder = generator, encoder


def read_models(folder: Path) -> tuple[AuthorsAutoencoder, dict[str, Any]]:
    """Read G and E from a folder of models.

    Args:
        folder: as `decoder.authors.convert` writes it.

    Returns:
        G and E in evaluation mode, float32, on the processor; and the card of an `autoencoder.safetensors`
        with them, keys as in `generator.load.CARD_KEYS`.

    Raises:
        ValueError: a file is missing or damaged, weights and card do not fit each other, or T is of another
            recognizer or generator.
    """
    files = model_files(folder)
    origin = {f"{part}_weights": files[part][0] for part in ("recognizer", "generator")}
    for weights in origin.values():
        if not weights.is_file():
            raise ValueError(f"{weights}: is missing; {IMPORT}")
    check_origin(files["transformer"][1], **origin)
    recognizer = _recognizer_card(*files["recognizer"])
    values = read_card(files["generator"][1], GENERATOR_KEYS)
    transformer = read_card(files["transformer"][1], TRANSFORMER_KEYS)
    recognizer["blocks"], recognizer["hidden"] = transformer["blocks"], transformer["hidden"]
    values["network"] = values["network"] | {"encoder": recognizer}
    networks = untrained(values, files["generator"][1])
    load_into(networks.encoder.recognizer, files["recognizer"][0])
    load_into(networks.generator, files["generator"][0])
    load_into(networks.encoder.transformer, files["transformer"][0])
    return networks.eval(), values


def untrained(values: dict[str, Any], card: Path) -> AuthorsAutoencoder:
    """G and E without weights, as a card of the stage describes them.

    Args:
        values: the card's; its `network` has the sizes of G, and as `encoder` those of f and T.
        card: where they stand, for errors.

    Raises:
        ValueError: the network is not described so, or cannot be made in these sizes.
    """
    network = dict(values["network"])
    encoder = network.pop("encoder", None)
    sizes = {"style", "widest", "total"}
    if network.pop("architecture", None) != ARCHITECTURE or set(network) != sizes or encoder is None:
        raise ValueError(
            f"{card}: field network: found {values['network']!r}, allowed is an object with the architecture "
            "stylegan2, style, widest, total and an encoder"
        )
    generator = Sizes(image=values["image_size"], **network).generator()
    recognizer = build(encoder["architecture"], encoder["embedding_size"], encoder["crop_size"])
    transformer = PointTransformer(encoder["embedding_size"], encoder["blocks"], encoder["hidden"])
    if transformer.code_size != generator.code_size:
        raise ValueError(
            f"{card}: T makes codes of {transformer.code_size}, G takes codes of {generator.code_size}"
        )
    return AuthorsAutoencoder(generator, RecognizerEncoder(recognizer, encoder["crop_size"], transformer))


def take_models(folder: Path, image_size: int, *, weights: Path, card: Path) -> dict[str, Any]:
    """Write the authors' G and E as the stage's weights and card.

    Args:
        folder: of models.
        image_size: side of the data set's images in pixels.
        weights: safetensors, written: `generator`, `encoder.recognizer` and `encoder.transformer`.
        card: written.

    Returns:
        Metrics: `provenance`.

    Raises:
        ValueError: as `read_models`; or the images have another size than the generator's.
    """
    check_models(folder, image_size)
    networks, values = read_models(folder)
    save_weights(networks, weights)
    write_card(card, values)
    return {"provenance": json.dumps(values["provenance"])}


def _recognizer_card(weights: Path, card: Path) -> dict[str, Any]:
    """What a card says of the recognizer's network, if it is the card of these weights."""
    names = ("architecture", "embedding_size", "crop_size", "interpolation", "weights_sha256")
    try:
        content = json.loads(card.read_text("utf-8"))
        values = {name: content[name] for name in names}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{card}: cannot be read as the card of a recognizer ({error!r})") from error
    if values.pop("interpolation") != INTERPOLATION:
        raise ValueError(
            f"{card}: field interpolation: found {content['interpolation']!r}, allowed is {INTERPOLATION!r}"
        )
    found, wanted = sha256_file(weights), values["weights_sha256"]
    if found != wanted:
        raise ValueError(
            f"{weights}: found sha256 {found}, the card allows {wanted}; these are other weights"
        )
    return values
