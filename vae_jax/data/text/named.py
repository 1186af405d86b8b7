"""Data sets of lines by name."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from vae_jax.data.sources import Dataset
from vae_jax.data.text.dataset import load_text
from vae_jax.data.text.lines import SMI

AUTO = "auto"  # the alphabet by the name of the data set or of the file


def _text(path: str, **options: Any) -> Dataset:
    """Lines of a .txt or .smi file, as sequences of characters or of the tokens of molecules."""
    return load_text(path, **options)


def _molecules(path: str, **options: Any) -> Dataset:
    """500 drug-like molecules of the US National Cancer Institute and medicines, as SMILES."""
    del path
    return load_text(_embedded("molecules.smi"), name="molecules", **options)


def _unicode_names(path: str, **options: Any) -> Dataset:
    """The names of 3,000 characters of Unicode, such as GREEK SMALL LETTER ALPHA."""
    del path
    return load_text(_embedded("unicode_names.txt"), name="unicode_names", **options)


def _embedded(file: str) -> str:
    return os.path.join(os.path.dirname(__file__), file)


TEXTS: Mapping[str, Callable[..., Dataset]] = {
    "molecules": _molecules,
    "unicode_names": _unicode_names,
    "text": _text,
}
"""Functions from a path, which only 'text' has, and the options of `load_text`."""


def choose_alphabet(name: str, path: str, alphabet: str) -> str:
    """The alphabet of a data set of lines, chosen by its name or file if it is 'auto'."""
    if alphabet != AUTO:
        return alphabet
    is_smi = name == "molecules" or path.lower().endswith(SMI)
    return "smiles" if is_smi else "characters"
