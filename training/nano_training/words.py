"""What is printed: words, names, numbers, dates, sentences. Printable ASCII only, no two spaces in a row."""

from __future__ import annotations

import random
import string
import zlib
from collections.abc import Callable, Sequence
from functools import cache

from . import vocabulary
from .sample import Split
from .vocabulary import single

HELD_PERCENT = 15
"""Percentage of words that only the test split has."""

SEEN_IN_TEST = 0.2
"""How often the test split takes a word that training has as well."""

CAPITALS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
"""For what has no meaning: many fonts tell neither I from l and | nor O from 0, so that only words may have these."""

ONSETS = single(
    """
    b bl br c ch cl cr d dr f fl fr g gl gr h j k kn l m n p ph pl pr qu r s sc sh sk sl sm sn sp st str sw t th tr
    tw v w wh x y z _ _ _
    """
)
NUCLEI = single(
    """
    a e i o u a e i o ai au ea ee ei ie oa oo ou oi y
    """
)
CODAS = single(
    """
    _ _ _ _ b ck d ff g l ll lm m mp n nd ng nt p r rd rk rt s sh ss st t tt th v w x z zz gh ct ft j q
    """
)
"""How syllables begin, go on and end ("_": with nothing); what is named more than once is likelier."""


@cache
def held(word: str) -> bool:
    """Whether a word, in whatever case, belongs to the test split alone."""
    return zlib.crc32(word.lower().encode()) % 100 < HELD_PERCENT


