"""Receipts."""

from __future__ import annotations

import random
from typing import NamedTuple

from . import words
from .document_questions import FIELD, asked
from .fonts import Face, families
from .page import Run
from .sample import TIMES, Question, Sample, Split, markup
from .sheets import Sheet, Style, style_for
from .text import careless

LAYOUTS = ("plain", "quantities", "columns", "two lines")
TEST_LAYOUTS = ("prices first", "total on top")
"""Layouts that only the test split has (besides the others)."""

PRICE_OF = (
    "How much is the {item}?",
    "What is the price of {item}?",
    "{item}?",
    "What does {item} cost?",
    "How much was paid for {item}?",
    "Price of {item}?",
    "How much did the {item} cost?",
    "What did they pay for {item}?",
    "cost of {item}",
)
PAID_FOR = (
    "How much was paid for {item}?",
    "How much was paid for {item} in all?",
    "What did all {item} cost together?",
    "total for {item}?",
    "How much did they pay for all {item}?",
)
COUNT_OF = (
    "How many {item} were bought?",
    "What is the quantity of {item}?",
    "How many {item}?",
    "How many times {item}?",
    "Quantity of {item}?",
)
THANKS = (
    "Thank you!",
    "THANK YOU",
    "Have a nice day!",
    "Please come again",
    "Thanks for shopping",
    "See you soon!",
    "Goodbye!",
)


class Item(NamedTuple):
    """Something bought: how many, what a piece costs."""

    name: str
    pieces: int
    each: float

    @property
    def cost(self) -> float:
        """Of all pieces."""
        return round(self.pieces * self.each, 2)


class Plan(NamedTuple):
    """What a receipt says. `currency` is a form for `words.money`; amounts in the list are without it if `bare`."""

    items: list[Item]
    currency: str
    bare: bool
    layout: str
    tax: int

    def amount(self, value: float) -> str:
        """An amount in the list."""
        return words.money(value, "0" if self.bare else self.currency)


def planned(rng: random.Random, split: Split) -> Plan:
    """Some purchase."""
    layout = rng.choice(TEST_LAYOUTS if split == "test" and rng.random() < 0.5 else LAYOUTS)
    names: dict[str, None] = {}
    for _ in range(rng.choices(range(1, 10), (3, 5, 6, 6, 5, 4, 3, 2, 1))[0]):
        names[words.product(rng, split)] = None
    upper = rng.random() < 0.25
    single = layout in ("plain", "prices first", "total on top")
    items = [
        Item(
            name.upper() if upper else name,
            1 if single else rng.choice((1, 1, 1, 2, 3, rng.randint(2, 12))),
            words.amount(rng, 40),
        )
        for name in names
    ]
    currency = rng.choice(words.CURRENCIES)
    return Plan(items, currency, rng.random() < 0.5, layout, rng.choice((0, 0, 5, 7, 8, 10, 19, 20)))


def header(sheet: Sheet, plan: Plan, rng: random.Random, split: Split) -> None:
    """The shop, its address and when it was."""
    style = sheet.style
    write = sheet.centred if rng.random() < 0.75 else sheet.line
    name = words.cut(words.shop(rng, split), 24)
    name = name.upper() if rng.random() < 0.4 else name
    sheet.note("shop", "", write(name, style.large if sheet.fits(name, style.large) else style.normal))
    street = words.street(rng, split)
    if rng.random() < 0.5 and sheet.fits(street):
        sheet.note("address", "", write(street))
    if rng.random() < 0.3:
        sheet.note("city", "", write(words.city(rng, split)))
    if rng.random() < 0.3:
        prefix, number = rng.choice(("Tel ", "Tel: ", "Phone ", "", "T: ")), words.phone(rng)
        sheet.note("phone", "", sheet.part(write(prefix + number), number))
    sheet.y += style.em * rng.uniform(0.1, 0.6)
    details(sheet, rng, split)


