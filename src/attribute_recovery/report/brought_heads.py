"""What must be said of attribute heads that were brought: whose they are, and what is then called true."""

from attribute_recovery.report import sentences as say
from attribute_recovery.report.results import Results, Values, lookup, whole

SCHEMA, READINGS = "attributes/attributes.json", "attributes/readings.json"


def are_brought(facts: Values) -> bool:
    """Whether the metrics of the stage attributes are those of heads that were brought."""
    return isinstance(facts.get("source"), str)


def schema_path(results: Results) -> str:
    """The file that declares the attributes: the data set's, or that of heads that were brought."""
    return SCHEMA if are_brought(results.json("attributes/metrics.json")) else "dataset/attributes.json"


def distributions(results: Results) -> Values:
    """How each attribute is distributed in each split, by name."""
    brought = are_brought(results.json("attributes/metrics.json"))
    found = lookup(results.json(READINGS if brought else "dataset/report.json"), "attributes")
    return found if isinstance(found, dict) else {}


def heads_sentences(facts: Values) -> list[str]:
    """Where the heads come from, what is true by them, and what was noticed as they were taken in.

    Args:
        facts: metrics of the stage attributes, of heads that were brought.
    """
    digest = str(facts.get("weights_sha256") or "")[:12]
    sentences = [
        f"The heads were brought and not trained here: “{facts.get('name')}” ({facts.get('source')}, licence "
        f"{facts.get('licence')}, sha256 {digest}…).",
        truth_sentence(facts),
    ]
    if facts.get("runs_user_code"):
        sentences.append("They are code that came with them and ran, as the configuration allowed.")
    return sentences + [str(note) for note in facts.get("notes") or []]


def truth_sentence(facts: Values) -> str:
    """What stands for the truth of the attributes."""
    labelled = lookup(facts, "labelled")
    names = list(labelled) if isinstance(labelled, dict) else []
    counts = {name: whole(facts, f"labelled.{name}") or 0 for name in names}
    some = [f"{say.words(name)} ({say.counted(n, 'image', 'images')})" for name, n in counts.items() if n]
    if not some:
        return (
            "No image has a label: what is called true of an attribute on this page is what these heads read "
            "in the image, and their errors are in every figure about attributes."
        )
    return (
        f"Labels are there of {say.listed(some)}. Everywhere else what is called true of an attribute on "
        "this page is what these heads read in the image, and their errors are in the figures about them."
    )
