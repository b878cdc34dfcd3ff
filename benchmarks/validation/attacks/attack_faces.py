"""`python -m benchmarks.validation.attacks.attack_faces`: draws docs/attacks.png, a picture of what the row
of attacks judged.

People of the rendered world, so nobody real is seen. It is drawn from what the row's chunks found, which
stays where `python -m benchmarks.validation --only attacks` left it.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image

from attribute_recovery.report.figures import save_image_grid
from benchmarks.validation.__main__ import SCRATCH
from benchmarks.validation.attacks import attacks
from benchmarks.validation.attacks.attack_chunks import PRODUCT, REBUILT, HeldOut, held_out, unpacked_images
from benchmarks.validation.attacks.attacks import WAYS
from benchmarks.validation.finished_run import finished_run
from benchmarks.validation.outcome import Method
from benchmarks.validation.rows import row_named
from benchmarks.validation.runner import ROOT, folder_name

FACES = 6
TITLES = {
    PRODUCT: "p(x given z),\nfirst sample",
    "one-point": "one point",
    "nbnet": "NBNet style",
    "mean": "mean",
    REBUILT: "G(E(x))",
}


def main(arguments: list[str] | None = None) -> int:
    """Draw the picture; 1 after a mistake, told in one sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.validation.attacks.attack_faces", description=__doc__
    )
    parser.add_argument("--quick", action="store_true", help="of a quick run")
    parser.add_argument("--seed", type=int, default=1, help="that the row was measured with (default 1)")
    parser.add_argument("--scratch", type=Path, default=SCRATCH, help="folder of the row's findings")
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "attacks.png", help="written")
    asked = parser.parse_args(arguments)
    try:
        draw(findings(asked.scratch, asked.seed, quick=asked.quick), asked.to)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"written: {asked.to}")
    return 0


def findings(scratch: Path, seed: int, *, quick: bool) -> Path:
    """Folder of what the row's chunks found.

    Raises:
        ValueError: the row was not measured on this run with this code.
    """
    row = row_named("attacks")
    name = folder_name(row, cast(Method, attacks), attacks.plan(quick, seed), seed)
    folder = scratch / ("quick" if quick else "full") / name
    missing = [way for way in WAYS if not (folder / f"{way}.json").is_file()]
    if missing:
        raise ValueError(
            f"{folder / missing[0]}.json: is missing, allowed is a measured row; run "
            "`python -m benchmarks.validation --only attacks` first"
        )
    return folder


def draw(folder: Path, path: Path) -> None:
    """Real images of some people, and what every way of decoding makes of their embeddings, below them."""
    held = held_out(finished_run())
    chosen = first_images(held)
    rows = [held.images[chosen]]
    for way in WAYS:
        part = json.loads((folder / f"{way}.json").read_text())["found"]
        rows.append(unpacked_images(part["images"])[chosen])
    save_image_grid(rows, path, row_titles=["x", *(TITLES[way] for way in WAYS)], scale=0.7)
    # A third of the bytes, and no difference that is seen.
    Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def first_images(held: HeldOut) -> list[int]:
    """The first image of each of the first people."""
    return sorted(int(row) for row in np.unique(held.people, return_index=True)[1])[:FACES]


if __name__ == "__main__":
    sys.exit(main())
