"""What is seen on screens: settings, dialogues, lists, terminals."""

from __future__ import annotations

import random
from collections.abc import Callable

from . import vocabulary, words
from .colours import Rgb, from_hsv, mix
from .document_questions import FIELD, asked
from .fonts import Face, families, pick_plain
from .grounding import ONE, question
from .page import Run
from .sample import TIMES, Box, Question, Sample, Split, markup
from .sheets import Sheet, Style, light, style_for
from .text import careless, wrapped
from .vocabulary import phrases

SETTINGS = phrases(
    """
    Wi-Fi|Bluetooth|Dark mode|Location|Notifications|Sound|Vibration|Auto update|Backup|Sync|Airplane mode|
    Night light|Camera|Microphone|Hotspot|Battery saver|Captions|Spell check|Autoplay|Cookies|Two-step login|
    Auto lock|Wake word
    """
)
VALUES = phrases(
    """
    Brightness|Volume|Language|Region|Time zone|Storage|Version|Font size|Theme|Account|Battery|Network|Printer|
    Resolution|Keyboard|Quality|Speed|Memory|Owner|Device name|Screen time|Wallpaper|Ringtone|Browser|Country|
    Balance|Downloads
    """
)
TITLES: tuple[str, ...] = (
    "Settings",
    "Options",
    "Preferences",
    "Warning",
    "Error",
    "Welcome",
    "Messages",
    "Files",
    "Mail",
    "Notes",
    "Profile",
)
TITLES += (
    "Display",
    "Privacy",
    "Network",
    "Account",
    "Confirm",
    "Update",
    "Downloads",
    "Music",
    "About",
    "Tasks",
    "Search",
)

SWITCH = (
    "Is {name} on?",
    "Is {name} on or off?",
    "{name} on or off?",
    "Is {name} enabled?",
    "Is the switch for {name} on?",
    "What is the state of {name}?",
    "Is {name} turned on?",
)
"""Where "or" or the state is asked for, the answer is "on" or "off", else "yes" or "no"."""

BUTTON_LIST = (
    "Which buttons are there?",
    "What do the buttons say?",
    "What buttons can I press?",
    "List the buttons.",
    "Name the buttons.",
    "What can I click?",
)
WINDOW = (
    "What is the title of the window?",
    "What does the title bar say?",
    "What is this window called?",
    "Window title?",
    "What's the title?",
    "Which window is it?",
)


NEVER = ("seat", "gate", "job", "tax", "change", "cash")
"""Kinds of fields that no screen has; of others there may be some among what is typed and listed."""


def style_of(rng: random.Random, split: Split, face: Face | None = None) -> Style:
    """Screens have sans letters, dark paper in a third of cases."""
    if face is None and rng.random() < 0.75:
        face = Face(rng.choice(families(split, "sans")), "regular")
    return style_for(rng.triangular(5.8, 10, 7.2), rng, split, face or pick_plain(rng, split), dark=0.35)


def bar(sheet: Sheet, title: str, rng: random.Random, split: Split) -> None:
    """A title bar, with the time or with knobs at its end."""
    style, pen = sheet.style, sheet.page.pen
    height = style.normal.height + style.em * rng.uniform(0.5, 0.9)
    colour: Rgb = style.accent if rng.random() < 0.5 else mix(style.paper, style.ink, 0.12)
    pen.rectangle((0, 0, sheet.page.size[0], height), colour)
    sheet.y = (height - style.normal.height) / 2
    ink: Rgb = (0, 0, 0) if light(colour) else (255, 255, 255)
    ends = rng.random()
    y = sheet.baseline()
    if rng.random() < 0.3 and ends >= 0.25:
        run = sheet.page.write_centred(sheet.page.size[0] / 2, y, title, style.strong, ink)
    else:
        run = sheet.page.write(sheet.left, y, title, style.strong, ink)
    runs = [run]
    if ends < 0.25:
        time = f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"
        runs.append(sheet.page.write_right(sheet.right, y, time, style.normal, ink))
        sheet.note("time", "", runs[1])
    elif ends < 0.6:
        side = style.em * 0.5
        for number in range(rng.randint(1, 3)):
            x, top = sheet.right - (number + 1) * side * 1.5, (height - side) / 2
            pen.rectangle((x, top, x + side, top + side), None, ink)
    sheet.row(*runs)
    sheet.note("title", "", run)
    sheet.y = height + style.em * 0.5


def button(sheet: Sheet, x: float, text: str, filled: bool) -> tuple[Run, float]:
    """A button at `x`; its label and its right edge."""
    style = sheet.style
    width, height = style.normal.length(text) + style.em * 1.3, style.normal.height + style.em * 0.6
    box = (round(x), round(sheet.y), round(x + width), round(sheet.y + height))
    fill = style.accent if filled else mix(style.paper, style.ink, 0.1)
    sheet.page.pen.rounded_rectangle(box, style.em * 0.25, fill, style.faint)
    ink: Rgb = (255, 255, 255) if not light(fill) else (0, 0, 0)
    baseline = round(sheet.y + style.em * 0.3 + style.normal.ascent)
    run = sheet.page.write(round(x + style.em * 0.65), baseline, text, style.normal, ink)
    sheet.buttons.append((text, Box(*map(float, box))))
    return run, x + width


