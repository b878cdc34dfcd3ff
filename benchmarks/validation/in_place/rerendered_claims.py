"""What explanations claim, rendered: counterfactuals' changes made to the true head, the search for them with
exact edits, and errors' Shapley values in the game that is rendered."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.counterfactuals.explain import flip_rate
from attribute_recovery.counterfactuals.material import within_quantiles
from attribute_recovery.counterfactuals.rendered import RenderedGame
from attribute_recovery.counterfactuals.search import Pairs, Search
from attribute_recovery.counterfactuals.shapley import Shares, shapley_values
from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.dataset.store import read_parquet
from benchmarks.validation.in_place.attribute_codes import AttributeCodes
from benchmarks.validation.in_place.rendered_decoder import Ground, rendered_generator
from benchmarks.validation.outcome import Found

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

ATTRIBUTE = "counterfactuals/attribute.parquet"
REPRESENTATION = "counterfactuals/representation.parquet"
ERRORS = "counterfactuals/shapley.parquet"


def changed_as_claimed(
    schema: AttributeSchema, encoded: Floats, claims: Sequence[Sequence[Mapping[str, Any]]], *, by: bool
) -> Floats:
    """Attributes of true heads after what counterfactuals claim.

    Args:
        schema: the attributes.
        encoded: of the heads, (n, width).
        claims: changes of each, as the column `changes` of attribute.parquet holds them.
        by: whether continuous attributes are moved as far as claimed, `to` − `from`, from where they truly
            are, or set to the claimed value.

    Returns:
        (n, width), continuous attributes within their range.
    """
    changed = encoded.copy()
    for row, changes in enumerate(claims):
        for change in changes:
            attribute = schema[change["attribute"]]
            place = schema.slices[attribute.name]
            if not attribute.is_discrete:
                start = float(encoded[row, place][0]) if by else float(change["from"])
                value = start + float(change["to"]) - float(change["from"])
                changed[row, place] = np.clip(value, *attribute.range)
                continue
            chosen = attribute.categories.index(change["to"])
            changed[row, place] = np.eye(attribute.width)[chosen] if attribute.width > 1 else chosen
    return changed


def changed_on_average(schema: AttributeSchema, encoded: Floats, table: pd.DataFrame) -> Floats:
    """Attributes of true heads (n, width) after the mean changes that representation.parquet claims."""
    moved = encoded.astype(np.float64)
    for attribute in schema:
        names = attribute.categories if attribute.kind == "categorical" else ("",)
        columns = [
            f"change.{attribute.name}.{name}" if name else f"change.{attribute.name}" for name in names
        ]
        moved[:, schema.slices[attribute.name]] += table[columns].to_numpy(np.float64)
    values = schema.decode(moved.astype(np.float32))
    for attribute in schema.continuous:
        values[attribute.name] = np.clip(values[attribute.name], *attribute.range)
    return schema.encode(values)


def claims(ground: Ground) -> Found:
    """How many of the run's counterfactuals flip the decision when they are rendered.

    Returns:
        By kind of counterfactual (`attribute`, and `representation` by direction) the number of pairs, and
        rates over all of them with intervals: `product`, of decoded images; `to` and `by` (see
        `changed_as_claimed`) or `by` alone, those of them that flip when rendered. And `claimed`, the number
        that the product says flip, and how far these go, `reach` by way.
    """
    run = ground.run
    attribute = read_parquet(run.of_recognizer(ATTRIBUTE))
    found: Found = {}
    if len(attribute):
        told = [json.loads(text) for text in attribute["changes"]]
        encoded = ground.encoded[ground.places(attribute["image_id"])]
        wanted = {way: changed_as_claimed(run.schema, encoded, told, by=way == "by") for way in ("to", "by")}
        found["attribute"] = _confirmed(ground, attribute, wanted)
    table = read_parquet(run.of_recognizer(REPRESENTATION))
    for direction, pairs in table.groupby("direction", sort=False):
        encoded = ground.encoded[ground.places(pairs["image_id"])]
        wanted = {"by": changed_on_average(run.schema, encoded, pairs)}
        found[f"representation {direction}"] = _confirmed(ground, pairs, wanted)
    return found


def _confirmed(ground: Ground, pairs: pd.DataFrame, wanted: Mapping[str, Floats]) -> Found:
    """Rates of pairs that flip in the product's own pictures, and also when rendered as wanted."""
    run = ground.run
    first, second = (ground.places(pairs[name]) for name in ("image_id", "other_image_id"))
    z, other = ground.embeddings(first).astype(np.float64), ground.embeddings(second).astype(np.float64)
    matched = (z * other).sum(1) >= ground.tau
    identities = ground.images["identity"].to_numpy(object)
    people = identities[first], identities[second]
    own = pairs["flipped"].to_numpy(bool)

    def rate(flags: Flags) -> Any:
        return flip_rate(flags, *people, run.config.significance.bootstrap, run.config.seed)

    rates, start = {"product": rate(own)}, (z * other).sum(1)
    went = {"product": reach(start, pairs["score_after"].to_numpy(np.float64), ground.tau, own)}
    for way, encoded in wanted.items():
        scores = (ground.camera.embed(encoded) * other).sum(1)
        rates[way] = rate(own & ((scores >= ground.tau) != matched))
        went[way] = reach(start, scores, ground.tau, own)
    return {"pairs": len(pairs), "claimed": int(own.sum()), **rates, "reach": went}


