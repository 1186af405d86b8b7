"""All figures of a model of lines of text or of molecules, and what they show."""

import itertools
import logging

import numpy as np
from matplotlib.figure import Figure

from vae_jax.corruptions import Corruption
from vae_jax.data import Dataset
from vae_jax.data.optional import import_rdkit
from vae_jax.data.text.tokens import MOLECULES
from vae_jax.errors import InputError
from vae_jax.evaluation import Terms
from vae_jax.evaluation.molecules import parse
from vae_jax.models.trained import TrainedModel
from vae_jax.visualize import molecules, text
from vae_jax.visualize import sequence_arrays as arrays
from vae_jax.visualize.latent_paths import Paths, count_latents, has_paths, make_paths
from vae_jax.visualize.sequence_arrays import Codes, Examples

logger = logging.getLogger(__name__)

NUM_LINES, NUM_DATA = 24, 6  # samples, and lines of the data below them
NUM_LATENTS, NUM_POINTS = 8, 5  # traversals, and codes on each
MAX_KNOWN = 20_000  # training molecules with which samples are compared; it takes seconds
GREEDY = "decoded greedily at the center of the posterior"
DRAWN = "z from the prior, x from p(x | z)"
DRAWN_WITHOUT_CODES = "x from p(x)"

Figures = dict[str, Figure]
Arrays = dict[str, dict[str, np.ndarray]]
Lines = dict[str, list[str]]


def plot_sequences(
    model: TrainedModel, dataset: Dataset, terms: Terms, corruption: Corruption | None
) -> tuple[Figures, Arrays, Lines]:
    """Figures by name, arrays that they show by name, and lines of text by the name of their file.

    Molecules are drawn if RDKit is installed, else their SMILES are shown as text. Without codes
    that differ, as of a language model, there are samples only.
    """
    examples = arrays.read_examples(model, dataset, corruption)
    has_structures = _has_structures(dataset)
    figures: Figures = {}
    files: Arrays = {}
    lines: Lines = {}
    drawn = DRAWN_WITHOUT_CODES
    if arrays.has_codes(terms):
        drawn = DRAWN
        figures, decoded = _plot_codes(model, dataset, terms, examples, has_structures)
        files["reconstructions"] = {"data": examples.x}
        pairs = zip(examples.lines, decoded, strict=True)
        lines["reconstructions.txt"] = [line for pair in pairs for line in pair]
    if np.isfinite(terms.rate).all():
        x, samples = arrays.sample_lines(model, dataset, examples)
        files["samples"] = {"draw": x}
        if has_structures:
            is_valid = [molecule is not None for molecule in parse(samples)]
            lines["samples.smi"] = list(itertools.compress(samples, is_valid))
            figures |= _plot_molecule_samples(dataset, samples, drawn)
        else:
            lines["samples.txt"] = samples
            figures["text_samples"] = text.text_samples(
                samples[:NUM_LINES], f"Samples: {drawn}", data=examples.lines[:NUM_DATA]
            )
    return figures, files, lines


def _has_structures(dataset: Dataset) -> bool:
    """True if the lines are molecules and can be drawn."""
    if arrays.text_alphabet(dataset).kind not in MOLECULES:
        return False
    try:
        import_rdkit()
    except InputError as error:
        logger.info("%s; figures show SMILES as text", error)
        return False
    return True


def _plot_codes(
    model: TrainedModel,
    dataset: Dataset,
    terms: Terms,
    examples: Examples,
    has_structures: bool,
) -> tuple[Figures, list[str]]:
    """Figures of decoded codes, and the reconstructions."""
    codes = {"reconstructions": Codes(examples.codes, examples.y)}
    if len(examples.codes) > 1:
        codes["interpolations"] = arrays.interpolation_codes(examples)
    distances = np.zeros(0)
    if has_structures:
        codes["neighbors"], distances = arrays.neighbor_codes(examples, terms)
    paths = None
    if has_paths(model, terms):
        paths = make_paths(model.model, terms, NUM_POINTS)
        z = np.stack([paths.path(latent) for latent in _select_latents(paths)])
        codes["traversals"] = Codes(z, None if examples.y is None else examples.y[:1])
    lines = arrays.decode_codes(model, arrays.text_alphabet(dataset), codes)
    plot = _plot_molecules if has_structures else _plot_lines
    figures = plot(examples, lines, distances)
    if paths is not None:
        figures["text_traversals"] = _plot_traversals(model, paths, lines["traversals"])
    return figures, lines["reconstructions"].tolist()


