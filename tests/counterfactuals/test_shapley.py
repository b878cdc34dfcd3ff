"""Shapley values of games whose values are known in closed form, and what drawing orders costs."""

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribute_recovery.counterfactuals.shapley import EXACT_PLAYERS, shapley_values

Worth = Callable[[np.ndarray, np.ndarray], np.ndarray]


def everyone_plays(games: int, players: int) -> np.ndarray:
    return np.ones((games, players), bool)


def additive(weights: np.ndarray, base: float = 0.25) -> Worth:
    """Games (g, players) whose worth is the sum of their members' weights."""
    return lambda games, coalitions: base + (weights[games] * coalitions).sum(1)


def any_game(games: int, players: int, seed: int) -> tuple[Worth, np.ndarray]:
    """Games in which every coalition has a random worth, and these worths (g, 2^players) by binary number."""
    table = np.random.default_rng(seed).normal(size=(games, 2**players))
    return lambda numbers, coalitions: table[numbers, coalitions @ (1 << np.arange(players))], table


def literal_values(table: np.ndarray, players: int) -> np.ndarray:
    """Mean contribution over all orders, written down one by one."""
    values = np.zeros(players)
    orders = list(permutations(range(players)))
    for order in orders:
        members = 0
        for player in order:
            values[player] += table[members | 1 << player] - table[members]
            members |= 1 << player
    return values / len(orders)


@pytest.mark.parametrize("players", [1, 3, EXACT_PLAYERS, EXACT_PLAYERS + 1, 23])
def test_players_of_an_additive_game_are_worth_their_weights(players: int) -> None:
    weights = np.random.default_rng(3).normal(size=(4, players))
    found = shapley_values(additive(weights), everyone_plays(4, players), antithetic_pairs=2, seed=1)
    np.testing.assert_allclose(found.values, weights, atol=1e-12)
    np.testing.assert_allclose(found.standard_errors, 0, atol=1e-12)
    np.testing.assert_allclose(found.nobody, 0.25)
    np.testing.assert_allclose(found.everyone, 0.25 + weights.sum(1))


def test_players_that_are_alike_have_the_same_value() -> None:
    """v(S) = |S|²: each of k players has k, by symmetry and efficiency."""
    for players in (5, 12):
        found = shapley_values(
            lambda _, coalitions: coalitions.sum(1).astype(float) ** 2,
            everyone_plays(1, players),
            antithetic_pairs=5,
            seed=1,
        )
        np.testing.assert_allclose(found.values, players, atol=1e-9)


def test_a_player_that_adds_nothing_has_nothing() -> None:
    """The second of the glove game's three players is of no use: v = 1 where both others are in."""

    def gloves(_: np.ndarray, coalitions: np.ndarray) -> np.ndarray:
        return (coalitions[:, 0] & coalitions[:, 2]).astype(float)

    exact = shapley_values(gloves, everyone_plays(1, 3), antithetic_pairs=2, seed=1)
    np.testing.assert_allclose(exact.values, [[0.5, 0, 0.5]])
    drawn = shapley_values(gloves, everyone_plays(1, 3), antithetic_pairs=2, seed=1, exact_players=0)
    assert drawn.values[0, 1] == 0 == drawn.standard_errors[0, 1]


def test_few_players_have_the_mean_over_all_orders() -> None:
    worth, table = any_game(3, 5, 7)
    found = shapley_values(worth, everyone_plays(3, 5), antithetic_pairs=2, seed=1)
    np.testing.assert_allclose(found.values, [literal_values(row, 5) for row in table], atol=1e-12)
    assert not found.standard_errors.any()


def test_one_antithetic_pair_settles_what_only_pairs_of_players_share() -> None:
    """v = Σ w_i + Σ w_ij: an order and its reverse give i all of w_i and half of each w_ij between them."""
    rng = np.random.default_rng(2)
    single, shared = rng.normal(size=15), np.triu(rng.normal(size=(15, 15)), 1)

    def worth(_: np.ndarray, coalitions: np.ndarray) -> np.ndarray:
        members = coalitions.astype(float)
        return members @ single + np.einsum("ci,ij,cj->c", members, shared, members)

    found = shapley_values(worth, everyone_plays(1, 15), antithetic_pairs=2, seed=1)
    np.testing.assert_allclose(found.values[0], single + (shared + shared.T).sum(1) / 2, atol=1e-9)
    np.testing.assert_allclose(found.standard_errors, 0, atol=1e-9)


