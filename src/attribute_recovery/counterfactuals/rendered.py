"""An error's game with the renderer in the place of editor and generator: the truth to check values against.

In the default world attributes are known and images can be rendered again with some of them changed, so

    v(S) = f(render(a_1; attributes in S as in a_2)) · f(x_2)

is what the game of edits estimates. For validation only: nobody can render a brought face.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.training.device import chunks

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Images = npt.NDArray[np.uint8]

# Images at once; results do not depend on it.
BATCH = 128


@dataclass(frozen=True)
class RenderedGame:
    """The games of n pairs of made images.

    Attributes:
        schema: the attributes.
        render: images, in batches, of encoded attributes (c, width), such as `Renderer.uint8`.
        recognizer: f.
        own: true encoded attributes of the images that are changed, (n, width).
        wanted: those of the others, (n, width).
        others: f(x_2), unit length, (n, d).
    """

    schema: AttributeSchema
    render: Callable[[Floats], Iterable[Images]]
    recognizer: Recognizer
    own: Floats
    wanted: Floats
    others: Floats

    @property
    def players(self) -> list[Attribute]:
        """The editable attributes in order."""
        return [attribute for attribute in self.schema if attribute.editable]

    @property
    def columns(self) -> Flags:
        """Which encoded columns belong to which player, (players, width)."""
        columns = np.zeros((len(self.players), self.schema.width), bool)
        for player, attribute in enumerate(self.players):
            columns[player, self.schema.slices[attribute.name]] = True
        return columns

    @property
    def playing(self) -> Flags:
        """Whether the images of a pair differ in an attribute, (n, players)."""
        return np.asarray((self.own != self.wanted) @ self.columns.T)

    def worth(self, games: Rows, coalitions: Flags) -> Doubles:
        """v of coalitions (c, players), each in the game of its number, (c,)."""
        worths, columns = np.empty(len(games)), self.columns
        for part in chunks(len(games), BATCH):
            rows = games[part]
            attributes = np.where(coalitions[part] @ columns, self.wanted[rows], self.own[rows])
            images = np.concatenate(list(self.render(attributes)))
            embeddings = self.recognizer.embed_batches(images).astype(np.float64)
            worths[part] = (embeddings * self.others[rows]).sum(1)
        return worths
