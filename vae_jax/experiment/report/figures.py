"""Sections of images: the figures that were plotted when the run was evaluated."""

from collections.abc import Iterable

from vae_jax import visualize
from vae_jax.evaluation.terms import USED
from vae_jax.experiment.report.page import Block, Maker, Section, encode, render_section
from vae_jax.experiment.report.workdir_files import Contents

MAX_BYTES = 4_800_000  # limit per page; images get what numbers and charts leave
PAGE_DPI = 96
METERS_PER_INCH = 0.0254
HEADER = 256  # bytes of a PNG that have its size and resolution
OVERHEAD = 1_000  # bytes of HTML around an image
SECTIONS = {  # section -> its title, and its figures with their captions
    "reconstructions": (
        "Reconstructions",
        {
            "reconstructions": "Test examples above their reconstructions.",
            "column_reconstructions": "Each column of the test data against its reconstruction, "
            "the mean or most likely category of p(x | z).",
            "text_reconstructions": "Test lines above what their codes decode to greedily, with "
            "the characters that differ marked.",
            "molecule_reconstructions": "Test molecules above what their codes decode to greedily; "
            "equal molecules are marked, the others have their Tanimoto similarity.",
        },
    ),
    "samples": (
        "Samples",
        {
            "samples": "Samples of the model, above test images.",
            "columns": "The distribution of each column in the test data, in samples of the model, "
            "and in reconstructions, which are draws from p(x | z).",
            "associations": "The association of each pair of columns in the test data and in "
            "samples of the model, and the difference.",
            "samples_low_temperature": "Samples at a lower temperature: "
            "decoded draws from a narrower prior.",
            "text_samples": "Lines drawn from the model, above test lines.",
            "molecule_samples": "Molecules drawn from the model. What is no molecule is shown as "
            "text.",
            "molecule_properties": "Properties of test molecules and of valid samples, with their "
            "Wasserstein distances.",
        },
    ),
    "interpolations": (
        "Interpolations",
        {
            "interpolations": "Paths between test examples in latent space, decoded, with the "
            "examples at both ends.",
            "text_interpolations": "Straight lines between the codes of test lines, decoded "
            "greedily; equal lines in a row are shown once, and what is new in a line is marked.",
            "molecule_interpolations": "Straight lines between the codes of test molecules, "
            "decoded greedily; equal molecules in a row are shown once, with their number.",
        },
    ),
    "neighbors": (
        "Neighbors",
        {
            "molecule_neighbors": "Molecules that codes around that of a test molecule decode to, "
            "the nearest first, with their distance and their Tanimoto similarity to it."
        },
    ),
    "best-found": (
        "Best found",
        {
            "molecule_search": "The best molecules of a search in latent space: the property "
            "recomputed from the molecule beside the value predicted from its code. Red: the "
            "prediction is too good by more than three times its mean error on test molecules."
        },
    ),
    "traversals": (
        "Traversals",
        {
            "traversals": f"A row for each latent that has a KL of at least {USED:g} nats and "
            "changes something, ordered by its KL: the decoder's output as this latent alone "
            "moves over a range, or takes each of its categories. If the factors of the data are "
            "known, a latent that clearly follows one is labeled with its name.",
            "latent_columns": "A row for each latent, with its KL: the change of the mean of each "
            "column as this latent alone moves, in standard deviations of the column, or of "
            "categories as the total variation of their probabilities.",
            "text_traversals": "What the code of a test line decodes to as one latent alone moves "
            "over a range, or takes each of its categories, for the latents with the largest "
            f"KL, if it is {USED:g} nats or more; what is new in a line is marked.",
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
SEQUENCES = (  # figures of lines of text and of molecules, likewise
    "text_reconstructions",
    "text_samples",
    "text_interpolations",
    "text_traversals",
    "molecule_reconstructions",
    "molecule_samples",
    "molecule_properties",
    "molecule_interpolations",
    "molecule_neighbors",
    "molecule_search",
)
OPTIONAL = (  # depend on the model or the data
    *COLUMNS,
    *SEQUENCES,
    "samples",
    "samples_low_temperature",
    "interpolations",
    "traversals",
    "latent_map",
)
SAMPLES = ("samples", "molecule_samples", "text_samples", "columns")  # one for each kind of data
WIDE = ("reconstructions", "samples", "interpolations", "traversals", *COLUMNS, *SEQUENCES)


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
        has_grids = not any(map(run.has_figure, (*COLUMNS, *SEQUENCES)))
        names = [
            name
            for name in captions
            if run.has_figure(name) or (has_grids and name not in OPTIONAL)
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
            "width": _css_width(content),
            "style": "rows" if name in WIDE else "",
        }


def samples_figure(run: Contents) -> str:
    """The name of the figure of the samples of a run."""
    return next(filter(run.has_figure, SAMPLES), SAMPLES[0])


def _css_width(content: bytes) -> int:
    """The width of a PNG on the page, by the resolution that it states."""
    width = int.from_bytes(content[16:20])
    place = content.find(b"pHYs", 0, HEADER)
    per_meter = int.from_bytes(content[place + 4 : place + 8]) if place > 0 else 0
    dpi = per_meter * METERS_PER_INCH if per_meter else visualize.DPI
    return round(width * PAGE_DPI / dpi)


def _missing(reason: str) -> Block:
    return {"missing": reason}


def images(entries: list[Block]) -> list[Block]:
    """Images, side by side if there are several; empty if there are none."""
    block = {"kind": "images", "images": entries, "side_by_side": len(entries) > 1}
    return [block] if entries else []
