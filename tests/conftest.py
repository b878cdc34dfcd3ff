"""The order in which files are tested."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole runs first, which take longest: where each process takes a file at a time, none is left with one
    of them when the others have ended."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)
