"""The authors' files as they are, converted to safetensors with cards.

`arcface_mb.pth` or `arcface_r50.pth`, `550000.pt` (its key `g_ema`), `id_delta_gc_rm_mb.pth` or
`id_delta_gc_rm_r50.pth`, and `mean_wplus.pth`, which goes to the generator: it is where its codes begin.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from attribute_recovery.generator.authors import Sizes
from attribute_recovery.generator.authors_files import model_files
from attribute_recovery.generator.point_encoder import INTERPOLATION, PointTransformer
from attribute_recovery.recognizer.architectures.catalogue import build
from attribute_recovery.tracking.digest import atomic_output, sha256_file, write_json
from attribute_recovery.training.checkpoints import check_state, read_checkpoint

ARCHITECTURES = {"mb": "mobilefacenet", "r50": "ir50"}
LICENCE = "not stated by the authors"
# Where the eyes lie in their crops is not said; their code resizes whole images and moves nothing.
TEMPLATE = "as given"

M = TypeVar("M", bound=nn.Module)


def source_files(folder: Path, name: str) -> dict[str, Path]:
    """Where the authors' files are, by what they hold.

    Args:
        folder: has the files under the authors' names.
        name: "mb" or "r50".

    Returns:
        Paths of `recognizer`, `generator`, `transformer` and `mean`.

    Raises:
        ValueError: the name is not known.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"name: found {name!r}, allowed are {', '.join(ARCHITECTURES)}")
    return {
        "recognizer": folder / f"arcface_{name}.pth",
        "generator": folder / "550000.pt",
        "transformer": folder / f"id_delta_gc_rm_{name}.pth",
        "mean": folder / "mean_wplus.pth",
    }


def import_authors(folder: Path, name: str, models: Path, *, sizes: Sizes | None = None) -> None:
    """Convert the authors' files; the folder of models appears whole or not at all.

    Args:
        folder: has the files under the authors' names, read; they may hold more, and names in them may begin
            with `module.`.
        name: "mb" or "r50", the recognizer.
        models: folder, written: `recognizer`, `generator` and `transformer`, each .safetensors (float32) and
            its card .json.
        sizes: of the networks; the authors' by default.

    Raises:
        ValueError: the name is not known; a file is missing, is damaged, needs pickle, or is not of the
            authors' layout; `models` is there already and holds other files than these.
    """
    files, sizes = source_files(folder, name), sizes or Sizes()
    _refuse_others(models)
    with atomic_output(models) as partial:
        partial.mkdir()
        made = model_files(partial)
        state = _recognizer_state(files["recognizer"], name, sizes)
        _write(state, *made["recognizer"], lambda digest: recognizer_card(name, sizes, digest))
        state = _generator_state(files["generator"], files["mean"], sizes)
        _write(state, *made["generator"], lambda digest: generator_card(sizes))
        state = _transformer_state(files["transformer"], sizes)
        origin = {part: sha256_file(made[part][0]) for part in ("recognizer", "generator")}
        _write(state, *made["transformer"], lambda digest: transformer_card(sizes, origin))


def recognizer_card(name: str, sizes: Sizes, weights_sha256: str) -> dict[str, Any]:
    """The recognizer's card, fields as in `recognizer.card.RecognizerCard`.

    Args:
        name: "mb" or "r50".
        sizes: of the networks.
        weights_sha256: digest of the converted weights.

    Returns:
        Plain values for JSON; no `channels`, since the architecture says them.
    """
    return {
        "name": f"arcface_{name}",
        "architecture": ARCHITECTURES[name],
        "channels": None,
        "crop_size": sizes.crop,
        "template": TEMPLATE,
        "channel_order": "RGB",
        "value_range": [-1.0, 1.0],
        "interpolation": INTERPOLATION,
        "embedding_size": sizes.embedding,
        "precision": "float32",
        "score": "cosine",
        "data_sha256": "",
        "licence": LICENCE,
        "weights_sha256": weights_sha256,
    }


def generator_card(sizes: Sizes) -> dict[str, Any]:
    """The generator's card, keys as in `generator.load.CARD_KEYS`; its network is a stylegan2."""
    return {
        "image_size": sizes.image,
        "network": sizes.network(),
        "images_sha256": "",
        "images": 0,
        "training": {},
        "seed": 0,
        "attributes": [],
        "licence": LICENCE,
        "provenance": "550000.pt (g_ema) and mean_wplus.pth of the authors; trained on FFHQ",
    }


def transformer_card(sizes: Sizes, origin: dict[str, str]) -> dict[str, Any]:
    """T's card, keys as in `decoder.CARD_KEYS`; with no sampling steps it is of one point.

    Args:
        sizes: of the networks.
        origin: digests of the converted weights of `recognizer` and `generator`.

    Returns:
        Plain values for JSON; `blocks` is the number of styles.
    """
    generator = _on_meta(sizes.generator)
    return {
        "code_size": generator.code_size,
        "embedding_size": sizes.embedding,
        "hidden": sizes.style,
        "blocks": generator.network.layers,
        "directions": 0,
        "sampling_steps": 0,
        "recognizer_sha256": origin["recognizer"],
        "generator_sha256": origin["generator"],
    }


def _refuse_others(models: Path) -> None:
    """A folder that takes another's place must not take anything with it, such as what is to be converted."""
    own = {path.name for pair in model_files(models).values() for path in pair}
    others = sorted({path.name for path in models.iterdir()} - own) if models.is_dir() else []
    if others or models.is_file():
        held = f"holds {others[0]!r}" if others else "is a file"
        raise ValueError(f"{models}: {held}, allowed is a new folder, or one that an import wrote")


def _on_meta(make: Callable[[], M]) -> M:
    """A network without memory, for its names and shapes."""
    with torch.device("meta"):
        return make()


def _recognizer_state(path: Path, name: str, sizes: Sizes) -> dict[str, Tensor]:
    network = _on_meta(lambda: build(ARCHITECTURES[name], sizes.embedding, sizes.crop))
    return check_state(network, read_checkpoint(path), path)


def _generator_state(path: Path, mean_path: Path, sizes: Sizes) -> dict[str, Tensor]:
    generator = _on_meta(sizes.generator)
    state = check_state(generator.network, read_checkpoint(path, "g_ema"), path)
    found = list(read_checkpoint(mean_path).values())
    wanted = tuple(generator.mean.shape)
    if len(found) != 1 or tuple(found[0].shape) not in (wanted, (1, *wanted)):
        shapes = ", ".join(str(tuple(value.shape)) for value in found[:4])
        raise ValueError(f"{mean_path}: found {shapes}, allowed is one tensor of shape {(1, *wanted)}")
    return {f"network.{name}": value for name, value in state.items()} | {"mean": found[0].view(wanted)}


def _transformer_state(path: Path, sizes: Sizes) -> dict[str, Tensor]:
    layers = _on_meta(sizes.generator).network.layers
    network = _on_meta(lambda: PointTransformer(sizes.embedding, layers, sizes.style))
    return check_state(network, read_checkpoint(path), path)


def _write(
    state: dict[str, Tensor], weights: Path, card: Path, describe: Callable[[str], dict[str, Any]]
) -> None:
    """Weights, then the card of weights with that digest."""
    # Several names may lie in one memory, which safetensors refuses.
    save_file({name: value.contiguous().clone() for name, value in state.items()}, weights)
    write_json(card, describe(sha256_file(weights)))
