"""Two pictures that several notebooks draw: what happened when, and what grew."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt

from workbook.language import _, language

MARKERS = "o^sDvP"  # told apart without colour, too


def choose_font() -> None:
    """See to it that Chinese has its characters, on a machine without a Chinese font, too."""
    if language() == "zh":
        import zhplot  # noqa: F401 - brings a font, and makes it matplotlib's


def draw_moments(rows: Mapping[str, Sequence[float]], title: str = "") -> None:
    """Draw one row for each name, with a mark at each of its moments (in seconds)."""
    choose_font()
    figure, axis = plt.subplots(figsize=(8, 0.9 + 0.4 * len(rows)), layout="constrained")
    for row, (moments, marker) in enumerate(zip(rows.values(), MARKERS * len(rows), strict=False)):
        axis.plot(moments, [row] * len(moments), marker, color="0.2", alpha=0.6, clip_on=False)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlim(left=0)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.grid(axis="y", color="0.9")
    axis.set_xlabel(_("seconds"))
    axis.set_title(title, loc="left")
    plt.show()
    plt.close(figure)


def draw_growth(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], unit: str, title: str = ""
) -> None:
    """Draw one line for each name: its values (in `unit`) over its moments (in seconds)."""
    choose_font()
    figure, axis = plt.subplots(figsize=(8, 3), layout="constrained")
    for (name, (moments, values)), style in zip(
        lines.items(), ["-", "--", ":", "-."], strict=False
    ):
        axis.plot(moments, values, style, color="0.2", linewidth=2, label=name)
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel(_("seconds"))
    axis.set_ylabel(unit)
    axis.set_title(title, loc="left")
    axis.legend(frameon=False)
    plt.show()
    plt.close(figure)
