"""T's last lesson: what is drawn for z is to embed as z again, 1 − cos(f(G(w)), z).

The loss of the reference's encoder, here for every sample of a distribution. By itself it would give up what
f does not see (faces that look straight ahead embed more reliably than others), so each sample is also held
to the code that T drew with the same noise before: what is left to change is what brings it nearer to z.
It takes gradients through T, G and f. For a black box T keeps what it learned from pairs.
"""

import copy
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from attribute_recovery.config import DecoderSection
from attribute_recovery.decoder.asked import asked_embeddings
from attribute_recovery.decoder.transformer import LatentTransformer
from attribute_recovery.generator.load import LoadedGenerator
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.training.loop import LoopSettings, train

Floats = npt.NDArray[np.float32]


def learn_identity(
    network: LatentTransformer,
    embeddings: Floats,
    identities: npt.NDArray[np.object_],
    generator: LoadedGenerator,
    recognizer: Recognizer,
    settings: DecoderSection,
    loop: LoopSettings,
    *,
    checkpoint: Path | None = None,
) -> None:
    """Train T in place on embeddings alone; see `asked.asked_embeddings` for which.

    Args:
        network: T as it was trained on pairs.
        embeddings: of the split `train`, unit length, (n, d).
        identities: theirs, (n,).
        generator: G, frozen.
        recognizer: f, frozen, with gradients.
        settings: the weight, the embeddings a step, the steps of the flow.
        loop: of the optimisation.
        checkpoint: see `training.loop.train`.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    before = copy.deepcopy(network).requires_grad_(False).eval()
    steps, asked = settings.sampling_steps, settings.identity

    def losses(module: nn.Module, step: int) -> dict[str, Tensor]:
        assert isinstance(module, LatentTransformer)
        rng = np.random.default_rng([loop.seed, 79, step])
        device = module.code_mean.device
        z = torch.from_numpy(asked_embeddings(embeddings, identities, asked.batch_size, rng)).to(device)
        noise = torch.randn(len(z), module.code_size, device=device)
        with torch.no_grad():
            held = before.to(device).sample(z, noise, steps)
        code = module.sample(z, noise, steps)
        cosine = (recognizer.embed(generator.decode(code)) * z).sum(1)
        strayed = ((code - held) / module.code_scale).square().mean()
        return {"identity": asked.weight * (1 - cosine).mean(), "strayed": strayed}

    train(network, losses, loop, label="latent transformer, identity", checkpoint=checkpoint)
