"""T's last lesson: what is drawn for z is to embed near z, 1 − cos(f(G(w)), z).

The loss of the reference's encoder, here for every sample of a distribution, and with two restraints. T
itself stays as it is: a network behind it moves what it draws, in the directions that belong to the person
and in no other (`correction`), or pose and light would lose their spread. And nothing is gained beyond the
cosine that reconstructions of real images reach: the code that really stands behind z embeds no nearer to it
than that. It takes gradients through G and f. For a black box T keeps what it learned from pairs.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from attribute_recovery.config import DecoderSection
from attribute_recovery.decoder.asked import asked_embeddings
from attribute_recovery.decoder.correction import Correction, person_directions
from attribute_recovery.decoder.pairs import Pairs, embed_codes
from attribute_recovery.decoder.transformer import LatentTransformer
from attribute_recovery.generator.load import LoadedGenerator
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.training.loop import LoopSettings, train

# Images whose reconstructions say how near is near enough.
_REBUILT = 1000


def learn_identity(
    network: LatentTransformer,
    images: Pairs,
    identities: npt.NDArray[np.object_],
    generator: LoadedGenerator,
    recognizer: Recognizer,
    settings: DecoderSection,
    loop: LoopSettings,
    *,
    checkpoint: Path | None = None,
) -> None:
    """Give T its correction; see `asked.asked_embeddings` for the embeddings that it is trained on.

    Args:
        network: T as it was trained on pairs, changed in place.
        images: codes and embeddings of the split `train`.
        identities: theirs, (n,).
        generator: G, frozen.
        recognizer: f, frozen, with gradients.
        settings: the weight, the embeddings a step, the steps of the flow.
        loop: of the optimisation.
        checkpoint: see `training.loop.train`.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    steps, asked = settings.sampling_steps, settings.identity
    device = network.code_mean.device
    near = as_near_as_rebuilt(images, generator, recognizer, loop.seed)
    correction = _untrained(network, images, identities, settings.hidden, loop.seed)

    def losses(module: nn.Module, step: int) -> dict[str, Tensor]:
        assert isinstance(module, Correction)
        rng = np.random.default_rng([loop.seed, 79, step])
        given = asked_embeddings(images.embeddings, identities, asked.batch_size, rng)
        z = torch.from_numpy(given).to(device)
        with torch.no_grad():
            point = network.flow(z, torch.randn(len(z), network.code_size, device=device), steps)
        moves = module.steps(point, z)
        code = network.unstandardise(module.moved(point, moves))
        cosine = (recognizer.embed(generator.decode(code)) * z).sum(1)
        far = torch.relu(near - cosine).mean()
        return {"identity": asked.weight * far, "strayed": moves.square().mean()}

    network.requires_grad_(False).eval()
    train(correction, losses, loop, label="latent transformer, identity", checkpoint=checkpoint)
    network.correction = correction


def as_near_as_rebuilt(images: Pairs, generator: LoadedGenerator, recognizer: Recognizer, seed: int) -> float:
    """Median cosine of an image's embedding with that of its reconstruction, f(x) and f(G(E(x)))."""
    rng = np.random.default_rng([seed, 80])
    rows = np.sort(rng.permutation(len(images.codes))[:_REBUILT])
    rebuilt = embed_codes(generator, recognizer, images.codes[rows])
    return float(np.median((rebuilt * images.embeddings[rows]).sum(1)))


def _untrained(
    network: LatentTransformer,
    images: Pairs,
    identities: npt.NDArray[np.object_],
    hidden: int,
    seed: int,
) -> Correction:
    with torch.no_grad():
        standardised = network.standardise(torch.from_numpy(images.codes).to(network.code_mean.device))
    basis = person_directions(standardised.cpu().numpy(), identities)
    torch.manual_seed(seed)
    correction = Correction(network.code_size, network.embedding_size, len(basis), hidden)
    correction.basis.copy_(torch.from_numpy(basis))
    return correction.to(network.code_mean.device)
