"""What documents state: kinds of facts, how they are labelled and what values they have."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from . import words
from .sample import Split
from .vocabulary import phrases

Maker = Callable[[random.Random, Split], str]


class Fact(NamedTuple):
    """A statement: its kind (a key of `document_questions.KINDS` or ""), its label and its value."""

    kind: str
    label: str
    value: str


def job(rng: random.Random, split: Split) -> str:
    """Somebody's work."""
    field = rng.choice(
        ("Sales", "Design", "Software", "Data", "Project", "Night", "Chief", "Senior", "Junior", "Field")
    )
    work = rng.choice(
        ("Manager", "Engineer", "Officer", "Analyst", "Assistant", "Nurse", "Editor", "Driver", "Clerk", "Guide")
    )
    return f"{field} {work}" if rng.random() < 0.8 else words.invented(rng, split, 2).capitalize()


def company(rng: random.Random, split: Split) -> str:
    """The name of a firm."""
    name = words.word(rng, split).capitalize()
    return (
        f"{name} {rng.choice(('Ltd', 'Inc.', 'GmbH', 'Group', 'Labs', '& Co', 'Systems', 'Media', 'AG', 'Partners'))}"
    )


def happening(rng: random.Random, split: Split) -> str:
    """The name of an event."""
    kind = rng.choice(
        ("Concert", "Festival", "Fair", "Summit", "Night", "Show", "Cup", "Workshop", "Tour", "Party", "Opera")
    )
    return f"{words.word(rng, split).capitalize()} {kind}"


MAKERS: dict[str, tuple[tuple[str, ...], Maker]] = {
    "name": (("Name", "NAME", "Full name", "Passenger", "Guest", "Holder", "Patient"), words.person),
    "customer": (("Customer", "Client", "Bill to", "Billed to"), words.person),
    "sender": (("From", "Sender", "FROM"), words.person),
    "recipient": (("To", "Recipient", "TO", "Ship to"), words.person),
    "company": (("Company", "Firm", "Employer"), company),
    "event": (("Event", "EVENT", "What"), happening),
    "date": (("Date", "DATE", "Day", "Issued", "On"), lambda rng, split: words.date(rng)),
    "due": (("Due", "Due date", "Pay by", "DUE DATE"), lambda rng, split: words.date(rng)),
    "birth": (("Date of birth", "Born", "DOB", "Birth date"), lambda rng, split: words.date(rng)),
    "expires": (("Expires", "Valid until", "EXP", "Expiry"), lambda rng, split: words.date(rng)),
    "time": (("Time", "TIME", "At", "Starts", "Boarding"), lambda rng, split: words.time(rng)),
    "number": (("No.", "Number", "ID", "Ref", "Document no."), lambda rng, split: words.code(rng).removeprefix("No. ")),
    "phone": (("Phone", "Tel", "Mobile", "Tel.", "PHONE"), lambda rng, split: words.phone(rng)),
    "email": (("E-mail", "Email", "Mail"), words.email),
    "website": (("Web", "Website", "Site"), words.website),
    "address": (("Address", "Street", "ADDRESS"), words.street),
    "city": (("City", "Town", "Place"), words.city),
    "from": (("From", "Origin", "Departure"), words.city),
    "to": (("To", "Destination", "Arrival"), words.city),
    "seat": (("Seat", "SEAT"), lambda rng, split: f"{rng.randint(1, 60)}{rng.choice('ABCDEFGHJK')}"),
    "gate": (("Gate", "GATE"), lambda rng, split: f"{rng.choice(('', 'A', 'B', 'C', 'D'))}{rng.randint(1, 59)}"),
    "price": (("Price", "PRICE", "Fee", "Fare"), lambda rng, split: words.price(rng)),
    "total": (
        ("Total", "TOTAL", "Amount due", "Total due"),
        lambda rng, split: words.money(words.amount(rng, 5000), "$0"),
    ),
    "job": (("Position", "Job title", "Role", "Job"), job),
}
"""Labels and values of each kind."""

LABELS = phrases(
    """
    Room|Floor|Color|Model|Brand|Size|Weight|Height|Class|Level|Status|Type|Department|Country|Language|Nationality|
    Zone|Batch|Serial|Version|Quantity|Pages|Team|Course|Grade|Blood type|Car|Plate|Platform|Train|Flight|Group|
    Section|Row|Score|Rank|Unit|Code|PIN|Account|Order|Category|Branch|Shift|Locker|Table|Dose|Speed|Power|Voltage|
    Capacity|Material
    """
)
"""Labels without a meaning of their own to the questions; their values are of any sort."""


LONGEST = 26
"""Characters of a value."""


def fact(kind: str, rng: random.Random, split: Split, taken: set[str]) -> Fact:
    """A fact of a kind, under a label that is not taken yet (it is afterwards)."""
    labels, make = MAKERS[kind]
    free = [label for label in labels if label.lower() not in taken] or [kind.capitalize()]
    label = rng.choice(free)
    taken.add(label.lower())
    values = (make(rng, split) for _ in range(16))
    return Fact(kind, label, next((value for value in values if len(value) <= LONGEST), words.digits(rng, 6)))


def odd(rng: random.Random, split: Split, taken: set[str]) -> Fact:
    """A fact that is known by its label alone, an invented one in three of ten cases."""
    while True:
        label = (
            rng.choice(LABELS) if rng.random() < 0.7 else words.invented(rng, split, rng.choice((1, 2))).capitalize()
        )
        if label.lower() not in taken:
            break
    taken.add(label.lower())
    makers: tuple[Callable[[], str], ...] = (
        lambda: words.word(rng, split),
        lambda: words.word(rng, split).capitalize(),
        lambda: words.code(rng),
        lambda: words.quantity(rng),
        lambda: str(rng.randint(1, 9999)),
        lambda: words.characters(rng, rng.randint(2, 8)),
    )
    return Fact("", label, rng.choice(makers)())
