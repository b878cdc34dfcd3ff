"""Row "whose error is it": the rows about decoded faces once more, with the renderer in G's place.

The renderer is a generator without error whose codes are attributes. T is trained before it by the product's
own training, on the same people, and the product's own functions measure what is decoded; the product's
figures of the same images stand beside. What differs is G's share, and that of the heads, which nobody needs
where the code is what they read. T is another one too, but learns from as many images in the same way. The
row has no goal of its own.
"""

from collections.abc import Mapping
from typing import Any

from attribute_recovery.dataset.store import read_parquet
from attribute_recovery.recovery.measure import without_nan
from attribute_recovery.tracking.digest import sha256_file
from benchmarks.validation.finished_run import FinishedRun, finished_run
from benchmarks.validation.in_place import decoded_in_place, rerendered_claims
from benchmarks.validation.in_place.rendered_decoder import Ground, decoder_in_place, ground_of, settings_of
from benchmarks.validation.in_place.whose_error_figures import figures_table, information_table, notes
from benchmarks.validation.outcome import Chunk, Found
from benchmarks.validation.runner import code_of

# Pairs of one chunk: about two minutes of rendering either way.
ERRORS_EACH, SEARCHES_EACH = 5, 25
# More than the renderer is compiled for: every chunk of a whole run renders at least this many images.
COMPILED = 1000
DECODER = "benchmarks.validation.in_place.rendered_decoder"


def plan(quick: bool, seed: int) -> dict[str, Chunk]:
    """The chunks by name; those that need T come last, so that others are worked on while it is trained.

    Raises:
        ValueError: the run is not finished, its counterfactuals are not there, or T was not trained there.
    """
    run = finished_run()
    settings_of(run, quick)
    tables = _digest_of_counterfactuals(run)
    name = f"{run.digest[:12]}-{code_of(DECODER)[:12]}-{seed}{'-quick' if quick else ''}"
    common = {"run": run.digest, "seed": seed, "quick": quick, "decoder": name, "counterfactuals": tables}
    n_errors = read_parquet(run.of_recognizer(rerendered_claims.ERRORS))["pair"].nunique()
    n_pairs = len(read_parquet(run.of_recognizer(rerendered_claims.ATTRIBUTE)))
    if quick:
        n_errors, n_pairs = min(n_errors, 1), min(n_pairs, 2)
    # Chunks that read the counterfactuals are named after them: the run's digest says nothing of these.
    told = tables[:8]
    chunks: dict[str, Chunk] = {"train": {"part": "train"}, f"claims-{told}": {"part": "claims"}}
    for part, count, each in (("errors", n_errors, ERRORS_EACH), ("search", n_pairs, SEARCHES_EACH)):
        for first in range(0, count, each):
            only = {"part": part, "first": first, "count": min(each, count - first)}
            chunks[f"{part}-{told}-{first:03d}"] = only
    chunks |= {"attacks": {"part": "attacks"}, "samples": {"part": "samples"}}
    chunks[f"moved-{told}"] = {"part": "moved"}
    return {name: common | chunk for name, chunk in chunks.items()}


def _digest_of_counterfactuals(run: FinishedRun) -> str:
    path = run.of_recognizer("counterfactuals/manifest-counterfactuals.json")
    if not path.is_file():
        raise ValueError(
            f"{path}: is missing; this row stands on a finished run with counterfactuals, so run `make run` "
            "with its configuration first"
        )
    return sha256_file(path)


def work(chunk: Chunk) -> Found:
    """One part of the row, see the modules that it is in.

    Raises:
        ValueError: the run or its counterfactuals have changed, or a file of it is missing or damaged.
    """
    run = finished_run(chunk["run"])
    if _digest_of_counterfactuals(run) != chunk["counterfactuals"]:
        raise ValueError(f"{run.folder}: has changed while the row was measured; measure it again")
    ground = ground_of(run, 0 if chunk["quick"] else COMPILED)
    found: Found = without_nan(_measured(ground, chunk))
    return {"part": chunk["part"], "run": chunk["run"]} | found


def _measured(ground: Ground, chunk: Chunk) -> Found:
    part = chunk["part"]
    if part == "claims":
        return {"claims": rerendered_claims.claims(ground)}
    if part == "errors":
        return rerendered_claims.errors(ground, chunk["first"], chunk["count"])
    if part == "search":
        return rerendered_claims.search(ground, chunk["first"], chunk["count"])
    decoder = decoder_in_place(ground, chunk["decoder"], seed=chunk["seed"], quick=chunk["quick"])
    if part == "attacks":
        return decoded_in_place.attacks(ground, decoder)
    if part == "samples":
        return decoded_in_place.samples(ground, decoder)
    if part == "moved":
        return {"moved": decoded_in_place.moved(ground, decoder)}
    return {"code_size": decoder.transformer.code_size}


def conclude(found: Mapping[str, Found]) -> dict[str, Any]:
    """Tables of the row; it has no goals."""
    parts: dict[str, list[Found]] = {}
    for one in found.values():
        parts.setdefault(one["part"], []).append(one)
    tables = [figures_table(parts), information_table(parts["samples"][0])]
    return {"notes": notes(parts), "goals": [], "tables": tables}
