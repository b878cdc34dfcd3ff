"""A recognizer that somebody brings: converted where it has to be, and tried on the data set's images.

What the stage writes is what every later stage reads: weights under one name, whatever their format, and the
card, whose field `fitted` says what was found out here.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attribute_recovery.config_recognizers import (
    BroughtRecognizer,
    CheckpointRecognizer,
    OnnxRecognizer,
    PythonRecognizer,
    TorchScriptRecognizer,
)
from attribute_recovery.dataset.store import open_array, read_images
from attribute_recovery.recognizer.agreement import (
    Verdict,
    check_embeddings,
    compared,
    one_by_one,
    with_gradient,
)
from attribute_recovery.recognizer.card import (
    Fitted,
    RecognizerCard,
    check_weights,
    read_recognizer_card,
    write_recognizer_card,
)
from attribute_recovery.recognizer.card_fields import FORMATS
from attribute_recovery.recognizer.checkpoint import convert_checkpoint
from attribute_recovery.recognizer.crops import to_crops
from attribute_recovery.recognizer.load import Recognizer, read_network
from attribute_recovery.recognizer.onnx_graph import read_graph, torch_module, with_free_batch
from attribute_recovery.recognizer.onnx_runtime import OnnxNetwork
from attribute_recovery.recognizer.python_function import source_digest, write_reference
from attribute_recovery.recognizer.template import AnyTemplate, outside_share, similarity, template_words
from attribute_recovery.tracking.digest import atomic_output, sha256_file

# Images of the data set that a recognizer is tried on.
TRIED = 64


def bring(
    settings: BroughtRecognizer,
    device: torch.device,
    images_template: AnyTemplate,
    *,
    images: Path,
    weights: Path,
    card: Path,
) -> dict[str, Any]:
    """Take a recognizer in.

    Args:
        settings: where it is.
        device: where it is tried.
        images_template: of the data set's images.
        images: bcolz array, uint8 (n, side, side, 3), read.
        weights: what later stages read, written.
        card: its card, written.

    Returns:
        Metrics: `source`, `name`, `embedding_size`, `parameters` (None where they are not known),
        `differentiable`, `runs_user_code`, and `batch_difference`, the largest difference between normalised
        embeddings of images run alone and in a batch.

    Raises:
        ValueError: card, weights and data set do not fit each other, or the recognizer cannot be run; nothing
            is written then.
    """
    source_card = settings.card if isinstance(settings, PythonRecognizer) else _beside(settings.weights)
    described = read_recognizer_card(source_card)
    _check_kind(settings.source, described, source_card)
    digest = _source_digest(settings, described)
    samples = sampled_images(images)
    trusted = isinstance(settings, TorchScriptRecognizer | PythonRecognizer) and settings.trusted
    fitted = Fitted(images_template, "own", template_notes(described, images_template), trusted, digest)
    described = replace(described, fitted=fitted)
    with atomic_output(weights) as partial:
        described = _written(settings, described, samples, partial)
        described = replace(described, weights_sha256=sha256_file(partial))
        recognizer = Recognizer(read_network(partial, described, source_card, device), described, device)
        difference = check_embeddings(recognizer, samples.to(device))
    write_recognizer_card(described, card)
    for note in described.fitted.notes if described.fitted else ():
        print(f"recognizer: {note}", flush=True)
    known = [parameter.numel() for parameter in recognizer.network.parameters()]
    return {
        "source": settings.source,
        "name": described.name,
        "embedding_size": described.embedding_size,
        "parameters": sum(known) if known else None,
        "differentiable": recognizer.differentiable,
        "runs_user_code": trusted,
        "batch_difference": difference,
    }


def sampled_images(images: Path, count: int = TRIED) -> Tensor:
    """Images of a data set, evenly spaced among all of them.

    Args:
        images: bcolz array, uint8 (n, side, side, 3).
        count: how many, or all where there are fewer.

    Returns:
        float32 (count, 3, side, side), RGB in [-1, 1].

    Raises:
        ValueError: there are fewer than 2.
    """
    total = len(open_array(images))
    if total < 2:
        raise ValueError(f"{images}: found {total} images, a recognizer is tried on at least 2")
    rows = np.unique(np.linspace(0, total - 1, min(count, total)).astype(np.int64))
    pixels = torch.from_numpy(read_images(images, rows))
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1


def template_notes(card: RecognizerCard, images: AnyTemplate) -> tuple[str, ...]:
    """What is to be said of the recognizer's template and the images'; nothing where they are the same."""
    if "as given" in (card.template, images):
        whose = "the recognizer" if card.template == "as given" else "the data set"
        return (
            f"Nothing is known of where the eyes lie in crops of {whose}, so images were passed on as they "
            "are; if they are not cropped as in its training, the recognizer errs and nothing says so.",
        )
    matrix = similarity(card.template, images)
    if matrix is None:
        return ()
    notes = [
        f"Faces were moved from the data set's template ({template_words(images)}) to the recognizer's "
        f"({template_words(card.template)})."
    ]
    if (share := outside_share(matrix)) > 0.01:
        notes.append(f"{share:.0%} of each crop lies outside of the image and is black.")
    return tuple(notes)


def _beside(weights: Path) -> Path:
    """The card of a weights' file."""
    return weights.with_suffix(".json")


