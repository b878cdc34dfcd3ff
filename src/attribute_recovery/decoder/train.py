"""Training of T on pairs of code and embedding.

The pairs are (E(x), f(x)) of the split `train`. Besides, after each round the codes that T draws for these
embeddings, and for points between them, are decoded and embedded again: (w, f(G(w))) is a true pair however
good T was when it drew w, so T learns from its own errors what its images really embed as. Only forward
passes of f are needed.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from attribute_recovery.config import Compute, DecoderSection
from attribute_recovery.dataset.store import read_array, read_table, rows_of
from attribute_recovery.decoder.decoder import Decoder
from attribute_recovery.decoder.transformer import LatentTransformer, disturbed, flow_loss
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.generator.load import LoadedGenerator, load_generator
from attribute_recovery.recognizer.load import Recognizer, load_recognizer
from attribute_recovery.tracking.digest import sha256_file
from attribute_recovery.training.device import chunks, inference_dtype, prepare_torch
from attribute_recovery.training.loop import LoopSettings, train
from attribute_recovery.training.weights import save_weights, write_card

Floats = npt.NDArray[np.float32]

# Parts of the training after which codes are drawn, decoded and embedded. The weights go on from there, the
# optimiser starts anew.
ROUNDS = (0.3, 0.6)


def fit_transformer(
    network: LatentTransformer,
    codes: Floats,
    embeddings: Floats,
    drawn: tuple[Floats, Floats] | None,
    settings: DecoderSection,
    loop: LoopSettings,
    *,
    checkpoint: Path | None = None,
) -> None:
    """Train T in place on pairs (n, code_size), (n, d), and on drawn pairs where there are any.

    Args:
        network: T.
        codes: (n, code_size).
        embeddings: theirs, (n, d).
        drawn: codes and embeddings of drawn pairs, (m, code_size) and (m, d); a share of `decoded_share` of
            each batch comes from them.
        settings: batch size, shares and noise.
        loop: of the optimisation.
        checkpoint: see `training.loop.train`.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    real = (torch.from_numpy(codes), torch.from_numpy(embeddings))
    made = None if drawn is None else (torch.from_numpy(drawn[0]), torch.from_numpy(drawn[1]))
    n_made = 0 if made is None else round(settings.batch_size * settings.decoded_share)

    def losses(module: nn.Module, step: int) -> dict[str, Tensor]:
        assert isinstance(module, LatentTransformer)
        rng = np.random.default_rng([loop.seed, step])
        rows = torch.from_numpy(rng.integers(len(codes), size=settings.batch_size - n_made))
        pairs = [real[0][rows], real[1][rows]]
        if made is not None:
            rows = torch.from_numpy(rng.integers(len(made[0]), size=n_made))
            pairs = [torch.cat([pair, other[rows]]) for pair, other in zip(pairs, made, strict=True)]
        device = module.code_mean.device
        code, embedding = (pair.to(device) for pair in pairs)
        return {"flow": flow_loss(module, code, disturbed(embedding, settings.embedding_noise))}

    train(network, losses, loop, label="latent transformer", checkpoint=checkpoint)


def embed_codes(
    generator: LoadedGenerator, recognizer: Recognizer, codes: Floats, *, batch_size: int = 128
) -> Floats:
    """f(G(w)) of codes (n, code_size): embeddings (n, d) in the recognizer's own precision."""
    result = np.empty((len(codes), recognizer.embedding_size), np.float32)
    with torch.no_grad():
        for part in chunks(len(codes), batch_size):
            images = generator.decode(torch.from_numpy(codes[part]))
            result[part] = recognizer.embed(images).cpu().numpy()
    return result


