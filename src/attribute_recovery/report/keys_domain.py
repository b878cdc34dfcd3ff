"""Keys of metrics.json about images, their standard pairs, and brought heads: key, unit, meaning."""

# Key below `dataset`, unit, meaning.
DATASET: tuple[tuple[str, str, str], ...] = (
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
    ("crop.template", "name", "how faces lie in the crops: `world`, `arcface` or `as given`"),
    ("crop.points", "list", "where the five landmarks lie, x and y from the corner in units of the side"),
    ("crop.eye_level", "share", "the eyes' distance from the crop's top, over its side"),
    ("crop.eye_span", "share", "distance between the eyes, over the crop's side"),
    ("listed.images", "images", "images that brought faces' source lists"),
    ("listed.identities", "people", "people that it lists"),
    ("ignored_files", "files", "files of the source that are no images"),
    ("faults.<fault>.count", "number", "what has the fault, see docs/dataset.md"),
    ("faults.<fault>.action", "name", "`skip`, `fail` or `keep`"),
    (
        "faults.<fault>.examples",
        "list",
        "the first that have it; left out where people are pseudonymous",
    ),
    ("alignment.by", "name", "`landmarks`, `detector` or `given`"),
    ("alignment.spread", "share", "how far crops lie apart, judged by their edges, over the side"),
    ("alignment.aligned_spread", "share", "above which crops do not look aligned"),
    ("alignment.compared", "images", "crops that were judged"),
    ("alignment.residual", "share", "median distance of landmarks from the template, over the side"),
    ("alignment.several_faces", "images", "images with several faces, of which one was taken"),
    ("pairs.pairs", "pairs", "standard pairs that came with the images and have both in the data"),
    ("pairs.lost", "pairs", "standard pairs of which an image is not in the data"),
    ("pairs.genuine", "pairs", "genuine pairs among the first"),
    ("pairs.folds", "number", "folds that these lie in"),
    ("warnings", "list", "what to know before trusting the figures"),
)

# Key below a recognizer's rates, unit, meaning.
PROTOCOL: tuple[tuple[str, str, str], ...] = (
    (
        "protocol.accuracy",
        "share",
        "standard pairs told right, mean over the folds, each at the threshold that is best on the others; "
        "null where it cannot be computed",
    ),
    ("protocol.standard_error", "share", "the folds' standard deviation over the root of their number"),
    ("protocol.threshold", "cosine", "mean of the folds' thresholds"),
    ("protocol.folds", "number", "folds that the accuracy stands on"),
    ("protocol.pairs", "pairs", "pairs that it stands on, of all splits"),
    ("protocol.genuine", "pairs", "genuine ones among them"),
    ("protocol.lost", "pairs", "standard pairs of which an image is not in the data"),
    ("protocol.trained_on", "pairs", "pairs left out, since the recognizer was trained on somebody in them"),
    ("protocol.why", "sentence", "what kept the accuracy from being computed; empty where nothing did"),
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