def test_drawn_values_of_the_airport_game_lie_within_four_standard_errors() -> None:
    """v(S) = largest cost in S; φ_i = Σ_{j ≤ i} (c_j − c_{j−1}) / (n − j + 1), Littlechild & Owen 1973."""
    costs = np.sort(np.random.default_rng(4).uniform(0, 1, 20))
    known = np.cumsum(np.diff(costs, prepend=0) / np.arange(20, 0, -1))

    def worth(_: np.ndarray, coalitions: np.ndarray) -> np.ndarray:
        return (coalitions * costs).max(1)

    found = shapley_values(worth, everyone_plays(1, 20), antithetic_pairs=200, seed=1)
    assert (np.abs(found.values[0] - known) <= 4 * found.standard_errors[0] + 1e-12).all()
    assert found.standard_errors.max() < 0.02
    assert found.values.sum() == pytest.approx(costs.max(), abs=1e-12)


def test_drawn_values_lie_within_four_standard_errors_of_exact_ones_and_the_errors_are_right() -> None:
    worth, _ = any_game(150, 6, 11)
    exact = shapley_values(worth, everyone_plays(150, 6), antithetic_pairs=2, seed=1)
    drawn = shapley_values(worth, everyone_plays(150, 6), antithetic_pairs=40, seed=1, exact_players=0)
    off = (drawn.values - exact.values) / drawn.standard_errors
    assert (np.abs(off) < 4).all()
    assert np.square(off).mean() == pytest.approx(39 / 37, rel=0.15)  # Student's t of 39 degrees of freedom


@settings(max_examples=60, deadline=None)
@given(
    playing=st.lists(st.lists(st.booleans(), min_size=9, max_size=9), min_size=1, max_size=4),
    seed=st.integers(0, 2**32 - 1),
    exact_players=st.integers(0, EXACT_PLAYERS),
)
def test_values_add_up_to_the_gap_in_every_game(
    playing: list[list[bool]], seed: int, exact_players: int
) -> None:
    flags = np.array(playing)
    worth, table = any_game(len(flags), 9, seed)
    found = shapley_values(worth, flags, antithetic_pairs=2, seed=seed, exact_players=exact_players)
    np.testing.assert_allclose(found.values.sum(1), found.everyone - found.nobody, atol=1e-6)
    assert not found.values[~flags].any() and not found.standard_errors[~flags].any()
    np.testing.assert_array_equal(found.nobody, table[:, 0])
    np.testing.assert_array_equal(found.everyone, table[np.arange(len(flags)), flags @ (1 << np.arange(9))])


def test_each_coalition_is_asked_for_once_and_holds_nobody_who_cannot_play() -> None:
    asked: list[tuple[np.ndarray, np.ndarray]] = []

    def worth(games: np.ndarray, coalitions: np.ndarray) -> np.ndarray:
        asked.append((games, coalitions))
        return coalitions.sum(1).astype(float)

    playing = everyone_plays(2, 10)
    playing[0, 3:] = False
    playing[1, 5] = False
    shapley_values(worth, playing, antithetic_pairs=10, seed=1)
    ((games, coalitions),) = asked
    assert (np.diff(games) >= 0).all()
    rows = np.column_stack([games, coalitions])
    assert len(np.unique(rows, axis=0)) == len(rows)
    assert (coalitions <= playing[games]).all()
    assert (games == 0).sum() == 2**3
    assert (games == 1).sum() <= 20 * 8 + 2  # both ends are the same in all orders


