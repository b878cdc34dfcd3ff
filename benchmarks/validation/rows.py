"""The questions of the validation, in the order of the page."""

from benchmarks.validation.outcome import Row

ROWS: tuple[Row, ...] = (
    Row(
        "effects-true",
        "Is the decision effect of each attribute, in each direction, true?",
        "re-rendering the same head with that attribute changed by the same dose",
        "Spearman ≥ 0.95 over attributes, median relative error ≤ 10 %",
        module="effects.effects_true",
    ),
    Row(
        "samples-calibrated",
        "Is p(x given z) calibrated?",
        "true attributes of at least 2,000 held-out people's images",
        "continuous: coverage of central 50 and 90 % intervals within 3 points; discrete: calibration slope "
        "0.9 to 1.1, ECE ≤ 0.03; for both, log score no worse than 1.1 × the direct probe's and better than "
        "the marginal's (or equal where the recognizer keeps nothing)",
        module="forecasts.samples_calibrated",
    ),
    Row(
        "recovery-loses-little",
        "Does recovery lose little?",
        "the direct probe of z",
        "information lost ≤ max(5 %, 0.02 nats) for every attribute; rank correlation ≥ 0.95 within the "
        "discrete and within the continuous",
        module="forecasts.recovery_loss",
    ),
    Row(
        "intervals-cover",
        "Do intervals cover?",
        "closed-form worlds of linear Gaussian embeddings, few and many people, unequally many images each; "
        "an interval should hold what the frozen read-out gives over all people",
        "93 to 97 % for every measure; one-sided ≥ 95 % where the truth is zero",
        module="intervals.coverage",
    ),
    Row(
        "nothing-found",
        "Is nothing found where nothing is?",
        "attributes that the embedding holds nothing of",
        "at q 0.05 at most 15 of 200 seeds with any discovery; p-values uniform (Kolmogorov-Smirnov)",
        module="blinded.nothing_found",
    ),
    Row(
        "shortcut-found",
        "Is the planted shortcut found?",
        "a recognizer trained where each identity always or never wears glasses",
        "ranked first in the difference to the clean recognizer, p below 0.01, in ≥ 19 of 20 seeds",
        module="faults.shortcut",
    ),
    Row(
        "group-gap-found",
        "Is a planted gap between groups found?",
        "a recognizer trained with one group starved",
        "≥ 18 of 20; false alarms ≤ 5 % over 1,000 random groupings",
        module="faults.group_gap",
    ),
    Row(
        "correlated-apart",
        "Are correlated attributes told apart?",
        "a population in which hair length and jaw width go together, a recognizer that sees only one "
        "of them",
        "the interventional effect names the right one in ≥ 19 of 20 seeds",
        module="blinded.correlated",
    ),
    Row(
        "attacks",
        "Do decoded images pass for the person?",
        "the recognizer itself, and an independent critic never used in training; τ from real impostors of "
        "the judging network; one sample a z, the first drawn",
        "by the recognizer: type I ≥ 0.99, type II ≥ 0.95 × real; by the critic: both ≥ 0.90 × its own TAR "
        "on real pairs",
        module="attacks.attacks",
    ),
    Row(
        "same-scores",
        "Do the same scores give the same rates?",
        "pyeer and bob.measure on the same score files",
        "FMR and FNMR equal to 1e-9 at shared thresholds, EER inside both tools' bracket",
        module="scores.same_scores",
    ),
    Row(
        "region-attribution",
        "Do attributes name what differs, beside maps of regions?",
        "pairs that differ in one planted attribute; captum's occlusion and integrated gradients, mapped to "
        "regions by the renderer's own masks",
        "ours top-1 ≥ 0.95; theirs beside it",
        module="regions.region_attribution",
    ),
    Row(
        "whose-error",
        "Whose error is it?",
        "the renderer in the generator's place",
        "each of the rows above with it, so that the generator's share of the error is known",
        module="in_place.whose_error",
    ),
)


def row_named(name: str) -> Row:
    """The row of that name.

    Raises:
        ValueError: There is none, or it cannot be measured yet.
    """
    for row in ROWS:
        if row.name == name and row.module:
            return row
    allowed = ", ".join(row.name for row in ROWS if row.module)
    raise ValueError(f"--only: found {name!r}, allowed are {allowed}")
