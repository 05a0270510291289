"""Lines, paragraphs and signs: text to be read."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from . import camera, vocabulary, words
from .backgrounds import background, tone
from .colours import Rgb, brightness, from_hsv, mix, shade_of
from .degrade import CLEAN, askew, photographed, scaled
from .fonts import Font, pick
from .grounding import ONE, question
from .page import Page, Run, joined, width_of
from .sample import COLOURS, TIMES, Box, Question, Sample, Split, Thing, markup
from .stage import Size, cast, staged
from .wording import UNKNOWN, lower_first, phrased

EXTRACT = "Extract all the text in the image."
"""The question for all text, as the model knows it best."""

OTHERS = (
    "Read the text.",
    "What does it say?",
    "Transcribe this.",
    "Free OCR.",
    "OCR",
    "What is written here?",
    "Read this.",
    "What text is in the image?",
    "Read it to me.",
    "Type out the text.",
    "What does the text say?",
    "Please transcribe the text.",
    "Give me the text.",
    "read the image",
    "what is written in the picture?",
    "Extract the text.",
)

SIGN_QUESTIONS = (
    "What does the sign say?",
    "What is written on the sign?",
    "Read the sign.",
    "what does the sign say",
    "Which words are on the sign?",
    "What is on the sign?",
    "Tell me what the sign says.",
)

WORD = (
    'Where is the word "{label}"?',
    'Where is "{label}"?',
    'Find "{label}".',
    "Where does it say {label}?",
    'Locate the text "{label}".',
    'Point to "{label}".',
)
SIGN_COLOUR = (
    "What colour is the sign?",
    "Which colour does the sign have?",
    "The sign is what colour?",
    "What is the colour of the sign?",
    "Name the colour of the sign.",
    "Sign colour?",
)

LEAST_X_HEIGHT = 7.0
"""Pixels; letters are never lower than that."""

CANVASES: tuple[Size, ...] = ((168, 168), (336, 168), (240, 120), (336, 336), (504, 168), (504, 336), (504, 504))


def reading(rng: random.Random) -> str:
    """A question for all text."""
    return EXTRACT if rng.random() < 0.5 else rng.choice(OTHERS)


def careless(text: str, rng: random.Random) -> str:
    """The same as somebody in a hurry types it; what is quoted stays."""
    if rng.random() < 0.15 and text[1:2].islower():
        text = lower_first(text)
    return text.rstrip("?.") if rng.random() < 0.12 and not text.endswith('".') else text


def words_of(runs: Sequence[Run]) -> list[Run]:
    """The words that are printed once, of at least two characters."""
    found: list[Run] = []
    for run in runs:
        start = run.start
        for text in run.text.split(" "):
            found.append(Run(text, start, start + len(text)))
            start += len(text)
    texts = [run.text.lower() for run in found]
    return [run for run in found if len(run.text) > 1 and texts.count(run.text.lower()) == 1]


def place_of_text(page: Page, runs: Sequence[Run], rng: random.Random) -> Question | None:
    """Asks where a word is that is printed once."""
    candidates = [run for run in words_of(runs) if all(character not in run.text for character in '<>|"')]
    if not candidates:
        return None
    run = rng.choice(candidates)
    text = question(run.text, ONE, rng) if rng.random() < 0.4 else rng.choice(WORD).format(label=run.text)
    return Question("ground/text", text, markup(run.text, [page.box(run)], page.size))


def ink_on(paper: Rgb, rng: random.Random) -> Rgb:
    """A dark colour on a light paper or a light one on a dark paper."""
    if brightness(paper) > 127:
        return from_hsv(rng.uniform(0, 360), rng.random() ** 2, rng.choice((0.0, rng.uniform(0, 0.3))))
    return from_hsv(rng.uniform(0, 360), rng.random() ** 2 * 0.5, rng.uniform(0.85, 1))


def light_paper(rng: random.Random) -> Rgb:
    """White or nearly so."""
    return (
        (255, 255, 255)
        if rng.random() < 0.5
        else from_hsv(rng.uniform(0, 360), rng.uniform(0, 0.08), rng.uniform(0.92, 1))
    )


def any_colour(rng: random.Random) -> Rgb:
    """A colour for letters: black or white most often."""
    style = rng.random()
    if style < 0.35:
        return from_hsv(0, 0, rng.uniform(0, 0.2))
    if style < 0.6:
        return from_hsv(0, 0, rng.uniform(0.9, 1))
    return shade_of(rng.choice(COLOURS), rng)


def advance_for(length: int, rng: random.Random) -> float:
    """A mean width of characters for texts of so many: mostly 10 to 20 pixels, more for short texts."""
    return rng.uniform(16, min(32, 300 / length)) if length <= 12 and rng.random() < 0.25 else rng.triangular(9, 23, 14)


def font_for(length: int, rng: random.Random, split: Split, plain: bool) -> Font:
    """A font for texts of so many characters; without scripts and slanted letters if `plain`."""
    face = pick(rng, split, rng.choices(("sans", "serif", "mono"), (6, 3, 2))[0] if plain else None)
    font = face.for_advance(advance_for(length, rng))
    return font if font.x_height >= LEAST_X_HEIGHT else face.for_x_height(LEAST_X_HEIGHT)


def canvas_for(width: float, height: float, rng: random.Random, tight: float) -> Size:
    """A canvas for a block of text: with probability `tight` just margins around it."""
    if rng.random() < tight:
        return round(width + rng.uniform(4, 30)), round(height + rng.uniform(4, 24))
    fits = [size for size in CANVASES if size[0] >= width + 6 and size[1] >= height + 6]
    return rng.choice(fits[:3]) if fits else (round(width + 12), round(height + 12))


def block(lines: list[str], font: Font, rng: random.Random, tight: float) -> tuple[Page, list[Run]]:
    """Lines printed in white on a black mask (mode L), left-aligned mostly."""
    tracking = 0.0 if rng.random() < 0.85 else rng.uniform(0.02, 0.2) * font.size
    pitch = max(font.height * rng.uniform(1.0, 1.6), font.ascent + font.descent + 1)
    widths = [width_of(line, font, tracking) for line in lines]
    width, height = max(widths), pitch * (len(lines) - 1) + font.height
    canvas = canvas_for(width, height, rng, tight)
    page = Page(Image.new("L", canvas))
    x, y = rng.uniform(2, max(2, canvas[0] - width - 2)), rng.uniform(2, max(2, canvas[1] - height - 2))
    share = rng.choice((0.0, 0.0, 0.0, 0.5, 1.0)) if len(lines) > 1 else 0.0
    runs = []
    for number, line in enumerate(lines):
        left = round(x + share * (width - widths[number]))
        runs.append(page.write(left, round(y + font.ascent + number * pitch), line, font, 255, tracking))
    return page, runs


def printed(lines: list[str], rng: random.Random, split: Split, clean: bool, tight: float) -> tuple[Page, list[Run]]:
    """Lines on some background; dark on a plain light one, upright and undegraded, if `clean`."""
    font = font_for(max(map(len, lines)), rng, split, clean)
    page, runs = block(lines, font, rng, tight)
    if clean:
        paper = light_paper(rng)
        page.image = inked(page.image, Image.new("RGB", page.size, paper), ink_on(paper, rng))
        return page, runs
    spoiled = rng.random() > CLEAN
    if spoiled and rng.random() < 0.4:
        page = askew(page, rng, rng.random() < 0.3)
    if rng.random() < 0.2:
        page = scaled(page, rng.uniform(0.8, 1.25))
    if spoiled and rng.random() < 0.6:
        colour = any_colour(rng)
        backdrop, _ = background(page.size, [colour], rng)
    else:
        paper = light_paper(rng) if rng.random() < 0.5 else tone(rng)
        colour = ink_on(paper, rng)
        backdrop = Image.new("RGB", page.size, paper)
    page.image = inked(page.image, backdrop, colour)
    if spoiled:
        page.image = photographed(page.image, rng, font.x_height)
    return page, runs


def inked(mask: Image.Image, backdrop: Image.Image, colour: Rgb) -> Image.Image:
    """A colour on a backdrop where the mask is white."""
    backdrop.paste(colour, (0, 0), mask)
    return backdrop


def line(rng: random.Random, split: Split) -> Sample:
    """One line of 1 to 28 characters, at times up to 48."""
    clean = rng.random() < 0.3
    text = words.snippet(rng, split, 28 if rng.random() < 0.9 else 48)
    page, runs = printed([text], rng, split, clean, tight=0.65)
    questions = [Question("read/clean-line" if clean else "read/line", reading(rng), text)]
    return Sample([page.picture()], questions + some_place(page, runs, rng, TIMES[split]))


def some_place(page: Page, runs: Sequence[Run], rng: random.Random, times: int) -> list[Question]:
    """At times a question where a word is."""
    asked = [place_of_text(page, runs, rng) for _ in range(times) if rng.random() < 0.3 * times]
    return [question for question in asked if question is not None]


def wrapped(tokens: list[str], most: int) -> list[str]:
    """Words in lines of at most `most` characters, where they fit."""
    lines = [""]
    for token in tokens:
        if lines[-1] and len(lines[-1]) + 1 + len(token) > most:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + token
    return lines


def passage(count: int, most: int, rng: random.Random, split: Split) -> list[str]:
    """`count` lines of at most `most` characters: running text, or a line each of anything."""
    style = rng.random()
    if style < 0.35:
        return [words.snippet(rng, split, most) for _ in range(count)]
    tokens: list[str] = []
    while sum(map(len, tokens)) < count * most:
        if style < 0.65:
            tokens += words.sentence(rng, split).split(" ")
        else:
            tokens += words.cut(words.phrase(rng, split, most), most).split(" ")
    return wrapped([words.cut(token, most) for token in tokens], most)[:count]


def paragraph(rng: random.Random, split: Split) -> Sample:
    """Two to eight lines."""
    count = rng.choices(range(2, 9), (6, 5, 4, 3, 2, 1, 1))[0]
    lines = passage(count, rng.randint(8, 34 if count < 6 else 26), rng, split)
    page, runs = printed(lines, rng, split, rng.random() < 0.25, tight=0.6)
    questions = [Question("read/paragraph", reading(rng), joined(runs))]
    return Sample([page.picture()], questions + some_place(page, runs, rng, TIMES[split]))


def sign_text(rng: random.Random, split: Split) -> list[str]:
    """One to three lines with a word or two each."""
    style = rng.random()
    if style < 0.35:
        text = words.one_of(vocabulary.SIGNS, rng, split)
        lines = wrapped(text.split(" "), rng.choice((8, 20)))
    elif style < 0.7:
        lines = [words.cased(words.word(rng, split), rng) for _ in range(rng.choice((1, 1, 2, 3)))]
    elif style < 0.85:
        lines = [rng.choice((words.code, words.price, words.number, words.time))(rng)]
    else:
        lines = [words.city(rng, split), words.quantity(rng)][: rng.randint(1, 2)]
    return [words.cut(part, 14) for part in lines]


def board(colour: Rgb, lines: list[str], font: Font, rng: random.Random) -> Page:
    """A sign (RGBA): a board with a frame or without and centred lines."""
    pitch = font.height * rng.uniform(1.05, 1.3)
    width = max(width_of(text, font) for text in lines) + font.size * rng.uniform(0.5, 1.4)
    height = pitch * (len(lines) - 1) + font.height + font.size * rng.uniform(0.4, 1.1)
    page = Page(Image.new("RGBA", (round(width), round(height)), (*colour, 0)))
    ink = ink_on(colour, rng)
    if brightness(colour) > 160 and rng.random() < 0.2:
        ink = shade_of(rng.choice(("red", "blue", "green", "purple")), rng)
    frame = ink if rng.random() < 0.5 else mix(colour, (0, 0, 0), 0.3)
    thickness = rng.choice((0, 0, 1, 2)) if font.size < 18 else rng.randint(0, 3)
    edges = (0, 0, page.size[0] - 1, page.size[1] - 1)
    round_by = rng.choice((0, 0, 3, 6))
    page.pen.rounded_rectangle(edges, round_by, (*colour, 255), (*frame, 255) if thickness else None, thickness)
    top = (height - (pitch * (len(lines) - 1) + font.height)) / 2
    for number, text in enumerate(lines):
        # Letters stand on an opaque board: their edges must not make it translucent.
        page.write_centred(width / 2, round(top + font.ascent + number * pitch), text, font, ink)
    page.image.putalpha(board_mask(page.size, round_by))
    return page


def board_mask(size: Size, round_by: int) -> Image.Image:
    """Where a board is."""
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), round_by, 255)
    return mask


def sign(rng: random.Random, split: Split) -> Sample:
    """A sign with one to three lines among other things; seldom nothing is written anywhere."""
    if rng.random() < 0.06:
        return nothing_written(rng)
    lines = sign_text(rng, split)
    name = rng.choice(COLOURS)
    colour = shade_of(name, rng)
    face = pick(rng, split, rng.choices(("sans", "serif", "display"), (7, 2, 2))[0], bold=0.5)
    font = face.for_advance(rng.uniform(11, max(14.0, min(28, 240 / max(map(len, lines))))))
    page = board(colour, lines, font, rng)
    if rng.random() > CLEAN:
        page = askew(page, rng, rng.random() < 0.4)
    width, height = page.size
    size = (max(round(width * rng.uniform(1.05, 2.0)), 100), max(round(height * rng.uniform(1.2, 3.0)), 100))
    left, top = rng.randint(0, size[0] - width), rng.randint(0, size[1] - height)
    backdrop, things = surroundings(size, Box(left, top, left + width, top + height), colour, rng)
    backdrop.paste(page.image, (left, top), page.image)
    page = page.map(lambda boxes: boxes + np.array((left, top) * 2), backdrop)
    page.things = [*things, Thing("sign", name, Box(left, top, left + width, top + height))]
    # The camera that pictures of things have: it leaves the colours what they are called.
    page.image = camera.photographed(page.image, rng)
    asked = rng.choice(SIGN_QUESTIONS) if rng.random() < 0.6 else reading(rng)
    questions = [Question("read/sign", asked, "\n".join(lines))]
    if rng.random() < 0.4:
        label = rng.choice(("the sign", f"the {name} sign"))
        questions.append(
            Question("ground/thing", question(label, ONE, rng), markup(label, [page.things[-1].box], size))
        )
    if rng.random() < 0.3:
        questions.append(Question("scene/colour", phrased(SIGN_COLOUR, rng), name))
    return Sample([page.picture()], questions)


def nothing_written(rng: random.Random) -> Sample:
    """Things, and no text where it is asked for."""
    size = (rng.randint(100, 340), rng.randint(100, 240))
    picture = staged(cast(rng), size, rng).picture(rng)
    asked = reading(rng) if rng.random() < 0.7 else rng.choice(SIGN_QUESTIONS)
    return Sample([picture], [Question("absent/document", asked, UNKNOWN)])


def surroundings(size: Size, kept_free: Box, colour: Rgb, rng: random.Random) -> tuple[Image.Image, list[Thing]]:
    """What is behind and beside a sign: a background with things, and a pole at times."""
    stage = staged(cast(rng)[: rng.choice((0, 0, 1, 2, 3, 4))], size, rng, also=[colour])
    free = [
        cutout
        for cutout in stage.cutouts
        if cutout.thing.box.right <= kept_free.left
        or cutout.thing.box.left >= kept_free.right
        or cutout.thing.box.bottom <= kept_free.top
        or cutout.thing.box.top >= kept_free.bottom
    ]
    image = stage.backdrop
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 3)))
    if rng.random() < 0.4:
        middle, half = (kept_free.left + kept_free.right) / 2, max(1.0, size[0] / rng.uniform(40, 90))
        grey = from_hsv(0, 0, rng.uniform(0.3, 0.8))
        ImageDraw.Draw(image).rectangle((middle - half, kept_free.top, middle + half, size[1]), grey)
    for cutout in free:
        image.paste(cutout.drawing, (int(cutout.thing.box.left), int(cutout.thing.box.top)), cutout.drawing)
    return image, [cutout.thing for cutout in free]
