"""The detection error trade-off as SVG, in the colours of the page that it stands in."""

import math
from collections.abc import Iterator, Sequence

WIDTH, HEIGHT = 560, 400
LEFT, RIGHT, TOP, BOTTOM = 78, 14, 14, 54


def det_svg(
    fmr: Sequence[float],
    fnmr: Sequence[float],
    *,
    floor: float | None = None,
    operating: tuple[float, float] | None = None,
) -> str | None:
    """FNMR against FMR, both axes logarithmic, with the operating point and a line at the floor of claims.

    Args:
        fmr: false match rates, shape (p,), 0 to 1; points at 0 have no place on the axis and are left out.
        fnmr: false non-match rates, likewise.
        floor: smallest false match rate that is claimed, or None.
        operating: (FMR, FNMR) at τ, or None.

    Returns:
        An `<svg>` element; None where fewer than two points can be drawn.
    """
    points = sorted((x, y) for x, y in zip(fmr, fnmr, strict=True) if 0 < x <= 1 and 0 < y <= 1)
    if len(points) < 2:
        return None
    frame = _Frame(_decade(min(x for x, _ in points)), _decade(min(y for _, y in points)))
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Detection error trade-off" class="det">',
        *_grid(frame),
    ]
    if floor is not None and frame.low_x < floor < 1:
        x = frame.x(floor)
        parts.append(f'<line class="floor" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text class="note" x="{x + 5:.1f}" y="{TOP + 14}">3/n: no claim left of here</text>')
    line = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in points)
    parts.append(f'<polyline class="curve" points="{line}"/>')
    if operating is not None and min(operating) > 0:
        parts += _mark(frame, *operating)
    return "".join([*parts, "</svg>"])


class _Frame:
    """Where rates lie on the drawing; each axis runs from its lowest decade to 1."""

    def __init__(self, low_x: float, low_y: float) -> None:
        self.low_x, self.low_y = low_x, low_y

    def x(self, rate: float) -> float:
        """Horizontal place of a false match rate."""
        part = 1 - math.log10(max(rate, self.low_x)) / math.log10(self.low_x)
        return LEFT + part * (WIDTH - LEFT - RIGHT)

    def y(self, rate: float) -> float:
        """Vertical place of a false non-match rate."""
        part = math.log10(max(rate, self.low_y)) / math.log10(self.low_y)
        return TOP + part * (HEIGHT - TOP - BOTTOM)


def _decade(rate: float) -> float:
    return float(10.0 ** math.floor(math.log10(min(rate, 0.1))))


def _decades(low: float) -> Iterator[float]:
    for exponent in range(round(math.log10(low)), 1):
        yield float(10.0**exponent)


def _label(rate: float) -> str:
    return f"{100 * rate:.10g} %"


def _grid(frame: _Frame) -> Iterator[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for rate in _decades(frame.low_x):
        x = frame.x(rate)
        yield f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}"/>'
        anchor = "end" if rate == 1 else "middle"
        yield f'<text x="{x:.1f}" y="{bottom + 19}" text-anchor="{anchor}">{_label(rate)}</text>'
    for rate in _decades(frame.low_y):
        y = frame.y(rate)
        yield f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 7}" y="{y + 5:.1f}" text-anchor="end">{_label(rate)}</text>'
    middle = (LEFT + right) / 2
    yield f'<text x="{middle:.1f}" y="{HEIGHT - 8}" text-anchor="middle">false match rate (FMR)</text>'
    height = (TOP + bottom) / 2
    yield (
        f'<text transform="translate(16 {height:.1f}) rotate(-90)" text-anchor="middle">'
        "false non-match rate (FNMR)</text>"
    )


def _mark(frame: _Frame, fmr: float, fnmr: float) -> Iterator[str]:
    x, y = frame.x(fmr), frame.y(fnmr)
    yield f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
    yield f'<text class="note" x="{x + 10:.1f}" y="{y - 8:.1f}">at τ</text>'
