"""The editor: one attribute changed in code space, the others held.

Two small networks over codes stand behind it. H: attributes to the mean code E[w given a]; R: code to
attributes. An edit moves the code by the change of its conditional mean, w + H(a′) − H(a), so that whatever
the attributes do not say about this face stays; then a few Gauss-Newton steps through R take back what moved
besides, along the directions in which codes vary (the smallest change in Mahalanobis norm:
Δw = Σ Jᵀ (J Σ Jᵀ + λI)⁻¹ Δa).

Both are fitted to codes of the split `train` and, since edits go where no image was, to codes drawn between
and around them, labelled by the heads on their decoded images. Where an image has no label the heads' reading
of its decoded code stands in, too. Attributes that heads could not learn are not editable.

Long codes (`principal.LONGEST_CODE`) are edited in the space of their leading principal components.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from attribute_recovery.attributes.heads import AttributeEstimator, load_heads, schema_from
from attribute_recovery.attributes.principal import LONGEST_CODE, PrincipalSpace, principal_space
from attribute_recovery.config import Compute
from attribute_recovery.config_attributes import Editor
from attribute_recovery.dataset.attributes import AttributeSchema, read_schema
from attribute_recovery.dataset.known import is_known, left_out, moments
from attribute_recovery.dataset.store import open_array, read_table, rows_of
from attribute_recovery.generator.load import LoadedGenerator, load_generator
from attribute_recovery.training.device import chunks, frozen, inference_dtype, prepare_torch
from attribute_recovery.training.loop import LoopSettings, train
from attribute_recovery.training.weights import load_into, read_card, save_weights, write_card

CARD_KEYS = {"attributes", "code_size", "hidden", "means", "scales", "iterations", "low", "high"}
# How many principal components of codes are edited, where codes are long.
OPTIONAL_KEYS = frozenset({"components"})

# Attributes of drawn codes are read in their decoded images; so many of them for each code of an image.
DRAWN_FOR_EACH = 1
DAMPING = 0.05

Codes = npt.NDArray[np.float32]


class EditorNetworks(nn.Module):
    """H and R, and the covariance of codes.

    Attributes are encoded as in `AttributeSchema.encode`, continuous ones standardised. With a number of
    components a code is its coordinates in `space` wherever a code is spoken of here, and k in place of
    code_size.
    """

    covariance: Tensor

    def __init__(self, width: int, code_size: int, hidden: int, components: int | None = None) -> None:
        super().__init__()
        self.space = None if components is None else PrincipalSpace(code_size, components)
        size = code_size if components is None else components
        self.mean_code = _perceptron(width, hidden, size)
        self.reader = _perceptron(size, hidden, width)
        self.register_buffer("covariance", torch.eye(size))

    def within(self, code: Tensor) -> Tensor:
        """Codes (n, code_size) as H and R take them: themselves, or their coordinates."""
        return code if self.space is None else self.space.within(code)

    def forward(self, encoded: Tensor) -> Tensor:
        """H: mean codes (n, code_size) of encoded attributes (n, width)."""
        code: Tensor = self.mean_code(encoded)
        return code

    def read(self, code: Tensor) -> Tensor:
        """R: encoded attributes (n, width) of codes (n, code_size)."""
        encoded: Tensor = self.reader(code)
        return encoded


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, value: Tensor) -> Tensor:
        result: Tensor = value + self.inner(self.norm(value))
        return result


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        _Residual(hidden),
        _Residual(hidden),
        nn.LayerNorm(hidden),
        nn.Linear(hidden, outputs),
    )


@dataclass(frozen=True)
class AttributeEditor:
    """Edits codes.

    Attributes:
        schema: the attributes.
        networks: H and R.
        means, scales: of each encoded column, (width,); 0 and 1 for the columns of discrete attributes.
        low, high: range of each continuous attribute that was observed (1 to 99 %), by name.
        iterations: Gauss-Newton steps of one edit.
    """

    schema: AttributeSchema
    networks: EditorNetworks
    means: Tensor
    scales: Tensor
    low: Mapping[str, float]
    high: Mapping[str, float]
    iterations: int

    def standardise(self, encoded: Tensor) -> Tensor:
        """Encoded attributes in their units (n, width) as H and R take them."""
        return (encoded - self.means) / self.scales

    def read(self, code: Tensor) -> Tensor:
        """R: encoded attributes in their units (n, width) of codes (n, code_size)."""
        with torch.no_grad():
            inner = self.networks.within(code.float())
            encoded: Tensor = self.networks.read(inner) * self.scales + self.means
            return encoded

    def edit(self, code: Tensor, current: Tensor, wanted: Tensor) -> Tensor:
        """Codes (n, code_size) whose images have the attributes `wanted` instead of `current`, all else held.

        Args:
            code: codes (n, code_size).
            current, wanted: encoded attributes in their units (n, width); columns that are equal are held.
        """
        start, end = self.standardise(current), self.standardise(wanted)
        inner = self.networks.within(code)
        with torch.no_grad():
            moved: Tensor = inner + self.networks(end) - self.networks(start)
            target = self.networks.read(inner) + (end - start)
        for _ in range(self.iterations):
            moved = self._corrected(moved, target)
        return moved if self.networks.space is None else self.networks.space.moved(code, moved - inner)

    def _corrected(self, code: Tensor, target: Tensor) -> Tensor:
        def read_one(single: Tensor) -> Tensor:
            return self.networks.read(single[None])[0]

        jacobian = torch.func.vmap(torch.func.jacrev(read_one))(code)  # (n, width, code_size)
        with torch.no_grad():
            gap = target - self.networks.read(code)
            spread = jacobian @ self.networks.covariance  # (n, width, code_size)
            damping = DAMPING * torch.eye(target.shape[1], device=code.device)
            step = torch.linalg.solve(spread @ jacobian.transpose(1, 2) + damping, gap[..., None])
            corrected: Tensor = code + (spread.transpose(1, 2) @ step)[..., 0]
            return corrected


def drawn_codes(codes: Codes, count: int, rng: np.random.Generator) -> Codes:
    """Codes (count, code_size) around those of images: w_i + t (w_j − w_i) + noise, t ~ U(0, 0.4)."""
    first, second = rng.integers(len(codes), size=(2, count))
    part = rng.uniform(0.0, 0.4, (count, 1)).astype(np.float32)
    noise = rng.standard_normal((count, codes.shape[1]), dtype=np.float32)
    drawn: Codes = codes[first] + part * (codes[second] - codes[first]) + np.float32(0.1) * noise
    return drawn


def soft_encoding(estimator: AttributeEstimator, image: Tensor) -> Codes:
    """Encoded attributes (n, width) as heads read them in images: means, and probabilities for classes."""
    found = estimator.estimate(image)
    columns = []
    for attribute in estimator.schema:
        if not attribute.is_discrete:
            columns.append(found.mean[attribute.name][:, None])
        elif attribute.kind == "binary":
            columns.append(found.probabilities[attribute.name][:, 1:])
        else:
            columns.append(found.probabilities[attribute.name])
    return np.concatenate(columns, axis=1).astype(np.float32)


def fit_editor(
    networks: EditorNetworks,
    codes: Codes,
    encoded: Codes,
    settings: Editor,
    loop: LoopSettings,
    *,
    checkpoint: Path | None,
) -> None:
    """Fit H and R in place to codes (n, code_size) and standardised encoded attributes (n, width)."""
    all_codes, all_encoded = torch.from_numpy(codes), torch.from_numpy(encoded)

    def losses(module: nn.Module, step: int) -> dict[str, Tensor]:
        assert isinstance(module, EditorNetworks)
        device = module.covariance.device
        rows = torch.from_numpy(np.random.default_rng([loop.seed, step]).integers(len(codes), size=256))
        code, target = all_codes[rows].to(device), all_encoded[rows].to(device)
        noisy = code + 0.1 * torch.randn_like(code)
        return {
            "mean_code": (module(target) - code).square().mean(),
            "reader": (module.read(noisy) - target).square().mean(),
        }

    train(networks, losses, loop, label="editor", checkpoint=checkpoint)


def train_editor(
    settings: Editor,
    seed: int,
    compute: Compute,
    *,
    table: Path,
    attributes: Path,
    codes: Path,
    generator_weights: Path,
    generator_card: Path,
    heads_weights: Path,
    heads_card: Path,
    weights: Path,
    card: Path,
    checkpoint: Path,
) -> dict[str, Any]:
    """Write the editor's weights and card, fitted on the split `train`.

    Means, scales and the observed range are those of the known values.

    Returns:
        Metrics: `drawn_codes`; of long codes `kept_variance`, the share that lies in the space of edits.

    Raises:
        ValueError: a file is missing or damaged, or two of them do not fit each other.
    """
    device = prepare_torch(compute)
    dtype = inference_dtype(compute)
    schema, rows = read_schema(attributes), read_table(table)
    fitted = rows_of(rows, "train")
    known = open_array(codes)[:][fitted]
    values = schema.known_from_table(rows.iloc[fitted]).values
    encoded = schema.encode(values)
    generator = load_generator(generator_weights, generator_card, device, dtype)
    estimator = load_heads(heads_weights, heads_card, device, dtype)
    completed = _completed(generator, estimator, known, encoded)
    space, kept = principal_space(known) if generator.code_size > LONGEST_CODE else (None, 1.0)
    known = known if space is None else space.within(torch.from_numpy(known)).numpy()
    drawn = drawn_codes(known, DRAWN_FOR_EACH * len(known), np.random.default_rng([seed, 1]))
    decoded = drawn if space is None else space.code(torch.from_numpy(drawn)).numpy()
    drawn_encoded = _read_decoded(generator, estimator, decoded)
    means, scales = _column_scales(schema, encoded)
    torch.manual_seed(seed)
    networks = EditorNetworks(schema.width, generator.code_size, settings.hidden, components_of(space))
    if networks.space is not None and space is not None:
        networks.space.load_state_dict(space.state_dict())
    networks.covariance.copy_(torch.from_numpy(np.atleast_2d(np.cov(known.T))).float())
    loop = LoopSettings(
        steps=settings.steps,
        learning_rate=1e-3,
        precision=compute.precision,
        device=device.type,
        average=0.995,
        weight_decay=1e-3,
        seed=seed,
    )
    both = np.concatenate([completed, drawn_encoded])
    all_codes = np.concatenate([known, drawn])
    fit_editor(networks, all_codes, (both - means) / scales, settings, loop, checkpoint=checkpoint)
    save_weights(networks, weights)
    sizes = {"code_size": generator.code_size, "hidden": settings.hidden, "iterations": settings.iterations}
    not_learned = left_out(schema, values, rows["identity"].iloc[fitted], "train")
    entries = [replace(a, editable=a.editable and a.name not in not_learned) for a in schema]
    count = {} if space is None else {"components": components_of(space)}
    facts = _facts(AttributeSchema(tuple(entries)), encoded, means, scales)
    write_card(card, sizes | count | facts)
    checkpoint.unlink(missing_ok=True)
    return {"drawn_codes": len(drawn)} | ({} if space is None else {"kept_variance": kept})


def components_of(space: PrincipalSpace | None) -> int | None:
    """How many directions a space has; None where there is none, and codes are edited as they are."""
    return None if space is None else len(space.directions)


def _facts(schema: AttributeSchema, encoded: Codes, means: Codes, scales: Codes) -> dict[str, Any]:
    """What the editor's card says of the attributes."""
    low, high = _observed(schema, encoded)
    entries = [asdict(attribute) for attribute in schema]
    return {
        "attributes": entries,
        "means": means.tolist(),
        "scales": scales.tolist(),
        "low": low,
        "high": high,
    }


