"""Attributes as codes: what stands for W where the renderer stands for G, so that any code is a face.

A continuous attribute is the normal quantile of its place in its range, so that every number is a value
within it and one that is drawn evenly is a normal component. A class is a one-hot column (of a binary
attribute one column, 0 or 1) blurred by noise, since flow matching models densities, and read by the nearest.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.decoder.spread import reading_slices

Floats = npt.NDArray[np.float32]

# Places in the range nearer to an end than this are taken for it: their quantiles would be infinite.
EDGE = 1e-4
# Standard deviation of the noise on classes; another class begins half a column away, more than four of them.
CLASS_NOISE = 0.12
# Attributes that a mirror turns round.
TURNED_BY_MIRROR = ("yaw", "roll", "light_azimuth")


@dataclass(frozen=True)
class AttributeCodes:
    """Codes that are attributes.

    Attributes:
        schema: the attributes, in whose encoded columns the codes are.
    """

    schema: AttributeSchema

    @property
    def size(self) -> int:
        """Length of a code."""
        return self.schema.width

    def codes(self, encoded: Floats, rng: np.random.Generator | None = None) -> Floats:
        """Codes (n, size) of encoded attributes (n, width); classes are blurred where `rng` is given."""
        codes = encoded.astype(np.float32).copy()
        for attribute in self.schema:
            block = codes[:, self.schema.slices[attribute.name]]
            if not attribute.is_discrete:
                low, high = attribute.range
                block[:] = ndtri(np.clip((block - low) / (high - low), EDGE, 1 - EDGE))
            elif rng is not None:
                block += np.float32(CLASS_NOISE) * rng.standard_normal(block.shape, dtype=np.float32)
        return codes

    def attributes(self, codes: Floats) -> Floats:
        """Encoded attributes (n, width), classes hard, of codes (n, size)."""
        encoded = np.empty_like(codes, dtype=np.float32)
        for attribute in self.schema:
            place = self.schema.slices[attribute.name]
            encoded[:, place] = _values(attribute, codes[:, place])
        return encoded

    def readings(self, codes: Floats) -> Floats:
        """What heads that are never wrong would read in images of codes (n, samples, size): (n, samples,
        width), columns as `decoder.spread.reading_slices` has them."""
        encoded = self.attributes(codes.reshape(-1, self.size))
        places = reading_slices(self.schema)
        read = np.empty((len(encoded), max(place.stop for place in places.values())), np.float32)
        for name, values in self.schema.decode(encoded).items():
            classes = self.schema[name].n_classes
            one_hot = np.eye(classes)[values.astype(np.int64)] if classes else values[:, None]
            read[:, places[name]] = one_hot
        return read.reshape(*codes.shape[:2], -1)

    def mirrored(self, encoded: Floats) -> Floats:
        """Encoded attributes (n, width), those of faces turned the other way."""
        turned = encoded.copy()
        for name in TURNED_BY_MIRROR:
            if name in self.schema.names:
                turned[:, self.schema.slices[name]] *= -1
        return turned


def _values(attribute: Attribute, block: Floats) -> Floats:
    """Encoded columns of one attribute from its part of the codes, (n, width of the attribute)."""
    if not attribute.is_discrete:
        low, high = attribute.range
        return np.asarray(low + (high - low) * ndtr(block), np.float32)
    if attribute.kind == "binary":
        return np.asarray(block >= 0.5, np.float32)
    return np.asarray(np.eye(attribute.width)[block.argmax(1)], np.float32)
