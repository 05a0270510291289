"""Forms, cards, tickets, letters and invoices: documents that state facts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal, NamedTuple

from . import words
from .colours import Rgb, mix
from .document_questions import asked
from .facts import LABELS, Fact, company, fact, happening, odd
from .fonts import Font
from .page import Run
from .sample import TIMES, Sample, Split
from .sheets import Sheet, Style, light, style_for
from .tables import Table, drawn, look, widths_of
from .text import wrapped

Setting = Literal["colon", "aligned", "spread", "above", "pairs", "framed", "bare"]
"""How labels and values are set. "pairs" are two facts side by side, each under its label; "bare" has no labels."""

SETTINGS: dict[Setting, int] = {"colon": 4, "aligned": 4, "spread": 2, "above": 2, "pairs": 2, "framed": 2}
TEST_ONLY: Setting = "framed"
"""The setting that the training split does not have."""


class Blank(NamedTuple):
    """A kind of document: titles to choose from, kinds of facts, each with its probability, and odd facts at most."""

    titles: tuple[str, ...]
    facts: tuple[tuple[str, float], ...]
    odd: int
    bare: float = 0.0


BLANKS: dict[str, Blank] = {
    "badge": Blank(
        ("VISITOR", "STAFF", "GUEST", "SPEAKER", "Hello"), (("name", 1), ("job", 0.6), ("company", 0.6)), 1, 0.6
    ),
    "identity": Blank(
        ("IDENTITY CARD", "Member Card", "STUDENT ID", "DRIVER LICENSE", "Library Card", "PASSPORT"),
        (("name", 1), ("birth", 0.8), ("number", 0.8), ("expires", 0.6), ("city", 0.4), ("address", 0.3)),
        2,
    ),
    "ticket": Blank(
        ("TICKET", "ADMIT ONE", "Entry Ticket", "E-Ticket", "Admission"),
        (("event", 0.8), ("date", 0.9), ("time", 0.8), ("seat", 0.6), ("gate", 0.3), ("price", 0.7), ("name", 0.3)),
        2,
        0.1,
    ),
    "boarding": Blank(
        ("BOARDING PASS", "Boarding Pass", "TRAIN TICKET", "BUS TICKET"),
        (("name", 0.9), ("from", 1), ("to", 1), ("date", 0.9), ("time", 0.7), ("seat", 0.8), ("gate", 0.6)),
        2,
    ),
    "card": Blank(
        ("",),
        (
            ("name", 1),
            ("job", 0.7),
            ("company", 0.7),
            ("phone", 0.8),
            ("email", 0.7),
            ("website", 0.4),
            ("address", 0.4),
        ),
        0,
        0.8,
    ),
    "appointment": Blank(
        ("APPOINTMENT", "Your appointment", "Reminder", "Reservation", "Booking"),
        (("name", 0.8), ("date", 1), ("time", 0.9), ("phone", 0.5), ("address", 0.4)),
        2,
    ),
    "parcel": Blank(
        ("PARCEL", "PRIORITY MAIL", "EXPRESS", "Delivery note"),
        (("sender", 0.8), ("recipient", 1), ("address", 0.9), ("city", 0.9), ("number", 0.6), ("phone", 0.3)),
        2,
    ),
    "form": Blank(
        (
            "FORM",
            "Registration",
            "Application",
            "Data sheet",
            "Order form",
            "Report",
            "Profile",
            "Questionnaire",
            "Label",
        ),
        (
            ("name", 0.5),
            ("date", 0.5),
            ("phone", 0.2),
            ("email", 0.2),
            ("city", 0.2),
            ("number", 0.2),
            ("job", 0.2),
            ("price", 0.1),
        ),
        5,
    ),
    "notice": Blank(
        ("NOTICE", "Invitation", "Poster"),
        (("event", 1), ("date", 1), ("time", 0.7), ("city", 0.6), ("price", 0.5)),
        1,
        0.6,
    ),
}
"""All documents that are nothing but a title and facts."""


def facts_of(blank: Blank, rng: random.Random, split: Split) -> list[Fact]:
    """What a document of a kind states; two facts at least."""
    taken: set[str] = set()
    found: list[Fact] = []
    for kind, probability in blank.facts:
        if rng.random() < probability:
            found.append(fact(kind, rng, split, taken))
    found += [odd(rng, split, taken) for _ in range(rng.randint(0, blank.odd) if len(found) > 1 else 2)]
    if rng.random() < 0.3:
        rng.shuffle(found)
    return found


def setting_for(blank: Blank, rng: random.Random, split: Split) -> Setting:
    """How a document is set."""
    if rng.random() < blank.bare:
        return "bare"
    if split == "test" and rng.random() < 0.35:
        return TEST_ONLY
    usual = [setting for setting in SETTINGS if setting != TEST_ONLY]
    return rng.choices(usual, [SETTINGS[setting] for setting in usual])[0]


def width_for(facts: Sequence[Fact], setting: Setting, style: Style) -> float:
    """The width that facts need, without margins."""
    labels = max(style.strong.length(f"{fact.label}:") for fact in facts)
    values = max(style.strong.length(fact.value) for fact in facts)
    both = max(style.strong.length(f"{fact.label}: {fact.value}") for fact in facts)
    match setting:
        case "colon":
            return both
        case "above" | "bare":
            return max(labels, values)
        case "pairs":
            return 2 * max(labels, values) + 2 * style.em
        case _:
            return labels + values + 1.5 * style.em


class Setup(NamedTuple):
    """What the facts of one document have in common: fonts, colours, where values begin, what follows labels."""

    setting: Setting
    label_font: Font
    value_font: Font
    label_ink: Rgb
    column: float
    mark: str
    centred: bool


def setup_for(facts: Sequence[Fact], setting: Setting, style: Style, rng: random.Random) -> Setup:
    """Some way to set facts."""
    fonts = ((style.normal, style.normal), (style.strong, style.normal), (style.normal, style.strong))
    label_font, value_font = rng.choice(fonts)
    label_ink = rng.choice((style.ink, style.ink, mix(style.ink, style.paper, 0.35), mix(style.ink, style.accent, 0.7)))
    column = max(label_font.length(f"{stated.label}:") for stated in facts) + rng.uniform(0.7, 1.2) * style.em
    return Setup(setting, label_font, value_font, label_ink, column, rng.choice(("", ":")), rng.random() < 0.6)


def state(sheet: Sheet, facts: Sequence[Fact], setup: Setup, rng: random.Random) -> None:
    """Prints facts one below the other and notes them as entries."""
    gap = rng.choice((0.0, 0.0, 0.25, 0.5)) * sheet.style.em
    if setup.setting == "pairs":
        for start in range(0, len(facts), 2):
            side_by_side(sheet, facts[start : start + 2], setup)
            sheet.y += gap + sheet.style.em * 0.2
        return
    for number, stated in enumerate(facts):
        sheet.y += gap if number else 0
        if setup.setting == "bare":
            run = sheet.centred(stated.value) if setup.centred else sheet.line(stated.value)
        elif setup.setting == "above":
            sheet.line(stated.label, setup.label_font, setup.label_ink)
            run = sheet.line(stated.value, setup.value_font)
        else:
            run = labelled(sheet, stated, setup)
        if setup.setting != "bare":
            sheet.note(stated.kind, stated.label, run)
        elif stated.kind:
            sheet.note(stated.kind, "", run)


def labelled(sheet: Sheet, stated: Fact, setup: Setup) -> Run:
    """Prints a label and its value in one row."""
    page, style, setting = sheet.page, sheet.style, setup.setting
    y = sheet.baseline(setup.value_font)
    if setting == "framed":
        page.pen.rectangle(
            (sheet.left + setup.column - 3, sheet.y - 2, sheet.right, sheet.y + style.pitch), None, style.faint
        )
    text = f"{stated.label}:" if setting == "colon" else stated.label + setup.mark
    label = page.write(sheet.left, y, text, setup.label_font, setup.label_ink)
    if setting == "spread":
        run = page.write_right(sheet.right, y, stated.value, setup.value_font, style.ink)
    else:
        start = setup.label_font.length(f"{text} ") if setting == "colon" else setup.column
        run = page.write(round(sheet.left + start), y, stated.value, setup.value_font, style.ink)
    sheet.row(label, run)
    sheet.advance()
    sheet.y += 4 if setting == "framed" else 0
    return run


def side_by_side(sheet: Sheet, facts: Sequence[Fact], setup: Setup) -> None:
    """One fact or two in a row, each under its label."""
    middle = round((sheet.left + sheet.right + sheet.style.em) / 2)
    places = list(zip((sheet.left, middle), facts, strict=False))
    y = sheet.baseline(setup.label_font)
    sheet.row(*[sheet.page.write(x, y, stated.label, setup.label_font, setup.label_ink) for x, stated in places])
    sheet.advance()
    y = sheet.baseline(setup.value_font)
    runs = [sheet.page.write(x, y, stated.value, setup.value_font, sheet.style.ink) for x, stated in places]
    sheet.row(*runs)
    sheet.advance()
    for (_, stated), run in zip(places, runs, strict=True):
        sheet.note(stated.kind, stated.label, run)


def titled(sheet: Sheet, title: str, kind: str, rng: random.Random) -> None:
    """A heading: centred or at the left, in a coloured bar or not; `kind` is what else it is, if anything."""
    style = sheet.style
    font = style.large if sheet.fits(title, style.large) else style.normal
    ink = style.accent if light(style.paper) and rng.random() < 0.4 else style.ink
    if rng.random() < 0.25:
        below = sheet.y + font.height + style.em * 0.4
        sheet.page.pen.rectangle((0, 0, sheet.page.size[0], below), style.accent)
        ink = (255, 255, 255)
    run = (sheet.centred if rng.random() < 0.5 else sheet.line)(title, font, ink)
    sheet.note("title", "", run)
    if kind:
        sheet.note(kind, "", run)
    sheet.y += style.em * rng.uniform(0.3, 0.8)


def blank_filled(rng: random.Random, split: Split) -> Sheet:
    """A card, ticket, form or notice."""
    blank = rng.choice(list(BLANKS.values()))
    facts = facts_of(blank, rng, split)
    setting = setting_for(blank, rng, split)
    style = style_for(rng.triangular(5.8, 10, 7.2), rng, split)
    title, kind = rng.choice(blank.titles), ""
    if title and rng.random() < 0.2:
        kind = rng.choice(("company", "event"))
        title = words.cut((company if kind == "company" else happening)(rng, split), 20)
    width = width_for(facts, setting, style) + 1.6 * style.em
    sheet = Sheet.new(max(width * rng.uniform(1.0, 1.2), style.normal.length(title) + 2 * style.em, 60), style)
    if title:
        titled(sheet, title, kind, rng)
    state(sheet, facts, setup_for(facts, setting, style, rng), rng)
    sheet.close()
    if rng.random() < 0.25:
        width, height = sheet.page.size
        sheet.page.pen.rectangle((1, 1, width - 2, height - 2), None, style.faint)
    return sheet


def letter(rng: random.Random, split: Split) -> Sheet:
    """A letter of a few lines."""
    style = style_for(rng.triangular(5.8, 8.5, 6.5), rng, split)
    columns = rng.randint(22, 38)
    sheet = Sheet.new(columns * style.normal.mean_advance + 2 * style.em, style)
    sender, recipient = words.person(rng, split), words.person(rng, split)
    date = words.date(rng)
    if rng.random() < 0.5:
        sheet.note("city", "", sheet.line(words.city(rng, split)))
    run = sheet.line(date, right=rng.random() < 0.5)
    sheet.note("date", "", run)
    sheet.y += style.em * 0.5
    greeting = rng.choice(("Dear", "Hello", "Hi", "Dear"))
    named = sheet.line(f"{greeting} {recipient},")
    sheet.note("recipient", "", Run(recipient, named.start + len(greeting), named.stop - 1))
    sheet.y += style.em * 0.3
    tokens = [token for _ in range(rng.randint(1, 3)) for token in words.sentence(rng, split).split(" ")]
    for text in wrapped(tokens, round((sheet.right - sheet.left) / style.normal.mean_advance * 0.9)):
        sheet.line(text)
    sheet.y += style.em * 0.5
    sheet.line(rng.choice(("Sincerely,", "Best regards,", "Yours,", "Kind regards,", "Love,", "See you soon,")))
    sheet.note("sender", "", sheet.line(sender))
    sheet.close()
    return sheet


def invoice(rng: random.Random, split: Split) -> Sheet:
    """An invoice with a table of what is charged for."""
    style = style_for(rng.triangular(5.8, 8.5, 6.5), rng, split)
    taken: set[str] = set()
    kinds = ["number", "date", *(kind for kind in ("due", "customer", "phone") if rng.random() < 0.5)]
    facts = [fact(kind, rng, split, taken) for kind in kinds]
    rows, total = [], 0.0
    for name in {words.product(rng, split): None for _ in range(rng.randint(1, 4))}:
        count, each = rng.randint(1, 20), words.amount(rng, 100)
        total += count * each
        rows.append([name, str(count), f"{each:.2f}", f"{count * each:.2f}"])
    headings = [
        rng.choice(options)
        for options in (("Item", "Description"), ("Qty", "Count"), ("Price", "Each"), ("Amount", "Sum"))
    ]
    listed = Table(headings, rows, [False, True, True, True])
    how = look(style, rng)
    setting: Setting = rng.choice(("colon", "aligned", "spread"))
    width = max(sum(widths_of(listed, style, how)), width_for(facts, setting, style), style.normal.mean_advance * 24)
    sheet = Sheet.new(width + 1.5 * style.em, style)
    sheet.note("company", "", sheet.line(words.cut(company(rng, split), 22), style.strong))
    titled(sheet, rng.choice(("INVOICE", "Invoice", "Bill", "INVOICE")), "", rng)
    state(sheet, facts, setup_for(facts, setting, style, rng), rng)
    sheet.y += style.em * 0.5
    drawn(sheet, listed, how)
    label, text = (
        rng.choice(("Total", "TOTAL", "Total due", "Amount due")),
        words.money(total, rng.choice(words.CURRENCIES)),
    )
    sheet.note("total", "", sheet.spread(label, text, style.strong)[1])
    sheet.close()
    return sheet


def form(rng: random.Random, split: Split) -> Sample:
    """A form, card, ticket, letter or invoice with its reading and questions about its fields."""
    make = rng.choices((blank_filled, letter, invoice), (8, 1, 1.5))[0]
    sheet = make(rng, split)
    sheet.present(rng)
    return Sample([sheet.page.picture()], asked(sheet, "read/document", rng, TIMES[split], labels=LABELS))