def buttons(sheet: Sheet, rng: random.Random, split: Split) -> None:
    """A row of one to three buttons."""
    style = sheet.style
    names = rng.sample(vocabulary.BUTTONS, rng.choice((1, 2, 2, 3)))
    if rng.random() < 0.15:
        names[0] = words.word(rng, split).capitalize()
    gap = style.em * 0.6
    while (
        sum(style.normal.length(name) + style.em * 1.3 + gap for name in names) > sheet.right - sheet.left
        and len(names) > 1
    ):
        names.pop()
    widths = sum(style.normal.length(name) + style.em * 1.3 + gap for name in names) - gap
    x = rng.choice((sheet.left, sheet.right - widths, (sheet.left + sheet.right - widths) / 2))
    strong, runs = rng.randrange(len(names)), []
    for number, name in enumerate(names):
        run, x = button(sheet, x, name, number == strong)
        runs.append(run)
        x += gap
    sheet.row(*runs)
    sheet.y += style.normal.height + style.em * 0.9


def switch(sheet: Sheet, on: bool) -> None:
    """A switch at the right of the coming line: green with its knob at the right is on."""
    style, pen = sheet.style, sheet.page.pen
    height = style.normal.cap_height * 1.15
    top = sheet.baseline() - style.normal.cap_height * 1.05
    left, right = sheet.right - height * 1.9, sheet.right
    track = from_hsv(130, 0.65, 0.65) if on else from_hsv(0, 0, 0.6)
    pen.rounded_rectangle((left, top, right, top + height), height / 2, track)
    x = right - height if on else left
    pen.ellipse((x + 1, top + 1, x + height - 1, top + height - 1), (255, 255, 255))


def settings(sheet: Sheet, rng: random.Random, split: Split) -> list[Question]:
    """A list of settings, some with switches and some with values; questions about the switches."""
    names = rng.sample(SETTINGS, rng.randint(0, 4))
    others = rng.sample(VALUES, rng.randint(1 if names else 2, 4))
    if rng.random() < 0.4:
        others[0] = words.invented(rng, split, 2).capitalize()
    lines = [(name, True) for name in names] + [(name, False) for name in others]
    rng.shuffle(lines)
    questions = []
    for name, switched in lines:
        if switched:
            on = rng.random() < 0.5
            switch(sheet, on)
            sheet.line(name)
            template = rng.choice(SWITCH)
            yes, no = ("on", "off") if " or " in template or "state" in template else ("yes", "no")
            questions.append(Question(FIELD, careless(template.format(name=name), rng), yes if on else no))
        else:
            _, run = sheet.spread(name, value(rng, split))
            sheet.note("", name, run)
        sheet.y += sheet.style.em * 0.35
        if rng.random() < 0.5:
            sheet.page.pen.line(
                (sheet.left, round(sheet.y), sheet.right, round(sheet.y)), mix(sheet.style.paper, sheet.style.ink, 0.15)
            )
            sheet.y += sheet.style.em * 0.2
    return rng.sample(questions, min(2, len(questions)))


def value(rng: random.Random, split: Split) -> str:
    """What a setting is set to."""
    makers: tuple[Callable[[], str], ...] = (
        lambda: f"{rng.randint(0, 100)}%",
        lambda: words.quantity(rng),
        lambda: words.word(rng, split).capitalize(),
        lambda: words.one_of(vocabulary.CITIES, rng, split),
        lambda: f"{rng.randint(0, 12)}.{rng.randint(0, 20)}.{rng.randint(0, 9)}",
        lambda: words.invented(rng, split, 2),
    )
    return words.cut(rng.choice(makers)(), 14)


def message(sheet: Sheet, rng: random.Random, split: Split) -> list[Question]:
    """A dialogue: a message and buttons."""
    columns = round((sheet.right - sheet.left) / sheet.style.normal.mean_advance * 0.88)
    tokens = words.sentence(rng, split).split(" ")
    if rng.random() < 0.4:
        tokens = rng.choice(("Delete the file", "Save changes to", "Cannot open", "Do you want to open", "Lost")).split(
            " "
        )
        tokens.append(
            f"{words.invented(rng, split, 2)}.{rng.choice(('txt', 'png', 'pdf', 'doc', 'zip'))}{rng.choice('?.!')}"
        )
    for text in wrapped([words.cut(token, columns) for token in tokens], columns):
        sheet.line(text)
    sheet.y += sheet.style.em * 0.6
    buttons(sheet, rng, split)
    return []


