"""Training of T on pairs of code and embedding.

The pairs are (E(x), f(x)) of the split `train` and of its mirror images. Besides, after each round the people
that T draws for what it is asked for are decoded and embedded again: (w, f(G(w))) is a true pair however good
T was when it drew w, so T learns from its own errors what its images really embed as. So far only forward
passes of f are needed; where f has gradients, `identity.learn_identity` may come last.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from attribute_recovery.config import Compute, DecoderConfig, DecoderSection
from attribute_recovery.config_authors import AuthorsDecoder
from attribute_recovery.dataset.store import read_array, read_images, read_table, rows_of
from attribute_recovery.decoder.asked import asked_embeddings
from attribute_recovery.decoder.authors.take import take_transformer
from attribute_recovery.decoder.correction import person_directions
from attribute_recovery.decoder.decoder import Decoder
from attribute_recovery.decoder.identity import learn_identity
from attribute_recovery.decoder.pairs import Pairs, drawn_pairs, mirrored_pairs
from attribute_recovery.decoder.transformer import LatentTransformer, flow_loss
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.embeddings.whitening import disturbed, shape_of
from attribute_recovery.generator.load import LoadedGenerator, load_generator
from attribute_recovery.recognizer.load import Recognizer, load_recognizer
from attribute_recovery.tracking.digest import sha256_file
from attribute_recovery.training.device import inference_dtype, prepare_torch
from attribute_recovery.training.loop import LoopSettings, train
from attribute_recovery.training.weights import save_weights, write_card

# Parts of the training after which codes are drawn, decoded and embedded. The weights go on from there, the
# optimiser starts anew.
ROUNDS = (0.3, 0.6)


def fit_transformer(
    network: LatentTransformer,
    images: Pairs,
    drawn: Pairs | None,
    settings: DecoderSection,
    loop: LoopSettings,
    *,
    checkpoint: Path | None = None,
) -> None:
    """Train T in place on pairs of images, and on drawn pairs where there are any.

    Args:
        network: T.
        images: pairs of images.
        drawn: pairs of drawn codes; a share of `decoded_share` of each batch comes from them.
        settings: batch size, shares and noise.
        loop: of the optimisation.
        checkpoint: see `training.loop.train`.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    real = [torch.from_numpy(column) for column in images]
    made = None if drawn is None else [torch.from_numpy(column) for column in drawn]
    shape = shape_of(real[1])
    n_made = 0 if made is None else round(settings.batch_size * settings.decoded_share)

    def losses(module: nn.Module, step: int) -> dict[str, Tensor]:
        assert isinstance(module, LatentTransformer)
        rng = np.random.default_rng([loop.seed, step])
        rows = torch.from_numpy(rng.integers(len(real[0]), size=settings.batch_size - n_made))
        pairs = [real[0][rows], real[1][rows]]
        if made is not None:
            rows = torch.from_numpy(rng.integers(len(made[0]), size=n_made))
            pairs = [torch.cat([pair, other[rows]]) for pair, other in zip(pairs, made, strict=True)]
        device = module.code_mean.device
        code, embedding = (pair.to(device) for pair in pairs)
        given = disturbed(embedding, settings.embedding_noise, shape.to(device))
        return {"flow": flow_loss(module, code, given)}

    train(network, losses, loop, label="latent transformer", checkpoint=checkpoint)


def train_transformer(
    images: Pairs,
    identities: npt.NDArray[np.object_],
    generator: LoadedGenerator,
    recognizer: Recognizer,
    settings: DecoderSection,
    seed: int,
    precision: str,
    *,
    checkpoint: Path | None = None,
) -> LatentTransformer:
    """T from codes E(x) and embeddings f(x), in rounds of equal settings and growing knowledge.

    Args:
        images: pairs of n images.
        identities: theirs, (n,).
        generator: decodes what T draws after a round.
        recognizer: embeds that.
        settings: of T and its training.
        seed: of weights, batches and noise.
        precision: of the training, see `training.loop.LoopSettings`.
        checkpoint: each round keeps a file of its own beside this one, see `round_checkpoint`; an interrupted
            training that starts again goes on in the round in which it was.

    Returns:
        T with averaged weights, in evaluation mode.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    network = _untrained(images, settings, seed)
    decoder = Decoder(network, generator, settings.sampling_steps, generator.device)
    ends = [*(part for part in ROUNDS if settings.decoded_share > 0), 1.0]
    person = person_directions(images.codes, identities)
    drawn: Pairs | None = None
    for number, (begin, end) in enumerate(zip([0.0, *ends[:-1]], ends, strict=True)):
        steps = max(1, round(settings.steps * (end - begin)))
        loop = _loop(steps, settings.learning_rate, precision, generator.device, seed + number)
        fit_transformer(
            network, images, drawn, settings, loop, checkpoint=round_checkpoint(checkpoint, number)
        )
        if end < 1.0:
            print(
                f"latent transformer: decoding and embedding {settings.decoded_pairs} drawn codes", flush=True
            )
            rng = np.random.default_rng([seed, 78, number])
            asked = asked_embeddings(images.embeddings, identities, settings.decoded_pairs, rng)
            made = drawn_pairs(decoder, recognizer, asked, images.codes, person, rng)
            drawn = made if drawn is None else drawn.joined(made)
    if learns_identity(settings, recognizer):
        number, lesson = len(ends), settings.identity
        loop = _loop(lesson.steps, lesson.learning_rate, precision, generator.device, seed + number)
        learn_identity(
            network,
            images,
            identities,
            person,
            generator,
            recognizer,
            settings,
            loop,
            checkpoint=round_checkpoint(checkpoint, number),
        )
    return network


def _untrained(images: Pairs, settings: DecoderSection, seed: int) -> LatentTransformer:
    torch.manual_seed(seed)
    sizes = images.codes.shape[1], images.embeddings.shape[1]
    network = LatentTransformer(*sizes, settings.hidden, settings.blocks)
    spread = images.codes.std(0)
    network.told.fit(torch.from_numpy(images.embeddings))
    network.code_mean.copy_(torch.from_numpy(images.codes.mean(0)))
    # a dead component stays as it is
    network.code_scale.copy_(torch.from_numpy(np.where(spread > 1e-6, spread, 1)))
    return network


def learns_identity(settings: DecoderSection, recognizer: Recognizer) -> bool:
    """Whether T's training ends with gradients through f."""
    return settings.identity.steps > 0 and recognizer.differentiable


