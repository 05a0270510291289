"""Fonts: which families there are, which are kept for testing, and fast access to their measures."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import ImageFont

from .sample import Split

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "fonts"
"""Where `get-assets` puts the files."""

Class = Literal["sans", "serif", "mono", "display"]
Style = Literal["regular", "bold", "italic"]

SHARES: dict[Class, float] = {"sans": 0.5, "serif": 0.24, "mono": 0.18, "display": 0.08}
"""How often each class is drawn where any will do."""


class Family(NamedTuple):
    """A family: its Debian package and the names of its files; styles that it lacks are empty."""

    name: str
    kind: Class
    package: str
    regular: str
    bold: str = ""
    italic: str = ""

    def file(self, style: Style) -> str:
        """The file of a style, or of the regular one where it is missing."""
        return {"regular": self.regular, "bold": self.bold, "italic": self.italic}[style] or self.regular


FAMILIES = (
    Family("DejaVu Sans", "sans", "fonts-dejavu-core", "DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
    Family("DejaVu Sans Condensed", "sans", "fonts-dejavu-extra", "DejaVuSansCondensed.ttf"),
    Family(
        "Liberation Sans",
        "sans",
        "fonts-liberation",
        "LiberationSans-Regular.ttf",
        "LiberationSans-Bold.ttf",
        "LiberationSans-Italic.ttf",
    ),
    Family("Open Sans", "sans", "fonts-open-sans", "OpenSans-Regular.ttf", "OpenSans-Bold.ttf", "OpenSans-Italic.ttf"),
    Family("Lato", "sans", "fonts-lato", "Lato-Regular.ttf", "Lato-Bold.ttf", "Lato-Italic.ttf"),
    Family("Cantarell", "sans", "fonts-cantarell", "Cantarell-Regular.otf", "Cantarell-Bold.otf"),
    Family("Noto Sans", "sans", "fonts-noto-core", "NotoSans-Regular.ttf", "NotoSans-Bold.ttf", "NotoSans-Italic.ttf"),
    Family("Roboto", "sans", "fonts-roboto-unhinted", "Roboto-Regular.ttf", "Roboto-Bold.ttf", "Roboto-Italic.ttf"),
    Family("Inter", "sans", "fonts-inter", "Inter-Regular.otf", "Inter-Bold.otf", "Inter-Italic.otf"),
    Family("B612", "sans", "fonts-b612", "B612-Regular.otf", "B612-Bold.otf", "B612-Italic.otf"),
    Family("Cabin", "sans", "fonts-cabin", "Cabin-Regular.otf", "Cabin-Bold.otf", "Cabin-Italic.otf"),
    Family("Clear Sans", "sans", "fonts-clear-sans", "ClearSans-Regular.ttf", "ClearSans-Bold.ttf"),
    Family("Comfortaa", "sans", "fonts-comfortaa", "Comfortaa-Regular.ttf", "Comfortaa-Bold.ttf"),
    Family("Dosis", "sans", "fonts-dosis", "Dosis-Medium.otf", "Dosis-Bold.otf"),
    Family("Go", "sans", "fonts-go", "Go-Regular.ttf", "Go-Bold.ttf", "Go-Italic.ttf"),
    Family("Jura", "sans", "fonts-jura", "Jura-Medium.otf", "Jura-Bold.otf"),
    Family("Karla", "sans", "fonts-karla", "Karla-Regular.otf", "Karla-Bold.otf"),
    Family("League Spartan", "sans", "fonts-league-spartan", "LeagueSpartan-Regular.otf", "LeagueSpartan-Bold.otf"),
    Family("Manrope", "sans", "fonts-manrope", "Manrope-Regular.ttf", "Manrope-Bold.ttf"),
    Family("Osifont", "sans", "fonts-osifont", "osifont.ttf"),
    Family("PT Sans", "sans", "fonts-paratype", "PTS55F.ttf", "PTS75F.ttf", "PTS56F.ttf"),
    Family("Play", "sans", "fonts-play", "Play-Regular.ttf", "Play-Bold.ttf"),
    Family("Quicksand", "sans", "fonts-quicksand", "Quicksand-Medium.ttf", "Quicksand-Bold.ttf"),
    Family("Andika", "sans", "fonts-sil-andika", "Andika-Regular.ttf", "Andika-Bold.ttf"),
    Family("Sora", "sans", "fonts-sora", "Sora-Regular.otf", "Sora-Bold.otf"),
    Family("Tuffy", "sans", "fonts-tuffy", "tuffy_regular.ttf", "tuffy_bold.ttf"),
    Family("Biolinum", "sans", "fonts-linuxlibertine", "LinBiolinum_R.otf", "LinBiolinum_RB.otf"),
    Family("Adventor", "sans", "fonts-texgyre", "texgyreadventor-regular.otf", "texgyreadventor-bold.otf"),
    Family("Gillius", "sans", "fonts-adf-gillius", "GilliusADF-Regular.otf", "GilliusADF-Bold.otf"),
    Family("Universalis", "sans", "fonts-adf-universalis", "UniversalisADFStd-Regular.otf"),
    Family("Neohellenic", "sans", "fonts-gfs-neohellenic", "GFSNeohellenic.otf", "GFSNeohellenicBold.otf"),
    Family("Averia Sans", "sans", "fonts-averia-sans-gwf", "AveriaSansGWF-Regular.ttf", "AveriaSansGWF-Bold.ttf"),
    Family("Latin Modern Sans", "sans", "fonts-lmodern", "lmsans10-regular.otf", "lmsans10-bold.otf"),
    Family("Routed Gothic", "sans", "fonts-routed-gothic", "routed-gothic.ttf"),
    Family("DejaVu Serif", "serif", "fonts-dejavu-core", "DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf"),
    Family(
        "Liberation Serif",
        "serif",
        "fonts-liberation",
        "LiberationSerif-Regular.ttf",
        "LiberationSerif-Bold.ttf",
        "LiberationSerif-Italic.ttf",
    ),
    Family(
        "Caladea", "serif", "fonts-crosextra-caladea", "Caladea-Regular.ttf", "Caladea-Bold.ttf", "Caladea-Italic.ttf"
    ),
    Family("EB Garamond", "serif", "fonts-ebgaramond", "EBGaramond12-Regular.otf", "EBGaramond12-Bold.otf"),
    Family("Artemisia", "serif", "fonts-gfs-artemisia", "GFSArtemisia.otf", "GFSArtemisiaBold.otf"),
    Family("Didot", "serif", "fonts-gfs-didot", "GFSDidot.otf", "GFSDidotBold.otf"),
    Family(
        "Libertine", "serif", "fonts-linuxlibertine", "LinLibertine_R.otf", "LinLibertine_RB.otf", "LinLibertine_RI.otf"
    ),
    Family("Roboto Slab", "serif", "fonts-roboto-slab", "RobotoSlab-Regular.otf", "RobotoSlab-Bold.otf"),
    Family(
        "Noto Serif", "serif", "fonts-noto-core", "NotoSerif-Regular.ttf", "NotoSerif-Bold.ttf", "NotoSerif-Italic.ttf"
    ),
    Family("Old Standard", "serif", "fonts-oldstandard", "OldStandard-Regular.ttf", "OldStandard-Bold.ttf"),
    Family("PT Serif", "serif", "fonts-paratype", "PTF55F.ttf", "PTF75F.ttf", "PTF56F.ttf"),
    Family("Quattrocento", "serif", "fonts-quattrocento", "Quattrocento-Regular.otf"),
    Family(
        "Charis", "serif", "fonts-sil-charis", "CharisSIL-Regular.ttf", "CharisSIL-Bold.ttf", "CharisSIL-Italic.ttf"
    ),
    Family("Gentium", "serif", "fonts-sil-gentium-basic", "GenBasR.ttf", "GenBasB.ttf", "GenBasI.ttf"),
    Family("Vollkorn", "serif", "fonts-vollkorn", "Vollkorn-Regular.ttf", "Vollkorn-Bold.ttf", "Vollkorn-Italic.ttf"),
    Family("Bonum", "serif", "fonts-texgyre", "texgyrebonum-regular.otf", "texgyrebonum-bold.otf"),
    Family("Schola", "serif", "fonts-texgyre", "texgyreschola-regular.otf", "texgyreschola-bold.otf"),
    Family("Pagella", "serif", "fonts-texgyre", "texgyrepagella-regular.otf", "texgyrepagella-bold.otf"),
    Family("Averia Serif", "serif", "fonts-averia-serif-gwf", "AveriaSerifGWF-Regular.ttf", "AveriaSerifGWF-Bold.ttf"),
    Family("Baskervald", "serif", "fonts-adf-baskervald", "BaskervaldADFStd.otf", "BaskervaldADFStd-Bold.otf"),
    Family("Latin Modern", "serif", "fonts-lmodern", "lmroman10-regular.otf", "lmroman10-bold.otf"),
    Family("Yrsa", "serif", "fonts-yrsa-rasa", "Yrsa-Medium.ttf", "Yrsa-Bold.ttf"),
    Family("DejaVu Sans Mono", "mono", "fonts-dejavu-core", "DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf"),
    Family("Liberation Mono", "mono", "fonts-liberation", "LiberationMono-Regular.ttf", "LiberationMono-Bold.ttf"),
    Family("Noto Mono", "mono", "fonts-noto-mono", "NotoMono-Regular.ttf"),
    Family("Inconsolata", "mono", "fonts-inconsolata", "Inconsolata.otf"),
    Family("Fira Code", "mono", "fonts-firacode", "FiraCode-Regular.ttf", "FiraCode-Bold.ttf"),
    Family("Courier Prime", "mono", "fonts-courier-prime", "Courier Prime.otf", "Courier Prime Bold.otf"),
    Family("Anonymous Pro", "mono", "fonts-anonymous-pro", "Anonymous Pro.ttf", "Anonymous Pro B.ttf"),
    Family("JetBrains Mono", "mono", "fonts-jetbrains-mono", "JetBrainsMono-Regular.ttf", "JetBrainsMono-Bold.ttf"),
    Family("Mononoki", "mono", "fonts-mononoki", "mononoki-Regular.ttf", "mononoki-Bold.ttf"),
    Family("B612 Mono", "mono", "fonts-b612", "B612Mono-Regular.otf", "B612Mono-Bold.otf"),
    Family("Fantasque", "mono", "fonts-fantasque-sans", "FantasqueSansMono-Regular.ttf", "FantasqueSansMono-Bold.ttf"),
    Family("Go Mono", "mono", "fonts-go", "Go-Mono.ttf", "Go-Mono-Bold.ttf"),
    Family("Cursor", "mono", "fonts-texgyre", "texgyrecursor-regular.otf", "texgyrecursor-bold.otf"),
    Family("Latin Modern Mono", "mono", "fonts-lmodern", "lmmono10-regular.otf"),
    Family("OCR B", "mono", "fonts-ocr-b", "OCRB.otf"),
    Family("PT Mono", "mono", "fonts-paratype", "PTM55F.ttf", "PTM75F.ttf"),
    Family("3270", "mono", "fonts-3270", "3270-Regular.ttf"),
    Family("Agave", "mono", "fonts-agave", "agave-r-autohinted.ttf", "agave-b-autohinted.ttf"),
    Family("Comic Neue", "display", "fonts-comic-neue", "ComicNeue-Regular.otf", "ComicNeue-Bold.otf"),
    Family(
        "Kaffeesatz", "display", "fonts-yanone-kaffeesatz", "YanoneKaffeesatz-Regular.otf", "YanoneKaffeesatz-Bold.otf"
    ),
    Family("Lobster Two", "display", "fonts-lobstertwo", "LobsterTwo-Regular.otf", "LobsterTwo-Bold.otf"),
    Family("OpenDyslexic", "display", "fonts-opendyslexic", "OpenDyslexic-Regular.otf", "OpenDyslexic-Bold.otf"),
    Family("Monofur", "display", "fonts-monofur", "monof55.ttf"),
    Family("Handwriting", "display", "fonts-dkg-handwriting", "dkg.ttf", "dkgBd.ttf"),
    Family("Kaushan", "display", "fonts-kaushanscript", "KaushanScript-Regular.otf"),
)

HELD_ASIDE = frozenset(
    {
        "Cantarell",
        "Cabin",
        "Manrope",
        "PT Sans",
        "Clear Sans",
        "Andika",
        "Caladea",
        "Vollkorn",
        "PT Serif",
        "Charis",
        "Mononoki",
        "PT Mono",
        "Anonymous Pro",
        "Comic Neue",
    }
)
"""Families that only the test split has; none of them is a namesake or a metric copy of one that training has."""

SYMBOL_SIZE = 100
"""The size at which a font is measured before it is scaled to a wanted x-height."""


@dataclass(frozen=True)
class Face:
    """A family in one style."""

    family: Family
    style: Style

    def at(self, size: int) -> Font:
        """The face at `size` pixels an em."""
        return _font(self.family.file(self.style), size)

    def for_x_height(self, pixels: float) -> Font:
        """The face at the size at which "x" is about `pixels` high."""
        reference = self.at(SYMBOL_SIZE)
        return self.at(max(4, round(SYMBOL_SIZE * pixels / reference.x_height)))

    def for_advance(self, pixels: float) -> Font:
        """The face at the size at which characters are `pixels` wide on average."""
        reference = self.at(SYMBOL_SIZE)
        return self.at(max(4, round(SYMBOL_SIZE * pixels / reference.mean_advance)))


class Font:
    """A face at one size, with remembered measures; all in pixels, relative to the baseline (downwards)."""

    def __init__(self, file: str, size: int) -> None:
        self.size = size
        self.inner = ImageFont.truetype(FOLDER / file, size, layout_engine=ImageFont.Layout.BASIC)
        self._inks: dict[str, tuple[float, float, float, float]] = {}
        self._pairs: dict[str, float] = {}
        self.x_height = -self.ink("x")[1]
        self.cap_height = -self.ink("H")[1]
        self.descent = self.ink("p")[3]
        self.ascent = max(self.cap_height, -self.ink("d")[1])
        sample = "etaoinshrdlucmfwypETAOINSR0123456789"
        self.mean_advance = self.length(sample) / len(sample)

    @property
    def height(self) -> float:
        """From the top of the tallest letters to the bottom of the descenders."""
        return self.ascent + self.descent

    def ink(self, character: str) -> tuple[float, float, float, float]:
        """Bounds of a character's ink: left, top, right, bottom from its origin."""
        found = self._inks.get(character)
        if found is None:
            # `getbbox` of the font itself counts in the blank at the sides.
            mask, (x, y) = self.inner.getmask2(character, mode="L", anchor="ls")
            left, top, right, bottom = mask.getbbox() or (0, 0, *mask.size)
            found = self._inks[character] = (float(x + left), float(y + top), float(x + right), float(y + bottom))
        return found

    def advances(self, text: str) -> list[float]:
        """How far each character moves the pen, kerning with the next one included."""
        pairs = self._pairs
        result = []
        for i in range(len(text)):
            pair = text[i : i + 2]
            advance = pairs.get(pair)
            if advance is None:
                whole = self.inner.getlength(pair)
                advance = pairs[pair] = whole - (self.inner.getlength(pair[1]) if len(pair) == 2 else 0.0)
            result.append(advance)
        return result

    def length(self, text: str) -> float:
        """How far a text moves the pen."""
        return sum(self.advances(text))


@lru_cache(maxsize=4096)
def _font(file: str, size: int) -> Font:
    return Font(file, size)


@lru_cache(maxsize=16)
def families(split: Split, kind: Class) -> tuple[Family, ...]:
    """The families of a class that a split may use."""
    held = split == "test"
    return tuple(family for family in FAMILIES if family.kind == kind and (family.name in HELD_ASIDE) == held)


def pick(rng: random.Random, split: Split, kind: Class | None = None, bold: float = 0.2) -> Face:
    """Some face, of a class if one is named; bold with probability `bold`."""
    if kind is None:
        kind = rng.choices(list(SHARES), list(SHARES.values()))[0]
    family = rng.choice(families(split, kind))
    chance = rng.random()
    style: Style = "bold" if chance < bold else "italic" if chance > 0.93 else "regular"
    return Face(family, style)


def pick_plain(rng: random.Random, split: Split) -> Face:
    """A face as documents and screens use: upright, sans mostly."""
    kind: Class = rng.choices(("sans", "serif", "mono"), (0.66, 0.2, 0.14))[0]
    return Face(rng.choice(families(split, kind)), "regular")
