"""Which attributes can be tested, and on which images, where values are missing."""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.dataset.known import columns_by_pattern, is_known, left_out, without
from attribute_recovery.statistics.inputs import BoolArray

Values = Mapping[str, npt.NDArray[np.generic]]


def not_testable(
    schema: AttributeSchema,
    fitted: tuple[Values, npt.ArrayLike],
    test: tuple[Values, npt.ArrayLike],
    editable: Mapping[str, bool],
) -> dict[str, dict[str, str]]:
    """Why attributes cannot be tested, by measure and name; measures of which all can be are left out.

    Retained information needs enough known values in both splits, see `dataset.known.too_little`; identity
    share also somebody with two images on which the attribute is known; the decision effect an editor that
    could learn the attribute, whatever is known of the images that are edited.

    Args:
        schema: the attributes.
        fitted: values (n,) by attribute and identities (n,) of the split `train`.
        test: the same of the split `test`, (m,).
        editable: by attribute, whether the editor changes it.
    """
    unlearned = left_out(schema, *fitted, "train")
    retained = left_out(schema, *test, "test") | unlearned
    alone = {
        a.name: "nobody of the split test has two images with a value"
        for a in without(schema, retained)
        if np.unique(np.asarray(test[1])[is_known(a, test[0][a.name])], return_counts=True)[1].max() < 2
    }
    found = {
        "retained_information": _in_order(schema, retained),
        "identity_share": _in_order(schema, retained | alone),
        "decision_effect": {
            a.name: unlearned[a.name]
            for a in schema
            if a.name in unlearned and a.editable and not editable[a.name]
        },
    }
    return {measure: reasons for measure, reasons in found.items() if reasons}


def _in_order(schema: AttributeSchema, reasons: Mapping[str, str]) -> dict[str, str]:
    return {name: reasons[name] for name in schema.names if name in reasons}


def known_together(
    schema: AttributeSchema, fitted: Values, test: Values
) -> Iterator[tuple[AttributeSchema, BoolArray, BoolArray]]:
    """Attributes that are known on the same images of both splits, so that one analysis serves them all.

    Args:
        schema: the attributes.
        fitted: values (n,) by attribute in the split `train`.
        test: values (m,) in the split `test`.

    Yields:
        Some of the attributes, and masks of the images on which they are known, (n,) and (m,).
    """
    if not len(schema):
        return
    columns = [
        np.concatenate([is_known(a, fitted[a.name]), is_known(a, test[a.name])]) for a in schema
    ]  # (n + m,) each
    n = len(fitted[schema.names[0]])
    for places, known in columns_by_pattern(np.stack(columns, axis=1)):
        yield AttributeSchema(tuple(schema.attributes[place] for place in places)), known[:n], known[n:]
