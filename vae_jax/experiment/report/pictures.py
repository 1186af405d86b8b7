"""The sections that are pictures, drawn when the run was evaluated."""

from collections.abc import Iterable

from vae_jax import visualize
from vae_jax.experiment.report.html import Html, Section, element, image, join, note
from vae_jax.experiment.report.workdir_files import Contents

MOST_BYTES = 4_800_000  # of one page, of which pictures have what numbers and charts leave
PICTURES = {  # section -> its title, and its figures with what each shows
    "reconstructions": (
        "Reconstructions",
        {"reconstructions": "Test images above their reconstructions by the model."},
    ),
    "samples": (
        "Samples",
        {
            "samples": "Samples of the model: decoded draws from the prior.",
            "samples_cooler": "Samples at a lower temperature: decoded draws from a narrower prior.",
        },
    ),
    "interpolations": (
        "Interpolations",
        {"interpolations": "Straight and spherical paths between the codes of test images."},
    ),
    "traversals": (
        "Traversals",
        {
            "traversals": "A row for each latent, ordered by its KL: what the decoder makes of it as it moves alone. Where the "
            "factors of the data are known, a latent that clearly follows one has its name."
        },
    ),
    "latent-map": (
        "Map of the codes",
        {"latent_map": "Codes of the test set in the plane, colored by label where there is one."},
    ),
}
OPTIONAL = (
    "samples",
    "samples_cooler",
    "traversals",
    "latent_map",
)  # figures that not every model has
LABELLED = (
    "reconstructions",
    "interpolations",
    "traversals",
)  # wide, with rows whose names are to be read
PAGE_DPI = 96
AROUND = 1_000  # bytes of page around a picture, words included


class Pictures:
    """The pictures of one page, as many as it has room for beside the other sections."""

    def __init__(self, others: Iterable[Section | None]) -> None:
        self._left = MOST_BYTES - sum(
            len(section.body.encode(errors="replace")) for section in others if section is not None
        )

    def section(self, run: Contents, id: str) -> Section | None:
        """The section of that name, where the run has figures for it."""
        title, figures = PICTURES[id]
        wanted = {
            name: alt
            for name, alt in figures.items()
            if name not in OPTIONAL or run.has_figure(name)
        }
        drawn = [self.figure(run, name, alt) for name, alt in wanted.items()]
        return (
            Section(
                id, title, element("div", *drawn, class_="pair") if len(drawn) > 1 else join(*drawn)
            )
            if drawn
            else None
        )

    def figure(self, run: Contents, name: str, alt: str, *, caption: str | None = None) -> Html:
        """A figure on a light card, or a note why it isn't there."""
        content = run.figure(name)
        if content is None:
            return note(
                f"The figure {name} of {run.name} is missing or damaged; --mode=eval draws it again."
            )
        size = -(-len(content) // 3) * 4 + AROUND
        if size > self._left:
            return note(
                f"The figure {name} of {run.name} has no room on this page; it is figures/{name}.png in its workdir."
            )
        self._left -= size
        width = int.from_bytes(content[16:20]) * PAGE_DPI // visualize.DPI
        class_ = "picture rows" if name in LABELLED else "picture"
        inside = element(
            "div", image(content, "png", f"{run.name}: {alt}", width=width), class_=class_
        )
        return element("figure", inside, element("figcaption", alt if caption is None else caption))
