"""Shapley values of many games at once: exact where few play, by drawn orders where many do.

A player's value is what it adds to the worth of those who joined before it, in the mean over all orders of
joining (L. S. Shapley, 1953). Where they are too many, orders are drawn (J. Castro, D. Gómez & J. Tejada,
Computers & Operations Research 36, 2009), each together with its reverse (antithetic; R. Mitchell, J.
Cooper, E. Frank & G. Holmes, JMLR 23, 2022). Along every single order the contributions add up to
v(all) − v(none), so the values do too, however few orders are drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
# Worths (c,) of coalitions (c, players), each of the game whose number stands in the first argument, (c,).
Worth = Callable[[Rows, Flags], Floats]

# So many players have no more coalitions than a few orders would ask for anyway.
EXACT_PLAYERS = 6


@dataclass(frozen=True)
class Shares:
    """How the players of g games share what there is.

    Attributes:
        values: Shapley values, (g, players); each row adds up to `everyone` − `nobody`.
        covariances: of the drawing of orders, (g, players, players); 0 where nothing was drawn.
        nobody: v(none), (g,).
        everyone: v(all), (g,).
        drawn: antithetic pairs of orders that were drawn, (g,); 0 where all is exact.
        coalitions: coalitions whose worths were asked for, (g,).
    """

    values: Floats
    covariances: Floats
    nobody: Floats
    everyone: Floats
    drawn: Rows
    coalitions: Rows

    @property
    def standard_errors(self) -> Floats:
        """Of the drawing of orders, (g, players)."""
        return np.sqrt(np.diagonal(self.covariances, axis1=1, axis2=2))

    @property
    def leads(self) -> Flags:
        """Whether the largest value of a game is surely the largest in magnitude, (g,).

        It is where it exceeds the second largest by so many standard errors of their difference that a
        one-sided test at 5 % (Student's t of the antithetic pairs) says so; in exact games where it does.
        """
        return np.array([self._leads(game) for game in range(len(self.values))], bool)

    def _leads(self, game: int) -> bool:
        values = self.values[game]
        if len(values) < 2 or not np.isfinite(values).all():
            return bool(np.isfinite(values).all() and len(values))
        second, first = np.argsort(np.abs(values), kind="stable")[-2:]
        ahead = abs(values[first]) - abs(values[second])
        signs = np.zeros(len(values))
        signs[[first, second]] = np.sign(values[first]), -np.sign(values[second])
        error = np.sqrt(max(0.0, signs @ self.covariances[game] @ signs))
        least = stdtrit(self.drawn[game] - 1, 0.95) * error if error > 0 else 0.0
        return bool(ahead > least)


@dataclass(frozen=True)
class _Plan:
    """The coalitions (c, k) whose worths the k players of one game need, each once.

    Attributes:
        players: their places among all players, (k,).
        coalitions: (c, k); all of them, by binary number, where there are no orders.
        orders: orders of joining (2 m, k), an order and its reverse in turn; none where all is exact.
        places: rows of the coalitions that grow along each order, (2 m, k + 1).
    """

    players: Rows
    coalitions: Flags
    orders: Rows
    places: Rows

    @property
    def ends(self) -> tuple[int, int]:
        """Rows of the coalitions of nobody and of everyone."""
        sizes = self.coalitions.sum(1)
        return int(sizes.argmin()), int(sizes.argmax())


def shapley_values(
    worth: Worth, playing: Flags, *, antithetic_pairs: int, seed: int, exact_players: int = EXACT_PLAYERS
) -> Shares:
    """Values of all players in all games; no coalition of a game is asked for twice.

    Args:
        worth: v. It is called once, with all coalitions of all games, those of a game one after the other.
        playing: whether a player can change anything in a game, (g, players). One that cannot is in no
            coalition and has the value 0.
        antithetic_pairs: orders that are drawn for each game, each beside its reverse; 2 at least.
        seed: of the orders; those of a game do not depend on how many games there are.
        exact_players: games of so many players or fewer are not sampled, all their coalitions are asked for.

    Returns:
        Values and their covariances, from the spread between antithetic pairs; NaN throughout in a game
        with a worth that is not finite.

    Raises:
        ValueError: `playing` is not of two dimensions, or there are fewer than 2 antithetic pairs.
    """
    if playing.ndim != 2:
        raise ValueError(f"playing: found shape {playing.shape}, allowed is (games, players)")
    if antithetic_pairs < 2:
        raise ValueError(
            f"antithetic_pairs: found {antithetic_pairs}, allowed is 2 or more, whose spread is the error"
        )
    plans = [
        _plan(np.flatnonzero(row), antithetic_pairs, exact_players, np.random.default_rng([seed, 13, number]))
        for number, row in enumerate(playing)
    ]
    values, covariances = np.zeros(playing.shape), np.zeros((*playing.shape, playing.shape[1]))
    nobody, everyone = np.zeros(len(playing)), np.zeros(len(playing))
    for number, (plan, worths) in enumerate(zip(plans, _worths(worth, plans, playing.shape[1]), strict=True)):
        nobody[number], everyone[number] = worths[list(plan.ends)]
        own = _sampled(plan, worths) if len(plan.orders) else _exact(worths, len(plan.players))
        values[number, plan.players], covariances[number][np.ix_(plan.players, plan.players)] = own
        if not np.isfinite(worths).all():
            values[number], covariances[number] = np.nan, np.nan
    drawn = np.array([len(plan.orders) // 2 for plan in plans], np.int64)
    asked = np.array([len(plan.coalitions) for plan in plans], np.int64)
    return Shares(values, covariances, nobody, everyone, drawn, asked)


def _plan(players: Rows, antithetic_pairs: int, exact_players: int, rng: np.random.Generator) -> _Plan:
    count = len(players)
    if count <= exact_players:
        numbers = np.arange(2**count)[:, None]
        none = np.zeros((0, count), np.int64)
        return _Plan(players, (numbers >> np.arange(count)) & 1 > 0, none, none)
    drawn = np.stack([rng.permutation(count) for _ in range(antithetic_pairs)])
    orders = np.stack([drawn, drawn[:, ::-1]], axis=1).reshape(-1, count)
    joined = np.argsort(orders, axis=1)  # (2 m, k): when each player joins
    grown = joined[:, None] < np.arange(count + 1)[:, None]  # (2 m, k + 1, k)
    coalitions, places = np.unique(grown.reshape(-1, count), axis=0, return_inverse=True)
    return _Plan(players, coalitions, orders, places.reshape(len(orders), count + 1))


def _worths(worth: Worth, plans: list[_Plan], n_players: int) -> list[Floats]:
    """Worths of every plan's coalitions, (c,) each."""
    counts = [len(plan.coalitions) for plan in plans]
    games = np.repeat(np.arange(len(plans)), counts)
    coalitions = np.zeros((len(games), n_players), bool)
    ends = np.cumsum(counts)
    for plan, end in zip(plans, ends, strict=True):
        coalitions[end - len(plan.coalitions) : end, plan.players] = plan.coalitions
    return np.split(worth(games, coalitions), ends[:-1]) if plans else []


def _sampled(plan: _Plan, worths: Floats) -> tuple[Floats, Floats]:
    """Values (k,) and their covariances (k, k)."""
    added: Floats = np.empty(plan.orders.shape)
    np.put_along_axis(added, plan.orders, np.diff(worths[plan.places], axis=1), axis=1)
    pairs = added.reshape(-1, 2, added.shape[1]).mean(1)  # (m, k)
    apart = pairs - pairs.mean(0)
    return pairs.mean(0), apart.T @ apart / (len(pairs) * (len(pairs) - 1))


def _exact(worths: Floats, count: int) -> tuple[Floats, Floats]:
    """Values (k,) from the worths (2^k,) of all coalitions by binary number, and covariances of 0.

    φ_i = Σ |S|! (k − |S| − 1)! / k! · (v(S and i) − v(S)) over the coalitions S without i.
    """
    numbers = np.arange(2**count)
    sizes = np.array([int(number).bit_count() for number in numbers])
    values = np.zeros(count)
    for player in range(count):
        without = numbers[numbers >> player & 1 == 0]
        weights = [
            factorial(size) * factorial(count - size - 1) / factorial(count) for size in sizes[without]
        ]
        values[player] = weights @ (worths[without | 1 << player] - worths[without])
    return values, np.zeros((count, count))
