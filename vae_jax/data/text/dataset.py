"""A data set from lines of text: rows of token numbers, with the mask of their length."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from vae_jax.data.identity import describe_identity
from vae_jax.data.sources import ArraySource, Dataset
from vae_jax.data.splits import MIN_ROWS, complete_splits, distinct_splits
from vae_jax.data.text.alphabets import (
    END,
    NUM_SPECIAL,
    Alphabet,
    fill_rows,
)
from vae_jax.data.text.lines import Lines, read_lines
from vae_jax.data.text.splits import read_split
from vae_jax.data.text.tokens import tokenize
from vae_jax.errors import Argument, InputError, check_range

logger = logging.getLogger(__name__)

ALPHABET_RULE = "the tokens of all lines, of every split"
SHOWN = 5  # tokens named in one warning


def load_text(
    path: str,
    *,
    alphabet: str = "characters",
    max_length: int = 0,
    split_path: str = "",
    valid_fraction: float = 0.1,
    name: str = "",
) -> Dataset:
    """Read a file of lines into a data set for the likelihood `tokens`.

    An example is a row x [L] of token numbers: those of the line, then 1, the end, then zeros. The
    mask `observed` is True up to the end. The alphabet has the tokens of all lines, of every
    split; there is a warning about tokens that train lacks.

    Args:
      path: a .txt or .smi file, also with .gz; see `lines.iterate_lines`.
      alphabet: the rule by which lines become tokens: 'characters', 'smiles' or 'selfies', for
        molecules as SMILES.
      max_length: L, with the end; 0: as the longest line needs.
      split_path: a file with the split of each line, see `splits.read_split`; '' and a split that
        it lacks: cut by the fixed rules of `vae_jax.data.splits`.
      valid_fraction: fraction of train used for validation if not given.
      name: name of the data set; the name of the file if empty.

    Raises:
      InputError: the file cannot be read, or a line is malformed or too long.
    """
    path = os.path.expanduser(path)
    check_range(Argument("max_length"), max_length, 0)
    lines = read_lines(path, alphabet)
    file = os.path.basename(path)
    name = name or f"text {file}"
    given = read_split(os.path.expanduser(split_path), lines) if split_path else None
    return make_dataset(
        lines,
        alphabet,
        lines.describe(file),
        name=name,
        max_length=max_length,
        valid_fraction=valid_fraction,
        rows=given,
        given_rule=f"array {os.path.basename(split_path)}",
    )


def make_dataset(
    lines: Lines,
    alphabet: str,
    describe: Callable[[int], str],
    *,
    name: str,
    max_length: int = 0,
    valid_fraction: float = 0.1,
    rows: Mapping[str, np.ndarray] | None = None,
    given_rule: str = "as given",
    needs_test: bool = True,
) -> Dataset:
    """Make a data set of lines that were read.

    Args:
      lines: the lines.
      alphabet, name, max_length, valid_fraction: as for `load_text`.
      describe: the place of a line in messages, by its position.
      rows: the positions [M] of the lines of some splits.
      given_rule: the rule by which `rows` were made.
      needs_test: as for `complete_splits`.

    Raises:
      InputError: as of `load_text`.
    """
    check_range(Argument("max_length"), max_length, 0)
    if len(lines.texts) < MIN_ROWS:
        raise InputError(
            f"{name}: has {len(lines.texts)} line{'s' * (len(lines.texts) > 1)}; at least "
            f"{MIN_ROWS} are needed for training, validation and testing"
        )
    if alphabet == "selfies":
        logger.info("%s: converting %d molecules to SELFIES", name, len(lines.texts))
    split = tokenize(alphabet, lines.texts)
    own = Alphabet.of_tokens(alphabet, split, lines.texts, describe)
    numbered = own.number(split)
    length = max_length or int(numbered.lengths.max()) + 1
    own.check(lines.texts, numbered, length, describe)
    rows = {"train": np.arange(len(lines.texts))} if rows is None else rows
    rows, rules = complete_splits(
        rows, None, valid_fraction, given_rule=given_rule, name=name, needs_test=needs_test
    )
    x = fill_rows(numbered, length, np.min_scalar_type(own.size - 1))
    splits = {split: x[index] for split, index in rows.items()}
    texts = {split: [lines.texts[i] for i in index] for split, index in rows.items()}
    _warn_new_tokens(own, splits, name)
    preparation = rules | _describe(own, splits, texts, length)
    distinct = {split: texts[split] for split in distinct_splits(rules)}
    preparation["repeated"] = _count_repeated({"test": [], **distinct}, name)
    sources: dict[str, Any] = {split: make_source(array, own) for split, array in splits.items()}
    return Dataset(
        name=name,
        **sources,
        preparation=preparation,
        text=own,
        row_ids={split: lines.numbers[index] for split, index in rows.items()},
    )


def load_lines(path: str, alphabet: Alphabet, length: int) -> ArraySource:
    """Read the lines of a file with the alphabet and the length L of a data set.

    Raises:
      InputError: as of `load_text`; or a token that the alphabet lacks.
    """
    path = os.path.expanduser(path)
    lines = read_lines(path, alphabet.kind)
    describe = lines.describe(os.path.basename(path))
    x = alphabet.encode_lines(lines.texts, length, describe)
    return make_source(x.astype(np.min_scalar_type(alphabet.size - 1)), alphabet)


def make_source(x: np.ndarray, alphabet: Alphabet) -> ArraySource:
    """The source of rows x [N, L], observed up to the end."""
    value_range = (0.0, float(alphabet.size - 1))
    return ArraySource(jnp.asarray(x), value_range=value_range, observed=jnp.asarray(x > 0))


def _describe(
    alphabet: Alphabet,
    splits: Mapping[str, np.ndarray],
    texts: Mapping[str, Sequence[str]],
    length: int,
) -> dict[str, Any]:
    """The entries of `Dataset.preparation`.

    `test_sha256` is of the lines, whatever their alphabet is, for their nats are comparable.
    """
    ranges = {split: (float(END), float(x.max())) for split, x in splits.items()}
    identity = describe_identity(splits, dict.fromkeys(splits), ranges, {})
    digest = f"{identity['sha256']} {json.dumps(alphabet.to_json(), sort_keys=True)}"
    shape = f"lines of at most {length - 1} tokens of {len(alphabet.tokens)}"
    return {
        "values": "tokens",
        "scale": 1.0,
        "binarization": "none",
        "binary": False,
        "levels": 0,
        **identity,
        "shape": shape,
        "sha256": hashlib.sha256(digest.encode()).hexdigest(),
        "test_sha256": hashlib.sha256("\n".join(texts["test"]).encode()).hexdigest(),
        "text": alphabet.to_json(),
        "alphabet": ALPHABET_RULE,
    }


def _warn_new_tokens(alphabet: Alphabet, splits: Mapping[str, np.ndarray], name: str) -> None:
    counts = np.bincount(splits["train"].reshape(-1), minlength=alphabet.size)[NUM_SPECIAL:]
    new = [token for token, count in zip(alphabet.tokens, counts, strict=True) if not count]
    if new:
        more = f" and {len(new) - SHOWN} more" if len(new) > SHOWN else ""
        logger.warning(
            "%s: no line of train has %s%s, whose probability is not learned",
            name,
            ", ".join(map(repr, new[:SHOWN])),
            more,
        )


def _count_repeated(texts: Mapping[str, Sequence[str]], name: str) -> dict[str, int]:
    """The lines of valid and of test that are also lines of another split; warns about them."""
    train, valid = set(texts["train"]), set(texts["valid"])
    others = {"valid": train, "test": train | valid}
    counts = {split: sum(line in seen for line in texts[split]) for split, seen in others.items()}
    for split, count in counts.items():
        if count:
            where = "train" if split == "valid" else "train or valid"
            logger.warning(
                "%s: %d of the %d lines of %s are also lines of %s; remove them from one split",
                *(name, count, len(texts[split]), split, where),
            )
    return counts