def test_a_games_values_depend_on_the_seed_and_not_on_the_games_beside_it() -> None:
    worth, _ = any_game(3, 9, 5)
    one, all_three = (
        shapley_values(worth, everyone_plays(n, 9), antithetic_pairs=3, seed=8).values for n in (1, 3)
    )
    np.testing.assert_array_equal(one[0], all_three[0])
    other = shapley_values(worth, everyone_plays(1, 9), antithetic_pairs=3, seed=9).values
    assert not np.array_equal(one, other)


def test_a_worth_that_is_not_finite_spoils_its_own_game_only() -> None:
    def worth(games: np.ndarray, coalitions: np.ndarray) -> np.ndarray:
        worths = coalitions.sum(1).astype(float)
        worths[(games == 1) & (coalitions.sum(1) == 4)] = np.nan
        return worths

    for players in (5, 9):
        found = shapley_values(worth, everyone_plays(3, players), antithetic_pairs=2, seed=1)
        assert np.isnan(found.values[1]).all() and np.isnan(found.standard_errors[1]).all()
        np.testing.assert_allclose(found.values[[0, 2]], 1)


def test_no_game_and_no_player_are_no_error() -> None:
    def nothing(games: np.ndarray, _: np.ndarray) -> np.ndarray:
        return np.full(len(games), 0.5)

    assert shapley_values(nothing, np.zeros((0, 4), bool), antithetic_pairs=2, seed=1).values.shape == (0, 4)
    idle = shapley_values(nothing, np.zeros((2, 4), bool), antithetic_pairs=2, seed=1)
    assert not idle.values.any()
    assert idle.nobody.tolist() == idle.everyone.tolist() == [0.5, 0.5]


def test_what_cannot_be_computed_is_refused() -> None:
    with pytest.raises(ValueError, match=r"playing: found shape \(3,\), allowed is \(games, players\)"):
        shapley_values(additive(np.ones((1, 3))), np.ones(3, bool), antithetic_pairs=2, seed=1)
    with pytest.raises(ValueError, match="antithetic_pairs: found 1, allowed is 2 or more"):
        shapley_values(additive(np.ones((1, 3))), everyone_plays(1, 3), antithetic_pairs=1, seed=1)


def similarity_games(games: int, players: int, seed: int) -> np.ndarray:
    """Worths (g, 2^players) like those of faces: cosines of bent sums of moves, some of which interact."""
    rng, table = np.random.default_rng(seed), []
    members = (np.arange(2**players)[:, None] >> np.arange(players) & 1).astype(float)
    for _ in range(games):
        moves = rng.normal(size=(players, 32)) * rng.exponential(0.08, size=(players, 1))
        shared = rng.normal(size=(players, players, 32)) * 0.01
        start, other = rng.normal(size=(2, 32)) / 6
        images = start + members @ moves + np.einsum("ci,ijd,cj->cd", members, shared, members)
        embeddings = np.tanh(2 * images)
        target = np.tanh(2 * (other + start + moves.sum(0)))
        norms = np.linalg.norm(embeddings, axis=1) * np.linalg.norm(target)
        table.append(embeddings @ target / norms)
    return np.array(table)


