"""Every kind of block has a place of its own in the page's template."""

import dataclasses
import typing
from importlib.resources import files

import pytest

from attribute_recovery.report import blocks

KINDS = typing.get_args(blocks.Block)


def kind_of(block: type) -> str:
    return next(f.default for f in dataclasses.fields(block) if f.name == "kind")


def test_kinds_are_told_apart():
    assert len({kind_of(block) for block in KINDS}) == len(KINDS)


@pytest.mark.parametrize("block", KINDS, ids=kind_of)
def test_the_template_has_a_branch_for_each_kind(block):
    template = files("attribute_recovery.report.templates").joinpath("page.html.j2").read_text()
    assert f'"{kind_of(block)}"' in template or f"'{kind_of(block)}'" in template


def test_the_kind_is_not_for_the_caller_to_choose():
    with pytest.raises(TypeError):
        blocks.Text("a sentence", kind="table")


def test_blocks_cannot_be_changed_once_made():
    with pytest.raises(dataclasses.FrozenInstanceError):
        blocks.Points(["one"]).items = ["two"]
