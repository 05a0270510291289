"""Draws bars.png, pie.png and line.png with matplotlib."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).resolve().parent
DPI = 100


def figure(width: int, height: int) -> tuple[plt.Figure, plt.Axes]:
    """An empty figure of so many pixels."""
    plt.rcParams["font.size"] = 11
    return plt.subplots(figsize=(width / DPI, height / DPI), dpi=DPI, layout="constrained")


def bars() -> None:
    """Columns with their values above."""
    fig, axes = figure(336, 252)
    names, values = ["Apples", "Pears", "Plums", "Figs"], [34, 52, 21, 43]
    drawn = axes.bar(names, values, color=["tab:red", "tab:green", "tab:purple", "tab:blue"])
    axes.bar_label(drawn)
    axes.set_title("Fruit sold")
    axes.set_ylim(0, 60)
    fig.savefig(HERE.parent / "bars.png")


def pie() -> None:
    """Slices with names beside them and shares on them."""
    fig, axes = figure(300, 252)
    names, shares = ["Rent", "Food", "Travel", "Other"], [45, 30, 15, 10]
    colours = ["#3b6fb6", "#e2711d", "#3a9a49", "#c9b02a"]
    axes.pie(shares, labels=names, colors=colours, autopct="%d%%", startangle=90, counterclock=False)
    axes.set_title("Budget")
    fig.savefig(HERE.parent / "pie.png")


def line() -> None:
    """A line with a dot and a value for each month."""
    fig, axes = figure(336, 252)
    names, values = ["Jan", "Feb", "Mar", "Apr", "May"], [12, 18, 15, 27, 22]
    axes.plot(names, values, "o-", color="tab:blue")
    for i, value in enumerate(values):
        axes.annotate(str(value), (i, value), (0, 7), textcoords="offset points", ha="center")
    axes.set_title("Visitors")
    axes.set_ylim(0, 33)
    fig.savefig(HERE.parent / "line.png")


if __name__ == "__main__":
    bars()
    pie()
    line()
