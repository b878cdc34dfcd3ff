"""The page: complete, self-contained, well-formed, equal for equal inputs, plain about what is missing."""

import base64
import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

from attribute_recovery.config import ReportSection
from attribute_recovery.report.page import write_report
from attribute_recovery.report.privacy import KEY_NAME
from attribute_recovery.report.results import EXPECTED, EXPECTED_OF_SEVERAL, Expected

SETTINGS = ReportSection(title="What <it> sees", examples=3, faces="auto", identities="auto")
VOID = {"meta", "img", "br", "hr", "link", "input", "line", "polyline", "circle"}


class Page(HTMLParser):
    """Tags in order, with what is wrong about their nesting."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.sources: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes tag, id and what it refers to."""
        self.tags.add(tag)
        named = dict(attrs)
        self.ids += [named["id"] or ""] if "id" in named else []
        self.links += [named["href"] or ""] if "href" in named else []
        self.sources += [named["src"] or ""] if "src" in named else []
        if tag == "img" and not named.get("alt"):
            self.wrong.append("img without alt")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag that closes itself."""
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        """Must close the tag that was opened last."""
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        """Collects the text."""
        self.text += data


def written(folder: Path, *recognizers: str, **settings: str) -> tuple[Page, str]:
    """The page of an experiment, parsed and as text."""
    page, metrics = folder / "report/index.html", folder / "report/metrics.json"
    write_report(
        SETTINGS.model_copy(update=settings),
        experiment_dir=folder,
        recognizers=recognizers or ("default",),
        page=page,
        metrics=metrics,
    )
    html = page.read_text(encoding="utf-8")
    return Page(html), html


def test_it_is_well_formed_and_needs_nothing_from_outside(experiment: Path) -> None:
    page, html = written(experiment)
    assert page.wrong == [] and page.open == []
    assert len(page.sources) == 11  # two of the domain, nine of the recognizer
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert page.tags.isdisjoint({"script", "link", "iframe", "object"})
    assert not re.search(r"https?://|url\(|@import", html)
    assert len(set(page.ids)) == len(page.ids)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert "<it>" not in html and "What &lt;it&gt; sees" in html
    assert "svg" in page.tags


def test_a_complete_experiment_misses_nothing(experiment: Path) -> None:
    page, _ = written(experiment)
    assert "Not computed" not in page.text and "not computed" not in page.text.replace(
        "no interval computed", ""
    )
    assert "nan" not in re.findall(r"[a-z]+", page.text) and "None" not in page.text


def test_the_figures_are_on_the_page(experiment: Path) -> None:
    page, _ = written(experiment)
    text = " ".join(page.text.split())
    for part in (
        "The recognizer accepts 96.1 % (95 % interval 95.0 to 97.2) of genuine pairs at a false match rate "
        "of 1 in 1,000 (test, 160 people, 12,480 pairs).",
        "τ = 0.412",
        "no false match rate below 3/n = 1 in 2,380 is claimed",
        "(type I)",
        "z holds most of jaw width (1.2 nats)",
        "1.089 (1.059 to 1.119)",
        "Of 200 rightly rejected pairs, 95.5 %",
        "yaw 4.00 → −14.2 degrees, glasses on → off",
        "2,104 false matches, 2 of them explained",
        "Intervals are conditional on the trained networks",
        "not testable",
        "16 reached theirs, 1 did not. Not reached: attribute counterfactuals that flip.",
    ):
        assert part in text, part


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda each: each.path)
def test_each_missing_file_is_named_and_the_rest_is_there(experiment: Path, expected: Expected) -> None:
    path = expected.path.replace("<recognizer>", "default")
    (experiment / path).unlink()
    page, _ = written(experiment)
    assert f"({path} is not there)" in page.text
    assert page.wrong == [] and "Words and symbols" in page.text


def test_an_empty_experiment_says_so_of_everything(tmp_path: Path) -> None:
    page, _ = written(tmp_path, faces="all", identities="named")
    for expected in EXPECTED:
        assert expected.path.replace("<recognizer>", "default") in page.text
    assert "0 reached theirs, 17 not computed" in page.text
    assert "img" not in page.tags and page.wrong == []
    assert "None" not in page.text


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda each: each.path)
def test_a_broken_file_is_no_crash(experiment: Path, expected: Expected) -> None:
    path = expected.path.replace("<recognizer>", "default")
    (experiment / path).write_bytes(b"\x00broken")
    page, _ = written(experiment)
    assert re.search(rf"{re.escape(path)} (cannot be read|is not a PNG)", page.text)


def test_empty_tables_and_metrics_are_no_crash(made: ModuleType, experiment: Path) -> None:
    for path in sorted(experiment.rglob("*.json")):
        made.write(path, {})
    for frame, path in (
        (made.significance_table(), "significance/significance.parquet"),
        (made.representation_table(), "counterfactuals/representation.parquet"),
        (made.attribute_table(), "counterfactuals/attribute.parquet"),
        (made.shapley_table(), "counterfactuals/shapley.parquet"),
    ):
        frame.iloc[:0].to_parquet(experiment / "default" / path)
    page, _ = written(experiment)
    assert page.wrong == [] and "None" not in page.text


def test_equal_inputs_give_equal_bytes_wherever_they_lie(made: ModuleType, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "elsewhere/two"
    made.write_experiment(one)
    shutil.copytree(one, two)
    pages = [written(folder)[1] for folder in (one, two)]
    assert pages[0] == pages[1]
    assert (one / "report/metrics.json").read_bytes() == (two / "report/metrics.json").read_bytes()
    assert str(tmp_path) not in pages[0]


def test_several_recognizers_each_have_their_part(made: ModuleType, tmp_path: Path) -> None:
    made.write_experiment(tmp_path, ("default", "shortcut"))
    page, _ = written(tmp_path, "default", "shortcut")
    assert {"default-recognizer", "shortcut-significance", "comparison-shortcut-default"} <= set(page.ids)
    assert "The recognizer “shortcut”" in page.text
    assert len(set(page.ids)) == len(page.ids)
    assert page.wrong == [] and "Not computed" not in page.text
    for part in ("“shortcut” compared with “default”", "“shortcut” less “default”, attribute by attribute"):
        assert part in page.text
    metrics = json.loads((tmp_path / "report/metrics.json").read_text())
    assert metrics["significance"]["shortcut"]["default"]["tar_at_same_fmr"] == 0.05


@pytest.mark.parametrize("expected", EXPECTED_OF_SEVERAL, ids=lambda each: each.path)
def test_a_missing_comparison_is_named(made: ModuleType, tmp_path: Path, expected: Expected) -> None:
    made.write_experiment(tmp_path, ("default", "shortcut"))
    (tmp_path / expected.path).unlink()
    page, _ = written(tmp_path, "default", "shortcut")
    assert f"Not computed: {expected.what} ({expected.path} is not there)" in page.text
    assert page.wrong == []


def mode(path: Path) -> int:
    """Of a file."""
    return path.stat().st_mode & 0o777


def test_of_the_made_world_all_is_shown(made: ModuleType, experiment: Path) -> None:
    page, html = written(experiment)
    assert len(page.sources) == 11
    assert "No real person is shown" in page.text and "test-0000/000" in html
    assert mode(experiment / "report/index.html") == 0o600
    assert not (experiment / KEY_NAME).exists()


@pytest.mark.parametrize("source", ["folders", None])
def test_of_brought_faces_none_is_shown_and_nobody_named(
    made: ModuleType, experiment: Path, source: str | None
) -> None:
    report = made._dataset_report() | {"source": source}
    report["duplicates"]["examples"] = ["test-0003/001"]
    made.write(experiment / "dataset/report.json", {k: v for k, v in report.items() if v is not None})
    page, html = written(experiment)
    plots = {
        data_uri(experiment / f"default/{path}.png")
        for path in (
            "recovery/reliability",
            "significance/significance",
            "significance/groups",
            "significance/dose_response",
            "counterfactuals/pictures/errors",
        )
    }
    assert set(page.sources) == plots
    assert "No face is shown on this page." in page.text and "have pseudonyms" in page.text
    assert page.wrong == [] and "Not computed" not in page.text
    for text in (html, (experiment / "report/metrics.json").read_text()):
        assert not re.search(r"test-\d{4}", text)
    key = (experiment / KEY_NAME).read_bytes()
    assert mode(experiment / KEY_NAME) == 0o600
    assert key.hex() not in html
    assert written(experiment)[1] == html  # the same key, so the same pseudonyms


def test_decoded_faces_alone_are_shown(experiment: Path) -> None:
    page, _ = written(experiment, faces="decoded")
    shown = set(page.sources)
    assert len(page.sources) == 11
    for path in (
        "generator/reconstructions",
        "default/decoder/samples",
        "default/counterfactuals/pictures/attribute-genuine",
        "default/counterfactuals/pictures/representation-to_match",
        "default/counterfactuals/pictures/errors-false_match",
    ):
        assert data_uri(experiment / f"{path}.png") not in shown
        assert data_uri(experiment / f"{path}-decoded.png") in shown
    assert data_uri(experiment / "default/significance/edits.png") in shown
    assert "test-0000/000" in page.text  # who is shown is another question
    (experiment / "generator/reconstructions-decoded.png").unlink()
    page, _ = written(experiment, faces="decoded")
    missing = "the picture of reconstructions (generator/reconstructions-decoded.png is not there)"
    assert missing in page.text


def test_a_page_without_faces_may_be_read_by_others(experiment: Path) -> None:
    written(experiment, faces="none")
    assert mode(experiment / "report/index.html") == 0o666 & ~current_umask()


def current_umask() -> int:
    """Of this process."""
    before = os.umask(0)
    os.umask(before)
    return before


def data_uri(path: Path) -> str:
    """A picture as the page has it."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def test_nothing_half_written_is_left(experiment: Path) -> None:
    written(experiment)
    assert sorted(path.name for path in (experiment / "report").iterdir()) == ["index.html", "metrics.json"]
    json.loads((experiment / "report/metrics.json").read_text())
