"""The pieces of a page in HTML. Every function that takes text escapes it; `Html` is what needs no more escaping."""

import base64
import dataclasses
import html
from collections.abc import Iterable, Sequence

from vae_jax.experiment.report.style import CSS


class Html(str):
    """Markup: text that has been escaped already."""


def escape(text: object) -> Html:
    """The text as it is to be read; markup stays what it is."""
    return text if isinstance(text, Html) else Html(html.escape(str(text)))


def element(name: str, *inside: object, **attributes: str) -> Html:
    """An element with what is inside; `class_` is the attribute class."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
    )
    return Html(f"<{name}{given}>{''.join(map(escape, inside))}</{name}>")


def join(*parts: object) -> Html:
    """Several pieces, one below the other."""
    return Html("\n".join(escape(part) for part in parts if part))


def paragraph(*inside: object, class_: str = "") -> Html:
    """A paragraph."""
    return element("p", *inside, **({"class_": class_} if class_ else {}))


def note(text: str) -> Html:
    """What isn't there, and why."""
    return paragraph(text, class_="note")


def cell(value: object, *, class_: str = "") -> Html:
    """A cell of a table: short ones, as numbers are, on one line."""
    return element("td", value, class_=class_ or ("number" if len(str(value)) <= 24 else "text"))


def table(head: Sequence[object], rows: Iterable[Sequence[object]], *, class_: str = "") -> Html:
    """A table whose first column names the rows; a cell that is a whole <td> already stays as it is."""
    names = [element("th", name, scope="col") for name in head]
    lines = []
    for first, *others in rows:
        cells = [
            value if isinstance(value, Html) and value.startswith("<td") else cell(value)
            for value in others
        ]
        lines.append(element("tr", element("th", first, scope="row"), *cells))
    top = [element("thead", element("tr", *names))] if names else []
    inside = element(
        "table", *top, element("tbody", *lines), **({"class_": class_} if class_ else {})
    )
    return element("div", inside, class_="wide")


def image(content: bytes, kind: str, alt: str, *, width: int | None = None) -> Html:
    """An image inside the page: `kind` is png or svg+xml, `width` in pixels of the page where it isn't that of the image."""
    data = base64.b64encode(content).decode()
    size = "" if width is None else f' width="{width}"'
    return Html(f'<img src="data:image/{kind};base64,{data}" alt="{html.escape(alt)}"{size}>')


def chart(svg: str, alt: str) -> Html:
    """A chart, in the colors of the page."""
    return element("figure", image(svg.encode(), "svg+xml", alt))


def charts(drawn: Sequence[Html]) -> Html:
    """Charts side by side, where there is room."""
    return element("div", *drawn, class_="charts") if drawn else Html("")


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page, with a line in its table of contents."""

    id: str
    title: str
    body: Html


def page(title: str, top: Html, sections: Sequence[Section]) -> str:
    """The whole page: it fetches nothing from anywhere."""
    links = [
        element("li", element("a", section.title, href=f"#{section.id}")) for section in sections
    ]
    contents = element("nav", element("ul", *links), aria_label="Contents") if links else Html("")
    parts = [
        element("section", element("h2", section.title), "\n", section.body, id=section.id)
        for section in sections
    ]
    body = join(
        element("header", top, contents),
        element("main", "\n", *(Html(part + "\n") for part in parts)),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n'
        f"<body>\n{body}\n</body>\n</html>\n"
    )
