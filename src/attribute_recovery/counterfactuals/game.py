"""The game behind an error's explanation: attributes of one image are made those of the other.

For a pair (x_1, x_2) the players are the editable attributes, and a coalition S is worth

    v(S) = f(G(edit(E(x_1); attributes in S as in x_2))) · f(G(E(x_2))).

v(none) is the score of the unedited reconstructions, v(all) that of a first image made equal to the second in
every attribute. Attributes are read in the reconstructions of both, so that what G changes in a face is no
difference between the two. Those play in which the real images differ by more than the heads' own error, see
`apart`: what the others would carry is the error's.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from attribute_recovery.attributes.edit import AttributeEditor
from attribute_recovery.counterfactuals.apart import SURELY, readings_apart
from attribute_recovery.counterfactuals.material import Material, hard_encoding
from attribute_recovery.counterfactuals.search import SAME
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.decoder.pairs import embed_codes
from attribute_recovery.generator.load import LoadedGenerator
from attribute_recovery.generator.quality import reconstruct
from attribute_recovery.generator.train import to_tensor
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.training.device import chunks

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

# Edits at once; results do not depend on it.
BATCH = 128


@dataclass(frozen=True)
class EditGame:
    """The games of n pairs.

    Attributes:
        editor, generator, recognizer: what a worth stands on.
        codes: E(x_1), (n, code_size).
        current: encoded attributes as read in G(E(x_1)), classes hard, (n, width).
        wanted: those of G(E(x_2)), but no farther out of the observed range than `current`, (n, width).
        others: f(G(E(x_2))), (n, d).
        apart: how far x_1 and x_2 are read apart, in the reading's own deviations, (n, players).
    """

    editor: AttributeEditor
    generator: LoadedGenerator
    recognizer: Recognizer
    codes: Floats
    current: Floats
    wanted: Floats
    others: Floats
    apart: Doubles

    @property
    def players(self) -> list[Attribute]:
        """The editable attributes in order."""
        return [attribute for attribute in self.editor.schema if attribute.editable]

    @property
    def columns(self) -> Flags:
        """Which encoded columns belong to which player, (players, width)."""
        columns = np.zeros((len(self.players), self.editor.schema.width), bool)
        for player, attribute in enumerate(self.players):
            columns[player, self.editor.schema.slices[attribute.name]] = True
        return columns

    @property
    def differences(self) -> Doubles:
        """How far the images of a pair are apart in an attribute, (n, players), never negative.

        In the attribute's standard deviations; 1 for another class.
        """
        apart = np.abs(self.wanted - self.current) / self.editor.scales.cpu().numpy()
        blocks = [apart[:, self.editor.schema.slices[player.name]].max(1) for player in self.players]
        return np.stack(blocks, axis=1).astype(np.float64)

    @property
    def differing(self) -> Flags:
        """Whether the readings of a pair differ in an attribute at all, (n, players)."""
        return np.asarray(self.differences > SAME)

    @property
    def playing(self) -> Flags:
        """Whether the images of a pair surely differ in an attribute, (n, players).

        The attribute that is read farthest apart plays in any case.
        """
        farthest = self.apart == self.apart.max(1, keepdims=True)
        return np.asarray(self.differing & ((self.apart > SURELY) | farthest))

    def edit(self, games: Rows, coalitions: Flags) -> Floats:
        """Codes (c, code_size) of the games' first images, attributes of coalitions (c, players) changed."""
        device, columns = self.editor.means.device, self.columns
        edited = np.empty((len(games), self.codes.shape[1]), np.float32)
        for part in chunks(len(games), BATCH):
            rows = games[part]
            wanted = np.where(coalitions[part] @ columns, self.wanted[rows], self.current[rows])
            given = (self.codes[rows], self.current[rows], wanted)
            changed = self.editor.edit(*(torch.from_numpy(values).to(device) for values in given))
            edited[part] = changed.detach().cpu().numpy()
        return edited

    def scores(self, games: Rows, codes: Floats) -> Doubles:
        """Cosines (c,) of the images of codes (c, code_size) with the games' other images."""
        embeddings = embed_codes(self.generator, self.recognizer, codes).astype(np.float64)
        return np.asarray((embeddings * self.others[games]).sum(1))

    def worth(self, games: Rows, coalitions: Flags) -> Doubles:
        """v of coalitions (c, players), each in the game of its number, (c,)."""
        worths = np.empty(len(games))
        for part in chunks(len(games), BATCH):
            worths[part] = self.scores(games[part], self.edit(games[part], coalitions[part]))
        return worths


def edit_game(material: Material, first: Rows, second: Rows) -> EditGame:
    """The games of pairs of test images: rows (n,) of those changed and of the others, n at least 1."""
    own, others = (material.codes[rows] for rows in (first, second))
    current = read_codes(material, own)
    return EditGame(
        material.editor,
        material.generator,
        material.recognizer,
        own,
        current,
        _within_range(material.editor, current, read_codes(material, others)),
        embed_codes(material.generator, material.recognizer, others),
        _apart(material, first, second),
    )


def _apart(material: Material, first: Rows, second: Rows) -> Doubles:
    """How far the real images are read apart in the editable attributes, (n, players)."""
    players = AttributeSchema(tuple(each for each in material.editor.schema if each.editable))
    estimates = [material.estimator.estimate(to_tensor(material.images[rows])) for rows in (first, second)]
    return readings_apart(players, *estimates)


def read_codes(material: Material, codes: Floats) -> Floats:
    """Encoded attributes (n, width) that heads read in the images of codes (n, code_size), classes hard."""
    images = to_tensor(reconstruct(material.generator, codes))
    return hard_encoding(material.estimator, material.estimator.estimate(images))


def _within_range(editor: AttributeEditor, current: Floats, wanted: Floats) -> Floats:
    """Wanted attributes (n, width), continuous ones in the observed range or as far out as they are now."""
    clipped = wanted.copy()
    for attribute in editor.schema.continuous:
        place = editor.schema.slices[attribute.name]
        low, high = np.float32(editor.low[attribute.name]), np.float32(editor.high[attribute.name])
        here = current[:, place]
        clipped[:, place] = wanted[:, place].clip(np.minimum(here, low), np.maximum(here, high))
    return clipped
