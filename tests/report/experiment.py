"""A made-up experiment folder: small tables and pictures as the stages write them, with known numbers."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ATTRIBUTES = (
    {
        "name": "jaw_width",
        "family": "shape",
        "kind": "continuous",
        "level": "identity",
        "unit": "of its range",
    },
    {"name": "smile", "family": "expression", "kind": "continuous", "level": "image", "unit": "of full"},
    {"name": "yaw", "family": "pose", "kind": "continuous", "level": "image", "unit": "degrees"},
    {
        "name": "light_azimuth",
        "family": "appearance",
        "kind": "continuous",
        "level": "image",
        "unit": "degrees",
    },
    {"name": "glasses", "family": "appearance", "kind": "binary", "level": "image", "unit": "class"},
    {"name": "hair_style", "family": "appearance", "kind": "categorical", "level": "mixed", "unit": "class"},
)
CONTINUOUS = ("jaw_width", "smile", "yaw", "light_azimuth")
DISCRETE = ("glasses", "hair_style")
CLASSES = {"glasses": ["off", "on"], "hair_style": ["short", "long", "curly"]}
STANDS_ON = {"n_identities": 160, "n_images": 2080, "split": "test"}


def png(red: int) -> bytes:
    """A picture of 2 × 2 equal pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = b"".join(b"\0" + bytes([red, 90, 120] * 2) for _ in range(2))
    head = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def write_experiment(root: Path, recognizers: tuple[str, ...] = ("default",)) -> Path:
    """All files of an experiment below `root`."""
    write(root / "dataset/report.json", _dataset_report())
    write(root / "dataset/attributes.json", [_declared(entry) for entry in ATTRIBUTES])
    write(root / "generator/card.json", {"provenance": "trained by this experiment", "image_size": 64})
    bands = {"band_power_ratio": [1.01, 0.98, 0.91, 0.84, 0.71], "sharpness_ratio": 0.86, "l1": 0.0214}
    write(root / "generator/metrics.json", bands | STANDS_ON)
    picture(root / "generator/reconstructions.png", 10)
    picture(root / "generator/reconstructions-decoded.png", 110)
    write(root / "attributes/metrics.json", _heads())
    for name in recognizers:
        write_recognizer(root / name)
    if len(recognizers) > 1:
        write_comparison(root / "significance", recognizers)
    people = [f"test-{i:04d}" for i in range(40)]
    columns = {"image_id": [f"{each}/{j:03d}" for each in people for j in range(2)]}
    table(
        root / "dataset/images.parquet", columns | {"identity": [each for each in people for _ in range(2)]}
    )
    return root


def write_recognizer(folder: Path) -> None:
    """All files of one recognizer."""
    _write_rates(folder / "recognizer")
    write(folder / "decoder/metrics.json", decoder_metrics())
    picture(folder / "decoder/samples.png", 20)
    picture(folder / "decoder/samples-decoded.png", 120)
    write(folder / "recovery/metrics.json", recovery_metrics())
    table(folder / "recovery/recovered.parquet", {"image_id": ["test-0000/000"], "recovered.yaw.mean": [3.0]})
    picture(folder / "recovery/reliability.png", 30)
    significance_table().to_parquet(_made(folder / "significance/significance.parquet"))
    write(folder / "significance/metrics.json", significance_metrics())
    picture(folder / "significance/significance.png", 40)
    picture(folder / "significance/edits.png", 50)
    contributions_table().to_parquet(_made(folder / "significance/contributions.parquet"))
    groups_table().to_parquet(_made(folder / "significance/groups.parquet"))
    picture(folder / "significance/groups.png", 55)
    doses_table().to_parquet(_made(folder / "significance/dose_response.parquet"))
    picture(folder / "significance/dose_response.png", 57)
    write(folder / "counterfactuals/metrics.json", counterfactual_metrics())
    representation_table().to_parquet(_made(folder / "counterfactuals/representation.parquet"))
    attribute_table().to_parquet(_made(folder / "counterfactuals/attribute.parquet"))
    shapley_table().to_parquet(_made(folder / "counterfactuals/shapley.parquet"))
    picture(folder / "counterfactuals/pictures/errors.png", 80)
    stems = ("representation-to_match", "attribute-genuine", "errors-false_match")
    for number, stem in enumerate(stems):
        picture(folder / f"counterfactuals/pictures/{stem}.png", 60 + number)
        picture(folder / f"counterfactuals/pictures/{stem}-decoded.png", 160 + number)


