"""What is asked about documents: fields by their meaning or their label, where they are, and what is not there."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from .grounding import ONE, question
from .page import Run
from .sample import Box, Question, markup
from .sheets import Entry, Sheet
from .text import reading
from .wording import UNKNOWN, lower_first


class Kind(NamedTuple):
    """A kind of field. Kinds of one group are not told apart where one of them is asked for and missing."""

    task: str
    group: str
    nouns: tuple[str, ...]
    phrasings: tuple[str, ...] = ()


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
        FIELD, "tax", ("tax", "tax amount", "VAT"), ("How much tax is on it?", "How much tax was paid?", "How much is the VAT?")
    ),
    "cash": Kind(FIELD, "cash", ("cash given", "cash amount"), ("How much cash was given?", "How much was paid in cash?")),
    "change": Kind(FIELD, "change", ("change",), ("How much change was given?", "How much was given back?")),
    "date": Kind(
        DATE,
        "date",
        ("date", "date", "date", "date on it"),
        ("When was this?", "Which date is on it?", "What day was it?", "What date does it show?", "When is it dated?"),
    ),
    "due": Kind(DATE, "date", ("due date", "payment date"), ("When must it be paid?", "When is it due?", "Due when?")),
    "birth": Kind(DATE, "date", ("date of birth", "birth date", "birthday"), ("When was the person born?", "Born when?")),
    "expires": Kind(DATE, "date", ("expiry date", "expiration date"), ("When does it expire?", "Valid until when?")),
    "time": Kind(FIELD, "time", ("time",), ("At what time?", "What time is on it?", "What time does it say?", "When, at which hour?")),
    "shop": Kind(
        NAME,
        "shop",
        ("shop", "store", "name of the shop", "store name"),
        ("Which shop is this from?", "Where was this bought?", "Which store is it?", "Who sold it?", "What is the store called?"),
    ),
    "name": Kind(
        NAME,
        "name",
        ("name", "name", "person's name", "full name"),
        ("Whose is it?", "Who is it for?", "Which name is on it?", "Who is this?", "What name does it show?"),
    ),
    "customer": Kind(NAME, "name", ("customer", "customer's name", "client"), ("Who is the customer?", "Who is billed?")),
    "cashier": Kind(NAME, "name", ("cashier", "cashier's name"), ("Who was the cashier?", "Who served the customer?")),
    "sender": Kind(
        NAME, "name", ("sender", "name of the sender"), ("Who wrote this?", "Who is it from?", "Who signed it?", "Who sent it?")
    ),
    "recipient": Kind(NAME, "name", ("recipient",), ("Who is it to?", "To whom is it written?", "Who is it addressed to?")),
    "company": Kind(
        NAME, "shop", ("company", "company name", "name of the company"), ("Which company is it?", "Which firm is this from?")
    ),
    "event": Kind(NAME, "event", ("event", "name of the event"), ("What is it for?", "Which event is it?")),
    "title": Kind(
        FIELD, "title", ("title", "heading", "headline"), ("What is it called?", "What does the title say?", "What is at the top?")
    ),
    "number": Kind(
        FIELD, "number", ("number", "document number", "reference number"), ("Which number does it have?", "What number is it?")
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
        FIELD, "address", ("address", "street address", "street"), ("Where do they live?", "Which street is it?", "Where is it?")
    ),
    "city": Kind(FIELD, "city", ("city", "town"), ("Which city is it?", "In which city?", "Which town?")),
    "from": Kind(FIELD, "city", ("origin", "place of departure"), ("Where does it start?", "From where?", "Where from?")),
    "to": Kind(FIELD, "city", ("destination",), ("Where does it go?", "Where to?", "To which city?")),
    "seat": Kind(FIELD, "seat", ("seat", "seat number"), ("Which seat is it?", "Where do I sit?", "Which seat do I have?")),
    "gate": Kind(FIELD, "gate", ("gate",), ("Which gate is it?", "Where do I board?", "At which gate?")),
    "price": Kind(FIELD, "total", ("price", "cost"), ("How much is it?", "How much does it cost?", "What does it cost?")),
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

WORD = (
    'Where is the word "{label}"?',
    'Where is "{label}"?',
    'Find "{label}".',
    "Where does it say {label}?",
    'Locate the text "{label}".',
    'Point to "{label}".',
)


def careless(text: str, rng: random.Random) -> str:
    """The same as somebody in a hurry types it; what is quoted stays."""
    if rng.random() < 0.15:
        text = lower_first(text)
    return text.rstrip("?.") if rng.random() < 0.12 and not text.endswith('".') else text


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
    label = f"the {noun_of(entry, rng)}"
    return Question("ground/text", question(label, ONE, rng), markup(label, [sheet.page.box(entry.run)], sheet.page.size))


def words_of(sheet: Sheet) -> list[Run]:
    """The words that are printed once, of at least two characters."""
    found: list[Run] = []
    for row in sheet.rows:
        for run in row:
            start = run.start
            for text in run.text.split(" "):
                found.append(Run(text, start, start + len(text)))
                start += len(text)
    texts = [run.text.lower() for run in found]
    return [run for run in found if len(run.text) > 1 and texts.count(run.text.lower()) == 1]


def place_of_word(sheet: Sheet, rng: random.Random) -> Question | None:
    """Asks where a word is that is printed once."""
    candidates = [run for run in words_of(sheet) if all(c not in run.text for c in '<>|"')]
    if not candidates:
        return None
    run = rng.choice(candidates)
    box: Box = sheet.page.box(run)
    text = question(run.text, ONE, rng) if rng.random() < 0.4 else rng.choice(WORD).format(label=run.text)
    return Question("ground/text", text, markup(run.text, [box], sheet.page.size))


def absent(sheet: Sheet, rng: random.Random, others: Sequence[str] = ()) -> Question:
    """Asks for a field that is not there, or where it is; `others` are labels that this kind of document may have."""
    there = {KINDS[entry.kind].group for entry in sheet.entries if entry.kind}
    printed = sheet.text().lower()
    # A number or a title of some sort is on most documents, even where it is not noted as a field.
    missing = [
        name
        for name, kind in KINDS.items()
        if kind.group not in there and kind.group not in ("number", "title") and kind.nouns[0] not in printed
    ]
    labels = [label for label in others if label.lower() not in printed]
    if labels and rng.random() < 0.4:
        noun = rng.choice(labels)
        text = careless(rng.choice(BY_LABEL).format(noun=noun), rng)
    elif rng.random() < 0.25:
        noun = rng.choice(KINDS[rng.choice(missing)].nouns)
        text = question(f"the {noun}", ONE, rng)
    else:
        name = rng.choice(missing)
        text = about(Entry(name, "", Run("", 0, 0)), rng).text
    return Question("absent/document", text, UNKNOWN)


def asked(sheet: Sheet, task: str, rng: random.Random, count: int = 3, others: Sequence[str] = ()) -> list[Question]:
    """The full reading (`task`), `count` fields, one or two places, at times something that is not there."""
    questions = [Question(task, reading(rng), sheet.text())] if task else []
    entries = [entry for entry in sheet.entries if unmistakable(entry, sheet)]
    questions += [about(entry, rng) for entry in rng.sample(entries, min(count, len(entries)))]
    if entries:
        questions.append(place_of(rng.choice(entries), sheet, rng))
    if rng.random() < 0.5 and (word := place_of_word(sheet, rng)) is not None:
        questions.append(word)
    if rng.random() < 0.4:
        questions.append(absent(sheet, rng, others))
    return questions


def unmistakable(entry: Entry, sheet: Sheet) -> bool:
    """Whether an entry's kind, or its label where it has no kind, is on the sheet once."""
    if entry.kind:
        return sum(other.kind == entry.kind for other in sheet.entries) == 1
    return sum(other.label.lower() == entry.label.lower() for other in sheet.entries) == 1