def details(sheet: Sheet, rng: random.Random, split: Split) -> None:
    """Date, time, number, cashier, each with its own line or two of them in one."""
    date, time = words.date(rng, rng.choice(words.DATE_STYLES)), words.time(rng)
    style = rng.random()
    if style < 0.45 and len(date) + len(time) < 20:
        first, second = sheet.spread(date, time)
        sheet.note("date", "", first)
        sheet.note("time", "", second)
    elif style < 0.85:
        sheet.note("date", "", sheet.part(sheet.line(rng.choice(("Date: ", "Date ", "")) + date), date))
        if rng.random() < 0.4:
            sheet.note("time", "", sheet.part(sheet.line(rng.choice(("Time: ", "Time ")) + time), time))
    if rng.random() < 0.35:
        number = words.digits(rng, rng.randint(3, 7))
        sheet.note(
            "number", "", sheet.part(sheet.line(rng.choice(("Receipt ", "No. ", "Order #", "Bill: ")) + number), number)
        )
    if rng.random() < 0.25:
        person = words.person(rng, split).split(" ")[0]
        sheet.note("cashier", "", sheet.part(sheet.line(rng.choice(("Cashier: ", "Served by ")) + person), person))


def listed(sheet: Sheet, plan: Plan) -> tuple[list[Run], list[Run]]:
    """The items; the runs of their costs and, where they are printed, of their counts."""
    costs, counts = [], []
    indent = max(sheet.style.normal.length(plan.amount(item.cost)) for item in plan.items) + sheet.style.em
    if plan.layout == "columns":
        headings = (("Qty", "Item", "Price"), ("Qty", "Description", "Amount"), ("#", "Article", "Total"))[
            len(plan.items) % 3
        ]
        columns(sheet, headings, True)
    for item in plan.items:
        cost, one = plan.amount(item.cost), plan.amount(item.each)
        if plan.layout == "quantities":
            first, second = sheet.spread(f"{item.pieces} x {item.name}", cost)
            counts.append(Run(str(item.pieces), first.start, first.start + len(str(item.pieces))))
        elif plan.layout == "columns":
            count, _, second = columns(sheet, (str(item.pieces), item.name, cost), False)
            counts.append(count)
        elif plan.layout == "two lines":
            sheet.line(item.name)
            first, second = sheet.spread(f"{item.pieces} x {one}", cost)
            counts.append(Run(str(item.pieces), first.start, first.start + len(str(item.pieces))))
        elif plan.layout == "prices first":
            style, y = sheet.style, sheet.baseline()
            second = sheet.page.write(sheet.left, y, cost, style.normal, style.ink)
            sheet.row(second, sheet.page.write(round(sheet.left + indent), y, item.name, style.normal, style.ink))
            sheet.advance()
        else:
            _, second = sheet.spread(item.name, cost)
        costs.append(second)
    return costs, counts


def columns(sheet: Sheet, texts: tuple[str, str, str], heading: bool) -> tuple[Run, Run, Run]:
    """A row of count, name and cost."""
    font, ink, y = sheet.style.strong if heading else sheet.style.normal, sheet.style.ink, sheet.baseline()
    runs = (
        sheet.page.write(sheet.left, y, texts[0], font, ink),
        sheet.page.write(sheet.left + sheet.style.em * 2.2, y, texts[1], font, ink),
        sheet.page.write_right(sheet.right, y, texts[2], font, ink),
    )
    sheet.row(*runs)
    sheet.advance()
    return runs


def total(sheet: Sheet, plan: Plan, rng: random.Random) -> None:
    """The line of the total, larger or not, in a bar or not."""
    sums = round(sum(item.cost for item in plan.items), 2)
    label = rng.choice(("Total", "TOTAL", "Total", "Total due", "Amount due", "To pay", "Sum", "Total:", "Grand total"))
    text = words.money(round(sums + sums * plan.tax / 100, 2), plan.currency)
    style = sheet.style
    font = style.large if style.large.length(f"{label}  {text}") < sheet.right - sheet.left else style.strong
    ink = style.ink
    if rng.random() < 0.15:
        ratio = font.size / style.normal.size
        sheet.page.pen.rectangle(
            (sheet.left - 2, sheet.y - 2, sheet.right + 2, sheet.y + style.pitch * ratio - 1), style.ink
        )
        ink = style.paper
    _, run = sheet.spread(label, text, font, ink)
    sheet.note("total", "", run)


