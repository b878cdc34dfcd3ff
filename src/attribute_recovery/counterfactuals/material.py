"""What both kinds of counterfactual stand on: models, and the images of the split `test`."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.attributes.edit import AttributeEditor
from attribute_recovery.attributes.heads import AttributeEstimator, Estimates
from attribute_recovery.counterfactuals.pairs import DrawnPairs
from attribute_recovery.counterfactuals.search import Pairs
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.decoder.decoder import Decoder
from attribute_recovery.generator.load import LoadedGenerator
from attribute_recovery.generator.quality import reconstruct
from attribute_recovery.generator.train import to_tensor
from attribute_recovery.recognizer.load import Recognizer

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Material:
    """What the stage reads: models, and the test images with identities, codes and embeddings, n each."""

    decoder: Decoder
    generator: LoadedGenerator
    recognizer: Recognizer
    estimator: AttributeEstimator
    editor: AttributeEditor
    tau: float
    images: npt.NDArray[np.uint8]
    image_ids: npt.NDArray[np.object_]
    identities: npt.NDArray[np.object_]
    codes: Floats
    embeddings: Floats


def hard_encoding(estimator: AttributeEstimator, estimates: Estimates) -> Floats:
    """Encoded attributes (n, width): means, and the likeliest class."""
    return estimator.schema.encode(estimates.values())


def told_value(schema: AttributeSchema, attribute: Attribute, encoded: Floats) -> float | str:
    """An attribute's value in a row of encoded attributes (width,): a number of its unit, or its class."""
    value = encoded[schema.slices[attribute.name]]
    if attribute.kind == "continuous":
        return round(float(value[0]), 3)
    return attribute.categories[int(value.argmax() if len(value) > 1 else value[0] >= 0.5)]


def within_quantiles(
    editor: AttributeEditor, table: pd.DataFrame, quantiles: tuple[float, float]
) -> AttributeEditor:
    """The editor with the range of its continuous attributes between two quantiles of a table's values.

    Args:
        editor: the editor.
        table: has the columns `attribute.<name>`; missing values are left out, and where an attribute has
            none its range stays.
        quantiles: of the ends, 0 to 1, the lower one first.

    Returns:
        The same editor with other ranges.
    """
    found = editor.schema.known_from_table(table)
    ends = {
        attribute.name: np.nanquantile(np.asarray(found.values[attribute.name], np.float64), quantiles)
        if found.known[attribute.name].any()
        else (editor.low[attribute.name], editor.high[attribute.name])
        for attribute in editor.schema.continuous
    }
    low, high = ({name: float(pair[end]) for name, pair in ends.items()} for end in (0, 1))
    return replace(editor, low=low, high=high)


def search_pairs(material: Material, drawn: DrawnPairs) -> Pairs:
    """Pairs as the search takes them: the first image's code, what heads read in G(E(x)) and in the other."""
    codes = material.codes[drawn.first]
    rebuilt = reconstruct(material.generator, codes)
    estimate = material.estimator.estimate
    return Pairs(
        codes,
        hard_encoding(material.estimator, estimate(to_tensor(rebuilt))),
        hard_encoding(material.estimator, estimate(to_tensor(material.images[drawn.second]))),
        material.embeddings[drawn.second],
        drawn.to_match,
    )
