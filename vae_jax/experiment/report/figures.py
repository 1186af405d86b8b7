"""Sections of images: the figures that were plotted when the run was evaluated."""

from collections.abc import Iterable

from vae_jax import visualize
from vae_jax.experiment.report.page import Block, Maker, Section, encode, render_section
from vae_jax.experiment.report.workdir_files import Contents

MAX_BYTES = 4_800_000  # limit per page; images get what numbers and charts leave
PAGE_DPI = 96
OVERHEAD = 1_000  # bytes of HTML around an image
SECTIONS = {  # section -> its title, and its figures with their captions
    "reconstructions": (
        "Reconstructions",
        {
            "reconstructions": "Test examples above their reconstructions: the mean of "
            "p(x | z), and a draw from it.",
            "column_reconstructions": "Each column of the test data against its reconstruction, "
            "the mean or most likely category of p(x | z).",
        },
    ),
    "samples": (
        "Samples",
        {
            "samples": "Samples of the model, above test images: draws of z from the prior, with "
            "the mean of p(x | z) and a draw from it.",
            "columns": "The distribution of each column in the test data, in samples of the model, "
            "and in reconstructions, which are draws from p(x | z).",
            "associations": "The association of each pair of columns in the test data and in "
            "samples of the model, and the difference.",
            "samples_low_temperature": "Samples at a lower temperature: "
            "decoded draws from a narrower prior.",
        },
    ),
    "interpolations": (
        "Interpolations",
        {
            "interpolations": "Straight and spherical paths between the codes of test examples, "
            "with the examples at both ends."
        },
    ),
    "traversals": (
        "Traversals",
        {
            "traversals": "A row for each latent that changes something, ordered by its KL: the "
            "decoder's output as this latent alone moves. If the factors of the data are known, a "
            "latent that clearly follows one is labeled with its name.",
            "latent_columns": "A row for each latent, with its KL: the change of the mean of each "
            "column as this latent alone moves, in standard deviations of the column, or of "
            "categories as the total variation of their probabilities.",
        },
    ),
    "latent-map": (
        "Map of the codes",
        {
            "latent_map": "Codes of the test set in the plane, colored by class or by each factor "
            "if available."
        },
    ),
}
COLUMNS = (  # figures of a table, which has no grids of images
    "column_reconstructions",
    "columns",
    "associations",
    "latent_columns",
)
OPTIONAL = (  # depend on the model or the data
    *COLUMNS,
    "samples",
    "samples_low_temperature",
    "interpolations",
    "traversals",
    "latent_map",
)
LABELED = ("reconstructions", "samples", "interpolations", "traversals", *COLUMNS)  # wide


class ImageBudget:
    """Embeds figures until the page is full."""

    def __init__(self) -> None:
        self._remaining = MAX_BYTES

    def render(self, makers: Iterable[tuple[str, str, Maker]]) -> list[Section]:
        """Render sections; sections with images come last, and share the remaining bytes."""
        makers = list(makers)
        rendered = {}
        for id, title, make in sorted(makers, key=lambda maker: maker[0] in SECTIONS):
            rendered[id] = section = render_section(id, title, make)
            if section is not None and id not in SECTIONS:
                self._remaining -= section.num_bytes
        return [rendered[id] for id, _, _ in makers if rendered[id] is not None]

    def section(self, run: Contents, id: str) -> list[Block]:
        """The figures of a section, if the run has any."""
        captions = SECTIONS[id][1]
        is_table = any(map(run.has_figure, COLUMNS))
        names = [
            name for name in captions if run.has_figure(name) or not (is_table or name in OPTIONAL)
        ]
        return images([self.embed(run, name, captions[name]) for name in names])

    def embed(self, run: Contents, name: str, alt: str, caption: str | None = None) -> Block:
        """A figure, or why it is missing."""
        content = run.figure(name)
        if content is None:
            return _missing(
                f"The figure {name} of {run.name} is missing or damaged; "
                "--mode=eval plots it again."
            )
        size = -(-len(content) // 3) * 4 + OVERHEAD
        if size > self._remaining:
            return _missing(
                f"The figure {name} of {run.name} has no room on this page; "
                f"see figures/{name}.png in its workdir."
            )
        self._remaining -= size
        return {
            "missing": "",
            "content": encode(content),
            "alt": f"{run.name}: {alt}",
            "caption": alt if caption is None else caption,
            "width": int.from_bytes(content[16:20]) * PAGE_DPI // visualize.DPI,
            "style": "rows" if name in LABELED else "",
        }


def _missing(reason: str) -> Block:
    return {"missing": reason}


def images(entries: list[Block]) -> list[Block]:
    """Images, side by side if there are several; empty if there are none."""
    block = {"kind": "images", "images": entries, "side_by_side": len(entries) > 1}
    return [block] if entries else []
