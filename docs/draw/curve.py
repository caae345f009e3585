"""The membership curve and the forces that follow from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from style import BLUE, GREEN, GREY, ORANGE, figure

from umapcore import OptimizerSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CLIP = 4.0


def draw() -> Figure:
    """Left: what a and b are fitted to. Right: the pull and the push at each distance."""
    drawn = figure(8.4, 3.1)
    left, right = drawn.subplots(1, 2)
    d = np.linspace(1e-3, 3.0, 600)
    for min_dist, colour in ((0.1, ORANGE), (0.5, BLUE), (0.99, GREEN)):
        a, b = OptimizerSpec(min_dist=min_dist).curve()
        wanted = np.where(d <= min_dist, 1.0, np.exp(-(d - min_dist)))
        left.plot(d, wanted, color=colour, linewidth=5, alpha=0.2)
        left.plot(
            d, 1 / (1 + a * d ** (2 * b)), color=colour,
            label=f"min_dist {min_dist}: a = {a:.2f}, b = {b:.2f}",
        )  # fmt: skip
    left.set(xlabel="distance in the embedding", ylabel="membership", ylim=(0, 1.45))
    left.set_title("curve (thin) fitted to what min_dist asks for (broad)", fontsize=9)
    left.legend()

    a, b = OptimizerSpec().curve()
    power = a * d ** (2 * b)
    attraction = -2 * a * b * d ** (2 * (b - 1)) / (1 + power) * d
    repulsion = 2 * b / ((0.001 + d * d) * (1 + power)) * d
    right.axhline(0, color=GREY, linewidth=0.8)
    right.plot(d, np.minimum(repulsion, _CLIP), color=ORANGE, label="repulsion of a sample")
    right.plot(d, attraction, color=BLUE, label="attraction along an edge")
    right.set(xlabel="distance in the embedding", ylabel="step at step size 1", ylim=(-2.2, 4.4))
    right.set_title("forces (min_dist 0.5); no step is longer than 4 an axis", fontsize=9)
    right.legend()
    return drawn
