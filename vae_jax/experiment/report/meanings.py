"""Names, units and explanations of the numbers on the page."""

import csv
import importlib.resources
from typing import NamedTuple


class Meaning(NamedTuple):
    """A number for readers."""

    name: str
    unit: str
    text: str


def _read_meanings() -> dict[str, Meaning]:
    text = (importlib.resources.files(__package__) / "meanings.csv").read_text(encoding="utf-8")
    return {key: Meaning(*entry) for key, *entry in csv.reader(text.splitlines()[1:])}


MEANINGS = _read_meanings()
TITLES = {  # keys are metrics
    "likelihood": "Marginal likelihood",
    "annealed": "Annealed importance sampling",
    "decomposition": "Decomposition of the rate",
    "gap": "Inference gap",
    "ppca": "Probabilistic PCA",
    "quality": "Sample quality",
    "anomaly": "Anomaly detection",
    "search": "Search in latent space",
    "udr": "Unsupervised disentanglement ranking (UDR)",
}


def label(key: str) -> str:
    """The name of a number for readers."""
    if key in MEANINGS:
        return MEANINGS[key].name
    text = f"number of {key[4:]}" if key.startswith("num_") else key
    text = text.replace("_", " ").replace("/", " ").strip()
    return text[:1].upper() + text[1:]


def title(metric: str) -> str:
    """The title of a metric."""
    return TITLES.get(metric, label(metric))


def unit(key: str) -> str:
    """The unit of a number, empty if it has none."""
    return MEANINGS[key].unit if key in MEANINGS else ""
