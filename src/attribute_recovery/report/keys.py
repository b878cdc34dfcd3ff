"""The one table of all keys of metrics.json: unit and meaning. The docs page is made from it."""

from collections.abc import Iterator
from dataclasses import dataclass

from attribute_recovery.report.keys_counterfactuals import COUNTERFACTUALS
from attribute_recovery.report.keys_domain import BROUGHT_HEADS, DATASET, PROTOCOL
from attribute_recovery.report.keys_significance import SIGNIFICANCE_KEYS
from attribute_recovery.report.labels import label_keys

STAGES = {
    "general": "About the file itself.",
    "dataset": "From dataset/report.json; how each attribute is distributed in each split stays there.",
    "generator": "G and E, from generator/metrics.json.",
    "attributes": "The attribute heads on real images, from attributes/metrics.json.",
    "recognizer": "Rates of the recognizer, from RECOGNIZER/recognizer/metrics.json and threshold.json.",
    "decoder": "What is decoded from embeddings, from RECOGNIZER/decoder/metrics.json.",
    "recovery": (
        "What an embedding holds of each attribute, from RECOGNIZER/recovery/metrics.json, by two routes: "
        "`decoder`, samples of p(x given z) read by the heads, and `probe`, trained on z directly. Both are "
        "calibrated on the split `calibration`."
    ),
    "significance": (
        "A summary of the three measures, from RECOGNIZER/significance/metrics.json; the table has them all. "
        "Where there are several recognizers, also the figures of each less those of each before it, from "
        "significance/metrics.json: people are resampled for both at once."
    ),
    "counterfactuals": (
        "How often counterfactuals flip decisions, and which attributes carry the errors, from "
        "RECOGNIZER/counterfactuals/metrics.json. `<kind>` of an error is `false_match` or `false_non_match`."
    ),
}


@dataclass(frozen=True)
class MetricKey:
    """One key of metrics.json.

    Attributes:
        key: dotted; `<recognizer>`, `<attribute>` and the like stand for names.
        unit: of its values.
        meaning: what it says.
    """

    key: str
    unit: str
    meaning: str

    @property
    def stage(self) -> str:
        """The stage that it belongs to, a key of STAGES."""
        parts = self.key.split(".")
        if parts[0] == "recognizers":
            return parts[2]
        return parts[0] if parts[0] in STAGES else "general"


def metric_keys() -> tuple[MetricKey, ...]:
    """All keys, in the order of the docs page."""
    return (
        MetricKey("schema_version", "number", "of this file's layout; rises when keys change their meaning"),
        *_below("dataset", DATASET),
        *_generator(),
        *_attributes(),
        *_below("recognizers.<recognizer>.recognizer", _RECOGNIZER),
        *_below("recognizers.<recognizer>.decoder", _DECODER),
        *_recovery("recognizers.<recognizer>.recovery"),
        *_below("recognizers.<recognizer>.significance", _SIGNIFICANCE),
        *_comparison("significance"),
        *_below("recognizers.<recognizer>.counterfactuals", (*COUNTERFACTUALS, *_STANDS_ON)),
    )


def _below(prefix: str, entries: tuple[tuple[str, str, str], ...]) -> Iterator[MetricKey]:
    for key, unit, meaning in entries:
        yield MetricKey(f"{prefix}.{key}", unit, meaning)


_STANDS_ON = (
    ("n_identities", "people", "people that the figures stand on"),
    ("n_images", "images", "images that the figures stand on"),
    ("split", "name", "split that the figures were measured on"),
    ("folds", "number", "folds that the figures are means over; only where they are cross-fitted"),
)


def _generator() -> Iterator[MetricKey]:
    yield from _below(
        "generator",
        (
            (
                "reconstruction_tar_ratio",
                "ratio",
                "TAR at τ of G(E(x)) against other real images of the person, over that of x; from the "
                "first recognizer's decoder stage, since it takes a recognizer",
            ),
            (
                "band_power_ratio",
                "list of ratios",
                "power of reconstructions over that of real images, by octave of spatial frequency, coarse "
                "to fine",
            ),
            ("sharpness_ratio", "ratio", "variance of the Laplacian, reconstructions over real images"),
            ("l1", "of the range −1 to 1", "mean absolute difference of pixels, G(E(x)) against x"),
            *_STANDS_ON,
        ),
    )


def _attributes() -> Iterator[MetricKey]:
    yield from _below(
        "attributes",
        (
            ("median_r2", "R²", "median over the continuous attributes"),
            ("median_balanced_accuracy", "share", "median over the discrete attributes"),
            ("r2.<attribute>", "R²", "share of variance read from real images"),
            ("balanced_accuracy.<attribute>", "share", "mean over classes of the share read rightly"),
            *label_keys(
                not_learned="why the heads could not learn an attribute from `train`",
                not_calibrated="why what they read of it is not calibrated on `calibration`",
                not_measured="why it is not measured on `test`",
            ),
            *_STANDS_ON,
            *BROUGHT_HEADS,
        ),
    )


