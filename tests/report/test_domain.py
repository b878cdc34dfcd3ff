"""Sections of the domain: what is there is told, what is not is named where it would have been."""

from pathlib import Path
from types import ModuleType

from attribute_recovery.report.blocks import Absent, Picture, Table, Text
from attribute_recovery.report.domain import (
    data_section,
    declared_attributes,
    generator_section,
    heads_section,
    stands_on,
)
from attribute_recovery.report.results import Results


def test_made_images_are_said_to_be_made(made: ModuleType, experiment: Path) -> None:
    first = data_section(Results(experiment)).blocks[0]
    assert isinstance(first, Text)
    assert first.text.startswith("15,480 images of 1,380 people, 64 × 64 pixels each")
    assert first.text.endswith(": 0. No real person is shown on this page.")
    made.write(experiment / "dataset/report.json", {"source": "folder", "images": 3, "identities": 1})
    other = data_section(Results(experiment)).blocks[0]
    assert isinstance(other, Text)
    assert other.text == "3 images of 1 person, aligned by the eyes. Real people are shown on this page."


def test_folds_are_told(made: ModuleType, experiment: Path) -> None:
    splits = {"test": {"identities": 40, "images": 400}}
    facts = {"source": "folders", "images": 400, "splits": splits}
    made.write(experiment / "dataset/report.json", facts)
    assert any(isinstance(block, Table) for block in data_section(Results(experiment)).blocks)
    made.write(experiment / "dataset/report.json", facts | {"folds": 5})
    first, *others = data_section(Results(experiment)).blocks
    assert isinstance(first, Text)
    assert "cross-fitted in 5 folds by identity" in first.text
    # A table of splits would say that nobody is trained on.
    assert not any(isinstance(block, Table) for block in others)


def test_warnings_of_the_data_are_passed_on(made: ModuleType, experiment: Path) -> None:
    made.write(experiment / "dataset/report.json", {"images": 3, "warnings": ["2 images are copies"]})
    shown = [getattr(block, "items", ()) for block in data_section(Results(experiment)).blocks]
    assert ["2 images are copies."] in shown


def test_attributes_are_read_as_list_or_mapping(made: ModuleType, experiment: Path) -> None:
    path = experiment / "dataset/attributes.json"
    for content in (
        [{"name": "yaw"}],
        {"attributes": [{"name": "yaw"}]},
        {"attributes": {"yaw": {"kind": "continuous"}}},
    ):
        made.write(path, content)
        assert [entry["name"] for entry in declared_attributes(Results(experiment))] == ["yaw"]
    made.write(path, "nonsense")
    assert declared_attributes(Results(experiment)) == []


def test_the_table_of_attributes_stays_when_nothing_was_measured(experiment: Path) -> None:
    (experiment / "attributes/metrics.json").unlink()
    kinds = [type(block) for block in heads_section(Results(experiment)).blocks]
    assert Absent in kinds and Table in kinds and Picture not in kinds


def test_an_encoder_by_way_of_the_recognizer_is_told(made: ModuleType, experiment: Path) -> None:
    metrics = {"generator": {}, "recognizers": {}}

    def first() -> str:
        block = generator_section(Results(experiment), metrics).blocks[0]
        assert isinstance(block, Text)
        return block.text

    assert "Neither the recognizer that is explained" in first()
    made.write(experiment / "generator/card.json", {"network": {"encoder": {"crop_size": 112}}})
    assert "the code of an image is the code of its embedding, w = T(f(x))" in first()
    assert "Neither" not in first()


def test_what_a_figure_stands_on() -> None:
    facts = {"split": "test", "n_identities": 1, "n_images": 2080, "n_genuine_pairs": 12480}
    assert stands_on(facts) == "test, 1 person, 2,080 images"
    assert stands_on(facts, pairs="n_genuine_pairs", images=False) == "test, 1 person, 12,480 pairs"
    assert stands_on({}) == "split not said"