def _loop(steps: int, learning_rate: float, precision: str, device: torch.device, seed: int) -> LoopSettings:
    return LoopSettings(
        steps=steps,
        learning_rate=learning_rate,
        warmup_steps=min(100, steps // 8 + 1),
        average=max(0.0, min(0.998, 1 - 2 / steps)),
        precision=precision,
        device=device.type,
        seed=seed,
    )


def round_checkpoint(checkpoint: Path | None, number: int) -> Path | None:
    """Where a round of the training keeps its state; nowhere without a checkpoint."""
    return None if checkpoint is None else checkpoint.with_suffix(f".round{number}.safetensors")


def train_decoder(
    settings: DecoderConfig,
    seed: int,
    compute: Compute,
    *,
    images: Path,
    table: Path,
    codes: Path,
    shards: Path,
    generator_weights: Path,
    generator_card: Path,
    recognizer_weights: Path,
    recognizer_card: Path,
    weights: Path,
    card: Path,
    checkpoint: Path,
) -> dict[str, Any]:
    """Write T's weights and card, trained on the split `train` or the authors'; the entry of the stage.

    Args:
        settings: of T and its training, or that it is the authors'.
        seed: of weights, batches and noise.
        compute: threads, device, precision of the training.
        images, table, codes, shards: what the stages before wrote.
        generator_weights, generator_card, recognizer_weights, recognizer_card: G and f.
        weights, card: T's, written.
        checkpoint: where an interrupted training goes on from; gone afterwards.

    Returns:
        Metrics: `pairs` of images that T was trained on here; `learned_identity`, whether gradients
        through f took part.

    Raises:
        ValueError: a file is missing or damaged, or two of them do not fit each other.
    """
    device = prepare_torch(compute)
    if isinstance(settings, AuthorsDecoder):
        files = (generator_weights, generator_card), recognizer_weights
        take_transformer(*files, weights=weights, card=card)
        return {"pairs": 0, "learned_identity": False}
    generator = load_generator(generator_weights, generator_card, device, inference_dtype(compute))
    recognizer = load_recognizer(recognizer_weights, recognizer_card, device)
    rows = read_table(table)
    fitted = rows_of(rows, "train")
    identities = rows["identity"].to_numpy(object)[fitted]
    pairs = Pairs(read_array(codes, fitted), read_embeddings(shards, rows.iloc[fitted]))
    if settings.mirrored:
        pairs = pairs.joined(mirrored_pairs(generator, recognizer, read_images(images, fitted)))
        identities = np.concatenate([identities, identities])
    network = train_transformer(
        pairs, identities, generator, recognizer, settings, seed, compute.precision, checkpoint=checkpoint
    )
    save_weights(network, weights)
    write_card(
        card,
        {
            "code_size": generator.code_size,
            "embedding_size": pairs.embeddings.shape[1],
            "hidden": settings.hidden,
            "blocks": settings.blocks,
            "directions": 0 if network.correction is None else len(network.correction.basis),
            "sampling_steps": settings.sampling_steps,
            "recognizer_sha256": sha256_file(recognizer_weights),
            "generator_sha256": sha256_file(generator_weights),
        },
    )
    for number in range(len(ROUNDS) + 2):
        checkpoint.with_suffix(f".round{number}.safetensors").unlink(missing_ok=True)
    return {"pairs": len(pairs.codes), "learned_identity": learns_identity(settings, recognizer)}
