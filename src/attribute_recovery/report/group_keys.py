"""Keys of metrics.json that tell of error rates by attribute group and of doses: name, unit, meaning."""

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
