"""Attribute counterfactuals: the sparsest attribute change whose image flips the recognizer's decision.

A greedy search over attributes, by forward passes alone: in each round every pair that has not flipped yet
gets the one change that moves its score farthest towards the other decision, or least away from it, since two
changes may do together what neither does alone; then changes that turn out not to be needed are taken back,
and what is left is made as small as still flips. A change towards a match takes the other image's value, a
change towards a non-match an end of the observed range or another class.

It decodes at most options + 8 (max_attributes − 1) + 2 images of a pair that does not flip, where options are
the editable attributes of a pair that is to match, and about twice as many of one that is not to; one that
flips spares its last rounds, and then costs about twice the number of its changes and 5 more.
"""

import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from attribute_recovery.attributes.edit import AttributeEditor
from attribute_recovery.dataset.attributes import Attribute
from attribute_recovery.decoder.pairs import embed_codes
from attribute_recovery.generator.load import LoadedGenerator
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.training.device import chunks

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
# An attribute's name and the number of its target value.
Option = tuple[str, int]

# After the first round only the most promising changes of each pair are tried again.
SHORT_LIST = 8
BISECTIONS = 5
# Values nearer to each other than this part of the attribute's standard deviation are no change.
SAME = 1e-3


@dataclass(frozen=True)
class Pairs:
    """Pairs (image, other image) whose decision is to flip by changing the first.

    Attributes:
        codes: of the first images, (n, code_size).
        current: their encoded attributes in their units, classes hard, (n, width).
        others: the second images' encoded attributes, likewise.
        embeddings: of the second images, (n, d).
        to_match: whether the pair is to become a match, (n,).
    """

    codes: Floats
    current: Floats
    others: Floats
    embeddings: Floats
    to_match: Flags

    def __len__(self) -> int:
        return len(self.codes)


@dataclass
class Found:
    """State of the search and its result, n pairs.

    Attributes:
        wanted: encoded attributes of the changed images, (n, width).
        changed: attribute names in the order in which they were changed, a list each.
        scores: of the changed images, (n,).
        codes: of the changed images, (n, code_size).
        flips: whether the changed image has the wanted decision, (n,). True from the start, with nothing
            changed, where the unedited image has it already. Where it is false the rest is the best attempt.
    """

    wanted: Floats
    changed: list[list[str]]
    scores: Floats
    codes: Floats
    flips: Flags

    def take(self, other: "Found", rows: Rows) -> None:
        """Put the state of other's rows (k,) in place of these rows."""
        for name in ("wanted", "scores", "codes", "flips"):
            getattr(self, name)[rows] = getattr(other, name)[rows]
        for row in rows:
            self.changed[row] = list(other.changed[row])


