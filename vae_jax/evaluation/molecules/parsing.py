"""Molecules from SMILES, and their canonical SMILES."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from vae_jax.data.optional import import_rdkit
from vae_jax.errors import InputError, format_value

Molecule: TypeAlias = Any
"""A SMILES; None or '' for what could not be decoded; or a molecule that `parse` returned."""


def parse(molecules: Sequence[Molecule]) -> list[Any]:
    """The RDKit molecules [N] of SMILES, None for invalid ones.

    A SMILES is valid if RDKit parses and sanitizes it, and it has at least one atom. As in MOSES,
    it may have several fragments, "C.C". Unlike there, text after a space, which RDKit would read
    as a name, makes it invalid. Entries that are molecules already stay as they are.

    Raises:
      InputError: an entry is neither text nor a molecule nor None, or RDKit is not installed.
    """
    chem = import_rdkit()
    return [_parse(chem, entry, position) for position, entry in enumerate(molecules)]


def _parse(chem: Any, entry: Molecule, position: int) -> Any:
    if isinstance(entry, str):
        has_space = any(character.isspace() for character in entry)
        entry = None if has_space else chem.MolFromSmiles(entry)
    elif entry is not None and not isinstance(entry, chem.Mol):
        raise InputError(
            f"molecules[{position}] = {format_value(entry)}: must be a SMILES, or None for what "
            "could not be decoded"
        )
    return entry if entry is not None and entry.GetNumAtoms() else None


def parse_valid(molecules: Sequence[Molecule]) -> list[Any]:
    """The valid molecules alone, in their order."""
    return [molecule for molecule in parse(molecules) if molecule is not None]


def canonical(molecules: Sequence[Molecule]) -> list[str | None]:
    """The canonical SMILES [N] of molecules, with stereochemistry; None for invalid ones.

    Two SMILES of one molecule have the same canonical SMILES. It depends on RDKit's version.
    """
    to_smiles = import_rdkit().MolToSmiles
    return [None if molecule is None else to_smiles(molecule) for molecule in parse(molecules)]


def canonical_set(molecules: Iterable[Molecule]) -> frozenset[str]:
    """The distinct canonical SMILES of the valid molecules, parsed one at a time.

    About 0.1 ms each: half a minute for the 220,011 training molecules of ZINC 250k.
    """
    smiles = (canonical([molecule])[0] for molecule in molecules)
    return frozenset(text for text in smiles if text is not None)
