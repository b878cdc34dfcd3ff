"""Pictures of errors: both faces and their bars, a second time without real faces, and all in one plot."""

from dataclasses import replace
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest

from attribute_recovery.config import CounterfactualsSection
from attribute_recovery.counterfactuals import error_pictures
from attribute_recovery.counterfactuals.error_pictures import BARS, SHOWN_ERRORS, draw_errors
from attribute_recovery.counterfactuals.errors import ExplainedErrors, explain_errors
from attribute_recovery.counterfactuals.material import Material
from attribute_recovery.generator.quality import reconstruct

DEGREES = {"jaw": 40.0, "glasses": 30.0}


@pytest.fixture
def made(world, material) -> Material:  # type: ignore[no-untyped-def]
    """Ten people with and without glasses, which alone rejects them; the real images are G's negatives."""
    attributes = [world.encoded(jaw=0.05 * i - 0.25, glasses=image) for i in range(10) for image in range(2)]
    images = material(np.stack(attributes), [f"p{i // 2}" for i in range(20)], 0.9, **DEGREES)
    return replace(images, images=255 - images.images)


@pytest.fixture
def errors(made: Material, settings: CounterfactualsSection) -> ExplainedErrors:
    found, _, _ = explain_errors(made, settings.model_copy(update={"error_pairs": 16}), 1, 20)
    assert found is not None
    return found


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[matplotlib.figure.Figure, bool]]:
    """Figures by name, and whether they were said to have faces, instead of files."""
    drawn: dict[str, tuple[matplotlib.figure.Figure, bool]] = {}

    def kept(figure: matplotlib.figure.Figure, path: Path, *, faces: bool = False) -> None:
        drawn[path.name] = (figure, faces)

    monkeypatch.setattr(error_pictures, "save_figure", kept)
    return drawn


def faces_of(figure: matplotlib.figure.Figure) -> list[np.ndarray]:
    return [np.asarray(axis.images[0].get_array()) for axis in figure.axes if axis.images]


def test_faces_are_drawn_twice_and_the_second_time_without_real_ones(
    made: Material, errors: ExplainedErrors, figures, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    draw_errors(made, errors, tmp_path)
    stems = ("errors-false_match", "errors-false_non_match")
    assert set(figures) == {f"{stem}{end}.png" for stem in stems for end in ("", "-decoded")} | {"errors.png"}
    for stem in stems:
        real, decoded = (faces_of(figures[f"{stem}{end}.png"][0]) for end in ("", "-decoded"))
        assert len(real) == len(decoded) == 2 * SHOWN_ERRORS
        for one, other in zip(real, decoded, strict=True):
            np.testing.assert_array_equal(one, 255 - other)
        assert figures[f"{stem}.png"][1] and figures[f"{stem}-decoded.png"][1]
    assert not figures["errors.png"][1] and not faces_of(figures["errors.png"][0])


def test_beside_the_faces_stand_the_largest_values_of_that_error(
    made: Material, errors: ExplainedErrors, figures, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    draw_errors(made, errors, tmp_path)
    axes = figures["errors-false_non_match.png"][0].axes
    shown = np.flatnonzero(errors.of_kind("false_non_match"))[[0, -1]]
    for error, row in zip(shown, (axes[:3], axes[-3:]), strict=True):
        first = reconstruct(made.generator, made.codes[errors.drawn.first[[error]]])
        np.testing.assert_array_equal(255 - np.asarray(row[0].images[0].get_array()), first[0])
        widths = [bar.get_width() for bar in row[2].patches]
        expected = sorted(errors.shares.values[error], key=abs, reverse=True)[:BARS]
        np.testing.assert_allclose(widths, expected)
        assert row[2].get_yticklabels()[0].get_text() in ("glasses on → off", "glasses off → on")


def test_the_plot_of_all_has_a_dot_for_each_error_and_their_mean(
    made: Material, errors: ExplainedErrors, figures, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    draw_errors(made, errors, tmp_path)
    left, right = figures["errors.png"][0].axes
    count = int(errors.of_kind("false_match").sum())
    assert left.get_title() == f"{count} false matches" and "false non-matches" in right.get_title()
    dots, means = left.lines[1], left.lines[2]
    assert len(dots.get_xdata()) == count * len(errors.names)
    top = errors.names.index(left.get_yticklabels()[-1].get_text())
    values = errors.shares.values[errors.of_kind("false_match"), top]
    assert means.get_xdata()[-1] == pytest.approx(values.mean())


def test_errors_that_reconstruction_has_mended_are_not_shown(
    made: Material, errors: ExplainedErrors, figures, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    mended = replace(errors.shares, nobody=np.full(len(errors.drawn), -1.0))
    draw_errors(made, replace(errors, shares=mended), tmp_path)
    assert set(figures) == {
        "errors.png",
        "errors-false_non_match.png",
        "errors-false_non_match-decoded.png",
    }


def test_files_of_faces_are_for_their_owner_alone_and_equal_each_time(
    made: Material, errors: ExplainedErrors, tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        draw_errors(made, errors, tmp_path / folder)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) == 5
    for name in files:
        one, other = tmp_path / "a" / name, tmp_path / "b" / name
        assert one.read_bytes() == other.read_bytes() and one.read_bytes().startswith(b"\x89PNG")
        assert (one.stat().st_mode & 0o077 == 0) == (name != "errors.png")