def write(path: Path, values: Any) -> None:
    """A JSON file; NaN is written as Python does, which JSON has no word for."""
    _made(path).write_text(json.dumps(values))


def table(path: Path, columns: dict[str, list[Any]]) -> None:
    """A Parquet file."""
    pd.DataFrame(columns).to_parquet(_made(path))


def picture(path: Path, red: int) -> None:
    """A PNG file."""
    _made(path).write_bytes(png(red))


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _declared(entry: dict[str, str]) -> dict[str, Any]:
    return entry | {"range": [-42.0, 42.0], "categories": CLASSES.get(entry["name"], []), "dose": 1.0}


def _dataset_report() -> dict[str, Any]:
    described = {
        name: {"unit": "degrees", "splits": {"test": {"mean": 0.0, "sd": 8.0, "low": -40.0, "high": 40.0}}}
        for name in CONTINUOUS
    }
    counts = {
        "recognizer": (600, 7200),
        "train": (500, 5000),
        "calibration": (120, 1200),
        "test": (160, 2080),
    }
    return {
        "source": "world",
        "image_size": 64,
        "supersample": 2,
        "renderer": "compiled",
        "images": 15480,
        "identities": 1380,
        "splits": {name: {"identities": n, "images": m} for name, (n, m) in counts.items()},
        "attributes": described,
        "duplicates": {"images": 0, "across_splits": 0, "examples": []},
        "warnings": [],
    }


def _heads() -> dict[str, Any]:
    r2 = dict(zip(CONTINUOUS, (0.93, 0.97, 0.99, 0.95), strict=True))
    accuracy = dict(zip(DISCRETE, (0.999, 0.93), strict=True))
    medians = {"median_r2": 0.96, "median_balanced_accuracy": 0.9645}
    return medians | {"r2": r2, "balanced_accuracy": accuracy} | STANDS_ON


def rates_metrics() -> dict[str, Any]:
    """metrics.json of the rates."""
    return {
        "tar_at_target_fmr": 0.9612,
        "tar_at_target_fmr_interval": [0.9502, 0.9721],
        "target_fmr": 0.001,
        "used_fmr": 0.001,
        "threshold": 0.4123,
        "fmr_at_threshold": 0.00112,
        "fmr_at_threshold_interval": [0.0006, 0.0018],
        "eer": 0.0121,
        "rank_1": 0.991,
        "rank_1_interval": [0.984, 0.996],
        "genuine_score_mean": 0.71,
        "impostor_score_mean": 0.01,
        "n_genuine_pairs": 12480,
        "n_impostor_pairs": 2149680,
        "n_genuine_pairs_possible": 12480,
        "n_impostor_pairs_possible": 2149680,
    } | STANDS_ON


def threshold_values() -> dict[str, Any]:
    """threshold.json: the fields of `statistics.rates.Threshold`."""
    return {
        "value": 0.4123,
        "requested_fmr": 0.001,
        "fmr": 0.001,
        "achieved_fmr": 0.000998,
        "n_pairs": 714000,
        "n_identity_pairs": 7140,
    }


def protocol_values() -> dict[str, Any]:
    """What the rates say of standard pairs."""
    figures = {"accuracy": 0.98, "standard_error": 0.002, "threshold": 0.31, "why": ""}
    return figures | {"folds": 10, "pairs": 5990, "genuine": 2996, "lost": 10, "trained_on": 0}


