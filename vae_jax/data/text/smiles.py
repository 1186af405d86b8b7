"""Tokens of SMILES: two-letter atoms, bracket atoms and ring bonds of two digits stay whole.

>>> split_smiles("C[C@@H](Br)c1%12Cl")
['C', '[C@@H]', '(', 'Br', ')', 'c', '1', '%12', 'Cl']
"""

import re

TOKEN = re.compile(r"\[[^\[\]]*\]|Br|Cl|%\d\d|%\(\d+\)|.", re.DOTALL)
# Isotope, element, chirality, hydrogens, charge, class.
BRACKET = r"\[\d*(?:[A-Z][a-z]?|[a-z]{1,2}|\*)(?:@[@A-Z0-9]*)?(?:H\d*)?(?:[+-]+\d*)?(?::\d+)?\]"
# Atoms, bonds, branches and rings; '.' and '>' separate molecules and the sides of reactions.
VALID = re.compile(rf"(?:{BRACKET}|Br|Cl|%\d\d|%\(\d+\)|[BCNOPSFIbcnops*()\d=#$:/\\.~>-])*+")
HEADERS = (b"smiles", b"smi", b"canonical_smiles", b"isosmiles", b"isomeric_smiles", b"molecule")

split_smiles = TOKEN.findall


def explain_malformed(smiles: str) -> str | None:
    """The fault of a string that cannot be SMILES by its symbols and brackets; None without one.

    >>> explain_malformed("C[NH3+")
    "'[' without ']'"
    >>> explain_malformed("CCO,ethanol")
    "',' at 3 is no symbol of SMILES"
    """
    end = VALID.match(smiles).end()  # type: ignore[union-attr]  # it matches everything
    if end == len(smiles):
        missing = smiles.count("(") - smiles.count(")")
        return ("'(' without ')'" if missing > 0 else "')' without '('") if missing else None
    faults = {
        "[": "'[' without ']'"
        if "]" not in smiles[end:]
        else "brackets that are no atom of SMILES",
        "]": "']' without '['",
        "%": "'%' without the two digits of a ring bond",
    }
    return faults.get(smiles[end], f"{smiles[end]!r} at {end} is no symbol of SMILES")