def drawn_pairs(
    decoder: Decoder, recognizer: Recognizer, embeddings: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """True pairs (w, f(G(w))), (n, code_size) and (n, d), of one code w ~ p(w given z) for each z, (n, d)."""
    codes = np.empty((len(embeddings), decoder.transformer.code_size), np.float32)
    for part in chunks(len(embeddings), 1024):
        noise = torch.from_numpy(rng.standard_normal(codes[part].shape, dtype=np.float32))
        codes[part] = decoder.codes(torch.from_numpy(embeddings[part]), noise).cpu().numpy()
    return codes, embed_codes(decoder.generator, recognizer, codes)


def embeddings_between(embeddings: Floats, rng: np.random.Generator) -> Floats:
    """Points between two embeddings each, as many as there are, (n, d) of unit length: new people.

    What is drawn for them, decoded and embedded makes true pairs of other identities than the split's.
    """
    others = embeddings[rng.permutation(len(embeddings))]
    part = rng.random((len(embeddings), 1), dtype=np.float32)
    between = (1 - part) * embeddings + part * others
    result: Floats = between / np.maximum(np.linalg.norm(between, axis=1, keepdims=True), 1e-6)
    return result


def train_transformer(
    codes: Floats,
    embeddings: Floats,
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
        codes: (n, code_size).
        embeddings: (n, d), unit length.
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
    torch.manual_seed(seed)
    network = LatentTransformer(codes.shape[1], embeddings.shape[1], settings.hidden, settings.blocks)
    spread = codes.std(0)
    network.code_mean.copy_(torch.from_numpy(codes.mean(0)))
    network.code_scale.copy_(torch.from_numpy(np.where(spread > 1e-6, spread, 1)))  # a dead component stays
    decoder = Decoder(network, generator, settings.sampling_steps, generator.device)
    ends = [*(part for part in ROUNDS if settings.decoded_share > 0), 1.0]
    drawn: tuple[Floats, Floats] | None = None
    for number, (begin, end) in enumerate(zip([0.0, *ends[:-1]], ends, strict=True)):
        loop = LoopSettings(
            steps=max(1, round(settings.steps * (end - begin))),
            learning_rate=settings.learning_rate,
            warmup_steps=min(100, settings.steps // 20 + 1),
            average=0.998,
            precision=precision,
            device=generator.device.type,
            seed=seed + number,
        )
        of_round = None if checkpoint is None else round_checkpoint(checkpoint, number)
        fit_transformer(network, codes, embeddings, drawn, settings, loop, checkpoint=of_round)
        if end < 1.0:
            print(f"latent transformer: decoding and embedding {2 * len(codes)} drawn codes", flush=True)
            rng = np.random.default_rng([seed, 78, number])
            asked = np.concatenate([embeddings, embeddings_between(embeddings, rng)])
            made = drawn_pairs(decoder, recognizer, asked, rng)
            drawn = made if drawn is None else _joined(drawn, made)
    return network


def _joined(first: tuple[Floats, Floats], second: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])


def round_checkpoint(checkpoint: Path, number: int) -> Path:
    """Where a round of the training keeps its state."""
    return checkpoint.with_suffix(f".round{number}.safetensors")


def train_decoder(
    settings: DecoderSection,
    seed: int,
    compute: Compute,
    *,
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
    """Write T's weights and card, trained on the split `train`; the entry of the stage.

    Args:
        settings: of T and its training.
        seed: of weights, batches and noise.
        compute: threads, device, precision of the training.
        table, codes, shards: what the stages before wrote.
        generator_weights, generator_card, recognizer_weights, recognizer_card: G and f.
        weights, card: T's, written.
        checkpoint: where an interrupted training goes on from; gone afterwards.

    Returns:
        Metrics: `pairs`, those of images that T was trained on.

    Raises:
        ValueError: a file is missing or damaged, or two of them do not fit each other.
    """
    device = prepare_torch(compute)
    generator = load_generator(generator_weights, generator_card, device, inference_dtype(compute))
    recognizer = load_recognizer(recognizer_weights, recognizer_card, device)
    rows = read_table(table)
    fitted = rows_of(rows, "train")
    embeddings = read_embeddings(shards, rows.iloc[fitted])
    network = train_transformer(
        read_array(codes, fitted),
        embeddings,
        generator,
        recognizer,
        settings,
        seed,
        compute.precision,
        checkpoint=checkpoint,
    )
    save_weights(network, weights)
    write_card(
        card,
        {
            "code_size": generator.code_size,
            "embedding_size": embeddings.shape[1],
            "hidden": settings.hidden,
            "blocks": settings.blocks,
            "sampling_steps": settings.sampling_steps,
            "recognizer_sha256": sha256_file(recognizer_weights),
            "generator_sha256": sha256_file(generator_weights),
        },
    )
    for number in range(len(ROUNDS) + 1):
        round_checkpoint(checkpoint, number).unlink(missing_ok=True)
    return {"pairs": len(fitted)}