def brought_report() -> dict[str, Any]:
    """report.json of brought faces: what the world's has not, names of people among it."""
    faults = {
        "small": {"count": 1, "action": "skip", "examples": ["Ann_Lee/1.jpg: 20 pixels for a crop of 32"]}
    }
    return {
        "source": "lfw",
        "crop": {"template": "as given"},
        "listed": {"images": 13233, "identities": 5749},
        "ignored_files": 1,
        "faults": faults,
        "alignment": {
            "by": "given",
            "spread": 0.02,
            "aligned_spread": 0.04,
            "compared": 500,
            "residual": None,
        }
        | {"several_faces": 0},
        "pairs": {"pairs": 5990, "lost": 10, "genuine": 2996, "folds": 10},
        "duplicates": {"images": 1, "across_splits": 0, "examples": ["Ann_Lee/2.jpg"]},
    }


def _write_rates(folder: Path) -> None:
    card = {
        "name": "residual network",
        "embedding_size": 128,
        "crop_size": 64,
        "precision": "float32",
        "licence": "MIT",
    }
    write(folder / "card.json", card)
    write(folder / "metrics.json", rates_metrics())
    write(folder / "threshold.json", threshold_values())
    fmr = np.logspace(-6, 0, 60)
    table(folder / "det.parquet", {"fmr": fmr.tolist(), "fnmr": (0.002 * fmr**-0.43 - 0.002).tolist()})


def decoder_metrics() -> dict[str, Any]:
    """metrics.json of the decoder."""
    coverage = dict(zip(CONTINUOUS, (0.91, 0.90, 0.884, 0.871), strict=True))
    return {
        "type_1_tar": 0.927,
        "type_1_tar_interval": [0.911, 0.942],
        "type_2_tar": 0.836,
        "type_2_tar_ratio": 0.87,
        "type_2_tar_ratio_interval": [0.846, 0.893],
        "real_tar": 0.961,
        "sample_cosine": 0.778,
        "reconstruction_type_1_tar": 0.999,
        "reconstruction_tar_ratio": 0.986,
        "reconstruction_cosine": 0.909,
        "threshold": 0.4123,
        "samples": 32,
        "coverage_90": coverage,
        "coverage_90_interval": {name: [value - 0.02, value + 0.02] for name, value in coverage.items()},
        "crps_skill": dict(zip(CONTINUOUS, (0.62, 0.11, 0.081, 0.052), strict=True)),
    } | STANDS_ON


def recovery_metrics() -> dict[str, Any]:
    """metrics.json of the recovery."""
    values: dict[str, Any] = {}
    for route, factor in (("decoder", 0.9), ("probe", 1.0)):
        nats = dict(zip(CONTINUOUS, (1.21, 0.12, 0.08, 0.05), strict=True))
        nats |= dict(zip(DISCRETE, (-0.002, 0.31), strict=True))
        nats = {name: factor * value for name, value in nats.items()}
        values[route] = {
            "information": nats,
            "information_interval": {name: [value - 0.03, value + 0.03] for name, value in nats.items()},
            "log_loss": dict.fromkeys(nats, 0.5),
            "theils_u": {name: nats[name] / 0.69 for name in DISCRETE},
            "balanced_accuracy": dict.fromkeys(DISCRETE, 0.7),
            "ece": dict.fromkeys(DISCRETE, 0.02),
            "informational_r2": {name: 1 - float(np.exp(-2 * nats[name])) for name in CONTINUOUS},
            "r2": dict.fromkeys(CONTINUOUS, 0.4),
            "crps_skill": {name: factor * value for name, value in decoder_metrics()["crps_skill"].items()},
            "coverage_90": dict.fromkeys(CONTINUOUS, 0.9),
            "coverage_90_interval": {name: [0.88, 0.92] for name in CONTINUOUS},
        }
    names = [*CONTINUOUS, *DISCRETE]
    values |= {"chosen": dict.fromkeys(names, "probe"), "probe_kind": dict.fromkeys(names, "mlp")}
    return values | {"median_r2": 0.31, "median_balanced_accuracy": 0.7} | STANDS_ON