@dataclass(frozen=True)
class Search:
    """What a search stands on: editor, G, f, τ, and how many attributes it may change."""

    editor: AttributeEditor
    generator: LoadedGenerator
    recognizer: Recognizer
    tau: float
    max_attributes: int

    def run(self, pairs: Pairs) -> Found:
        """Search all pairs at once; what is found is decoded and embedded once more at the end."""
        everything, codes = np.arange(len(pairs)), pairs.codes.copy()
        scores = self._scores(pairs, codes, everything)
        flips = self._flips(pairs, scores, everything)
        found = Found(pairs.current.copy(), [[] for _ in range(len(pairs))], scores, codes, flips)
        best = copy.deepcopy(found)
        # Signed scores of each pair's options when they were last tried.
        promise: list[dict[Option, float]] = [{} for _ in range(len(pairs))]
        for number in range(self.max_attributes):
            active = np.flatnonzero(~found.flips)
            if not len(active):
                break
            print(f"attribute counterfactuals: round {number + 1}, {len(active)} pairs to go", flush=True)
            self._forward(pairs, found, active, promise)
            gain = self._signed(pairs, found.scores, everything) < self._signed(
                pairs, best.scores, everything
            )
            best.take(found, np.flatnonzero(gain | found.flips))
        found = best
        self._prune(pairs, found)
        self._shrink(pairs, found)
        self._prune(pairs, found)  # changes that made up for others' excess
        found.scores = self._scores(pairs, found.codes, everything)
        found.flips = self._flips(pairs, found.scores, everything)
        return found

    def _scores(self, pairs: Pairs, codes: Floats, rows: Rows) -> Floats:
        """Cosines of the images of codes (k, code_size) with the other images of rows (k,)."""
        embeddings = embed_codes(self.generator, self.recognizer, codes)
        scores: Floats = (embeddings * pairs.embeddings[rows]).sum(1)
        return scores

    def _flips(self, pairs: Pairs, scores: Floats, rows: Rows) -> Flags:
        """Whether scores (k,) of rows (k,) decide as is wanted; one that is not finite decides nothing."""
        flips: Flags = np.isfinite(scores) & ((scores >= self.tau) == pairs.to_match[rows])
        return flips

    def _signed(self, pairs: Pairs, scores: Floats, rows: Rows) -> Floats:
        """Scores (k,) of rows (k,), turned so that smaller is better; infinite where they are not finite."""
        signed: Floats = np.where(pairs.to_match[rows], -scores, scores)
        return np.where(np.isfinite(signed), signed, np.float32(np.inf))

    def _edit(self, pairs: Pairs, rows: Rows, wanted: Floats) -> Floats:
        device = self.editor.means.device
        parts = []
        for part in chunks(len(rows), 512):
            triple = (pairs.codes[rows[part]], pairs.current[rows[part]], wanted[part])
            changed = self.editor.edit(*(torch.from_numpy(values).to(device) for values in triple))
            parts.append(changed.detach().cpu().numpy())
        return np.concatenate(parts)

    def _forward(self, pairs: Pairs, found: Found, active: Rows, promise: list[dict[Option, float]]) -> None:
        """One round: try changes for each active pair and make the best one of each."""
        options = [
            (int(row), option, wanted)
            for row in active
            for option, wanted in self._short_list(pairs, found, int(row), promise[row])
        ]
        if not options:
            return
        rows = np.array([row for row, _, _ in options])
        wanted = np.stack([values for _, _, values in options])
        codes = self._edit(pairs, rows, wanted)
        scores = self._scores(pairs, codes, rows)
        signed = self._signed(pairs, scores, rows)
        for (row, option, _), score in zip(options, signed, strict=True):
            promise[row][option] = float(score)
        for row in np.unique(rows):
            mine = np.flatnonzero(rows == row)
            best = mine[signed[mine].argmin()]
            if np.isfinite(signed[best]):
                found.wanted[row], found.scores[row], found.codes[row] = (
                    wanted[best],
                    scores[best],
                    codes[best],
                )
                found.changed[row].append(options[best][1][0])
        found.flips[active] = self._flips(pairs, found.scores[active], active)

    def _short_list(
        self, pairs: Pairs, found: Found, row: int, promise: dict[Option, float]
    ) -> list[tuple[Option, Floats]]:
        """Options worth trying, with the encoded attributes (width,) that each would make."""
        options = self._options(pairs, found, row)
        if not promise:
            return options
        return sorted(options, key=lambda entry: promise.get(entry[0], np.inf))[:SHORT_LIST]

    def _options(self, pairs: Pairs, found: Found, row: int) -> list[tuple[Option, Floats]]:
        scales = self.editor.scales.cpu().numpy()
        options = []
        for attribute in self.editor.schema:
            if not attribute.editable or attribute.name in found.changed[row]:
                continue
            place = self.editor.schema.slices[attribute.name]
            for number, value in enumerate(self._targets(attribute, pairs, row)):
                if np.all(np.abs(value - pairs.current[row, place]) <= SAME * scales[place]):
                    continue
                wanted = found.wanted[row].copy()
                wanted[place] = value
                options.append(((attribute.name, number), wanted))
        return options

    def _targets(self, attribute: Attribute, pairs: Pairs, row: int) -> list[Floats]:
        """Values (width of the attribute,) to which it may be changed."""
        place = self.editor.schema.slices[attribute.name]
        if attribute.kind == "continuous":
            low, high = self.editor.low[attribute.name], self.editor.high[attribute.name]
            if pairs.to_match[row]:
                return [np.clip(pairs.others[row, place], low, high)]
            return [np.array([low], np.float32), np.array([high], np.float32)]
        if pairs.to_match[row]:
            return [pairs.others[row, place]]
        if attribute.kind == "binary":
            return [1.0 - pairs.current[row, place]]
        return list(np.eye(attribute.width, dtype=np.float32))

    def _prune(self, pairs: Pairs, found: Found) -> None:
        """Take back each change, from the first made on, without which the decision still flips."""
        active = np.flatnonzero(found.flips)
        while len(active):  # one taken back may make another superfluous
            order = {row: list(found.changed[row]) for row in active}
            for position in range(max(map(len, order.values()))):
                rows = [row for row in active if len(order[row]) > position and len(found.changed[row]) > 1]
                if rows:
                    self._take_back(pairs, found, np.array(rows), [order[row][position] for row in rows])
            active = np.array([row for row in active if found.changed[row] != order[row]], dtype=np.int64)

    def _take_back(self, pairs: Pairs, found: Found, rows: Rows, names: list[str]) -> None:
        """Do without one change of each of rows (k,), given by its name, where that still flips."""
        wanted = found.wanted[rows].copy()
        for k, (row, name) in enumerate(zip(rows, names, strict=True)):
            place = self.editor.schema.slices[name]
            wanted[k, place] = pairs.current[row, place]
        for k in self._keep_flipping(pairs, found, rows, wanted):
            found.changed[rows[k]].remove(names[k])

    def _shrink(self, pairs: Pairs, found: Found) -> None:
        """Bisect the common part of all continuous changes that still flips."""
        flips = np.flatnonzero(found.flips)
        moves = self._continuous & (found.wanted[flips] != pairs.current[flips])  # (k, width)
        rows, moves = flips[moves.any(1)], moves[moves.any(1)]
        if not len(rows):
            return
        full = found.wanted[rows].copy()
        low, high = np.zeros(len(rows), np.float32), np.ones(len(rows), np.float32)
        for _ in range(BISECTIONS):
            part = (low + high) / 2
            between = pairs.current[rows] + part[:, None] * (full - pairs.current[rows])
            wanted = np.where(moves, self._within_range(between), full)
            kept = self._keep_flipping(pairs, found, rows, wanted)
            flipped = np.isin(np.arange(len(rows)), kept)
            low, high = np.where(flipped, low, part), np.where(flipped, part, high)

    @property
    def _continuous(self) -> Flags:
        """Which columns (width,) are continuous."""
        columns = np.zeros(self.editor.schema.width, bool)
        for attribute in self.editor.schema.continuous:
            columns[self.editor.schema.slices[attribute.name]] = True
        return columns

    def _within_range(self, encoded: Floats) -> Floats:
        """Encoded attributes (n, width) with the continuous ones inside the observed range.

        A reading may lie outside it, and then part of the way back is outside too.
        """
        clipped = encoded.copy()
        for attribute in self.editor.schema.continuous:
            place = self.editor.schema.slices[attribute.name]
            low, high = self.editor.low[attribute.name], self.editor.high[attribute.name]
            clipped[:, place] = clipped[:, place].clip(low, high)
        return clipped

    def _keep_flipping(self, pairs: Pairs, found: Found, rows: Rows, wanted: Floats) -> Rows:
        """Put changes (k, width) in place of those of rows (k,) where they flip too; which ones of the k."""
        codes = self._edit(pairs, rows, wanted)
        scores = self._scores(pairs, codes, rows)
        kept = np.flatnonzero(self._flips(pairs, scores, rows))
        put = rows[kept]
        found.wanted[put], found.codes[put], found.scores[put] = wanted[kept], codes[kept], scores[kept]
        return kept