def _plot_lines(examples: Examples, lines: dict[str, np.ndarray], distances: np.ndarray) -> Figures:
    del distances
    decoded = lines["reconstructions"].tolist()
    figures = {"text_reconstructions": text.text_reconstructions(examples.lines, decoded, GREEDY)}
    if "interpolations" in lines:
        paths = lines["interpolations"].T
        num = len(paths)
        figures["text_interpolations"] = text.text_paths(
            [path.tolist() for path in paths],
            "Straight lines between the codes of two test lines, from t = 0 to 1, decoded greedily",
            labels=[f"{part:.2f}" for part in np.linspace(0, 1, paths.shape[1])],
            ends=list(zip(examples.lines[:num], examples.lines[num : 2 * num], strict=True)),
        )
    return figures


def _select_latents(paths: Paths) -> list[int]:
    """The latents with the largest KL that are used, or the one with the largest."""
    return paths.used[:NUM_LATENTS] or paths.order[:1]


def _count_latents(paths: Paths, num_shown: int) -> str:
    smaller = f"with a smaller {'KL' if paths.has_kl else 'spread'}"
    if not paths.used:
        return count_latents(len(paths.order), num_shown, {smaller: len(paths.order) - num_shown})
    hidden = {smaller: len(paths.used) - num_shown} | paths.unused
    return count_latents(len(paths.order), num_shown, hidden)


def _plot_traversals(model: TrainedModel, paths: Paths, lines: np.ndarray) -> Figure:
    """Lines as single latents move; `lines` [latents, P]."""
    latents = _select_latents(paths)
    num_still = sum(len(set(path)) == 1 for path in lines.tolist())
    title = f"Traversals from the first test line: latents over {paths.describe_range(model.model)}"
    title += f"\nAlong {num_still} of these latents nothing changes; " if num_still else "\n"
    title += _count_latents(paths, len(latents))
    return text.text_paths(
        lines.tolist(),
        title,
        labels=paths.points,
        headers=[paths.label(latent) for latent in latents],
    )


def _plot_molecules(
    examples: Examples, lines: dict[str, np.ndarray], distances: np.ndarray
) -> Figures:
    """Structures of reconstructions, interpolations and neighbors."""
    decoded = lines["reconstructions"].tolist()
    figures = {
        "molecule_reconstructions": molecules.reconstructions(examples.lines, decoded, GREEDY)
    }
    if "interpolations" in lines:
        paths = lines["interpolations"].T
        num = len(paths)
        ends = zip(examples.lines[:num], examples.lines[num : 2 * num], strict=True)
        parts = np.linspace(0, 1, paths.shape[1]).tolist()
        figures["molecule_interpolations"] = molecules.interpolations(
            [
                molecules.Interpolation(*pair, path.tolist(), parts)
                for pair, path in zip(ends, paths, strict=True)
            ]
        )
    figures["molecule_neighbors"] = molecules.neighbors(
        [
            molecules.Neighborhood(center, texts.tolist(), distances.tolist())
            for center, texts in zip(examples.lines, lines["neighbors"].T, strict=False)
        ],
        "the median distance of two codes of test molecules",
    )
    return figures


def _plot_molecule_samples(dataset: Dataset, lines: list[str], drawn: str) -> Figures:
    alphabet = arrays.text_alphabet(dataset)
    known: list[str] = []
    if dataset.train.num_examples <= MAX_KNOWN:
        known = arrays.read_lines(dataset.train, alphabet, MAX_KNOWN)
    data = arrays.read_lines(dataset.test, alphabet, len(lines))
    return {
        "molecule_samples": molecules.samples(lines, known=known, description=drawn),
        "molecule_properties": molecules.property_histograms(data, lines),
    }
