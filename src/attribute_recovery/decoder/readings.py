"""What the heads read in decoded samples: the attributes that an embedding is found to hold."""

import numpy as np
import numpy.typing as npt
import torch

from attribute_recovery.attributes.heads import AttributeEstimator
from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.decoder.decoder import Decoder
from attribute_recovery.training.device import chunks

Floats = npt.NDArray[np.float32]


def readings(
    decoder: Decoder, estimator: AttributeEstimator, codes: Floats, seed: int, *, batch_size: int = 128
) -> Floats:
    """What the heads read in decoded samples.

    A continuous attribute is one draw from its p(a given x) in its unit, brought into its range, a discrete
    one its class probabilities (all classes, so width is not the schema's). Of a single sample it is the mean
    of p(a given x): one draw would be that and noise.

    Args:
        decoder: its G decodes.
        estimator: the heads.
        codes: (n, samples, code_size).
        seed: of the draws.
        batch_size: images at once; results do not depend on it.

    Returns:
        float32 (n, samples, width), columns by `reading_slices`.
    """
    n, n_samples, size = codes.shape
    flat = codes.reshape(-1, size)
    places = reading_slices(estimator.schema)
    noise = np.random.default_rng([seed, 5]).standard_normal(
        (len(flat), len(estimator.schema.continuous)), dtype=np.float32
    )
    read = np.empty((len(flat), max(place.stop for place in places.values())), np.float32)
    for number, part in enumerate(chunks(len(flat), batch_size)):
        with torch.no_grad():
            found = estimator.estimate(decoder.generator.decode(torch.from_numpy(flat[part])))
        for attribute in estimator.schema.discrete:
            read[part, places[attribute.name]] = found.probabilities[attribute.name]
        for i, attribute in enumerate(estimator.schema.continuous):
            drawn = found.mean[attribute.name]
            if n_samples > 1:
                drawn = drawn + found.sd[attribute.name] * noise[part, i]
            read[part, places[attribute.name]] = np.clip(drawn, *attribute.range)[:, None]
        if number % 50 == 49:
            print(f"decoder: read {part.stop} of {len(flat)} decoded samples", flush=True)
    return read.reshape(n, n_samples, -1)


def reading_slices(schema: AttributeSchema) -> dict[str, slice]:
    """Columns of `readings` by attribute: one for a continuous attribute, one a class otherwise."""
    places, start = {}, 0
    for attribute in schema:
        width = max(1, attribute.n_classes)
        places[attribute.name] = slice(start, start + width)
        start += width
    return places
