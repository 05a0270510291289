"""Tables, and their Markdown."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from . import words
from .colours import mix
from .grounding import ONE, question
from .page import Run, width_of
from .sample import TIMES, Question, Sample, Split, markup
from .sheets import Sheet, Style, style_for
from .text import careless, reading
from .wording import UNKNOWN

CELL = "document/cell"

CONVERT = (
    "Convert the table to Markdown.",
    "Give me the table as Markdown.",
    "Extract the table.",
    "Table to markdown",
    "Convert this table to markdown.",
    "Write the table in Markdown.",
    "Turn the table into Markdown.",
    "Read the table.",
    "Transcribe the table as Markdown.",
)
AT = (
    "What is the {column} of {row}?",
    "What is the {column} for {row}?",
    "{column} of {row}?",
    "What {column} does {row} have?",
    "Look up the {column} of {row}.",
    "{row}: {column}?",
    "What's {row}'s {column}?",
    'What is in column "{column}" for {row}?',
    "Tell me the {column} of {row}.",
)
WHOSE = (
    "Which {key} has {column} {value}?",
    "Which {key} has the {column} {value}?",
    "For which {key} is the {column} {value}?",
    "Whose {column} is {value}?",
    "The {column} {value} belongs to which {key}?",
)


class Kind(NamedTuple):
    """A kind of column: headings to choose from, what is in its cells, and whether that stands at the right."""

    headings: tuple[str, ...]
    cell: Callable[[random.Random, Split], str]
    right: bool


KEYS: tuple[Kind, ...] = (
    Kind(
        ("Name", "Person", "Player", "Student", "Employee"),
        lambda rng, split: words.person(rng, split).split(" ")[0],
        False,
    ),
    Kind(("Product", "Item", "Article"), words.product, False),
    Kind(("City", "Place", "Station"), words.city, False),
    Kind(("Code", "ID", "No.", "Order"), lambda rng, split: words.code(rng), False),
    Kind(("Word", "Term", "Label", "Key"), lambda rng, split: words.word(rng, split).capitalize(), False),
    Kind(("Team", "Group", "Model"), lambda rng, split: words.invented(rng, split, 2).capitalize(), False),
)
OTHERS: tuple[Kind, ...] = (
    Kind(("Price", "Cost", "Amount", "Fee"), lambda rng, split: f"{words.amount(rng):.2f}", True),
    Kind(
        ("Count", "Qty", "Stock", "Points", "Age", "Score", "Units", "Votes"),
        lambda rng, split: str(rng.randint(0, 999)),
        True,
    ),
    Kind(("Date", "Due", "Since", "Start"), lambda rng, split: words.date(rng, "iso"), False),
    Kind(("Time", "Opens", "Arrival"), lambda rng, split: f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}", False),
    Kind(("Share", "Rate", "Change"), lambda rng, split: f"{rng.randint(0, 100)}%", True),
    Kind(("Weight", "Size", "Length"), lambda rng, split: words.quantity(rng), True),
    Kind(("Type", "Color", "State", "Note"), words.word, False),
    Kind(("Room", "Seat", "Gate", "Line"), lambda rng, split: f"{rng.choice('ABCDEFGHK')}{rng.randint(1, 60)}", False),
    Kind(("Year", "Born", "Built"), lambda rng, split: str(rng.randint(1900, 2029)), True),
)


class Table(NamedTuple):
    """Headings and rows of cells; the first column's cells are all different."""

    headings: list[str]
    rows: list[list[str]]
    right: list[bool]

    def markdown(self) -> str:
        """As Markdown, with one blank at each side of a cell."""
        lines = [f"| {' | '.join(row)} |" for row in (self.headings, *self.rows)]
        return "\n".join((lines[0], "|" + "---|" * len(self.headings), *lines[1:]))


def heading(kind: Kind, rng: random.Random, split: Split) -> str:
    """A heading as the kind has, or an invented one, so that headings have to be read."""
    return (
        rng.choice(kind.headings) if rng.random() < 0.8 else words.invented(rng, split, rng.choice((1, 2))).capitalize()
    )


def filled(rng: random.Random, split: Split) -> Table:
    """Two to five columns, two to seven rows."""
    count = rng.choices((2, 3, 4, 5), (4, 5, 3, 1))[0]
    kinds = [rng.choice(KEYS), *rng.sample(OTHERS, count - 1)]
    headings: list[str] = []
    for kind in kinds:
        title = heading(kind, rng, split)
        while title in headings:
            title = heading(kind, rng, split)
        headings.append(title)
    rows: dict[str, list[str]] = {}
    for _ in range(rng.choices(range(2, 8), (4, 5, 4, 3, 2, 1))[0]):
        row = [kind.cell(rng, split) for kind in kinds]
        rows[row[0]] = row
    return Table(headings, list(rows.values()), [kind.right for kind in kinds])


class Look(NamedTuple):
    """How a table is drawn. Sizes in pixels."""

    rules: str
    shaded: bool
    striped: bool
    centred: bool
    row: float
    pad: float


def look(style: Style, rng: random.Random) -> Look:
    """Some way to draw a table."""
    rules = rng.choices(("grid", "rows", "head", "none", "columns"), (5, 3, 2, 1, 1))[0]
    row = style.normal.height + style.em * rng.uniform(0.25, 0.9)
    return Look(
        rules, rng.random() < 0.4, rng.random() < 0.25, rng.random() < 0.15, row, style.em * rng.uniform(0.3, 0.8)
    )


