"""Whether two ways of running one recognizer say the same, on images of the data set."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attribute_recovery.recognizer.load import Recognizer

# Largest difference of normalised embeddings that is taken as agreement; a precision of 8 bits bears less.
TOLERANCE = 1e-4
TOLERANCE_BF16 = 3e-2

Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Verdict:
    """Whether a way of running a recognizer may be used.

    Attributes:
        accepted: whether it may.
        difference: largest absolute difference of normalised embeddings; None where it could not be run.
        reason: what is wrong with it; empty if nothing is.
    """

    accepted: bool
    difference: float | None
    reason: str


def one_by_one(run: Run, images: Tensor) -> Tensor:
    """Embeddings (n, d) of images (n, c, side, side), each run alone, without gradients."""
    with torch.no_grad():
        return torch.cat([run(images[place : place + 1]) for place in range(len(images))])


def compared(candidate: Run, reference: Tensor, images: Tensor) -> Verdict:
    """Hold a way of running a recognizer against embeddings that are known, alone and in a batch.

    Args:
        candidate: (n, c, side, side) to (n, d).
        reference: embeddings of the images, (n, d), each run alone.
        images: what both were given, (n, c, side, side).

    Returns:
        The verdict.
    """
    try:
        with torch.no_grad():
            found = [one_by_one(candidate, images), candidate(images)]
    except (ValueError, RuntimeError, IndexError, TypeError, AssertionError) as error:
        return Verdict(False, None, f"it does not run ({' '.join(str(error).split())[:200]})")
    for embeddings, how in zip(found, ("alone", "in a batch"), strict=True):
        if embeddings.shape != reference.shape:
            shapes = f"{tuple(embeddings.shape)}, expected {tuple(reference.shape)}"
            return Verdict(False, None, f"images run {how} come out as {shapes}")
    worst = max(largest_difference(embeddings, reference) for embeddings in found)
    reason = "" if worst <= TOLERANCE else f"embeddings differ by up to {worst:.2g}, allowed is {TOLERANCE:g}"
    return Verdict(worst <= TOLERANCE, worst if worst < float("inf") else None, reason)


def with_gradient(run: Run, images: Tensor) -> str:
    """What is wrong with the gradients of a network; empty if every image gets a finite one that is not 0.

    Args:
        run: (n, c, side, side) to (n, d).
        images: some, (n, c, side, side).

    Returns:
        The reason.
    """
    with torch.enable_grad():
        pixels = images.detach().clone().requires_grad_()
        try:
            # Half of the numbers: the sum of squares of a normalised embedding is constant.
            embedding = nn.functional.normalize(run(pixels))
            half = embedding[:, : max(1, embedding.shape[1] // 2)]
            (gradient,) = torch.autograd.grad(half.square().sum(), pixels, allow_unused=True)
        except (ValueError, RuntimeError) as error:
            return f"no gradient can be had ({' '.join(str(error).split())[:200]})"
    sizes = torch.zeros(len(images)) if gradient is None else gradient.flatten(1).norm(dim=1)
    if not bool((torch.isfinite(sizes) & (sizes > 0)).all()):
        return "gradients are 0 or not finite"
    return ""


def check_embeddings(recognizer: Recognizer, images: Tensor) -> float:
    """Make sure that a recognizer tells images apart, and that no image's embedding depends on the others.

    Args:
        recognizer: f.
        images: some of the data set's, at least 2, RGB in [-1, 1], (n, 3, side, side).

    Returns:
        Largest absolute difference between normalised embeddings of images run alone and in one batch.

    Raises:
        ValueError: embeddings are not finite, are the same for all images, or depend on the batch.
    """
    alone = one_by_one(recognizer.represent, images)
    with torch.no_grad():
        together = recognizer.represent(images)
    name = recognizer.card.name
    if not bool(torch.isfinite(alone).all()) or bool((alone.norm(dim=1) == 0).any()):
        raise ValueError(f"recognizer {name!r}: gives embeddings whose length is 0 or not finite")
    found = largest_difference(together, alone)
    allowed = TOLERANCE_BF16 if recognizer.card.precision == "bf16" else TOLERANCE
    if not found <= allowed:
        raise ValueError(
            f"recognizer {name!r}: an image's embedding depends on the other images of its batch "
            f"(normalised, by up to {found:.2g}, allowed is {allowed:g}); was it "
            "exported in evaluation mode?"
        )
    different = largest_difference(images.flatten(1), images[:1].flatten(1)) > 0
    if different and largest_difference(alone, alone[:1]) < 1e-6:
        raise ValueError(
            f"recognizer {name!r}: gives the same embedding for all of {len(images)} images; is the "
            "value range of its card the one that it was trained with?"
        )
    return found


def largest_difference(first: Tensor, second: Tensor) -> float:
    """Largest absolute difference of rows (n, d) brought to length 1; infinite if a number is not finite."""
    gap = (nn.functional.normalize(first.float()) - nn.functional.normalize(second.float())).abs().max()
    return float(gap) if bool(torch.isfinite(gap)) else float("inf")