def _check_kind(source: str, card: RecognizerCard, path: Path) -> None:
    """The card's architecture has to be one that this source brings."""
    if source in FORMATS:
        fits, allowed = card.architecture == source, repr(source)
    else:
        fits, allowed = card.architecture not in FORMATS, "'residual' or a name of the catalogue"
    if not fits:
        raise ValueError(
            f"{path}: field architecture: found {card.architecture!r}, allowed is {allowed} for source "
            f"{source}"
        )


def _source_digest(settings: BroughtRecognizer, card: RecognizerCard) -> str:
    """Digest of what was brought, which has to be the card's."""
    if not isinstance(settings, PythonRecognizer):
        check_weights(card, settings.weights)
        return card.weights_sha256
    found = source_digest(settings.function)
    if card.weights_sha256 not in ("", found):
        raise ValueError(
            f"function {settings.function!r}: found a source of sha256 {found}, the card allows "
            f"{card.weights_sha256}"
        )
    return found


def _written(
    settings: BroughtRecognizer, card: RecognizerCard, samples: Tensor, target: Path
) -> RecognizerCard:
    """Write the weights as later stages read them; the card with what was found out on the way."""
    if isinstance(settings, PythonRecognizer):
        write_reference(settings.function, target)
        return _noted(
            card, "none", [f"The function {settings.function} is run, which is code of the user's."]
        )
    if isinstance(settings, OnnxRecognizer):
        return _write_onnx(settings.weights, card, to_crops(samples, card), target)
    if isinstance(settings, CheckpointRecognizer):
        convert_checkpoint(settings.weights, settings.key, card, target)
        return card
    shutil.copyfile(settings.weights, target)
    if isinstance(settings, TorchScriptRecognizer):
        return _noted(card, "own", ["The file is TorchScript, which is code of the user's."])
    return card


def _noted(card: RecognizerCard, gradients: Any, notes: Sequence[str]) -> RecognizerCard:
    """The card with what was found out about gradients, and further notes."""
    assert card.fitted is not None
    return replace(card, fitted=replace(card.fitted, gradients=gradients, notes=(*card.fitted.notes, *notes)))


def _write_onnx(source: Path, card: RecognizerCard, crops: Tensor, target: Path) -> RecognizerCard:
    """Write the graph, with a free batch where that changes nothing; find out whether it has gradients."""
    model, content, notes = read_graph(source), source.read_bytes(), []
    brought = OnnxNetwork(source, card, label=str(source))
    reference = one_by_one(brought, crops)
    if (fixed := brought.limits.high) is not None:
        freed = with_free_batch(model)
        verdict = _tried(freed, card, reference, crops)
        if verdict.accepted:
            model, content = freed, freed.SerializeToString(deterministic=True)
            notes.append(
                f"The graph fixes its batch to {fixed}; it was made free, and embeddings of {len(crops)} "
                f"images agree to {verdict.difference:.1g} with those of the file as it was brought."
            )
        else:
            notes.append(f"The graph fixes its batch to {fixed} and is run so: made free, {verdict.reason}.")
    target.write_bytes(content)
    verdict = _twin_tried(model, content, card, reference, crops)
    if verdict.accepted:
        notes.append(
            f"Gradients come from a torch module of the graph, which agrees with ONNX Runtime to "
            f"{verdict.difference:.1g} on {len(crops)} images of the data set, alone and in a batch."
        )
    else:
        notes.append(f"Forward passes only, since no torch module of the graph agrees: {verdict.reason}.")
    return _noted(card, "converted" if verdict.accepted else "none", notes)


def _tried(model: Any, card: RecognizerCard, reference: Tensor, crops: Tensor) -> Verdict:
    """Whether a changed graph says the same in ONNX Runtime."""
    try:
        network = OnnxNetwork(model.SerializeToString(), card, label="it")
    except ValueError as error:
        return Verdict(False, None, str(error))
    return compared(network, reference, crops)


def _twin_tried(
    model: Any, content: bytes, card: RecognizerCard, reference: Tensor, crops: Tensor
) -> Verdict:
    """Whether a graph has a torch module that says the same as ONNX Runtime, and has gradients."""
    try:
        twin = torch_module(model)
    except ValueError as error:
        return Verdict(False, None, str(error))
    network = OnnxNetwork(content, card, label="it", make_twin=lambda: twin)
    verdict = compared(network.through_twin, reference, crops)
    fault = with_gradient(network.through_twin, crops[:4]) if verdict.accepted else ""
    return Verdict(False, verdict.difference, fault) if fault else verdict
