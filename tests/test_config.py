"""Whatever is wrong with a configuration is said in one sentence; every key is explained and read."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from attribute_recovery.config import (
    Config,
    ConfigError,
    DatasetConfig,
    load_config,
    parse_config,
    read_overlaid,
)

ROOT = Path(__file__).parents[1]
DEFAULT = ROOT / "config/default.yaml"
SHIPPED = [path.name for path in sorted((ROOT / "config").glob("*.yaml"))]
RECOGNIZER = read_overlaid(DEFAULT)["recognizers"]["default"]
YAW = "dataset.world.marginals.yaw"
BEARD = "dataset.world.marginals.beard"
GONE = object()


def changed(key: str, value: Any) -> dict[str, Any]:
    """The default's values with one changed, or taken away."""
    values = copy.deepcopy(read_overlaid(DEFAULT))
    *above, last = key.split(".")
    inner = values
    for part in above:
        inner = inner[part]
    if value is GONE:
        del inner[last]
    else:
        inner[last] = value
    return values


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_is_accepted(name: str) -> None:
    config = load_config(ROOT / "config" / name)
    assert config.experiment == (
        "default" if name == "default.yaml" else name.removesuffix(".yaml").replace("-", "_")
    )


def test_sections_come_back_from_plain_values() -> None:
    """As the workflow hands them to its scripts."""
    config = load_config(DEFAULT)
    dataset = TypeAdapter(DatasetConfig).validate_python(config.dataset.model_dump(mode="json"))
    assert dataset == config.dataset
    assert Config.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("given", "source", "meant"),
    [
        (("auto", "auto"), "world", ("all", "named")),
        (("auto", "auto"), "folders", ("none", "pseudonymous")),
        (("auto", "auto"), None, ("none", "pseudonymous")),
        (("decoded", "auto"), "folders", ("decoded", "pseudonymous")),
        (("auto", "named"), "folders", ("none", "named")),
        (("none", "pseudonymous"), "world", ("none", "pseudonymous")),
    ],
)
def test_what_of_people_is_shown_hangs_on_where_they_come_from(
    given: tuple[str, str], source: str | None, meant: tuple[str, str]
) -> None:
    settings = load_config(DEFAULT).report
    assert (settings.faces, settings.identities) == ("auto", "auto")
    shown = settings.model_copy(update=dict(zip(("faces", "identities"), given, strict=True))).resolved(
        source
    )
    assert (shown.faces, shown.identities) == meant
    assert shown.title == settings.title


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        (
            "seed",
            GONE,
            "seed: found nothing, allowed is a value (every random number of the experiment comes from it)",
        ),
        (
            "sed",
            1,
            "sed: is not known; allowed are attributes, compute, counterfactuals, dataset, decoder, embeddi",
        ),
        ("seed", True, "seed: found True, allowed is an integer"),
        ("seed", "5", "seed: found '5', allowed is an integer"),
        ("seed", 1.5, "seed: found 1.5, allowed is an integer"),
        ("seed", -1, "seed: found -1, allowed is 0 or more"),
        ("seed", None, "seed: found None, allowed is an integer"),
        ("experiment", "My Run", "experiment: found 'My Run', allowed is a name of ^[a-z0-9_]+$"),
        ("compute.device", "gpu", "compute.device: found 'gpu', allowed is 'auto', 'cpu' or 'cuda'"),
        ("compute", [1], "compute: found [1], allowed is a mapping of keys to values"),
        (
            "dataset.source",
            "webface",
            "dataset.source: found 'webface', allowed is 'world' or 'folders' or 'ta",
        ),
        ("dataset.world.image_size", 48, "dataset.world.image_size: found 48, allowed is 32, 64, 128 or 256"),
        (
            "dataset.world.identities.train",
            1,
            "dataset.world.identities.train: found 1, allowed is 2 or more",
        ),
        (
            "dataset.world.identities.recognizer",
            0,
            "dataset.world.identities.recognizer: found 0, allowed is 2 or more where a recognizer has sour",
        ),
        (
            "dataset.world.images_per_identity.recognizer",
            0,
            "dataset.world.images_per_identity.recognizer: found 0, allowed is 1 or more where a recognizer",
        ),
        (
            "dataset.world.correlations",
            {"a": 1},
            "dataset.world.correlations: found a mapping of a, allowed is a list",
        ),
        (
            "dataset.world.correlations",
            [{"attributes": ["a", "b"], "value": 1.0}],
            "dataset.world.correlations.0.value: found 1.0, allowed is less than 1.0",
        ),
        (
            "dataset.world.correlations",
            [{"attributes": ["a"], "value": 0.5}],
            "dataset.world.correlations.0.attributes.1: found nothing, allowed is a value (one of the list'",
        ),
        (
            "dataset.world.correlations",
            [{"atributes": ["a", "b"], "value": 0.5}],
            "dataset.world.correlations.0.atributes: is not known; allowed are attributes, value",
        ),
        (
            YAW,
            3,
            f"{YAW}: found 3, allowed is a mapping with exactly one of the keys normal, uniform and classes",
        ),
        (
            YAW,
            {"normal": [0, 1], "uniform": [0, 1], "identity_share": 0},
            f"{YAW}: found a mapping of normal, uniform, identity_share, allowed is a mapping with exactly",
        ),
        (
            YAW,
            {},
            f"{YAW}: found an empty mapping, allowed is a mapping with exactly one of the keys normal,",
        ),
        (
            YAW,
            {"normal": [0, 1], "range": [-1, 1]},
            f"{YAW}.identity_share: found nothing, allowed is a value (share of the latent variable that be",
        ),
        (
            YAW,
            {"normal": [0, 1], "rnge": [-1, 1], "identity_share": 0},
            f"{YAW}.rnge: is not known; allowed are identity_share, normal, range",
        ),
        (
            YAW,
            {"normal": [0, 1, 2], "range": [-1, 1], "identity_share": 0},
            f"{YAW}.normal: found [0, 1, 2], allowed is a list of at most 2",
        ),
        (
            BEARD + ".classes.on",
            0.4,
            f"{BEARD}: found probabilities that add up to 0.9, allowed are such that add up",
        ),
        (
            "generator.network.decoder_blocks",
            [1, -1],
            "generator.network.decoder_blocks.1: found -1, allowed is 0 or",
        ),
        (
            "recognizers.default",
            GONE,
            "recognizers: found an empty mapping, allowed is a list or mapping of at least 1",
        ),
        (
            "recognizers.default.source",
            "trian",
            "recognizers.default.source: found 'trian', allowed is 'train' or 'weights' or 'onnx' or 'checkp",
        ),
        (
            "recognizers.default.source",
            GONE,
            "recognizers.default: found a mapping of embedding_size, channels, training, threshold, allowed "
            "is a mapping with the key 'source'",
        ),
        ("recognizers.Big", RECOGNIZER, "recognizers.Big: found 'Big', allowed is a name of ^[a-z0-9_]+$"),
        (
            "recognizers.train",
            {**RECOGNIZER, "stps": 3},
            "recognizers.train.stps: is not known; allowed are channels, embedding_size, source, threshold,",
        ),
        (
            "recognizers.default.training.stps",
            3,
            "recognizers.default.training.stps: is not known; allowed are batch_size, learning_rate, margin",
        ),
        (
            "recognizers.mine",
            {"source": "weights", "wights": "a", "threshold": {"fmr": 0.001}},
            "recognizers.mine.wights: is not known; allowed are source, threshold, weights",
        ),
        (
            "recognizers.default.channels",
            [8, 0],
            "recognizers.default.channels.1: found 0, allowed is 1 or more",
        ),
        (
            "recognizers.default.threshold",
            {"fmr": 1.0},
            "recognizers.default.threshold.fmr: found 1.0, allowed is less than 1.0",
        ),
        (
            "recognizers.default.threshold",
            {"fmr": 0.1, "value": 0.4},
            "recognizers.default.threshold: found a mapping of fmr, value, allowed is a mapping with exactly",
        ),
        (
            "recognizers.default.threshold",
            {"value": float("nan")},
            "recognizers.default.threshold.value: found nan, allowed is a finite number",
        ),
        (
            "recognizers.default.threshold",
            {"from": "My Run"},
            "recognizers.default.threshold.from: found 'My Run', allowed is a name of ^[a-z0-9_]+$",
        ),
        (
            "recognizers.default.threshold",
            {"from": "default"},
            "recognizers.default.threshold.from: found 'default', allowed is the name of another experiment",
        ),
        (
            "recognizers.mine",
            {"source": "torchscript", "weights": "a.pt", "trusted": False, "threshold": {"fmr": 0.1}},
            "recognizers.mine.trusted: found False, allowed is true: it runs code of its own with your right",
        ),
        (
            "recognizers.mine",
            {"source": "python", "function": "a:b", "card": "a.json", "threshold": {"fmr": 0.1}},
            "recognizers.mine.trusted: found nothing, allowed is a value (true: you trust this code, which r",
        ),
        (
            "recognizers.mine",
            {
                "source": "python",
                "function": "a.py",
                "card": "a.json",
                "trusted": True,
                "threshold": {"fmr": 0.1},
            },
            "recognizers.mine.function: found 'a.py', allowed is a name of ^[A-Za-z_]",
        ),
        (
            "decoder.learning_rate",
            "1e-3",
            "decoder.learning_rate: found '1e-3' (in YAML a number like this needs a point, as in 1.0e-3),",
        ),
        (
            "decoder.learning_rate",
            float("inf"),
            "decoder.learning_rate: found inf, allowed is a finite number",
        ),
        ("decoder.learning_rate", 0.0, "decoder.learning_rate: found 0.0, allowed is more than 0.0"),
        ("decoder.decoded_share", 1.5, "decoder.decoded_share: found 1.5, allowed is 1.0 or less"),
        (
            "counterfactuals.quantile_range",
            [0.9, 0.1],
            "counterfactuals.quantile_range: found [0.9, 0.1], allowed is a smaller number before a larger",
        ),
        ("tracking.uri", 3, "tracking.uri: found 3, allowed is a text"),
        ("report.faces", "some", "report.faces: found 'some', allowed is 'auto', 'all', 'decoded' or 'none'"),
    ],
)
def test_an_error_is_one_sentence_with_file_key_found_and_allowed(key: str, value: Any, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config(changed(key, value), Path("my.yaml"))
    assert str(raised.value).startswith(f"my.yaml: key {says}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "network", ["decoder_channels", "decoder_blocks", "encoder_channels", "encoder_blocks"]
)
def test_a_generator_that_is_trained_needs_a_stage_for_each_doubling(network: str) -> None:
    values = changed(f"generator.network.{network}", [1, 1, 1])
    parse_config(values, Path("my.yaml"))  # unused by source: shipped
    values["generator"]["source"] = "train"
    with pytest.raises(
        ConfigError, match=rf"key generator\.network\.{network}: found 3 numbers, allowed are 4 for"
    ):
        parse_config(values, Path("my.yaml"))


def test_no_identities_for_training_are_needed_where_nothing_is_trained() -> None:
    values = changed(
        "recognizers", {"mine": {"source": "weights", "weights": "a.safetensors", "threshold": {"fmr": 0.01}}}
    )
    values["dataset"]["world"]["identities"]["recognizer"] = 0
    assert parse_config(values, Path("my.yaml")).dataset.world.identities.recognizer == 0


LEAF = re.compile(r"^( *)([\w-]+):(?: +(?!#)(.+))?$")


def unexplained(text: str) -> list[str]:
    """Keys with a value that no comment explains, directly above or above the run of siblings they are in."""
    explained: dict[int, bool] = {}
    after_comment, found = False, []
    for line in text.splitlines():
        match = LEAF.match(line)
        if line.strip().startswith("#"):
            after_comment = True
            continue
        if match is None:
            explained, after_comment = {}, False
            continue
        indent = len(match[1])
        is_leaf = match[3] is not None
        covered = after_comment or explained.get(indent, False)
        if is_leaf and not covered:
            found.append(match[2])
        explained = {indent: covered and is_leaf}
        after_comment = False
    return found


def test_the_check_of_comments_sees_what_is_missing() -> None:
    text = "# a\na: 1\nb: 2\n\nc: 3\nd:\n  e: 1\n  # f\n  f: 2\n  g: {h: 1}\ni: 1\n"
    assert unexplained(text) == ["c", "e", "i"]


def test_default_yaml_explains_each_key() -> None:
    text = DEFAULT.read_text()
    assert unexplained(text) == []
    assert max(map(len, text.splitlines())) <= 120


def keys_of_sections() -> set[str]:
    """Every key that the sections declare, named entries left out."""
    found = set()
    text = "".join(path.read_text() for path in sorted((ROOT / "src/attribute_recovery").glob("config*.py")))
    for match in re.finditer(r"^    (\w+): .*= Field\(", text, re.MULTILINE):
        found.add(match[1])
    return found


def test_every_key_is_read_somewhere() -> None:
    sources = [ROOT / "Snakefile"]
    for folder in ("src", "rules", "scripts"):
        sources += [path for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".smk"}]
    code = "\n".join(path.read_text() for path in sources if path.exists())
    assert len(keys_of_sections()) > 60
    unread = sorted(
        key for key in keys_of_sections() if not re.search(rf"\.{key}\b|section\(\"{key}\b", code)
    )
    assert not unread, f"keys that no code reads: {', '.join(unread)}"
