"""The models behind an edit, read from their files: editor, G, f and heads as functions of codes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from attribute_recovery.attributes.edit import load_editor, soft_encoding
from attribute_recovery.attributes.heads import load_heads
from attribute_recovery.config import Compute
from attribute_recovery.decoder.pairs import embed_codes
from attribute_recovery.generator.load import load_generator
from attribute_recovery.generator.quality import reconstruct
from attribute_recovery.recognizer.load import load_recognizer
from attribute_recovery.significance.effect import Pipeline
from attribute_recovery.training.device import chunks, inference_dtype

Floats = npt.NDArray[np.float32]
Files = tuple[Path, Path]

BATCH = 128


@dataclass(frozen=True)
class Models:
    """What edits pass through, and how they are shown.

    Attributes:
        pipeline: edit, embed and read.
        reconstruct: codes (n, code_size) to images (n, side, side, 3) uint8.
        editable: by attribute, whether the editor changes it.
    """

    pipeline: Pipeline
    reconstruct: Callable[[Floats], npt.NDArray[np.uint8]]
    editable: dict[str, bool]


def load_models(
    compute: Compute,
    device: torch.device,
    *,
    generator: Files,
    heads: Files,
    editor: Files,
    recognizer: Files,
) -> Models:
    """Read all models; each is given by its weights and its card.

    Args:
        compute: precision of our own networks; f runs in its card's.
        device: where they run.
        generator: G.
        heads: p(a given x).
        editor: changes one attribute of a code.
        recognizer: f.

    Raises:
        ValueError: a file is missing or damaged, or weights and card do not fit each other.
    """
    dtype = inference_dtype(compute)
    loaded = load_generator(*generator, device, dtype)
    estimator = load_heads(*heads, device, dtype)
    changes = load_editor(*editor, device)
    f = load_recognizer(*recognizer, device)

    def read(codes: Floats) -> Floats:
        parts = []
        with torch.no_grad():
            for part in chunks(len(codes), BATCH):
                parts.append(soft_encoding(estimator, loaded.decode(torch.from_numpy(codes[part]))))
        return np.concatenate(parts)

    def edit(codes: Floats, current: Floats, wanted: Floats) -> Floats:
        given = [torch.from_numpy(array).to(device) for array in (codes, current, wanted)]
        moved: Floats = changes.edit(given[0], given[1], given[2]).detach().cpu().numpy()
        return moved

    pipeline = Pipeline(lambda codes: embed_codes(loaded, f, codes), read, edit)
    editable = {attribute.name: attribute.editable for attribute in changes.schema}
    return Models(pipeline, lambda codes: reconstruct(loaded, codes), editable)