@cache
def _parts(words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    kept = tuple(word for word in words if held(word))
    return tuple(word for word in words if not held(word)), kept or words


def one_of(words: tuple[str, ...], rng: random.Random, split: Split) -> str:
    """One of a list's words that the split may use."""
    seen, kept = _parts(words)
    return rng.choice(seen if split == "train" or rng.random() < SEEN_IN_TEST else kept)


def invented(rng: random.Random, split: Split, syllables: int | None = None) -> str:
    """A word in lower case that can be spoken but is (mostly) in no dictionary."""
    count = syllables or rng.choice((1, 2, 2, 2, 3, 3, 4))
    anything = split == "test" and rng.random() < SEEN_IN_TEST
    while True:
        sounds = (rng.choice(ONSETS) + rng.choice(NUCLEI) + rng.choice(CODAS) for _ in range(count))
        word = "".join(sounds).replace("_", "")
        if anything or held(word) == (split == "test"):
            return word


def word(rng: random.Random, split: Split) -> str:
    """A word in lower case, from the lists or invented."""
    return invented(rng, split) if rng.random() < 0.5 else one_of(vocabulary.COMMON, rng, split)


def cased(text: str, rng: random.Random) -> str:
    """A text in lower, upper, title or mixed case, or as a sentence begins."""
    style = rng.random()
    if style < 0.3:
        return text
    if style < 0.5:
        return text.upper()
    if style < 0.75:
        return text.title() if "'" not in text else text.capitalize()
    if style < 0.92:
        return text[:1].upper() + text[1:]
    return "".join(rng.choice((c.upper(), c.lower())) for c in text)


def characters(rng: random.Random, length: int) -> str:
    """Characters without meaning, blanks among them."""
    pools = (string.ascii_lowercase, CAPITALS, string.digits, "!\"#$%&'()*+,-./:;<=>?@[\\]^_{}~", "`")
    shares = rng.choice(
        ((5, 3, 3, 1, 0.05), (1, 4, 4, 0.3, 0), (4, 0.5, 2, 0.5, 0), (3, 3, 3, 4, 0.3), (0, 0, 1, 0, 0))
    )
    blank = rng.choice((0, 0, 0.08, 0.15))
    text = ""
    for pool in rng.choices(pools, shares, k=length):
        free = 0 < len(text) < length - 1 and text[-1] != " "
        text += " " if free and rng.random() < blank else rng.choice(pool)
    return text


def number(rng: random.Random) -> str:
    """A number as people write it."""
    style = rng.random()
    if style < 0.3:
        return str(rng.randint(0, 99))
    if style < 0.5:
        return str(rng.randint(100, 99999))
    if style < 0.65:
        return f"{rng.randint(1000, 9999999):,}"
    if style < 0.85:
        return f"{rng.uniform(0, 10 ** rng.randint(0, 4)):.{rng.randint(1, 3)}f}"
    return f"{rng.choice('+-')}{rng.randint(1, 999)}{rng.choice(('', '%', '.5', '.25'))}"


def quantity(rng: random.Random) -> str:
    """A number with a unit."""
    value = str(rng.randint(1, 999)) if rng.random() < 0.6 else f"{rng.uniform(0, 100):.1f}"
    unit = rng.choice(vocabulary.UNITS)
    return value + ("" if unit == "%" else rng.choice(("", " "))) + unit


def amount(rng: random.Random, most: float = 200.0) -> float:
    """An amount of money with two decimals; small ones are likelier."""
    return round(most * float(rng.random() ** 2.5) + rng.choice((0.05, 0.5, 0.99, 1.0)), 2)


def money(value: float, currency: str) -> str:
    """An amount with its currency; `currency` holds "0" where the number goes."""
    return currency.replace("0", f"{value:,.2f}")


CURRENCIES = ("$0", "0", "0", "$0", "EUR 0", "0 EUR", "$ 0", "GBP 0", "CHF 0", "USD 0", "0 USD")
"""Forms that `money` takes."""


def price(rng: random.Random) -> str:
    """Some price."""
    return money(amount(rng), rng.choice(CURRENCIES))


DATE_STYLES = ("iso", "dmy.", "dmy/", "mdy/", "d Month y", "Month d, y", "d Mon y", "Mon d, y", "dd-Mon-yy", "y/m/d")


def date(rng: random.Random, style: str | None = None) -> str:
    """A date from 1950 to 2039, in one of `DATE_STYLES`."""
    year, month, day = (
        rng.randint(1950, 2039) if rng.random() < 0.3 else rng.randint(2015, 2029),
        rng.randint(1, 12),
        rng.randint(1, 28),
    )
    name = vocabulary.MONTHS[month - 1]
    match style or rng.choice(DATE_STYLES):
        case "dmy.":
            return f"{day:02}.{month:02}.{year}"
        case "dmy/":
            return f"{day:02}/{month:02}/{year}"
        case "mdy/":
            return f"{month}/{day}/{year}"
        case "d Month y":
            return f"{day} {name} {year}"
        case "Month d, y":
            return f"{name} {day}, {year}"
        case "d Mon y":
            return f"{day} {name[:3]} {year}"
        case "Mon d, y":
            return f"{name[:3]} {day}, {year}"
        case "dd-Mon-yy":
            return f"{day:02}-{name[:3]}-{year % 100:02}"
        case "y/m/d":
            return f"{year}/{month:02}/{day:02}"
        case _:
            return f"{year}-{month:02}-{day:02}"


def time(rng: random.Random) -> str:
    """A time of day."""
    hour, minute = rng.randint(0, 23), rng.randint(0, 59)
    style = rng.random()
    if style < 0.55:
        return f"{hour:02}:{minute:02}"
    if style < 0.75:
        return f"{hour:02}:{minute:02}:{rng.randint(0, 59):02}"
    return f"{hour % 12 or 12}:{minute:02}{rng.choice((' ', ''))}{rng.choice(('AM', 'PM', 'am', 'pm'))}"


def digits(rng: random.Random, count: int) -> str:
    """So many digits."""
    return "".join(rng.choices(string.digits, k=count))


def phone(rng: random.Random) -> str:
    """A telephone number."""
    form = rng.choice(
        ("(###) ###-####", "###-###-####", "+## ### ######", "0## ### ## ##", "### ####", "+1 ### ### ####")
    )
    return "".join(rng.choice(string.digits) if c == "#" else c for c in form)


def code(rng: random.Random) -> str:
    """A code as on tickets, parcels and invoices."""
    forms: tuple[str, ...] = (
        "AA-####",
        "A###",
        "####-###",
        "AAA-#####",
        "AA##A##",
        "#####",
        "A-##-##",
        "INV-####",
        "#A#A#A",
        "AAAA####",
    )
    forms += ("No. ####", "#######", "AA ### AA", "AB#/##", "X##-AAA", "########")
    pools = {"#": string.digits, "A": CAPITALS}
    form = rng.choice(forms)
    if form.startswith(("INV", "No")):
        return form.replace("####", digits(rng, rng.randint(3, 6)))
    return "".join(rng.choice(pools[c]) if c in pools else c for c in form)


def email(rng: random.Random, split: Split) -> str:
    """An e-mail address, without a person behind it."""
    name = invented(rng, split, rng.randint(1, 3))
    if rng.random() < 0.4:
        name += rng.choice(".-_") + invented(rng, split, 1)
    host = invented(rng, split, rng.randint(1, 2))
    return f"{name}{rng.choice(('', '', digits(rng, 2)))}@{host}.{rng.choice(('example', 'test', 'com', 'org', 'net'))}"


def website(rng: random.Random, split: Split) -> str:
    """The address of a web page."""
    start = rng.choice(("www.", "https://", "", "http://www."))
    path = rng.choice(("", "", "/" + invented(rng, split, 1), f"/{digits(rng, 3)}"))
    return f"{start}{invented(rng, split, 2)}.{rng.choice(('com', 'org', 'net', 'io', 'dev'))}{path}"


def person(rng: random.Random, split: Split) -> str:
    """A first name and a surname, either of them invented at times."""
    first = one_of(vocabulary.FIRST_NAMES, rng, split) if rng.random() < 0.75 else invented(rng, split, 2).capitalize()
    last = one_of(vocabulary.SURNAMES, rng, split) if rng.random() < 0.6 else invented(rng, split, 2).capitalize()
    return f"{first} {last}" if rng.random() < 0.85 else f"{first} {rng.choice(string.ascii_uppercase)}. {last}"


def city(rng: random.Random, split: Split) -> str:
    """A city, invented at times."""
    return one_of(vocabulary.CITIES, rng, split) if rng.random() < 0.7 else invented(rng, split, 2).capitalize()


def street(rng: random.Random, split: Split) -> str:
    """A street with a number."""
    return f"{rng.randint(1, 299)} {word(rng, split).capitalize()} {rng.choice(vocabulary.STREETS)}"


def product(rng: random.Random, split: Split) -> str:
    """Something that can be bought, invented at times."""
    style = rng.random()
    if style < 0.6:
        return one_of(vocabulary.PRODUCTS, rng, split)
    if style < 0.8:
        return invented(rng, split, 2).capitalize()
    return f"{word(rng, split).capitalize()} {rng.choice((invented(rng, split, 1), digits(rng, rng.randint(1, 3))))}"


def shop(rng: random.Random, split: Split) -> str:
    """The name of a shop."""
    kind = one_of(vocabulary.SHOPS, rng, split)
    style = rng.random()
    if style < 0.3:
        return f"{one_of(vocabulary.SURNAMES, rng, split)} {kind}"
    if style < 0.5:
        return f"{one_of(vocabulary.FIRST_NAMES, rng, split)}'s {kind}"
    return f"{word(rng, split).capitalize()} {kind}"


def sentence(rng: random.Random, split: Split) -> str:
    """A sentence; its nouns are replaced by invented ones at times, so that it cannot be guessed."""

    def noun() -> str:
        plain = one_of(vocabulary.NOUNS, rng, split) if rng.random() < 0.6 else invented(rng, split, 2)
        return f"{one_of(vocabulary.ADJECTIVES, rng, split)} {plain}" if rng.random() < 0.4 else plain

    verb = one_of(vocabulary.VERBS, rng, split)
    place = one_of(vocabulary.PLACES, rng, split)
    subject = rng.choice(
        (f"The {noun()}", one_of(vocabulary.FIRST_NAMES, rng, split), f"My {noun()}", f"Every {noun()}")
    )
    text = f"{subject} {verb} {rng.choice(('a', 'the', 'our', 'no', 'this'))} {noun()}"
    if rng.random() < 0.5:
        text += f" {place}"
    return text + rng.choice((".", ".", ".", "!", "?", ";", ":"))


def phrase(rng: random.Random, split: Split, most: int) -> str:
    """Words up to about `most` characters, with punctuation here and there."""
    words: list[str] = []
    while not words or (len(" ".join(words)) < most - 6 and rng.random() < 0.8):
        words.append(word(rng, split) if rng.random() < 0.9 else number(rng))
    text = cased(" ".join(words), rng)
    style = rng.random()
    if style < 0.25:
        text += rng.choice(".,!?:;")
    elif style < 0.32:
        opening, closing = rng.choice(("()", '""', "''", "[]", "<>", "**", "{}", "--"))
        text = opening + text + closing
    elif style < 0.4 and " " in text:
        text = text.replace(" ", rng.choice((", ", " - ", "-", "_", "/", " & ", ": ", " + ", "=")), 1)
    return text


def snippet(rng: random.Random, split: Split, most: int = 28) -> str:
    """Any text of 1 to `most` characters that one line may hold."""
    kinds: Sequence[tuple[float, Callable[[], str]]] = (
        (0.22, lambda: characters(rng, rng.randint(min(3, most), min(most, 18)))),
        (0.36, lambda: phrase(rng, split, rng.randint(min(5, most), most))),
        (0.08, lambda: sentence(rng, split)),
        (0.07, lambda: rng.choice((number, quantity, price))(rng)),
        (0.06, lambda: date(rng)),
        (0.04, lambda: time(rng)),
        (0.06, lambda: code(rng)),
        (0.03, lambda: phone(rng)),
        (0.04, lambda: rng.choice((email, website, street, person, shop, product))(rng, split)),
        (0.04, lambda: f"{word(rng, split).capitalize()}: {rng.choice((number, price, date, code))(rng)}"),
    )
    make = rng.choices([make for _, make in kinds], [share for share, _ in kinds])[0]
    for _ in range(8):
        text = make()
        if 0 < len(text) <= most:
            return text
    return cut(make(), most)


def cut(text: str, most: int) -> str:
    """A text's beginning, without a blank at its end."""
    return text[:most].rstrip() or "a"
