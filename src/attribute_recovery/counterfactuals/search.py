"""Attribute counterfactuals: the sparsest attribute change whose image flips the recognizer's decision.

A greedy search over attributes, by forward passes alone: in each round every pair that has not flipped yet gets the one
change that moves its score farthest towards the other decision; then changes that turn out not to be needed are taken
back, and what is left is made as small as still flips. A change towards a match takes the other image's value, a change
towards a non-match an end of the observed range or another class.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from attribute_recovery.attributes.edit import AttributeEditor
from attribute_recovery.dataset.attributes import Attribute
from attribute_recovery.decoder.train import embed_codes
from attribute_recovery.generator.load import LoadedGenerator
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.training.device import chunks

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

# After the first round only the most promising changes of each pair are tried again.
SHORT_LIST = 8
BISECTIONS = 5


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
    """State of the search and its result.

    Attributes:
        wanted: encoded attributes of the changed images, (n, width).
        changed: attribute names in the order in which they were changed, a list each.
        scores: of the changed images, (n,).
        codes: of the changed images, (n, code_size).
    """

    wanted: Floats
    changed: list[list[str]]
    scores: Floats
    codes: Floats
    flips: Flags = field(default_factory=lambda: np.zeros(0, bool))


@dataclass(frozen=True)
class Search:
    """What a search stands on: editor, G, f, τ, and how many attributes it may change."""

    editor: AttributeEditor
    generator: LoadedGenerator
    recognizer: Recognizer
    tau: float
    max_attributes: int

    def run(self, pairs: Pairs) -> Found:
        """Search all pairs at once."""
        codes = pairs.codes.copy()
        found = Found(pairs.current.copy(), [[] for _ in range(len(pairs))], self._score(pairs, codes), codes)
        found.flips = self._flips(pairs, found.scores)
        promise: dict[int, dict[tuple[str, int], float]] = {}
        for number in range(self.max_attributes):
            active = np.flatnonzero(~found.flips)
            if not len(active):
                break
            print(f"attribute counterfactuals: round {number + 1}, {len(active)} pairs to go", flush=True)
            self._forward(pairs, found, active, promise)
        self._prune(pairs, found)
        self._shrink(pairs, found)
        return found

    def _score(self, pairs: Pairs, codes: Floats, rows: npt.NDArray[np.int64] | None = None) -> Floats:
        others = pairs.embeddings if rows is None else pairs.embeddings[rows]
        scores: Floats = (embed_codes(self.generator, self.recognizer, codes) * others).sum(1)
        return scores

    def _flips(self, pairs: Pairs, scores: Floats, rows: npt.NDArray[np.int64] | None = None) -> Flags:
        to_match = pairs.to_match if rows is None else pairs.to_match[rows]
        result: Flags = (scores >= self.tau) == to_match
        return result

    def _edit(self, pairs: Pairs, rows: npt.NDArray[np.int64], wanted: Floats) -> Floats:
        parts = []
        for part in chunks(len(rows), 512):
            code, current = pairs.codes[rows[part]], pairs.current[rows[part]]
            changed = self.editor.edit(torch.from_numpy(code), torch.from_numpy(current), torch.from_numpy(wanted[part]))
            parts.append(changed.detach().cpu().numpy())
        return np.concatenate(parts)

    def _forward(
        self,
        pairs: Pairs,
        found: Found,
        active: npt.NDArray[np.int64],
        promise: dict[int, dict[tuple[str, int], float]],
    ) -> None:
        """One round: try changes for each active pair, keep the best of each if it moves the score the right way."""
        rows, keys, wanted = [], [], []
        for row in active:
            options = self._options(pairs, found, int(row))
            known = promise.get(int(row))
            if known:
                options = dict(sorted(options.items(), key=lambda item: known.get(item[0], np.inf))[:SHORT_LIST])
            for key, values in options.items():
                rows.append(int(row))
                keys.append(key)
                wanted.append(values)
        if not rows:
            return
        index = np.array(rows)
        codes = self._edit(pairs, index, np.stack(wanted))
        scores = self._score(pairs, codes, index)
        signed = np.where(pairs.to_match[index], -scores, scores)  # smaller is better
        for row in active:
            mine = np.flatnonzero(index == row)
            if not len(mine):
                continue
            promise.setdefault(int(row), {}).update({keys[i]: float(signed[i]) for i in mine})
            best = mine[signed[mine].argmin()]
            now = -found.scores[row] if pairs.to_match[row] else found.scores[row]
            if signed[best] >= now:
                continue
            found.wanted[row], found.scores[row], found.codes[row] = wanted[best], scores[best], codes[best]
            found.changed[row].append(keys[best][0])
        found.flips = self._flips(pairs, found.scores)

    def _options(self, pairs: Pairs, found: Found, row: int) -> dict[tuple[str, int], Floats]:
        options = {}
        for attribute in self.editor.schema:
            if not attribute.editable or attribute.name in found.changed[row]:
                continue
            place = self.editor.schema.slices[attribute.name]
            for i, value in enumerate(self._targets(attribute, pairs, row)):
                if np.allclose(value, pairs.current[row, place], atol=1e-3):
                    continue
                wanted = found.wanted[row].copy()
                wanted[place] = value
                options[attribute.name, i] = wanted
        return options

    def _targets(self, attribute: Attribute, pairs: Pairs, row: int) -> list[Floats]:
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
        order = [list(names) for names in found.changed]
        for position in range(self.max_attributes):
            several = [i for i in np.flatnonzero(found.flips) if len(order[i]) > position and len(found.changed[i]) > 1]
            rows = np.array(several, dtype=np.int64)
            if not len(rows):
                return
            wanted = found.wanted[rows].copy()
            names = [order[i][position] for i in rows]
            for k, (row, name) in enumerate(zip(rows, names, strict=True)):
                place = self.editor.schema.slices[name]
                wanted[k, place] = pairs.current[row, place]
            codes = self._edit(pairs, rows, wanted)
            scores = self._score(pairs, codes, rows)
            for k in np.flatnonzero(self._flips(pairs, scores, rows)):
                row = rows[k]
                found.wanted[row], found.codes[row], found.scores[row] = wanted[k], codes[k], scores[k]
                found.changed[row] = [name for name in found.changed[row] if name != names[k]]

    def _shrink(self, pairs: Pairs, found: Found) -> None:
        """Bisect the common part of all continuous changes that still flips."""
        rows = np.flatnonzero(found.flips)
        if not len(rows):
            return
        full = found.wanted[rows].copy()
        continuous = np.zeros(full.shape[1], bool)
        for attribute in self.editor.schema.continuous:
            continuous[self.editor.schema.slices[attribute.name]] = True
        low, high = np.zeros(len(rows), np.float32), np.ones(len(rows), np.float32)
        for _ in range(BISECTIONS):
            part = (low + high) / 2
            wanted = np.where(continuous, pairs.current[rows] + part[:, None] * (full - pairs.current[rows]), full)
            codes = self._edit(pairs, rows, wanted)
            scores = self._score(pairs, codes, rows)
            flips = self._flips(pairs, scores, rows)
            high, low = np.where(flips, part, high), np.where(flips, low, part)
            for k in np.flatnonzero(flips):
                found.wanted[rows[k]], found.codes[rows[k]], found.scores[rows[k]] = wanted[k], codes[k], scores[k]
