"""What is asked about documents: fields by their meaning or their label, where they are, and what is not there."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from typing import NamedTuple

from . import vocabulary
from .grounding import ONE, question
from .page import Run
from .sample import Question, markup
from .sheets import Entry, Sheet
from .text import WORD, careless, place_of_text, reading
from .wording import UNKNOWN


class Kind(NamedTuple):
    """A kind of field.

    Where one kind of a group is there, others of it are not said to be missing, for one might be taken for another; but
    a kind that is called `distinct` is missing wherever it is not itself there.
    """

    task: str
    group: str
    nouns: tuple[str, ...]
    phrasings: tuple[str, ...] = ()
    distinct: bool = False


TOTAL, DATE, NAME, FIELD = "document/total", "document/date", "document/name", "document/field"

KINDS: dict[str, Kind] = {
    "total": Kind(
        TOTAL,
        "total",
        ("total", "total", "total", "total amount", "sum", "grand total"),
        (
            "How much is it in total?",
            "How much was paid in all?",
            "How much does it cost altogether?",
            "What was the total cost?",
            "How much is the whole bill?",
            "How much to pay?",
            "What does it all come to?",
            "How much money in total?",
        ),
    ),
    "subtotal": Kind(TOTAL, "subtotal", ("subtotal", "amount before tax", "sum before tax")),
    "tax": Kind(
        FIELD,
        "tax",
        ("tax", "tax amount", "VAT"),
        ("How much tax is on it?", "How much tax was paid?", "How much is the VAT?"),
    ),
    "cash": Kind(
        FIELD, "cash", ("cash given", "cash amount"), ("How much cash was given?", "How much was paid in cash?")
    ),
    "change": Kind(FIELD, "change", ("change",), ("How much change was given?", "How much was given back?")),
    "date": Kind(
        DATE,
        "date",
        ("date", "date", "date", "date on it"),
        ("When was this?", "Which date is on it?", "What day was it?", "What date does it show?", "When is it dated?"),
    ),
    "due": Kind(
        DATE, "date", ("due date", "payment date"), ("When must it be paid?", "When is it due?", "Due when?"), True
    ),
    "birth": Kind(
        DATE, "date", ("date of birth", "birth date", "birthday"), ("When was the person born?", "Born when?"), True
    ),
    "expires": Kind(
        DATE, "date", ("expiry date", "expiration date"), ("When does it expire?", "Valid until when?"), True
    ),
    "time": Kind(
        FIELD,
        "time",
        ("time",),
        ("At what time?", "What time is on it?", "What time does it say?", "When, at which hour?"),
    ),
    "shop": Kind(
        NAME,
        "shop",
        ("shop", "store", "name of the shop", "store name"),
        (
            "Which shop is this from?",
            "Where was this bought?",
            "Which store is it?",
            "Who sold it?",
            "What is the store called?",
        ),
    ),
    "name": Kind(
        NAME,
        "name",
        ("name", "name", "person's name", "full name"),
        ("Whose is it?", "Who is it for?", "Which name is on it?", "Who is this?", "What name does it show?"),
    ),
    "customer": Kind(
        NAME, "name", ("customer", "customer's name", "client"), ("Who is the customer?", "Who is billed?")
    ),
    "cashier": Kind(
        NAME, "name", ("cashier", "cashier's name"), ("Who was the cashier?", "Who served the customer?"), True
    ),
    "sender": Kind(
        NAME,
        "name",
        ("sender", "name of the sender"),
        ("Who wrote this?", "Who is it from?", "Who signed it?", "Who sent it?"),
    ),
    "recipient": Kind(
        NAME, "name", ("recipient",), ("Who is it to?", "To whom is it written?", "Who is it addressed to?")
    ),
    "company": Kind(
        NAME,
        "shop",
        ("company", "company name", "name of the company"),
        ("Which company is it?", "Which firm is this from?"),
    ),
    "event": Kind(NAME, "event", ("event", "name of the event"), ("What is it for?", "Which event is it?")),
    "title": Kind(
        FIELD,
        "title",
        ("title", "heading", "headline"),
        ("What does the title say?", "What is at the top?", "What does the heading say?"),
    ),
    "number": Kind(
        FIELD,
        "number",
        ("number", "document number", "reference number"),
        ("Which number does it have?", "What number is it?"),
    ),
    "phone": Kind(
        FIELD,
        "phone",
        ("phone number", "telephone number", "phone"),
        ("Which number can I call?", "How can I call them?", "What number do I dial?"),
    ),
    "email": Kind(FIELD, "email", ("e-mail address", "email", "mail address"), ("Where can I write an e-mail to?",)),
    "website": Kind(FIELD, "website", ("website", "web address", "URL"), ("Which site is it?", "What's their site?")),
    "address": Kind(
        FIELD,
        "address",
        ("address", "street address", "street"),
        ("Which street is it?", "On which street?", "Where is it?"),
    ),
    "city": Kind(FIELD, "city", ("city", "town"), ("Which city is it?", "In which city?", "Which town?")),
    "from": Kind(
        FIELD, "city", ("origin", "place of departure"), ("Where does it start?", "From where?", "Where from?")
    ),
    "to": Kind(FIELD, "city", ("destination",), ("Where does it go?", "Where to?", "To which city?")),
    "seat": Kind(
        FIELD, "seat", ("seat", "seat number"), ("Which seat is it?", "Where do I sit?", "Which seat do I have?")
    ),
    "gate": Kind(FIELD, "gate", ("gate",), ("Which gate is it?", "Where do I board?", "At which gate?")),
    "price": Kind(
        FIELD, "total", ("price", "cost"), ("How much is it?", "How much does it cost?", "What does it cost?")
    ),
    "job": Kind(FIELD, "job", ("job title", "position", "job"), ("What is their job?", "What do they work as?")),
}
"""All kinds of fields that are known by their meaning."""

ASKING = (
    "What is the {noun}?",
    "What is the {noun}?",
    "{noun}?",
    "What's the {noun}?",
    "Tell me the {noun}.",
    "Give me the {noun}.",
    "Find the {noun}.",
    "the {noun}",
    "Which {noun} is on it?",
    "Can you read the {noun}?",
    "What does it say for the {noun}?",
    "I need the {noun}.",
)

BY_LABEL = (
    "What is the {noun}?",
    "{noun}?",
    "What does it say next to {noun}?",
    "What is written for {noun}?",
    "Value of {noun}?",
    'What is the value of "{noun}"?',
    "What's the {noun}?",
    "{noun}",
    "Tell me the {noun}.",
    "Which {noun} is given?",
)


def noun_of(entry: Entry, rng: random.Random) -> str:
    """What to call a field: by its meaning, or as it is labelled."""
    if entry.kind and (not entry.label or rng.random() < 0.75):
        return rng.choice(KINDS[entry.kind].nouns)
    return entry.label


def about(entry: Entry, rng: random.Random) -> Question:
    """Asks for a field's value."""
    if not entry.kind:
        return Question(FIELD, careless(rng.choice(BY_LABEL).format(noun=entry.label), rng), entry.run.text)
    kind = KINDS[entry.kind]
    if kind.phrasings and rng.random() < 0.4:
        text = rng.choice(kind.phrasings)
    else:
        noun = noun_of(entry, rng)
        text = rng.choice(ASKING).format(noun=noun)
        text = text[:1].upper() + text[1:]
    return Question(kind.task, careless(text, rng), entry.run.text)