MEASURES = ("retained_information", "identity_share", "decision_effect")
FLIPS = ("genuine_lost", "genuine_gained", "impostor_gained", "impostor_lost")


def significance_metrics() -> dict[str, Any]:
    """metrics.json of the significance."""
    names = [*CONTINUOUS, *DISCRETE]
    values: dict[str, Any] = {"significant": {measure: ["yaw"] for measure in MEASURES}}
    for measure in MEASURES:
        values |= {f"{measure}{ending}": dict.fromkeys(names, 0.01) for ending in ("", "_p", "_q")}
        values[f"{measure}_interval"] = {name: [0.0, 0.02] for name in names}
    values["flips"] = {name: dict.fromkeys(FLIPS, 0.021) for name in names}
    values["flips_interval"] = {name: {flip: [0.011, 0.034] for flip in FLIPS} for name in names}
    values |= {"achieved_dose": dict.fromkeys(names, 0.9), "cross_talk": dict.fromkeys(names, 0.1)}
    values |= {"reconstruction_distance": 0.092, "reconstruction_distance_interval": [0.089, 0.095]}
    values |= {"threshold": 0.4123, "edited_images": 256, "edited_identities": 128}
    return values | {"placebos": 999, "placebo_images": 64} | STANDS_ON


def significance_table() -> pd.DataFrame:
    """The long table, six attributes in three measures, and the decision effect of yaw by direction."""
    rng = np.random.default_rng(5)
    rows = [
        _measured(measure, name, "", float(rng.uniform(0.05, 0.6)), 0.0005 * (number + 1) ** 3)
        for measure in MEASURES
        for number, name in enumerate((*CONTINUOUS, *DISCRETE))
    ]
    rows += [_measured("decision_effect", "yaw", each, 0.1, 0.3) for each in ("increase", "decrease")]
    return pd.DataFrame(rows)


def _measured(measure: str, name: str, direction: str, estimate: float, p: float) -> dict[str, Any]:
    tested = not (name == "glasses" and measure == "identity_share")
    row: dict[str, Any] = {
        "recognizer": "default",
        "attribute": name,
        "measure": measure,
        "direction": direction,
        "estimate": estimate,
        "low": estimate - 0.04,
        "high": estimate + 0.04,
        "p": p if tested else np.nan,
        "q": min(1.0, 1.5 * p) if tested else np.nan,
        "n_identities": 160,
        "n_images": 2080 if measure != "decision_effect" else 256,
        "split": "test",
        "method": "made up",
    }
    if measure == "retained_information":
        scale = "theils_u" if name in DISCRETE else "informational_r2"
        return row | {
            "nats": estimate,
            "scaled": 0.5,
            "scaled_low": 0.45,
            "scaled_high": 0.55,
            "scale": scale,
            "shift_nats": 0.001,
            "shift_too_much": 0.0,
        }
    if measure == "identity_share":
        iccs = {"icc_recovered": 0.8, "icc_true": 0.9, "icc_permuted": 0.62, "icc_excess": 0.18}
        return row | {"between_nats": 0.7, "within_nats": 0.1, "variance_share": 0.8} | iccs
    talk = {"cross_talk": 0.12, "cross_talk_worst": 0.4, "cross_talk_worst_attribute": "hair_style"}
    talk |= {"cross_talk_too_much": float(name == "glasses")}
    return row | {"placebo_effect": 0.04, "achieved": 0.93, "dose": 8.0} | talk | dict.fromkeys(FLIPS, 0.021)


