"""Keys of metrics.json that the stage significance writes: name, unit, meaning."""

GROUP_KEYS: tuple[tuple[str, str, str], ...] = (
    (
        "fmr_difference.<attribute>.<contrast>",
        "rate",
        "FMR of pairs of one group less that of another, or of pairs of two groups less those of one, at τ, "
        "as observed; the table has matched ones beside",
    ),
    ("fmr_difference_q.<attribute>.<contrast>", "q", "controlled over all contrasts of all attributes"),
    (
        "fmr_difference_interventional.<attribute>.<contrast>",
        "rate",
        "the same where the groups were given by edits, both images of a pair decoded",
    ),
    ("fmr_difference_interventional_q.<attribute>.<contrast>", "q", "controlled likewise"),
    ("fnmr_difference.<attribute>.<contrast>", "rate", "the same for FNMR of genuine pairs"),
    ("fnmr_difference_q.<attribute>.<contrast>", "q", "controlled likewise"),
    ("fnmr_difference_interventional.<attribute>.<contrast>", "rate", "where groups were given by edits"),
    ("fnmr_difference_interventional_q.<attribute>.<contrast>", "q", "controlled likewise"),
    ("groups_significant.<rate>", "list of names", "observed differences with q < 0.05"),
    (
        "groups_disagree.<rate>",
        "list of names",
        "contrasts of which observation and intervention do not say the same at q < 0.05",
    ),
    (
        "dose_ratio.<attribute>",
        "ratio",
        "effect of ± 2 standard deviations over that of ± 1; about 4 where the embedding goes straight on",
    ),
)

SIGNIFICANCE_KEYS: tuple[tuple[str, str, str], ...] = (
    (
        "retained_information.<attribute>",
        "nats",
        "how much of the attribute z holds, a lower bound where test has it as train",
    ),
    ("retained_information_p.<attribute>", "p", "against permuted labels"),
    ("retained_information_q.<attribute>", "q", "controlled for false discoveries within the measure"),
    ("identity_share.<attribute>", "share", "between / (between + within), from nats"),
    ("identity_share_p.<attribute>", "p", "against permuted labels"),
    ("identity_share_q.<attribute>", "q", "controlled for false discoveries within the measure"),
    ("decision_effect.<attribute>", "1 − cosine", "how far the embedding moves when this attribute changes"),
    ("decision_effect_p.<attribute>", "p", "against placebo edits of the same size"),
    ("decision_effect_q.<attribute>", "q", "controlled for false discoveries within the measure"),
    ("significant.<measure>", "list of names", "attributes with q < 0.05"),
    (
        "flips.<attribute>.<direction>",
        "share",
        "decisions that flip, net of those that reconstruction alone flips: `genuine_lost`, "
        "`genuine_gained`, `impostor_gained` (the attribute made equal in both), `impostor_lost`",
    ),
    *GROUP_KEYS,
    ("achieved_dose.<attribute>", "ratio", "change that the heads read over the change asked for"),
    ("cross_talk.<attribute>", "sd", "how far the other attributes moved, mean, in population deviations"),
    ("reconstruction_distance", "1 − cosine", "mean between f(x) and f(G(E(x)))"),
    ("threshold", "cosine", "τ"),
    ("edited_images", "images", "images whose attributes were changed"),
    ("edited_identities", "people", "people whose attributes were changed"),
    ("placebos", "number", "placebo edits behind each p-value of the decision effect"),
    ("placebo_images", "images", "images that placebo edits were made on"),
    (
        "not_testable.<measure>.<attribute>",
        "reason",
        "why a measure cannot be had of an attribute; only where there is one",
    ),
)
