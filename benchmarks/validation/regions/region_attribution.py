"""Row "region attribution": pairs of images that differ in one planted attribute; who names it?

Ours is the product's explanation of a pair, Shapley values over attribute edits: the attribute of the
largest magnitude. Beside it other readings of the same pair, and captum's maps of the pair's score, each
with the best of three ways to say which attribute's region a map means; regions are the renderer's own masks
of the first image. Attributes that colour the same pixels, or move all of them, share their regions, and no
map tells these apart however good it is.

Every pair counts, also one whose planted change hardly moves the embedding, which the score can't explain;
those that move it are also told apart.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import binomtest

from attribute_recovery.attributes.edit import load_editor
from attribute_recovery.counterfactuals.game import EditGame, edit_game
from attribute_recovery.counterfactuals.material import Material, hard_encoding, within_quantiles
from attribute_recovery.counterfactuals.rendered import RenderedGame
from attribute_recovery.counterfactuals.shapley import Shares, shapley_values
from attribute_recovery.dataset.prepare import draw_people, population_of
from attribute_recovery.decoder.attacks import read_threshold
from attribute_recovery.decoder.models import load_models
from attribute_recovery.generator.train import to_tensor
from attribute_recovery.significance.effect import distances
from attribute_recovery.training.device import prepare_torch
from benchmarks.validation.effects.effects_true import as_attributes
from benchmarks.validation.finished_run import Camera, FinishedRun, camera_of, finished_run, of_test
from benchmarks.validation.outcome import Chunk, Found, Goal, Table
from benchmarks.validation.regions.planted import planted, regions
from benchmarks.validation.regions.region_maps import MAPS, SCORES, captum_attr, maps_of, scores_of

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Images = npt.NDArray[np.uint8]

PAIRS = 10
# Added to the run's seed with the validation's: nobody is drawn as the run or another row drew them.
OTHER_PEOPLE = 3_000_000
LEAST_TOP1 = 0.95
# Pairs whose planted change moves the embedding by less, in 1 − cos, are left out in a column of their own.
LEAST_GAP = 0.01

OURS = {
    "shapley": "largest |Shapley value|: the product's explanation",
    "renderer": "the same, the renderer in G's place: edits of what the heads read in the images, rendered",
    "everybody": "the same, all attributes play whose readings differ at all",
    "apart": "read farthest apart, in the reading's own deviations",
    "difference": "read farthest apart in the reconstructions, in population deviations",
}


def plan(quick: bool, seed: int) -> dict[str, Chunk]:
    """The chunks of the row by name: one an editable attribute.

    Raises:
        ValueError: The run that the row stands on is not finished, or captum is not installed.
    """
    run = finished_run()
    captum_attr()
    editable = [attribute for attribute in run.schema if attribute.editable]
    if quick:
        by_kind = {attribute.kind: attribute for attribute in reversed(editable)}
        editable = [attribute for attribute in editable if attribute in by_kind.values()]
    pairs = 2 if quick else PAIRS
    return {
        attribute.name: {"run": run.digest, "attribute": attribute.name, "pairs": pairs, "seed": seed}
        for attribute in editable
    }


def work(chunk: Chunk) -> Found:
    """What differs in the pairs of one attribute, as every method names it.

    Raises:
        ValueError: The run has changed, a file of it is missing or damaged, or captum is not installed.
    """
    run = finished_run(chunk["run"])
    device = prepare_torch(run.compute)
    heads = _heads(run, chunk)
    schema, count = run.schema, chunk["pairs"]
    rng = np.random.default_rng([chunk["seed"], schema.names.index(chunk["attribute"]), 31])
    changed = planted(schema, heads, chunk["attribute"], rng)
    # Every attribute's regions take two images a head, or as many as there are other classes.
    camera = camera_of(run, 2 * count * (len(schema) + 1), device)
    images = np.concatenate([camera.render(heads), camera.render(changed)])
    material = _material(run, device, images, camera)
    game = edit_game(material, np.arange(count), np.arange(count, 2 * count))
    names = [player.name for player in game.players]
    named = _named_by_us(run, camera, material, game, chunk["seed"])
    masks = regions(schema, heads, names, camera.render)
    for kind, magnitudes in maps_of(material.recognizer, images[:count], images[count:]).items():
        for way, scores in scores_of(magnitudes, masks).items():
            named[f"{kind}: {way}"] = [names[place] for place in scores.argmax(1)]
    place = names.index(chunk["attribute"])
    return {
        "attribute": chunk["attribute"],
        "gaps": distances(material.embeddings[:count], material.embeddings[count:]).tolist(),
        "named": named,
        "players": game.playing.sum(1).tolist(),
        "plays": game.playing[:, place].tolist(),
        "region": masks[:, place].mean(axis=(1, 2)).tolist(),
    }


def _heads(run: FinishedRun, chunk: Chunk) -> Floats:
    """People of this attribute's pairs, (n, width): every attribute has its own."""
    schema, count = run.schema, chunk["pairs"]
    world = of_test(run.world, count * len(schema), 1)
    _, values = draw_people(population_of(run.world), world, run.config.seed + OTHER_PEOPLE + chunk["seed"])
    first = count * schema.names.index(chunk["attribute"])
    return schema.encode(values)[first : first + count]