def grid(sheet: Sheet, widths: list[float], table: Table, how: Look) -> None:
    """Shades and rules."""
    style, pen = sheet.style, sheet.page.pen
    left, right, top = sheet.left, sheet.left + sum(widths), sheet.y
    bottom = top + how.row * (len(table.rows) + 1)
    if how.striped:
        for number in range(1, len(table.rows) + 1, 2):
            y = top + number * how.row
            pen.rectangle((left, y, right, y + how.row), mix(style.paper, style.ink, 0.07))
    if how.shaded:
        pen.rectangle((left, top, right, top + how.row), style.accent)
    if how.rules in ("grid", "rows"):
        for number in range(len(table.rows) + 2):
            y = round(top + number * how.row)
            pen.line((left, y, right, y), style.faint)
    if how.rules == "head":
        pen.line((left, round(top + how.row), right, round(top + how.row)), style.ink)
    if how.rules in ("grid", "columns"):
        x = left
        for width in (0.0, *widths):
            x += width
            pen.line((round(x), top, round(x), bottom), style.faint)


def drawn(sheet: Sheet, table: Table, how: Look) -> list[list[Run]]:
    """Draws a table at the sheet's place; the runs of its rows, the headings first."""
    style = sheet.style
    widths = widths_of(table, style, how)
    grid(sheet, widths, table, how)
    runs = []
    for number, row in enumerate((table.headings, *table.rows)):
        font = style.normal if number else style.strong
        ink = style.ink if number or not how.shaded else (255, 255, 255)
        y = round(sheet.y + number * how.row + (how.row - font.height) / 2 + font.ascent)
        x, printed = sheet.left, []
        for text, width, right in zip(row, widths, table.right, strict=True):
            space = width - 2 * how.pad - width_of(text, font)
            start = x + how.pad + (space / 2 if how.centred else space if right else 0)
            printed.append(sheet.page.write(round(start), y, text, font, ink))
            x += width
        sheet.row(*printed)
        runs.append(printed)
    sheet.y += how.row * (len(table.rows) + 1) + style.em * 0.3
    return runs


def widths_of(table: Table, style: Style, how: Look) -> list[float]:
    """The columns' widths."""
    columns = zip(table.headings, *table.rows, strict=True)
    return [
        max(width_of(text, font) for texts in [column] for text in texts for font in (style.normal, style.strong))
        + 2 * how.pad
        for column in columns
    ]


def cells(sheet: Sheet, table: Table, runs: list[list[Run]], rng: random.Random, count: int) -> list[Question]:
    """Questions about cells: what is in one, which row holds a value, where it is."""
    questions = []
    for _ in range(count):
        row, column = rng.randrange(len(table.rows)), rng.randrange(1, len(table.headings))
        value, key = table.rows[row][column], table.rows[row][0]
        slots = {"column": table.headings[column], "row": key, "key": table.headings[0], "value": value}
        alone = sum(value == other for cells in table.rows for other in cells) == 1
        style = rng.random()
        if style < 0.65 or not alone:
            text = careless(rng.choice(AT).format(**slots), rng)
            questions.append(Question(CELL, text, value))
        elif style < 0.85:
            questions.append(Question(CELL, careless(rng.choice(WHOSE).format(**slots), rng), key))
        else:
            label = f"the {table.headings[column]} of {key}"
            box = markup(label, [sheet.page.box(runs[row + 1][column])], sheet.page.size)
            questions.append(Question("ground/text", question(label, ONE, rng), box))
    return list({asked.text: asked for asked in questions}.values())


def missing(table: Table, rng: random.Random, split: Split) -> Question:
    """Asks for a column or a row that is not there."""
    texts = {text.lower() for row in (table.headings, *table.rows) for text in row}
    kind = rng.choice(OTHERS)
    column = rng.choice(table.headings[1:])
    key = rng.choice(table.rows)[0]
    if rng.random() < 0.5:
        column = heading(kind, rng, split)
        while column.lower() in texts:
            column = words.invented(rng, split, 2).capitalize()
    else:
        while key.lower() in texts:
            key = words.product(rng, split)
    return Question("absent/document", careless(rng.choice(AT).format(column=column, row=key), rng), UNKNOWN)


def table(rng: random.Random, split: Split) -> Sample:
    """A table, with a title at times."""
    content = filled(rng, split)
    style = style_for(rng.triangular(5.8, 10, 7), rng, split)
    how = look(style, rng)
    sheet = Sheet.new(sum(widths_of(content, style, how)) + 2 * style.em * 0.7, style)
    if rng.random() < 0.3:
        title = words.cut(words.phrase(rng, split, 14), max(4, sum(map(len, content.headings))))
        sheet.line(title, style.strong)
        sheet.y += style.em * 0.2
    runs = drawn(sheet, content, how)
    sheet.close()
    sheet.present(rng)
    questions = [Question("read/table", CONVERT[0] if rng.random() < 0.5 else rng.choice(CONVERT), content.markdown())]
    questions += cells(sheet, content, runs, rng, 3 * TIMES[split])
    if rng.random() < 0.25:
        questions.append(Question("read/document", reading(rng), sheet.text()))
    if rng.random() < 0.35:
        questions.append(missing(content, rng, split))
    return Sample([sheet.page.picture()], questions)
