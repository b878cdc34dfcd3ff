"""Keys of metrics.json about images and brought heads: key, unit, meaning."""

DATASET = (
    ("source", "name", "where the images come from"),
    ("image_size", "pixels", "side of the crops"),
    ("supersample", "number", "rays a pixel and axis"),
    (
        "renderer",
        "name",
        "which renderer made the images, `compiled` or `plain`; equal to within rounding",
    ),
    ("images", "images", "all images"),
    ("identities", "people", "all people"),
    ("folds", "number", "folds of the cross-fitting; only where there is one"),
    ("splits.<split>.identities", "people", "people in a split"),
    ("splits.<split>.images", "images", "images in a split"),
    ("duplicates.images", "images", "images with the same pixels as an earlier one"),
    ("duplicates.across_splits", "number", "sets of equal images that lie in several splits"),
    (
        "duplicates.examples",
        "list",
        "the first image_ids of equal images; left out where people are pseudonymous",
    ),
    ("warnings", "list", "what to know before trusting the figures"),
)

BROUGHT_HEADS = (
    ("source", "word", "of heads that were brought: onnx or python; else not there, as all below"),
    ("name", "text", "of the heads, from their card"),
    ("licence", "text", "likewise"),
    ("weights_sha256", "digest", "of the file, or of the function's module"),
    ("runs_user_code", "true or false", "whether code that came with the heads ran"),
    ("batch_difference", "relative", "largest difference of outputs between alone and in a batch"),
    ("notes", "list of sentences", "what was noticed when the heads were taken in"),
    ("labelled.<attribute>", "images", "images that have a label of it"),
    ("read.<attribute>", "images", "images in which what the heads read stands for its truth"),
)