def contributions_table() -> pd.DataFrame:
    """Decision effects of yaw and glasses by person."""
    people = [f"test-{i:04d}" for i in range(11)]
    keys = {"measure": "decision_effect", "direction": "", "part": "", "n": 2}
    rows = [
        keys | {"attribute": name, "identity": each, "other": each, "total": 2 * scale * (1 + place)}
        for name, scale in (("yaw", 0.01), ("glasses", 0.1))
        for place, each in enumerate(people)
    ]
    return pd.DataFrame(rows)


def groups_table() -> pd.DataFrame:
    """Rates by group: one contrast of each verdict, in FNMR, and one without errors, in FMR."""
    rows = []
    for name, verdict, unlike, effects in (
        ("glasses", "both", "", (0.1, 0.09, 0.11)),
        ("yaw", "observed only", "smile +0.52, hair_style -0.31", (0.05, 0.002, 0.001)),
        ("smile", "interventional only", "", (0.002, 0.002, 0.01)),
        ("hair_style", "opposite", "", (0.03, 0.03, -0.03)),
        ("beard", "not edited", "", (0.001, np.nan, np.nan)),
    ):
        for ending, effect in zip(("", "_matched", "_interventional"), effects, strict=True):
            if ending == "_interventional" and np.isnan(effect):
                continue
            rows.append(
                _grouped(
                    name,
                    f"fnmr_difference{ending}",
                    "high_less_low",
                    effect,
                    q=0.01 if abs(effect) > 0.005 else 0.6,
                )
                | {
                    "unlike": "" if ending == "_interventional" else unlike,
                    "verdict": "" if ending else verdict,
                }
            )
    rows += [_grouped("glasses", "fnmr", group, 0.1, q=np.nan) for group in ("off", "on", "different")]
    rows.append(
        _grouped("glasses", "fmr_difference", "on_less_off", 0.0, q=np.nan) | {"note": "no wrong decision"}
    )
    return pd.DataFrame(rows)


def _grouped(name: str, measure: str, direction: str, effect: float, *, q: float) -> dict[str, Any]:
    row = {"recognizer": "default", "attribute": name, "measure": measure, "direction": direction}
    row |= {"estimate": effect, "low": effect - 0.01, "high": effect + 0.01, "p": q / 2, "q": q}
    row |= {"n_identities": 108, "n_images": 1404, "detectable": 0.02, "contrast": 2.1}
    return row | {"unlike": "", "verdict": "", "note": ""}


def doses_table() -> pd.DataFrame:
    """Doses of yaw; the largest moved something else."""
    return pd.DataFrame(
        [
            {"attribute": "yaw", "dose": dose, "estimate": 0.1 * dose**2, "low": 0.0, "high": 0.5}
            | {"n_images": 30, "cross_talk_too_much": float(dose == 2)}
            for dose in (-1.0, 1.0, 2.0)
        ]
    )


def write_comparison(folder: Path, recognizers: tuple[str, ...]) -> None:
    """All files of the comparison."""
    comparison_frame(recognizers).to_parquet(_made(folder / "comparison.parquet"))
    write(folder / "metrics.json", comparison_metrics(recognizers))
    picture(folder / "comparison.png", 70)


def comparison_frame(recognizers: tuple[str, ...]) -> pd.DataFrame:
    """The long table of differences: yaw and glasses differ in all measures, the rest in none."""
    gaps = {"yaw": 0.2, "glasses": -0.1}
    rows: list[dict[str, Any]] = []
    for place, name in enumerate(recognizers):
        for other in recognizers[:place]:
            keys = {"recognizer": name, "other": other, "direction": "", "n_identities": 160, "split": "test"}
            for measure in (*MEASURES, *FLIPS):
                for attribute in (*CONTINUOUS, *DISCRETE):
                    gap = gaps.get(attribute, 0.0)
                    rows.append(keys | {"attribute": attribute, "measure": measure} | _gap(0.3, gap))
            for direction in ("increase", "decrease"):
                row = {"attribute": "yaw", "measure": "decision_effect", "direction": direction}
                rows.append(keys | row | _gap(0.3, 0.2))
            rows.append(keys | {"attribute": "", "measure": "tar_at_same_fmr"} | _gap(0.9, 0.05))
            rows.append(keys | {"attribute": "", "measure": "fmr_at_same_fmr"} | _gap(0.001, 0.0))
    return pd.DataFrame(rows)


