"""The decision effect by person and by dose on the page, and what is marked."""

from pathlib import Path
from types import ModuleType

import pandas as pd

from attribute_recovery.report import effects
from attribute_recovery.report.blocks import Absent, Picture, Table, Text
from attribute_recovery.report.results import Results


def test_people_are_told_by_quantiles_and_never_named(made: ModuleType) -> None:
    table = effects.people_table(made.contributions_table())
    assert table is not None
    assert [row[0].text for row in table.rows] == ["glasses", "yaw"]  # the largest median first
    # Means of eleven people: 0.1, 0.2, ... 1.1.
    assert [cell.text for cell in table.rows[0][1:]] == ["0.600", "0.200", "0.600", "1.00", "5.0", "11"]
    assert "test-" not in str(table)


def test_doses_are_columns_and_too_much_is_marked(made: ModuleType) -> None:
    table = effects.doses_table(made.doses_table())
    assert list(table.header) == ["attribute", "−1.0 sd", "1.0 sd", "2.0 sd"]
    assert [cell.kind for cell in table.rows[0]] == ["name", "plain", "plain", "bad"]
    assert table.rows[0][3].text == "0.40 (0.00 to 0.50)"
    assert table.rows[0][3].note == "30 images, cross-talk"


def test_a_dose_that_no_image_can_take_is_said(made: ModuleType) -> None:
    frame = made.doses_table()
    both = pd.concat([frame, frame[frame["dose"] < 0].assign(attribute="smile")])
    assert [cell.note for cell in effects.doses_table(both).rows[1][2:]] == ["no image can take it"] * 2


def test_marked_edits_are_named(made: ModuleType) -> None:
    frame = made.significance_table()
    effect = frame[frame["measure"] == "decision_effect"]
    text = effects.cross_talk_sentence(effect)
    assert text.endswith("moved another one too: glasses (hair style by 0.40 sd).")
    assert effects.cross_talk_sentence(effect.assign(cross_talk_too_much=0.0)).startswith("No edit moved")
    assert effects.cross_talk_sentence(effect.drop(columns="cross_talk_too_much")) == ""


def test_blocks_are_there_and_what_is_missing_is_said(experiment: Path) -> None:
    kinds = [type(block) for block in effects.effect_blocks(Results(experiment), "default")]
    assert kinds == [Table, Picture, Table]
    folder = experiment / "default/significance"
    (folder / "contributions.parquet").unlink()
    pd.read_parquet(folder / "dose_response.parquet").iloc[:0].to_parquet(folder / "dose_response.parquet")
    first, second = effects.effect_blocks(Results(experiment), "default")
    assert isinstance(first, Absent)
    assert isinstance(second, Text) and "no continuous attribute is edited" in second.text
    (folder / "dose_response.parquet").unlink()
    assert isinstance(effects.effect_blocks(Results(experiment), "default")[1], Absent)