def sums(sheet: Sheet, plan: Plan, rng: random.Random) -> None:
    """Subtotal and tax if there is any, the total, what was given and what came back."""
    subtotal = round(sum(item.cost for item in plan.items), 2)
    if plan.tax:
        _, run = sheet.spread(rng.choice(("Subtotal", "SUBTOTAL", "Sub-total", "Net")), plan.amount(subtotal))
        sheet.note("subtotal", "", run)
        _, run = sheet.spread(
            f"{rng.choice(('Tax', 'VAT', 'TAX'))} {plan.tax}%", plan.amount(round(subtotal * plan.tax / 100, 2))
        )
        sheet.note("tax", "", run)
    if plan.layout != "total on top":
        total(sheet, plan, rng)
    due = round(subtotal + subtotal * plan.tax / 100, 2)
    style = rng.random()
    if style < 0.3:
        given = (
            float(next(note for note in (5, 10, 20, 50, 100, 200, 500, 1000, 5000) if note >= due))
            if due < 5000
            else due
        )
        sheet.note("cash", "", sheet.spread(rng.choice(("Cash", "CASH")), plan.amount(given))[1])
        sheet.note("change", "", sheet.spread(rng.choice(("Change", "CHANGE")), plan.amount(round(given - due, 2)))[1])
    elif style < 0.5:
        sheet.line(f"Card {rng.choice(('****', 'XXXX', '...'))}{words.digits(rng, 4)}")


def style_of(rng: random.Random, split: Split) -> Style:
    """Receipts are printed in monospaced letters more often than other things."""
    face = Face(rng.choice(families(split, "mono")), "regular") if rng.random() < 0.45 else None
    return style_for(rng.triangular(5.8, 10, 7), rng, split, face, dark=0)


def width_of(plan: Plan, style: Style, rng: random.Random) -> float:
    """A width in which all rows of the list have room, and headers of 24 characters."""
    costs = max(style.normal.length(plan.amount(item.cost)) for item in plan.items)
    costs += max(style.normal.length(f"12 x {plan.amount(item.each)}") for item in plan.items) / (
        1 if plan.layout == "two lines" else 8
    )
    names = max(style.normal.length(item.name) for item in plan.items) * (0 if plan.layout == "two lines" else 1)
    needed = costs + names + style.em * 4.5
    return max(needed, 24 * style.normal.length("n") + 1.4 * style.em, style.normal.mean_advance * rng.randint(22, 28))


def receipt(rng: random.Random, split: Split) -> Sample:
    """A receipt with its reading and questions about sums, the date, the shop and the items."""
    plan = planned(rng, split)
    style = style_of(rng, split)
    sheet = Sheet.new(width_of(plan, style, rng), style)
    header(sheet, plan, rng, split)
    if plan.layout == "total on top":
        total(sheet, plan, rng)
    sheet.rule(rng)
    costs, counts = listed(sheet, plan)
    sheet.rule(rng)
    sums(sheet, plan, rng)
    if rng.random() < 0.5:
        sheet.y += style.em * 0.4
        sheet.centred(rng.choice(THANKS))
    sheet.close()
    sheet.present(rng)
    questions = asked(sheet, "read/receipt", rng, TIMES[split])
    number = rng.randrange(len(plan.items))
    item = plan.items[number]
    # Where the price of a piece is printed as well, only what was paid is beyond doubt.
    phrasings = PAID_FOR if item.pieces > 1 and plan.layout == "two lines" else PRICE_OF
    questions.append(Question(FIELD, careless(rng.choice(phrasings).format(item=item.name), rng), costs[number].text))
    if counts and rng.random() < 0.6:
        questions.append(
            Question(FIELD, careless(rng.choice(COUNT_OF).format(item=item.name), rng), counts[number].text)
        )
    if rng.random() < 0.3 and phrasings is PRICE_OF:
        label = f"the price of {item.name}"
        box = markup(label, [sheet.page.box(costs[number])], sheet.page.size)
        questions.append(Question("ground/text", f"<|ref|>{label}<|/ref|>.", box))
    return Sample([sheet.page.picture()], questions)
