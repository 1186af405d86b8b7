"""SELFIES: molecules whose every sequence of tokens is valid (Krenn et al., 2020, 1905.13741)."""

from vae_jax.data.optional import import_selfies


def split_selfies(smiles: str) -> list[str]:
    """The tokens of a molecule given as SMILES; raises ValueError if it has no SELFIES.

    >>> split_selfies("CC=O")
    ['[C]', '[C]', '[=O]']
    """
    selfies = import_selfies()
    if not smiles:
        return []
    try:
        return list(selfies.split_selfies(selfies.encoder(smiles)))
    except selfies.EncoderError as error:
        reason = " ".join(str(error).partition("SMILES:")[0].split())
        raise ValueError(f"a molecule without SELFIES ({reason})") from error


def join_selfies(tokens: list[str]) -> str:
    """The SMILES of a sequence of tokens; '' if it has no atom."""
    return import_selfies().decoder("".join(tokens))
