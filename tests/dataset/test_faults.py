"""Faults are counted, named, and left out, kept or fatal as the settings say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attribute_recovery.config_faces import FAULTS
from attribute_recovery.dataset.faults import WORDS, Faults

Settings = Callable[..., Any]


def test_faults_are_counted_with_examples(settings_of: Settings) -> None:
    actions = {"all": "skip", "duplicate": "keep"}
    faults = Faults(settings_of("folders", Path("x"), on_fault=actions))
    assert faults.note("unreadable", [f"{i}.png: cut short" for i in range(12)])
    assert not faults.note("duplicate", ["a: as b"])
    assert faults.note("small", [])
    report = faults.report()
    assert report["unreadable"]["count"] == 12 and report["unreadable"]["action"] == "skip"
    assert report["unreadable"]["examples"] == [f"{i}.png: cut short" for i in range(10)]
    assert report["small"] == {"count": 0, "action": "skip", "examples": []}
    assert faults.warnings() == [
        "12 images cannot be read: left out",
        "1 images have the same pixels as another: kept",
    ]


def test_a_fault_that_is_fatal_names_count_and_examples(settings_of: Settings) -> None:
    faults = Faults(settings_of("folders", Path("x"), on_fault={"all": "skip", "small": "fail"}))
    faults.note("small", [])
    with pytest.raises(
        ValueError,
        match=r"^dataset: 4 images have fewer pixels than their crop \(a; b; c; and 1 more\), and "
        r"dataset\.on_fault says fail for small$",
    ):
        faults.note("small", ["a", "b", "c", "d"])


def test_every_kind_has_words() -> None:
    assert set(WORDS) == set(FAULTS)
