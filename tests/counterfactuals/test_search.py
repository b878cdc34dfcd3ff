"""The search in a world where one attribute, or a known few, drive the score: it must find exactly those."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attribute_recovery.counterfactuals.search import BISECTIONS, SHORT_LIST, Found, Pairs, Search
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema

TAU = math.cos(math.radians(30))  # matches differ by at most 30°


@pytest.fixture
def run(world) -> Callable[..., tuple[Found, Search]]:
    """Function (current (n, 8), others (n, 8), to_match, angle) -> what was found."""

    def found(current, others, to_match, angle, *, editor=None, max_attributes=4):  # type: ignore[no-untyped-def]
        search = Search(
            editor or world.StubEditor(),
            world.StubGenerator(),
            world.StubRecognizer(angle),
            TAU,
            max_attributes,
        )
        current, others = np.stack(current), np.stack(others)
        radians = torch.deg2rad(angle(torch.from_numpy(others)))
        embeddings = torch.stack([radians.cos(), radians.sin()], 1).numpy()
        pairs = Pairs(current.copy(), current, others, embeddings, np.array(to_match))
        return search.run(pairs), search

    return found


def column(found: Found, world, row: int, name: str) -> float:
    return float(found.wanted[row, world.schema.slices[name]][0])


def unchanged(found: Found, world, row: int, current: np.ndarray) -> set[str]:
    """Names of attributes whose columns stayed as they were."""
    same = found.wanted[row] == current
    return {name for name, place in world.schema.slices.items() if same[place].all()}


def test_towards_a_match_exactly_the_driving_attribute_takes_the_others_value(run, world) -> None:
    current = world.encoded(jaw=-0.8, nose=0.4, glasses=1)
    other = world.encoded(jaw=0.5, nose=-0.3, hair=2)
    found, _ = run([current], [other], [True], world.linear(jaw=90))
    assert found.flips.tolist() == [True]
    assert found.changed == [["jaw"]]
    assert unchanged(found, world, 0, current) == set(world.schema.names) - {"jaw"}
    # 30° are 1/3 of the jaw, so the smallest change ends at 0.5 − 1/3; it is found to a 32nd of the way.
    assert 0.5 - 1 / 3 <= column(found, world, 0, "jaw") <= 0.5 - 1 / 3 + 1.3 / 2**BISECTIONS
    assert found.scores[0] >= TAU


def test_towards_a_non_match_it_goes_to_the_farther_end_and_back_to_the_edge(run, world) -> None:
    current, other = world.encoded(nose=0.1), world.encoded(nose=-0.05)
    found, _ = run([current], [other], [False], world.linear(nose=90))
    assert found.flips.tolist() == [True]
    assert found.changed == [["nose"]]
    assert found.scores[0] < TAU
    edge = 1 / 3 - 0.05
    assert edge < column(found, world, 0, "nose") <= edge + 0.8 / 2**BISECTIONS
    assert (found.codes == found.wanted).all()  # in this world codes are attributes


@pytest.mark.parametrize("to_match", [True, False])
def test_the_driving_class_is_found_and_not_shrunk(run, world, to_match: bool) -> None:
    current = world.encoded(hair=0, jaw=0.3)
    others = world.encoded(hair=1, jaw=-0.2) if to_match else world.encoded(hair=0)
    found, _ = run([current], [others], [to_match], world.linear(short=0, long=80, curly=10))
    assert found.flips.tolist() == [True]
    assert found.changed == [["hair"]]
    assert found.wanted[0].tolist() == pytest.approx(world.encoded(hair=1, jaw=0.3).tolist())


@pytest.mark.parametrize("to_match", [True, False])
def test_the_driving_switch_is_turned(run, world, to_match: bool) -> None:
    current, other = world.encoded(glasses=1), world.encoded(glasses=0 if to_match else 1)
    found, _ = run([current], [other], [to_match], world.linear(glasses=100, jaw=1))
    assert found.flips.tolist() == [True]
    assert found.changed == [["glasses"]]
    assert column(found, world, 0, "glasses") == 0


def test_as_many_attributes_as_are_needed_and_no_more(run, world) -> None:
    current = world.encoded(jaw=-0.5, nose=-0.5, brow=-0.5, glasses=0)
    other = world.encoded(jaw=0.5, nose=0.5, brow=0.5, glasses=1)
    angle = world.linear(jaw=40, nose=30, brow=20, glasses=1)  # 91° apart; jaw and nose make it 21°
    found, _ = run([current], [other], [True], angle)
    assert found.flips.tolist() == [True]
    assert found.changed == [["jaw", "nose"]]


def test_a_change_that_later_ones_make_superfluous_is_taken_back(run, world) -> None:
    """Nose and brow together do what neither does alone: the jaw, which comes first, is not needed then."""

    def angle(attributes: torch.Tensor) -> torch.Tensor:
        jaw, nose, brow = attributes[:, 0], attributes[:, 1], attributes[:, 2]
        return 97 - 30 * jaw - 20 * nose - 20 * brow - 40 * nose * brow

    start, goal = world.encoded(), world.encoded(jaw=0.9, nose=0.9, brow=0.9)
    search = Search(world.StubEditor(), world.StubGenerator(), world.StubRecognizer(angle), TAU, 4)
    pairs = Pairs(
        start[None].copy(), start[None], goal[None], np.array([[1, 0]], np.float32), np.array([True])
    )
    found = search.run(pairs)
    assert found.flips.tolist() == [True]
    assert sorted(found.changed[0]) == ["brow", "nose"]
    assert column(found, world, 0, "jaw") == 0
    assert angle(torch.from_numpy(found.codes))[0] <= 30


def test_no_more_attributes_than_allowed_and_then_no_flip(run, world) -> None:
    current = world.encoded(jaw=-0.5, nose=-0.5, brow=-0.5)
    other = world.encoded(jaw=0.5, nose=0.5, brow=0.5)
    angle = world.linear(jaw=40, nose=40, brow=40)
    found, _ = run([current], [other], [True], angle, max_attributes=2)
    assert found.flips.tolist() == [False]
    assert len(found.changed[0]) == 2
    assert run([current], [other], [True], angle, max_attributes=3)[0].flips.tolist() == [True]


def test_what_may_not_be_edited_is_left_alone(run, world) -> None:
    current, other = world.encoded(age=-0.8, jaw=0.2), world.encoded(age=0.8)
    found, search = run([current], [other], [True], world.linear(age=90))
    assert found.flips.tolist() == [False]
    assert found.changed == [[]]
    for before, wanted in search.editor.asked:
        assert torch.equal(before[:, 7], wanted[:, 7])


def test_pairs_do_not_disturb_each_other(run, world) -> None:
    rows = [
        (world.encoded(jaw=-0.8), world.encoded(jaw=0.5), True),
        (world.encoded(jaw=0.1, hair=1), world.encoded(jaw=0.0, hair=1), False),
        (world.encoded(jaw=0.0), world.encoded(jaw=0.9, glasses=1), True),
        (world.encoded(age=-0.9), world.encoded(age=0.9, jaw=-0.1), True),
    ]
    angle = world.linear(jaw=90, age=90)
    together, _ = run(*map(list, zip(*rows, strict=True)), angle)
    for i, row in enumerate(rows):
        alone, _ = run(*([value] for value in row), angle)
        assert together.changed[i] == alone.changed[0]
        assert together.flips[i] == alone.flips[0]
        np.testing.assert_allclose(together.wanted[i], alone.wanted[0], atol=1e-6)
    assert together.flips.tolist() == [True, True, True, False]


def test_a_pair_whose_reconstruction_has_the_wanted_decision_is_left_as_it_is(run, world) -> None:
    current = world.encoded(jaw=0.1)
    found, _ = run(
        [current, current],
        [world.encoded(jaw=0.2), world.encoded(jaw=0.9)],
        [True, False],
        world.linear(jaw=90),
    )
    assert found.changed == [[], []]
    assert found.flips.tolist() == [True, True]
    assert (found.codes == current).all()


@pytest.mark.parametrize("to_match", [True, False])
def test_an_image_that_cannot_be_embedded_never_counts(world, to_match: bool) -> None:
    """A score that is not a number is not at or above any τ; it must not be chosen nor count as a flip."""

    def angle(attributes: torch.Tensor) -> torch.Tensor:
        return torch.where(attributes[:, 1] != 0, torch.nan, 10 * attributes[:, 0])

    current, other = world.encoded()[None], world.encoded(jaw=0.9, nose=0.5)[None]
    search = Search(world.StubEditor(), world.StubGenerator(), world.StubRecognizer(angle), TAU, 4)
    embeddings = world.at(90 if to_match else 0)
    found = search.run(Pairs(current.copy(), current, other, embeddings, np.array([to_match])))
    assert found.flips.tolist() == [False]
    assert found.changed == [["jaw"]]  # what could be embedded was tried
    assert np.isfinite(found.scores).all()


def test_a_change_is_not_taken_back_where_the_image_without_it_cannot_be_embedded(world) -> None:
    def angle(attributes: torch.Tensor) -> torch.Tensor:
        jaw, nose = attributes[:, 0], attributes[:, 1]
        return torch.where((jaw != 0) & (nose == 0), torch.nan, 20 * (jaw + nose))

    current = world.encoded()[None]
    search = Search(world.StubEditor(), world.StubGenerator(), world.StubRecognizer(angle), TAU, 4)
    found = search.run(Pairs(current.copy(), current, current, world.at(0), np.array([False])))
    assert found.flips.tolist() == [True]
    assert found.changed == [["nose", "jaw"]]


def test_changes_stay_inside_the_observed_range(run, world) -> None:
    """A reading outside the range: on the way to the other end, the smallest change is outside too."""
    low, high = world.range
    current = world.encoded(jaw=1.5)
    found, _ = run([current], [world.encoded(jaw=1.5)], [False], world.linear(jaw=60))
    assert found.flips.tolist() == [True]
    assert low <= column(found, world, 0, "jaw") <= high
    far = world.encoded(jaw=-1.4)
    found, _ = run([world.encoded(jaw=0.5)], [far], [True], world.linear(jaw=30))
    assert found.flips.tolist() == [True]
    assert low <= column(found, world, 0, "jaw") <= high


def test_an_attribute_of_a_small_unit_counts_as_changed(run, world) -> None:
    """Differences are measured in standard deviations: 0.0009 is much where that is 0.0003."""
    editor = world.StubEditor()
    editor.scales[0] = 3e-4
    current, other = world.encoded(jaw=0.0), world.encoded(jaw=9e-4)
    found, _ = run([current], [other], [True], world.linear(jaw=1e5), editor=editor)
    assert found.changed == [["jaw"]]
    same = world.encoded(jaw=2e-7)
    _, search = run([current], [same], [True], world.linear(brow=1), editor=world.StubEditor())
    assert all(torch.equal(before, wanted) for before, wanted in search.editor.asked)


def test_nobody_to_explain(world) -> None:
    search = Search(world.StubEditor(), world.StubGenerator(), world.StubRecognizer(world.linear()), TAU, 3)
    nothing = np.zeros((0, 8), np.float32)
    found = search.run(Pairs(nothing, nothing, nothing, np.zeros((0, 2), np.float32), np.zeros(0, bool)))
    assert len(found.flips) == len(found.changed) == 0


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**31), to_match=st.booleans())
@example(seed=8, to_match=True)  # a change made up for another one's excess, which the shrinking takes away
def test_every_flip_is_real_and_every_change_is_needed(world, seed: int, to_match: bool) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.uniform(-60, 60, 8).tolist()
    angle = world.linear(
        **dict(zip(("jaw", "nose", "brow", "glasses", "short", "long", "curly", "age"), weights, strict=True))
    )
    recognizer, generator = world.StubRecognizer(angle), world.StubGenerator()
    current, others = (
        np.stack(
            [world.encoded(int(rng.integers(3)), jaw=a, nose=b, brow=c, glasses=d) for a, b, c, d in rows]
        )
        for rows in np.concatenate([rng.uniform(-0.9, 0.9, (2, 6, 3)), rng.integers(2, size=(2, 6, 1))], 2)
    )
    embedded = recognizer.embed(generator.decode(torch.from_numpy(others))).numpy()
    pairs = Pairs(current.copy(), current, others, embedded, np.full(6, to_match))
    search = Search(world.StubEditor(), generator, recognizer, TAU, 4)
    found = search.run(pairs)
    again = (recognizer.embed(generator.decode(torch.from_numpy(found.codes))).numpy() * embedded).sum(1)
    np.testing.assert_allclose(found.scores, again, atol=1e-6)
    assert (found.flips == ((again >= TAU) == to_match)).all()
    for row in range(6):
        differing = {
            name
            for name, place in world.schema.slices.items()
            if (found.wanted[row, place] != current[row, place]).any()
        }
        assert differing == set(found.changed[row])
        assert len(found.changed[row]) == len(differing) <= 4
        if to_match:
            for name in found.changed[row]:
                place = world.schema.slices[name]
                between = np.sort([current[row, place], others[row, place]], axis=0)
                assert (between[0] - 1e-6 <= found.wanted[row, place]).all()
                assert (found.wanted[row, place] <= between[1] + 1e-6).all()
        if found.flips[row] and len(differing) == 1:
            continue
        for name in found.changed[row] if found.flips[row] else []:
            without = found.codes[row].copy()
            place = world.schema.slices[name]
            without[place] = current[row, place]
            score = float(
                (
                    recognizer.embed(generator.decode(torch.from_numpy(without[None]))).numpy()
                    * embedded[row]
                ).sum()
            )
            assert (score >= TAU) != to_match or abs(score - TAU) < 1e-5


@pytest.mark.parametrize("to_match", [True, False])
def test_the_worst_case_decodes_no_more_images_than_is_said(world, to_match: bool) -> None:
    """Twenty attributes that each help a little and never enough: all rounds are used."""
    n_attributes, n, rounds = 20, 5, 12
    schema = AttributeSchema(
        tuple(Attribute(f"a{i}", "shape", "continuous", "identity", "") for i in range(n_attributes))
    )
    editor = world.StubEditor(
        schema,
        torch.ones(20),
        torch.zeros(20),
        dict.fromkeys(schema.names, -0.5),
        dict.fromkeys(schema.names, 0.5),
    )
    generator = world.StubGenerator()
    recognizer = world.StubRecognizer(lambda attributes: attributes.sum(1))

    class Wide(type(recognizer)):  # type: ignore[misc]
        def embed(self, images: torch.Tensor) -> torch.Tensor:
            radians = torch.deg2rad(images.reshape(len(images), -1)[:, :20].sum(1))
            return torch.stack([radians.cos(), radians.sin()], 1)

    current = np.zeros((n, 20), np.float32)
    degrees = 80 if to_match else 2
    other = np.repeat(world.at(degrees), n, 0)
    pairs = Pairs(current.copy(), current, np.full((n, 20), 0.5, np.float32), other, np.full(n, to_match))
    found = Search(editor, generator, Wide(recognizer.angle), TAU, rounds).run(pairs)
    assert not found.flips.any()
    assert [len(names) for names in found.changed] == [rounds] * n
    options = n_attributes if to_match else 2 * n_attributes
    assert generator.decoded <= n * (options + SHORT_LIST * (rounds - 1) + 2)


def test_a_pair_that_nothing_helps_is_left_as_it_is(run, world) -> None:
    """No change moves the score: what was tried on the way is no explanation."""
    current, other = world.encoded(jaw=0.1), world.encoded(jaw=-0.5, glasses=1, hair=2)
    found, search = run([current], [other], [False], world.linear(), max_attributes=50)
    assert found.flips.tolist() == [False]
    assert found.changed == [[]]
    assert (found.codes == current).all()
    options = 3 * 2 + 1 + 2  # jaw, nose, brow at both ends; glasses; two other classes of hair
    assert search.generator.decoded <= 2 + options + 4 * SHORT_LIST


def test_two_changes_that_only_help_together_are_found(run, world) -> None:
    """40° with glasses and short hair against 80° without and long: either change alone ends farther off."""
    current, other = world.encoded(hair=0, glasses=1), world.encoded(hair=1, glasses=0)
    found, _ = run([current], [other], [True], world.linear(long=80, glasses=45))
    assert found.flips.tolist() == [True]
    assert sorted(found.changed[0]) == ["glasses", "hair"]


def test_a_pair_that_fails_keeps_its_best_attempt(run, world) -> None:
    """The jaw comes as near as can be; all that is tried after it leads away again."""
    current = world.encoded(jaw=-0.5, glasses=0, hair=0, nose=0)
    other = world.encoded(jaw=0.5, glasses=1, hair=0, nose=0.9, age=0.9)
    angle = world.linear(jaw=40, glasses=-10, nose=-20, age=100)
    found, _ = run([current], [other], [True], angle)
    assert found.flips.tolist() == [False]
    assert found.changed == [["jaw"]]
    assert column(found, world, 0, "jaw") == 0.5