_RECOGNIZER = (
    ("tar_at_target_fmr", "share", "genuine pairs of `test` accepted at τ"),
    ("target_fmr", "rate", "false match rate that was asked for; null where τ was given"),
    (
        "used_fmr",
        "rate",
        "may be claimed at τ: the target or what was counted, never below the smallest claimable",
    ),
    ("claimable_fmr", "rate", "3/n, n the distinct pairs of people that τ was fixed or counted on"),
    ("threshold_kind", "name", "`fmr`, `value` or `from`: what fixed τ"),
    ("threshold_split", "name", "split whose impostor pairs τ was fixed or counted on"),
    ("score", "name", "`cosine` or `euclidean`, from the card"),
    ("gradients", "name", "`own`, `converted` or `none`: which way gradients of f were taken"),
    ("differentiable", "yes or no", "whether gradients of f could be taken"),
    ("runs_user_code", "yes or no", "whether reading the recognizer ran code that came with it"),
    ("notes", "list of sentences", "what was noticed when a recognizer was taken in"),
    ("threshold", "cosine", "τ; a pair is accepted at a score of at least τ"),
    ("fmr_at_threshold", "rate", "impostor pairs of `test` accepted at τ"),
    ("eer", "rate", "equal error rate on `test`"),
    ("rank_1", "share", "images whose nearest other image shows the same person"),
    ("genuine_score_mean", "cosine", "mean score of genuine pairs"),
    ("impostor_score_mean", "cosine", "mean score of impostor pairs"),
    ("n_genuine_pairs", "pairs", "genuine pairs compared"),
    ("n_impostor_pairs", "pairs", "impostor pairs compared"),
    ("n_genuine_pairs_possible", "pairs", "genuine pairs that there are"),
    (
        "n_impostor_pairs_possible",
        "pairs",
        "impostor pairs that there are; where there are more, a seeded sample was compared",
    ),
    ("threshold_on_calibration.value", "cosine", "τ, as fixed on `calibration`"),
    ("threshold_on_calibration.requested_fmr", "rate", "false match rate that was asked for"),
    ("threshold_on_calibration.fmr", "rate", "the one that was used"),
    ("threshold_on_calibration.achieved_fmr", "rate", "impostor pairs of `calibration` accepted at τ"),
    ("threshold_on_calibration.n_pairs", "pairs", "impostor pairs of images that fixed τ"),
    (
        "threshold_on_calibration.n_identity_pairs",
        "pairs",
        "distinct pairs of people among them, n; no false match rate below 3/n is claimed",
    ),
    ("threshold_on_calibration.kind", "name", "`fmr`, `value` or `from`"),
    ("threshold_on_calibration.claimable_fmr", "rate", "3/n"),
    (
        "threshold_on_calibration.distance",
        "distance",
        "largest distance of embeddings before normalisation that is accepted, of a euclidean score",
    ),
    ("threshold_on_calibration.origin", "name", "experiment that τ was taken from"),
    ("threshold_on_calibration.weights_sha256", "digest", "of the recognizer's weights"),
    ("euclidean.threshold", "distance", "largest distance that is accepted, for a euclidean score"),
    ("euclidean.tar", "share", "genuine pairs accepted by distance before normalisation"),
    ("euclidean.fmr", "rate", "impostor pairs accepted by distance before normalisation"),
    ("euclidean.eer", "rate", "equal error rate by distance before normalisation"),
    ("euclidean.decided_otherwise_genuine", "share", "genuine pairs that cosine decides otherwise"),
    ("euclidean.decided_otherwise_impostor", "share", "impostor pairs that cosine decides otherwise"),
    ("euclidean.norm.<quantile>", "length", "of embeddings before normalisation: lowest, median, highest"),
    *PROTOCOL,
    *_STANDS_ON,
)

