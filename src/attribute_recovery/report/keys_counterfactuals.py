"""Keys of metrics.json that the stage `counterfactuals` writes: name, unit, meaning."""

COUNTERFACTUALS = (
    (
        "representation_flip_rate.<direction>",
        "share",
        "attempted pairs whose decision flips after moving z, decoding, and embedding again, where the "
        "unmoved decode keeps it; `to_match` or `to_non_match`",
    ),
    (
        "representation_flip_rate_geodesic.<direction>",
        "share",
        "the same for z moved straight along the geodesic, before any pair was steered",
    ),
    (
        "representation_flip_samples.<direction>",
        "share",
        "decoded samples of the moved z that have the other decision, over all pairs and samples; only the "
        "first sample of each pair was looked at when it was moved",
    ),
    ("representation_pairs.<direction>", "pairs", "pairs attempted"),
    (
        "attribute_flip_rate",
        "share",
        "attempted pairs whose decision flips by changing attributes, where the unedited reconstruction "
        "keeps it",
    ),
    (
        "attribute_flip_rate_by_kind.<kind>",
        "share",
        "the same for genuine accepted and impostor rejected pairs",
    ),
    ("attribute_pairs", "pairs", "pairs attempted, half genuine and half impostor"),
    ("attributes_changed", "number", "attributes changed on average where it succeeded"),
    ("reconstruction_kept", "share", "pairs whose unedited reconstruction keeps the decision"),
    ("travel", "ratio", "travel on the sphere over that of the closed form"),
    ("wrong_pairs.<kind>", "pairs", "pairs that are decided wrongly"),
    ("explained_pairs.<kind>", "pairs", "those drawn from them by seed whose similarity gap was shared out"),
    (
        "errors_kept.<kind>",
        "share",
        "explained errors whose reconstructions G(E(x)) are decided wrongly too",
    ),
    (
        "error_gap.<kind>",
        "cosine",
        "mean of what making the attributes that take part equal to the other image's adds to the score of "
        "the reconstructions: the sum of the Shapley values",
    ),
    (
        "error_left.<kind>",
        "cosine",
        "mean of what is left to 1 where all attributes that take part are equal; what the others carry too",
    ),
    (
        "error_reconstruction.<kind>",
        "cosine",
        "mean score of the reconstructions less that of the real images: what no attribute explains",
    ),
    ("error_sum_off", "cosine", "largest difference between the sum of a pair's values and its gap"),
    (
        "error_standard_error.<kind>",
        "cosine",
        "median over pairs of the standard error of the largest value, from the drawing of orders",
    ),
    (
        "error_leads.<kind>",
        "share",
        "pairs whose largest value exceeds the second by more than drawing explains (one-sided, 5 %)",
    ),
    ("error_images", "images", "edited images that were decoded and embedded for these values"),
    (
        "error_value.<kind>.<attribute>",
        "cosine",
        "mean over pairs of the magnitude of the attribute's Shapley value",
    ),
    (
        "error_share.<kind>.<attribute>",
        "share",
        "sum over pairs of the attribute's values over that of the gaps; negative where making it equal "
        "lowers the score, null where values cancel to less than a tenth of their magnitudes",
    ),
    (
        "error_difference.<kind>.<attribute>",
        "sd",
        "how far the images of a pair differ in the attribute, mean; of classes the share that differs",
    ),
)