def plain_orders(worths: np.ndarray, players: int, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Values from orders without their reverses, as many as the budget of coalitions allows."""
    asked, added = {0, 2**players - 1}, []
    while len(asked) < budget:
        members, row = 0, np.zeros(players)
        for player in rng.permutation(players):
            row[player] = worths[members | 1 << player] - worths[members]
            members |= 1 << int(player)
            asked.add(members)
        added.append(row)
    return np.mean(added, axis=0)


def kernel_regression(worths: np.ndarray, players: int, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Kernel SHAP with pairs of a coalition and its complement (Covert & Lee, AISTATS 2021).

    The additive game nearest to the coalitions drawn, which are weighted by how often they were.
    """
    sizes = np.arange(1, players)
    chances = 1 / (sizes * (players - sizes))
    drawn: dict[int, int] = {}
    while len(drawn) + 2 < budget:
        chosen = rng.permutation(players)[: rng.choice(sizes, p=chances / chances.sum())]
        number = int((1 << chosen).sum())
        for each in (number, 2**players - 1 - number):
            drawn[each] = drawn.get(each, 0) + 1
    numbers, weights = np.array(list(drawn)), np.sqrt(list(drawn.values()))
    members = (numbers[:, None] >> np.arange(players) & 1).astype(float)
    whole = worths[-1] - worths[0]
    rest = worths[numbers] - worths[0] - members.mean(1) * whole
    centred = members - members.mean(1, keepdims=True)
    found = np.linalg.lstsq(centred * weights[:, None], rest * weights, rcond=None)[0]
    return found - found.mean() + whole / players


def test_at_equal_cost_reversed_orders_are_far_better_than_plain_ones_and_as_good_as_regression() -> None:
    players, games, pairs = 9, 30, 4
    table = similarity_games(games, players, 6)
    asked = np.zeros(games, np.int64)

    def worth(numbers: np.ndarray, coalitions: np.ndarray) -> np.ndarray:
        np.add.at(asked, numbers, 1)
        return table[numbers, coalitions @ (1 << np.arange(players))]

    everyone = everyone_plays(games, players)
    exact = shapley_values(worth, everyone, antithetic_pairs=2, seed=1, exact_players=players).values
    errors: dict[str, list[float]] = {"antithetic": [], "plain": [], "regression": []}
    for seed in range(20):
        asked[:] = 0
        found = {"antithetic": shapley_values(worth, everyone, antithetic_pairs=pairs, seed=seed).values}
        for name, estimate in (("plain", plain_orders), ("regression", kernel_regression)):
            rng = np.random.default_rng(seed)
            found[name] = np.stack(
                [estimate(row, players, budget, rng) for row, budget in zip(table, asked, strict=True)]
            )
        for name, values in found.items():
            errors[name].append(float(np.square(values - exact).sum() / np.square(exact).sum()))
    off = {name: float(np.sqrt(np.mean(each))) for name, each in errors.items()}
    assert (asked <= 2 * pairs * (players - 1) + 2).all()
    assert off["antithetic"] < 0.6 * off["plain"], off
    assert off["antithetic"] < 1.3 * off["regression"], off
    assert off["antithetic"] < 0.1, off


def test_the_largest_value_leads_where_drawing_cannot_have_made_it_so() -> None:
    weights = np.array([[0.5, -0.2, 0.1] + [0.0] * 7, [0.3, -0.3 + 1e-9, 0.1] + [0.0] * 7])
    sure = shapley_values(additive(weights), everyone_plays(2, 10), antithetic_pairs=3, seed=1)
    assert sure.leads.tolist() == [True, True]  # an additive game leaves nothing to chance
    worth, _ = any_game(200, 10, 3)
    drawn = shapley_values(worth, everyone_plays(200, 10), antithetic_pairs=4, seed=1)
    exact = shapley_values(worth, everyone_plays(200, 10), antithetic_pairs=2, seed=1, exact_players=10)
    assert exact.leads.all() and not exact.drawn.any()
    assert (drawn.drawn == 4).all() and (exact.coalitions == 2**10).all()
    right = np.abs(drawn.values).argmax(1) == np.abs(exact.values).argmax(1)
    assert drawn.leads.sum() >= 3  # noise throughout, so that most are rightly left open
    assert right[drawn.leads].mean() > right.mean()
    lost = shapley_values(
        lambda _, c: np.full(len(c), np.nan), everyone_plays(1, 9), antithetic_pairs=2, seed=1
    )
    assert lost.leads.tolist() == [False]


def test_standard_errors_of_differences_come_from_covariances() -> None:
    """Contributions of an order add up to the whole, so the errors of a game's values add up to none."""
    worth, _ = any_game(5, 9, 2)
    found = shapley_values(worth, everyone_plays(5, 9), antithetic_pairs=6, seed=1)
    np.testing.assert_allclose(found.covariances.sum((1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(found.covariances, found.covariances.transpose(0, 2, 1), atol=1e-15)
    diagonal = np.diagonal(found.covariances, axis1=1, axis2=2)
    np.testing.assert_allclose(found.standard_errors**2, diagonal, atol=1e-15)