_DECODER = (
    (
        "type_1_tar",
        "share",
        "decoded samples accepted as the image that z came from (the first drawn for each z)",
    ),
    ("type_2_tar", "share", "pairs of a decoded sample and another image of the person that are accepted"),
    ("type_2_tar_ratio", "ratio", "the same over `real_tar`"),
    ("real_tar", "share", "pairs of the real image and another image of the person that are accepted"),
    ("sample_cosine", "cosine", "mean of a sample's embedding with the one it was decoded from"),
    ("reconstruction_type_1_tar", "share", "as `type_1_tar`, for G(E(x)) in place of the sample"),
    ("reconstruction_tar_ratio", "ratio", "as `type_2_tar_ratio`, for G(E(x)) in place of the sample"),
    ("reconstruction_cosine", "cosine", "as `sample_cosine`, for G(E(x)) in place of the sample"),
    ("threshold", "cosine", "τ"),
    ("samples", "number", "samples drawn for each z; 1 where T is of one point, whose spread is null"),
    ("coverage_90.<attribute>", "share", "true values inside the samples' central 90 % interval"),
    (
        "crps_skill.<attribute>",
        "skill",
        "1 − CRPS of the samples / CRPS of the population; 0 is knowing nothing",
    ),
    *label_keys(not_measured="why the spread of an attribute is not measured"),
    *_STANDS_ON,
)

_SIGNIFICANCE = (*SIGNIFICANCE_KEYS, *label_keys(), *_STANDS_ON)


def _comparison(prefix: str) -> Iterator[MetricKey]:
    pair = "<recognizer>.<other>"
    entries = [
        ("fmr", "rate", "at which rates are compared: the largest that one of the recognizers uses"),
        ("split", "name", "split that the figures were measured on"),
    ]
    for rate, meaning in (
        ("tar_at_same_fmr", "genuine pairs accepted, each recognizer with its own τ at that rate"),
        ("fmr_at_same_fmr", "impostor pairs of `test` accepted at these τ"),
    ):
        entries += [
            (f"{pair}.{rate}", "share", f"difference in {meaning}"),
            (f"{pair}.{rate}_p", "p", "of no difference, by flips of sign"),
            (f"{pair}.{rate}_q", "q", "controlled over all pairs of recognizers"),
        ]
    flips = "of the decisions that flip when the attribute changes"
    for measure, unit, meaning in (
        ("retained_information", "nats", "in what z holds of the attribute"),
        ("identity_share", "share", "in between / (between + within)"),
        ("decision_effect", "1 − cosine", "in how far the embedding moves"),
        ("genuine_lost", "share", f"in genuine pairs lost, {flips}"),
        ("genuine_gained", "share", f"in genuine pairs gained, {flips}"),
        ("impostor_gained", "share", f"in impostor pairs gained, {flips}"),
        ("impostor_lost", "share", f"in impostor pairs lost, {flips}"),
    ):
        entries += [
            (f"{pair}.{measure}.<attribute>", unit, f"difference {meaning}"),
            (f"{pair}.{measure}_p.<attribute>", "p", "of no difference, by flips of sign"),
            (f"{pair}.{measure}_q.<attribute>", "q", "controlled for false discoveries within the measure"),
        ]
    entries.append((f"{pair}.significant.<measure>", "list of names", "attributes with q < 0.05"))
    yield from _below(prefix, tuple(entries))


def _recovery(prefix: str) -> Iterator[MetricKey]:
    entries: list[tuple[str, str, str]] = []
    for route in ("decoder", "probe"):
        entries += [
            (
                f"{route}.information.<attribute>",
                "nats",
                "lower bound of I(a; z) where test has a as train has; negative where worse than nothing",
            ),
            (
                f"{route}.log_loss.<attribute>",
                "nats",
                "mean log loss; of continuous attributes in units of the population's standard deviation",
            ),
            (f"{route}.theils_u.<attribute>", "share", "discrete: information over entropy, Theil's U"),
            (
                f"{route}.balanced_accuracy.<attribute>",
                "share",
                "discrete: mean over classes of the share named rightly",
            ),
            (f"{route}.ece.<attribute>", "share", "discrete: expected calibration error"),
            (f"{route}.informational_r2.<attribute>", "R²", "continuous: 1 − exp(−2 I)"),
            (f"{route}.r2.<attribute>", "R²", "continuous: share of variance explained by the mean"),
            (f"{route}.crps_skill.<attribute>", "skill", "continuous: 1 − CRPS / CRPS of the population"),
            (
                f"{route}.coverage_90.<attribute>",
                "share",
                "continuous: true values inside the central 90 % interval",
            ),
        ]
    entries += [
        ("chosen.<attribute>", "name", "the route with more information on `calibration`"),
        (
            "probe_kind.<attribute>",
            "name",
            "the probe with more information on `calibration`: `linear` or `mlp`",
        ),
        ("median_r2", "R²", "median over the continuous attributes, chosen route"),
        ("median_balanced_accuracy", "share", "median over the discrete attributes, chosen route"),
        *label_keys(
            not_recovered="why an attribute has no forecasts: too little is known of it in `train`",
            not_calibrated="why its forecasts are as they come, the linear probe counting as chosen",
            not_measured="why its forecasts are not measured on `test`",
        ),
        *_STANDS_ON,
    ]
    yield from _below(prefix, tuple(entries))
