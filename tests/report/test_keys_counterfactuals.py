"""Keys of the counterfactuals: what the stage writes of errors is among them."""

from types import ModuleType

from attribute_recovery.report.keys_counterfactuals import COUNTERFACTUALS


def test_each_figure_of_errors_has_its_key(made: ModuleType) -> None:
    known = {key.split(".")[0] for key, _, _ in COUNTERFACTUALS}
    written = {name.removesuffix("_interval") for name in made.error_metrics()}
    assert written <= known
    assert {name for name in known if name.startswith(("error", "wrong", "explained"))} == written
