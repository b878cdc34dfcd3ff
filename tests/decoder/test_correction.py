"""Directions that belong to the person, and moves along them."""

import numpy as np
import pytest
import torch

from attribute_recovery.decoder.correction import Correction, person_directions


def population(images: int, mixed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Codes of 300 people: two numbers are the person's, two the image's, in turned axes if `mixed`."""
    rng = np.random.default_rng(0)
    person = np.repeat(rng.standard_normal((300, 2)), images, 0)
    person = person + 0.2 * rng.standard_normal(person.shape)
    codes = np.concatenate([person, rng.standard_normal(person.shape)], 1).astype(np.float32)
    if mixed:
        codes = codes @ MIXING
    return codes, np.repeat(np.arange(300), images).astype(object)


MIXING = np.linalg.qr(np.random.default_rng(1).standard_normal((4, 4)))[0].astype(np.float32)


def test_the_persons_directions_are_found_in_any_axes() -> None:
    plain = person_directions(*population(4))
    assert plain.shape == (2, 4) and plain.dtype == np.float32
    assert np.abs(plain[:, 2:]).max() < 0.1
    turned = person_directions(*population(4, mixed=True)) @ MIXING.T
    assert np.abs(turned[:, 2:]).max() < 0.1
    # each is one standard deviation long
    assert np.linalg.norm(plain, axis=1) == pytest.approx(np.full(2, 1.02), abs=0.1)


def test_moves_leave_all_other_coordinates() -> None:
    codes, people = population(4, mixed=True)
    basis = person_directions(codes, people)
    moved = codes + np.random.default_rng(2).standard_normal((len(codes), 2)).astype(np.float32) @ basis
    change = (moved - codes) @ MIXING.T
    assert np.abs(change[:, :2]).mean() > 0.3 and np.abs(change[:, 2:]).mean() < 0.05


def test_directions_of_people_with_one_image_each_are_all() -> None:
    codes, people = population(1)
    assert person_directions(codes, people).shape == (4, 4)


def test_one_direction_is_left_where_nothing_is_the_persons() -> None:
    rng = np.random.default_rng(3)
    codes = rng.standard_normal((400, 5)).astype(np.float32)
    assert person_directions(codes, np.repeat(np.arange(100), 4).astype(object)).shape == (1, 5)


def test_a_dead_component_and_more_components_than_images_are_no_hindrance() -> None:
    rng = np.random.default_rng(4)
    codes = rng.standard_normal((30, 60)).astype(np.float32)
    codes[:, 7] = 0
    basis = person_directions(codes, np.repeat(np.arange(10), 3).astype(object))
    assert np.isfinite(basis).all() and basis.shape[1] == 60 and np.abs(basis[:, 7]).max() < 1e-5


def test_a_new_correction_moves_nothing_and_a_trained_one_only_along_its_directions() -> None:
    torch.manual_seed(0)
    correction = Correction(4, 3, 2, 8)
    correction.basis.copy_(torch.eye(4)[:2])
    point, z = torch.randn(5, 4), torch.nn.functional.normalize(torch.randn(5, 3), dim=1)
    assert torch.equal(correction(point, z), point)
    torch.nn.init.normal_(correction.out.weight)
    moved = correction(point, z) - point
    assert (moved[:, :2].abs() > 1e-4).any() and not moved[:, 2:].any()
    assert correction.steps(point, z).shape == (5, 2)