def _gap(other: float, gap: float) -> dict[str, float]:
    p = 0.0005 if gap else 0.6
    ends = {"estimate": gap, "low": gap - 0.04, "high": gap + 0.04, "p": p, "q": 3 * p if gap else 0.9}
    return ends | {"recognizer_estimate": other + gap, "other_estimate": other}


def comparison_metrics(recognizers: tuple[str, ...]) -> dict[str, Any]:
    """metrics.json of the comparison."""
    names, values = [*CONTINUOUS, *DISCRETE], dict[str, Any]()
    for measure in (*MEASURES, *FLIPS):
        values |= {f"{measure}{ending}": dict.fromkeys(names, 0.01) for ending in ("", "_p", "_q")}
        values[f"{measure}_interval"] = {name: [0.0, 0.02] for name in names}
    for rate in ("tar_at_same_fmr", "fmr_at_same_fmr"):
        values |= {rate: 0.05, f"{rate}_interval": [0.01, 0.09], f"{rate}_p": 0.0005, f"{rate}_q": 0.001}
    values["significant"] = {measure: ["yaw", "glasses"] for measure in MEASURES}
    pairs = {
        name: dict.fromkeys(recognizers[:place], values) for place, name in enumerate(recognizers) if place
    }
    return {"fmr": 0.001, "split": "test", **pairs}


def counterfactual_metrics() -> dict[str, Any]:
    """metrics.json of the counterfactuals."""
    return {
        "representation_flip_rate": {"to_match": 0.955, "to_non_match": 0.91},
        "representation_flip_rate_interval": {"to_match": [0.92, 0.98], "to_non_match": [0.865, 0.95]},
        "representation_pairs": {"to_match": 200, "to_non_match": 200},
        "attribute_flip_rate": 0.83,
        "attribute_flip_rate_interval": [0.75, 0.9],
        "attribute_flip_rate_by_kind": {"genuine": 0.9, "impostor": 0.76},
        "attribute_pairs": 100,
        "attributes_changed": 2.4,
        "reconstruction_kept": 0.97,
        "split": "test",
        "travel": 1.45,
        "n_identities": 160,
    } | error_metrics()


ERROR_KINDS = ("false_match", "false_non_match")


def error_metrics() -> dict[str, Any]:
    """What metrics.json has of errors: yaw carries most; in false matches the light carries nothing."""
    shares = dict(zip((*CONTINUOUS, *DISCRETE), (0.21, 0.1, 0.52, 0.004, 0.15, 0.016), strict=True))
    shares["jaw_width"] = -0.03
    differences = dict.fromkeys(shares, 0.2) | {"light_azimuth": 1.3, "yaw": 1.1}
    values: dict[str, Any] = {
        "wrong_pairs": {"false_match": 2104, "false_non_match": 262},
        "explained_pairs": {"false_match": 2, "false_non_match": 1},
        "error_sum_off": 2.2e-16,
        "error_images": 6760,
    }
    by_kind = {"errors_kept": 0.9, "error_gap": 0.213, "error_left": 0.11, "error_reconstruction": -0.024}
    by_kind |= {"error_standard_error": 0.0041, "error_leads": 0.8}
    values |= {name: dict.fromkeys(ERROR_KINDS, value) for name, value in by_kind.items()}
    sizes = {name: abs(0.213 * value) for name, value in shares.items()}
    for name, figures in (("error_share", shares), ("error_value", sizes)):
        values[name] = dict.fromkeys(ERROR_KINDS, figures)
        ends = {each: [value - 0.02, value + 0.03] for each, value in figures.items()}
        values[f"{name}_interval"] = dict.fromkeys(ERROR_KINDS, ends)
    values["error_difference"] = {
        "false_match": differences,
        "false_non_match": differences | {"light_azimuth": 0.1},
    }
    return values


