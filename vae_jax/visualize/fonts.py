"""Fonts of this machine for characters that the usual one lacks."""

import functools
from collections.abc import Iterator

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text

PLACEHOLDER = "lastresort"  # has a box for every character


def add_missing_fonts(figure: Figure) -> None:
    """Let texts fall back on fonts of this machine that have the characters theirs lacks.

    The first font stays as it is, so that figures without such characters do not change.
    """
    texts = [text for text in _find_texts(figure) if not text.get_text().isascii()]
    chars = {char for text in texts for char in text.get_text() if char.isprintable()}
    missing = frozenset(char for char in chars if not _has(findfont(FontProperties()), char))
    if not missing:
        return
    families = find_fonts(missing)
    for text in texts:
        if missing & set(text.get_text()):
            text.set_fontfamily(list(dict.fromkeys([*text.get_fontfamily(), *families])))


def _find_texts(artist: Artist) -> Iterator[Text]:
    """All texts in an artist, but those of axes that are off, whose ticks do not exist yet."""
    if isinstance(artist, Text):
        yield artist
    is_off = isinstance(artist, Axes) and not artist.axison
    hidden = (artist.xaxis, artist.yaxis) if is_off else ()
    for child in artist.get_children():
        if child not in hidden:
            yield from _find_texts(child)


@functools.cache
def find_fonts(chars: frozenset[str]) -> tuple[str, ...]:
    """Families of this machine that together have all of these characters that any has."""
    families = []
    rest = set(chars)
    for entry in sorted(fontManager.ttflist, key=lambda entry: (entry.name, entry.fname)):
        if not rest:
            break
        if entry.style != "normal" or PLACEHOLDER in entry.name.lower().replace(" ", ""):
            continue
        matches = {char for char in rest if _has(entry.fname, char)}
        if matches:
            families.append(entry.name)
            rest -= matches
    return tuple(families)


def _has(path: str, char: str) -> bool:
    return ord(char) in _characters(path)


@functools.lru_cache(maxsize=8)
def _characters(path: str) -> frozenset[int]:
    try:
        return frozenset(get_font(path).get_charmap())
    except (OSError, RuntimeError):  # a damaged font, or one that was removed
        return frozenset()
