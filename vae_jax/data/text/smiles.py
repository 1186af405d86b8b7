"""Tokens of SMILES: two-letter atoms, bracket atoms and ring bonds of two digits stay whole.

>>> split_smiles("C[C@@H](Br)c1%12Cl")
['C', '[C@@H]', '(', 'Br', ')', 'c', '1', '%12', 'Cl']
"""

import re

TOKEN = re.compile(r"\[[^\[\]]*\]|Br|Cl|%\d\d|%\(\d+\)|.", re.DOTALL)
SHOWN = 60  # characters of a line in a message
HEADERS = {"smiles", "smi", "canonical_smiles", "isosmiles", "isomeric_smiles", "molecule"}

split_smiles = TOKEN.findall


def explain_malformed(smiles: str) -> str | None:
    """The fault of a string that cannot be SMILES, whatever the atoms are; None if there is none.

    >>> explain_malformed("C[NH3+")
    "'[' without ']'"
    """
    if smiles.count("[") != smiles.count("]"):
        return _explain_pair(smiles, "[", "]")
    if smiles.count("(") != smiles.count(")"):
        return _explain_pair(smiles, "(", ")")
    if "%" in smiles and "%" in split_smiles(smiles):
        return "'%' without the two digits of a ring bond"
    return None


def _explain_pair(smiles: str, opening: str, closing: str) -> str:
    is_open = smiles.count(opening) > smiles.count(closing)
    return f"{opening!r} without {closing!r}" if is_open else f"{closing!r} without {opening!r}"