def files(sheet: Sheet, rng: random.Random, split: Split) -> list[Question]:
    """A list of files with their sizes, or of messages with their times."""
    mail = rng.random() < 0.4
    names: dict[str, None] = {}
    for _ in range(rng.randint(2, 7)):
        word = words.cut(words.word(rng, split), 12)
        names[
            words.person(rng, split).split(" ")[0]
            if mail
            else f"{word}.{rng.choice(('txt', 'png', 'pdf', 'mp3', 'py'))}"
        ] = None
    for name in names:
        detail = words.time(rng)[:5].strip() if mail else f"{rng.randint(1, 999)} {rng.choice(('KB', 'MB', 'GB'))}"
        _, run = sheet.spread(name, detail)
        sheet.note("", name, run)
        sheet.y += sheet.style.em * 0.3
    if rng.random() < 0.3:
        sheet.y += sheet.style.em * 0.3
        buttons(sheet, rng, split)
    return []


def inputs(sheet: Sheet, rng: random.Random, split: Split) -> list[Question]:
    """Labelled fields that have been filled in, and buttons."""
    style = sheet.style
    makers: dict[str, Callable[[], str]] = {
        "Name": lambda: words.person(rng, split),
        "User": lambda: words.invented(rng, split, 2),
        "Email": lambda: words.email(rng, split),
        "City": lambda: words.city(rng, split),
        "Phone": lambda: words.phone(rng),
        "Code": lambda: words.code(rng),
        "Date": lambda: words.date(rng),
        "Search": lambda: words.word(rng, split),
    }
    kinds = {"Name": "name", "Email": "email", "City": "city", "Phone": "phone", "Date": "date"}
    most = int((sheet.right - sheet.left - style.em) / style.normal.mean_advance * 0.85)
    for label in rng.sample(list(makers), rng.randint(1, 3)):
        sheet.line(label)
        frame = (sheet.left, round(sheet.y), sheet.right, round(sheet.y + style.normal.height + style.em * 0.5))
        sheet.page.pen.rectangle(frame, mix(style.paper, style.ink, 0.04), style.faint)
        sheet.y += style.em * 0.25
        run = sheet.page.write(
            round(sheet.left + style.em * 0.4),
            sheet.baseline(),
            words.cut(makers[label](), most),
            style.normal,
            style.ink,
        )
        sheet.row(run)
        sheet.note(kinds.get(label, ""), label, run)
        sheet.y = frame[3] + style.em * 0.4
    buttons(sheet, rng, split)
    return []


def terminal(rng: random.Random, split: Split) -> Sheet:
    """Lines in a terminal or an editor."""
    face = Face(rng.choice(families(split, "mono")), "regular")
    style = style_of(rng, split, face)
    prompt = rng.choice(("$ ", "> ", "# ", "", ">>> "))
    lines = [words.snippet(rng, split, 26) for _ in range(rng.randint(2, 8))]
    lines = [prompt + text if rng.random() < 0.5 else text for text in lines]
    sheet = Sheet.new((max(map(len, lines)) + 3) * style.normal.mean_advance, style)
    for text in lines:
        sheet.line(
            text, ink=style.ink if rng.random() < 0.8 else mix(style.ink, from_hsv(rng.uniform(0, 360), 0.8, 0.7), 0.6)
        )
    return sheet


def window(rng: random.Random, split: Split) -> tuple[Sheet, list[Question]]:
    """A window or the screen of a telephone."""
    style = style_of(rng, split)
    sheet = Sheet.new(rng.randint(22, 36) * style.normal.mean_advance, style)
    title = rng.choice(TITLES) if rng.random() < 0.6 else words.cut(words.cased(words.word(rng, split), rng), 14)
    bar(sheet, title if sheet.fits(f"{title}   00:00", style.strong) else title[:8].rstrip(), rng, split)
    body = rng.choices((settings, message, files, inputs), (4, 3, 2, 2))[0]
    return sheet, body(sheet, rng, split)


def pressed(sheet: Sheet, rng: random.Random) -> list[Question]:
    """Questions about buttons."""
    if not sheet.buttons:
        return []
    questions = []
    if rng.random() < 0.5:
        names = ", ".join(name for name, _ in sheet.buttons)
        questions.append(Question(FIELD, careless(rng.choice(BUTTON_LIST), rng), names))
    if rng.random() < 0.7:
        name, box = rng.choice(sheet.buttons)
        label = rng.choice((f"the {name} button", f"the button {name}", f"the {name} button"))
        questions.append(Question("ground/text", question(label, ONE, rng), markup(label, [box], sheet.page.size)))
    return questions


def screen(rng: random.Random, split: Split) -> Sample:
    """A picture of a screen with its reading and questions about its parts."""
    questions: list[Question] = []
    if rng.random() < 0.2:
        sheet = terminal(rng, split)
    else:
        sheet, questions = window(rng, split)
    sheet.close()
    sheet.present(rng)
    questions += pressed(sheet, rng)
    questions += asked(sheet, "read/document", rng, TIMES[split], SETTINGS + VALUES, NEVER)
    titles = [entry.run.text for entry in sheet.entries if entry.kind == "title"]
    if rng.random() < 0.3 and not any(question.answer in titles for question in questions):
        questions += [Question(FIELD, careless(rng.choice(WINDOW), rng), title) for title in titles]
    return Sample([sheet.page.picture()], questions)