def _material(run: FinishedRun, device: torch.device, images: Images, camera: Camera) -> Material:
    """What the product's explanations of errors stand on, with new images in the place of the test's."""
    models = load_models(
        run.compute,
        device,
        generator=run.generator,
        heads=run.heads,
        recognizer=run.f,
        transformer=run.transformer,
    )
    table = run.images()
    editor = within_quantiles(
        load_editor(*run.editor, device),
        table[table["split"] == "train"],
        run.config.counterfactuals.quantile_range,
    )
    people = np.array([f"planted-{number}" for number in range(len(images))], dtype=object)
    return Material(
        decoder=models.decoder,
        generator=models.decoder.generator,
        recognizer=models.recognizer,
        estimator=models.estimator,
        editor=editor,
        tau=read_threshold(run.of_recognizer("recognizer/threshold.json")),
        images=images,
        image_ids=people,
        identities=people,
        codes=models.decoder.generator.encode_images(images),
        embeddings=camera.recognizer.embed_batches(images),
    )


def _named_by_us(
    run: FinishedRun, camera: Camera, material: Material, game: EditGame, seed: int
) -> dict[str, list[str]]:
    """The attribute of each pair as ways of `OURS` name it; empty where one names none."""
    count = len(game.codes)
    orders = run.config.counterfactuals.error_orders
    read = [
        hard_encoding(material.estimator, material.estimator.estimate(to_tensor(images)))
        for images in (material.images[:count], material.images[count:])
    ]
    own, wanted = (as_attributes(run.schema, each) for each in read)
    rendered = RenderedGame(
        material.editor.schema,
        camera.renderer.uint8,
        material.recognizer,
        own,
        wanted,
        material.embeddings[count:],
    )
    shares = {
        "shapley": shapley_values(game.worth, game.playing, antithetic_pairs=orders, seed=seed),
        "renderer": shapley_values(rendered.worth, game.playing, antithetic_pairs=orders, seed=seed),
        # Some twenty players: half of the orders, since they are most of the row's time.
        "everybody": shapley_values(
            game.worth, game.differing, antithetic_pairs=max(2, orders // 2), seed=seed
        ),
    }
    names = [player.name for player in game.players]
    return {way: _carriers(each, names) for way, each in shares.items()} | {
        "apart": [names[place] for place in game.apart.argmax(1)],
        "difference": [names[place] for place in game.differences.argmax(1)],
    }


def _carriers(shares: Shares, names: list[str]) -> list[str]:
    magnitudes = np.abs(shares.values)
    return [names[row.argmax()] if row.max() > 0 else "" for row in magnitudes]


@dataclass(frozen=True)
class Pair:
    """A pair as a method saw it.

    Attributes:
        planted: the attribute that differs.
        named: the one that the method says differs.
        gap: 1 − f(x) · f(x').
    """

    planted: str
    named: str
    gap: float


def pairs_of(found: Mapping[str, Found], method: str) -> list[Pair]:
    """All pairs as one method saw them."""
    return [
        Pair(part["attribute"], named, gap)
        for part in found.values()
        for named, gap in zip(part["named"][method], part["gaps"], strict=True)
    ]


def top1(pairs: list[Pair]) -> float:
    """Share of pairs whose planted attribute is named; NaN without pairs."""
    return sum(pair.named == pair.planted for pair in pairs) / len(pairs) if pairs else float("nan")


def best_score(found: Mapping[str, Found], kind: str) -> str:
    """The way to name a region that serves a map best over all pairs."""
    return max(SCORES, key=lambda way: top1(pairs_of(found, f"{kind}: {way}")))


def conclude(found: Mapping[str, Found]) -> dict[str, Any]:
    """Goals and tables of the row."""
    pairs = pairs_of(found, "shapley")
    share = top1(pairs)
    goals: list[Goal] = [
        {
            "goal": "the planted attribute named in at least 95 % of all pairs",
            "measured": f"{share:.3f}{_interval(pairs)}, {len(pairs)} pairs of {len(found)} attributes",
            "reached": bool(share >= LEAST_TOP1),
        }
    ]
    best = {kind: best_score(found, kind) for kind in MAPS}
    methods = OURS | {f"{kind}: {way}": f"captum, {MAPS[kind]}: {SCORES[way]}" for kind, way in best.items()}
    return {"goals": goals, "tables": [_overall(found, methods), _ways(found), _listed(found, best)]}


def _interval(pairs: list[Pair]) -> str:
    right = sum(pair.named == pair.planted for pair in pairs)
    ends = binomtest(right, len(pairs)).proportion_ci(method="wilson")
    return f" ({ends.low:.3f} to {ends.high:.3f})"


def _overall(found: Mapping[str, Found], methods: Mapping[str, str]) -> Table:
    rows = []
    for method, told in methods.items():
        every = pairs_of(found, method)
        moving = [pair for pair in every if pair.gap >= LEAST_GAP]
        cells = [f"{top1(each):.3f}{_interval(each)}" if each else "none" for each in (every, moving)]
        rows.append([told, *cells])
    pairs = pairs_of(found, "shapley")
    moved = sum(pair.gap >= LEAST_GAP for pair in pairs)
    players = np.mean([number for part in found.values() for number in part["players"]])
    plays = np.mean([plays for part in found.values() for plays in part["plays"]])
    return {
        "caption": f"The planted attribute is named: share of {len(pairs)} pairs, and of the {moved} whose "
        f"change moves the embedding by at least {LEAST_GAP:g} (95 %, Wilson). In the product's explanation "
        f"{players:.1f} attributes play on average, and the planted one in {100 * plays:.1f} % of the pairs",
        "columns": ["named by", "all pairs", f"1 − cos ≥ {LEAST_GAP:g}"],
        "rows": rows,
    }


def _ways(found: Mapping[str, Found]) -> Table:
    """Every map with every way to name a region."""
    return {
        "caption": "Which region a map means, in three ways; above, each map has its best. Regions: pixels "
        "that change when the renderer changes the attribute by its dose; colours of the same part, and "
        "attributes that move the whole face, share them",
        "columns": ["map by captum", *SCORES.values()],
        "rows": [
            [told, *(f"{top1(pairs_of(found, f'{kind}: {way}')):.3f}" for way in SCORES)]
            for kind, told in MAPS.items()
        ],
    }


def _listed(found: Mapping[str, Found], best: Mapping[str, str]) -> Table:
    """Every attribute, the largest gap first."""
    parts = sorted(found.values(), key=lambda part: -float(np.mean(part["gaps"])))
    return {
        "caption": "By planted attribute: pairs in which it is named, and what is named instead",
        "columns": [
            "attribute",
            "mean of 1 − cos",
            "region, % of the image",
            "ours",
            "instead",
            "read farthest apart",
            *(MAPS[kind] for kind in best),
        ],
        "rows": [_row(part, best) for part in parts],
    }


def _row(part: Found, best: Mapping[str, str]) -> list[str]:
    wrong = Counter(name or "none" for name in part["named"]["shapley"] if name != part["attribute"])
    counts = [
        sum(name == part["attribute"] for name in part["named"][method])
        for method in ("shapley", "apart", *(f"{kind}: {way}" for kind, way in best.items()))
    ]
    of = len(part["gaps"])
    ours, apart, *theirs = (f"{count} of {of}" for count in counts)
    return [
        part["attribute"],
        f"{np.mean(part['gaps']):.4f}",
        f"{100 * np.mean(part['region']):.0f}",
        ours,
        ", ".join(f"{name} ({times})" for name, times in sorted(wrong.items())),
        apart,
        *theirs,
    ]