def place_of(entry: Entry, sheet: Sheet, rng: random.Random) -> Question:
    """Asks where a field is."""
    label = f"the {noun_of(entry, rng)}" if entry.kind else f"the value of {entry.label}"
    return Question(
        "ground/text", question(label, ONE, rng), markup(label, [sheet.page.box(entry.run)], sheet.page.size)
    )


def place_of_word(sheet: Sheet, rng: random.Random) -> Question | None:
    """Asks where a word is that is printed once."""
    return place_of_text(sheet.page, [run for row in sheet.rows for run in row], rng)


def missing_kinds(sheet: Sheet) -> list[str]:
    """The kinds of fields that nobody would find on a sheet.

    A number or a title of some sort is on most documents, even where it is not noted as a field.
    """
    there = {entry.kind for entry in sheet.entries if entry.kind}
    groups = {KINDS[name].group for name in there} | {"number", "title"}
    printed = sheet.text().lower()
    return [
        name
        for name, kind in KINDS.items()
        if (name not in there if kind.distinct else kind.group not in groups)
        and not any(noun.lower() in printed for noun in kind.nouns)
    ]


def absent(sheet: Sheet, rng: random.Random, labels: Sequence[str], kinds: Collection[str] | None) -> Question:
    """Asks for a field that is not there, or where it is.

    `labels` are some that this sort of document may have; `kinds` the kinds that may be asked for, any if `None`.
    """
    missing = [name for name in missing_kinds(sheet) if kinds is None or name in kinds]
    printed = sheet.text().lower()
    free = [label for label in labels if label.lower() not in printed]
    words = [word for word in vocabulary.PRODUCTS + vocabulary.BUTTONS if word.lower() not in printed]
    if rng.random() < 0.2:
        text = rng.choice(WORD).format(label=rng.choice(words))
    elif free and (rng.random() < 0.4 or not missing):
        text = careless(rng.choice(BY_LABEL).format(noun=rng.choice(free)), rng)
    elif rng.random() < 0.25:
        text = question(f"the {rng.choice(KINDS[rng.choice(missing)].nouns)}", ONE, rng)
    else:
        text = about(Entry(rng.choice(missing), "", Run("", 0, 0)), rng).text
    return Question("absent/document", text, UNKNOWN)


def asked(
    sheet: Sheet,
    task: str,
    rng: random.Random,
    times: int,
    labels: Sequence[str] = (),
    kinds: Collection[str] | None = None,
) -> list[Question]:
    """The full reading (`task`), `times` three fields and a place or two, now and then something that is not there (see
    `absent`)."""
    questions = [Question(task, reading(rng), sheet.text())]
    entries = [entry for entry in sheet.entries if unmistakable(entry, sheet)]
    questions += [about(entry, rng) for entry in rng.sample(entries, min(3 * times, len(entries)))]
    questions += [place_of(entry, sheet, rng) for entry in rng.sample(entries, min(times, len(entries)))]
    for _ in range(times):
        if rng.random() < 0.5 and (word := place_of_word(sheet, rng)) is not None:
            questions.append(word)
    if rng.random() < 0.4:
        questions.append(absent(sheet, rng, labels, kinds))
    return questions


def unmistakable(entry: Entry, sheet: Sheet) -> bool:
    """Whether an entry's kind, or its label where it has no kind, is on the sheet once."""
    if entry.kind:
        return sum(other.kind == entry.kind for other in sheet.entries) == 1
    return sum(other.label.lower() == entry.label.lower() for other in sheet.entries) == 1