def reach(start: Doubles, end: Doubles, tau: float, chosen: Flags) -> float:
    """Median way from the real pairs' scores (n,) to τ that changed images' scores (n,) have gone, over the
    chosen pairs: 1 is at τ, more beyond it; NaN where none is chosen."""
    went = (end - start)[chosen] / (tau - start)[chosen]
    return float(np.median(went)) if len(went) else float("nan")


def search(ground: Ground, first: int, count: int) -> Found:
    """The product's search for attribute counterfactuals of some of its pairs, by exact edits.

    Returns:
        Of each pair whether it `flipped`, how many attributes were `changed`, and the product's own.
    """
    run = ground.run
    part = read_parquet(run.of_recognizer(ATTRIBUTE)).iloc[first : first + count]
    if not len(part):
        return {"pairs": 0, "flipped": [], "changed": [], "own": [], "own_changed": []}
    mine, others = (ground.places(part[name]) for name in ("image_id", "other_image_id"))
    settings, codes = run.config.counterfactuals, AttributeCodes(run.schema)
    editor = within_quantiles(
        ground.exact_editor(), ground.images[ground.images["split"] == "train"], settings.quantile_range
    )
    pairs = Pairs(
        codes.codes(ground.encoded[mine]),
        ground.encoded[mine],
        ground.encoded[others],
        ground.embeddings(others),
        (part["kind"] == "impostor").to_numpy(bool),
    )
    camera = ground.camera
    generator = rendered_generator(codes, camera.renderer, ground.device)
    found = Search(editor, generator, camera.recognizer, ground.tau, settings.max_attributes).run(pairs)
    return {
        "pairs": len(part),
        "flipped": found.flips.tolist(),
        "changed": [len(names) for names in found.changed],
        "own": part["flipped"].astype(bool).tolist(),
        "own_changed": part["n_attributes"].astype(int).tolist(),
    }


def errors(ground: Ground, first: int, count: int) -> Found:
    """Shapley values of some of the run's explained errors, the product's and those of the rendered game.

    Returns:
        Of each pair its `kind`, and by attribute `product`, `rendered` and `again`: rendered once more with
        other orders, which shows how far the drawing of orders alone takes values apart.
    """
    run = ground.run
    table = read_parquet(run.of_recognizer(ERRORS))
    if not len(table):
        return {"pairs": []}
    values = table.pivot(index="pair", columns="attribute", values="shapley")
    names = [attribute.name for attribute in run.schema if attribute.editable]
    pairs = table.drop_duplicates("pair").set_index("pair").loc[values.index]
    mine, others = (ground.places(pairs[name]) for name in ("image_id", "other_image_id"))
    camera = ground.camera
    game = RenderedGame(
        run.schema,
        camera.renderer.uint8,
        camera.recognizer,
        ground.encoded[mine],
        ground.encoded[others],
        ground.embeddings(others),
    )
    chosen = np.arange(first, min(first + count, len(pairs)))
    rendered, again = (_shares(ground, game, chosen, run.config.seed + more) for more in (0, 1))
    return {
        "pairs": [
            {
                "kind": str(pairs["kind"].iloc[row]),
                "names": names,
                "product": values[names].iloc[row].tolist(),
                "rendered": rendered.values[row].tolist(),
                "again": again.values[row].tolist(),
                "gap": float(rendered.everyone[row] - rendered.nobody[row]),
                "own_gap": float(pairs["gap"].iloc[row]),
            }
            for row in chosen
        ]
    }


def _shares(ground: Ground, game: RenderedGame, chosen: Rows, seed: int) -> Shares:
    """Values of the chosen games. The others are handed over with nobody playing, so that orders, which hang
    on a game's number, are those that the product drew where the same attributes play."""
    playing = game.playing & np.isin(np.arange(len(game.own)), chosen)[:, None]
    orders = ground.run.config.counterfactuals.error_orders
    return shapley_values(game.worth, playing, antithetic_pairs=orders, seed=seed)
