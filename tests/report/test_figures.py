"""Figures: equal data gives equal bytes, nothing stays open, and rows that do not fit are refused."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib import image as pictures
from matplotlib import pyplot as plt

from attribute_recovery.report.figures import decoded_name, new_figure, save_figure, save_image_grid


@pytest.fixture
def images() -> npt.NDArray[np.uint8]:
    """Three flat images, red, green and blue."""
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    return colours[:, None, None] * np.ones((1, 8, 8, 1), np.uint8)


def shares(path: Path) -> list[float]:
    """How much of a picture is red, green and blue."""
    pixels = pictures.imread(path)[..., :3].round().reshape(-1, 3)
    return [float((pixels == colour).all(1).mean()) for colour in np.eye(3)]


def test_axes_are_in_the_houses_style_and_shape() -> None:
    figure, axis = new_figure(3.0, 2.0)
    assert figure.get_size_inches().tolist() == [3.0, 2.0]
    assert not axis.spines["top"].get_visible()
    plt.close(figure)
    figure, axes = new_figure(3.0, 2.0, 2, 3)
    assert axes.shape == (2, 3)
    plt.close(figure)


def test_equal_data_gives_equal_bytes_and_nothing_stays_open(tmp_path: Path) -> None:
    before = plt.get_fignums()
    for name in ("once.png", "again.png"):
        figure, axis = new_figure(3.0, 2.0)
        axis.plot([1, 2, 3])
        save_figure(figure, tmp_path / name)
    assert (tmp_path / "once.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    assert plt.get_fignums() == before


def test_every_image_is_in_the_grid(tmp_path: Path, images: npt.NDArray[np.uint8]) -> None:
    path = tmp_path / "grid.png"
    save_image_grid([images, images[::-1]], path, row_titles=["a", "b"])
    found = shares(path)
    assert min(found) > 0.08 and max(found) < 1.1 * min(found)
    save_image_grid([images[:1]], path, row_titles=["a"], title="t", column_titles=["c"], scale=2.0)
    found = shares(path)
    assert found[0] > 0.2 and max(found[1:]) < 1e-3


def test_faces_are_their_owners_and_plots_are_as_usual(tmp_path: Path, images: npt.NDArray[np.uint8]) -> None:
    (tmp_path / "usual").touch()
    save_image_grid([images], tmp_path / "grid.png", row_titles=["a"])
    for faces in (True, False):
        save_figure(new_figure(2.0, 2.0)[0], tmp_path / f"{faces}.png", faces=faces)
    modes = {path.stem: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes["grid"] == modes["True"] == 0o600
    assert modes["False"] == modes["usual"]
    assert decoded_name("a/b.png") == "a/b-decoded.png"


def test_a_larger_scale_makes_a_larger_picture(tmp_path: Path, images: npt.NDArray[np.uint8]) -> None:
    sizes = []
    for scale in (1.0, 2.0):
        save_image_grid([images], tmp_path / "grid.png", row_titles=["a"], scale=scale)
        sizes.append(pictures.imread(tmp_path / "grid.png").shape[1])
    assert sizes[1] - sizes[0] == pytest.approx(3 * 140, abs=2)


def test_rows_and_names_that_do_not_fit_are_refused(tmp_path: Path, images: npt.NDArray[np.uint8]) -> None:
    path = tmp_path / "grid.png"
    with pytest.raises(
        ValueError, match=r"^rows: found lengths \[3, 2\] and 2 names; all have as many images"
    ):
        save_image_grid([images, images[:2]], path, row_titles=["a", "b"])
    with pytest.raises(ValueError, match=r"^rows: found lengths \[3\] and 2 names"):
        save_image_grid([images], path, row_titles=["a", "b"])
    for nothing in ([], [images[:0]]):
        with pytest.raises(ValueError, match="^rows: found lengths"):
            save_image_grid(nothing, path, row_titles=["a"] * len(nothing))
    with pytest.raises(ValueError, match="^column_titles: found 2 for 3 columns$"):
        save_image_grid([images], path, row_titles=["a"], column_titles=["1", "2"])
    assert not path.exists()