def _observed(schema: AttributeSchema, encoded: Codes) -> tuple[dict[str, float], dict[str, float]]:
    """Quantiles 1 and 99 % of known values of continuous attributes, by name; of none the declared range."""
    low, high = {}, {}
    for attribute in schema.continuous:
        column = encoded[:, schema.slices[attribute.name]].astype(np.float64)
        known = column[is_known(attribute, column)]
        pair = np.quantile(known, [0.01, 0.99]) if len(known) else attribute.range
        low[attribute.name], high[attribute.name] = float(pair[0]), float(pair[1])
    return low, high


def _completed(
    generator: LoadedGenerator, estimator: AttributeEstimator, codes: Codes, encoded: Codes
) -> Codes:
    """Encoded attributes (n, width) in which what is missing (NaN) is what heads read in decoded codes."""
    missing = np.isnan(encoded)
    rows = np.flatnonzero(missing.any(axis=1))
    if not len(rows):
        return encoded
    filled = encoded.copy()
    filled[rows] = np.where(missing[rows], _read_decoded(generator, estimator, codes[rows]), encoded[rows])
    return filled


def _read_decoded(generator: LoadedGenerator, estimator: AttributeEstimator, codes: Codes) -> Codes:
    parts = []
    with torch.no_grad():
        for part in chunks(len(codes), 128):
            parts.append(soft_encoding(estimator, generator.decode(torch.from_numpy(codes[part]))))
    return np.concatenate(parts)


def _column_scales(schema: AttributeSchema, encoded: Codes) -> tuple[Codes, Codes]:
    means, scales = np.zeros(schema.width, np.float32), np.ones(schema.width, np.float32)
    for attribute in schema.continuous:
        place = schema.slices[attribute.name]
        column = encoded[:, place]
        if is_known(attribute, column).all():
            means[place], scales[place] = column.mean(), column.std() or 1.0
        else:
            means[place], scales[place] = moments(attribute, column[:, 0])
    return means, scales


def load_editor(weights: Path, card: Path, device: torch.device) -> AttributeEditor:
    """Read an editor from weights and card.

    Raises:
        ValueError: a file is missing or damaged, or weights and card do not fit each other.
    """
    values = read_card(card, CARD_KEYS, OPTIONAL_KEYS)
    schema = schema_from(values["attributes"])
    sizes = values["code_size"], values["hidden"], values.get("components")
    networks = EditorNetworks(schema.width, *sizes)
    load_into(networks, weights)
    return AttributeEditor(
        schema,
        frozen(networks, device),
        torch.tensor(values["means"], device=device),
        torch.tensor(values["scales"], device=device),
        values["low"],
        values["high"],
        values["iterations"],
    )