def shapley_table() -> pd.DataFrame:
    """Explained errors, attribute by attribute: two false matches and a false non-match."""
    rows: list[dict[str, Any]] = []
    for pair, kind in enumerate(("false_match", "false_match", "false_non_match")):
        for place, name in enumerate((*CONTINUOUS, *DISCRETE)):
            numbers = {"value": 4.0 + place, "other_value": -14.25, "category": None, "other_category": None}
            classes = {"value": np.nan, "other_value": np.nan, "category": "on", "other_category": "off"}
            rows.append(
                {
                    "pair": pair,
                    "kind": kind,
                    "image_id": f"test-{pair:04d}/000",
                    "other_image_id": f"test-{pair + 1:04d}/001",
                    "score": 0.43,
                    "score_reconstructed": 0.4512,
                    "score_equal": 0.89,
                    "gap": 0.4388,
                    "attribute": name,
                    "unit": "class" if name in DISCRETE else "degrees",
                    **(classes if name in DISCRETE else numbers),
                    "shapley": (0.02, -0.05, 0.31, 0.001, 0.12, 0.0378)[place],
                    "standard_error": 0.004,
                }
            )
    return pd.DataFrame(rows)


def representation_table(n: int = 12) -> pd.DataFrame:
    """Representation counterfactuals, half of them to a match."""
    to_match = np.arange(n) % 2 == 0
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "image_id": [f"test-{i:04d}/000" for i in range(n)],
            "other_image_id": [f"test-{i:04d}/001" for i in range(n)],
            "direction": np.where(to_match, "to_match", "to_non_match"),
            "score": np.where(to_match, 0.1, 0.7) + rng.normal(0, 0.05, n),
            "closed_form": np.full(n, 18.2),
            "travel": np.full(n, 26.4),
            "score_target": np.where(to_match, 0.55, 0.3),
            "score_unmoved": np.where(to_match, 0.12, 0.66),
            "score_after": np.where(to_match, 0.52, 0.31),
            "kept": np.ones(n, bool),
            "flipped": rng.random(n) < 0.8,
            "change.yaw": np.full(n, -16.0),
            "change_se.yaw": np.full(n, 2.0),
            "change.jaw_width": np.full(n, 0.4),
            "change_se.jaw_width": np.full(n, 0.1),
            "change.hair_style.curly": np.full(n, 0.9),
            "change_se.hair_style.curly": np.full(n, 0.05),
        }
    )


def attribute_table(n: int = 12) -> pd.DataFrame:
    """Attribute counterfactuals, half of them genuine."""
    genuine = np.arange(n) % 2 == 0
    changes = [
        {"attribute": "yaw", "from": 4.0, "to": -14.25, "read": -13.0, "unit": "degrees"},
        {"attribute": "glasses", "from": "on", "to": "off", "read": "off", "unit": "class"},
    ]
    return pd.DataFrame(
        {
            "image_id": [f"test-{i:04d}/000" for i in range(n)],
            "other_image_id": [f"test-{i:04d}/001" for i in range(n)],
            "kind": np.where(genuine, "genuine", "impostor"),
            "score": np.where(genuine, 0.7, 0.1) + 0.001 * np.arange(n),
            "score_reconstructed": np.where(genuine, 0.66, 0.12),
            "score_after": np.where(genuine, 0.38, 0.44),
            "kept": np.ones(n, bool),
            "flipped": np.arange(n) % 5 != 0,
            "n_attributes": np.full(n, 2),
            "changes": [json.dumps(changes)] * n,
            "cross_talk": np.full(n, 0.12),
        }
    )
