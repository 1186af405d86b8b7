"""Fixed rules by which missing test and validation splits are cut from the training examples."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from vae_jax.data import order
from vae_jax.data.labels import unknown
from vae_jax.data.rows import HostRows
from vae_jax.errors import Argument, InputError, check_range

SPLITS = ("train", "valid", "test")
SPLIT_SEED = 0
MAX_VALID_FRACTION = 0.9
MIN_ROWS = 5  # rows of which a fifth can be cut
CUT_TEST_RULE = (
    f"a fifth of the examples, the first in the swap-or-not shuffle with seed {SPLIT_SEED}"
)
COPY_RULE = "the validation examples, as there are no others"
ONLY_LABELED = "; counting only examples with a label, y = -1 stays in train"


def distinct_splits(preparation: Mapping[str, Any]) -> tuple[str, ...]:
    """The splits of a data set, by its `preparation`, but test if it is a copy of validation."""
    is_copy = preparation.get("test") == COPY_RULE
    return tuple(split for split in SPLITS if split != "test" or not is_copy)


def fixed_permutation(num_examples: int) -> np.ndarray:
    """The shuffle [N] that defines the splits; it never changes."""
    # Compiled as one: its parts would be five programs.
    permute = jax.jit(order.permute, static_argnums=1)
    return np.asarray(
        permute(np.arange(num_examples, dtype=np.uint32), num_examples, np.uint32(SPLIT_SEED))
    )


def _candidates(num_examples: int, labels: Any) -> tuple[np.ndarray, bool]:
    """The examples that may leave train, shuffled, and True if some are without a label."""
    shuffle = fixed_permutation(num_examples)
    if not isinstance(labels, np.ndarray) or not unknown(labels).any():
        return shuffle, False
    return shuffle[~unknown(labels)[shuffle]], True


def cut_test(
    images: np.ndarray, labels: np.ndarray | None, observed: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Train and test arrays from images [N, *E] without a test split, by `CUT_TEST_RULE`.

    Labels are [N] or [N, C], and `observed` has the shape of the images. Examples without a label,
    y = -1, stay in train.
    """
    candidates, _ = _candidates(len(images), labels)
    is_test = np.zeros(len(images), bool)
    is_test[candidates[: len(candidates) // 5]] = True
    arrays = {}
    roles = {"images": images, "labels": labels, "observed": observed}
    for split, positions in (
        ("test", np.flatnonzero(is_test)),
        ("train", np.flatnonzero(~is_test)),
    ):
        for role, rows in roles.items():
            if rows is not None:
                arrays[f"{split}_{role}"] = rows[positions]
    return arrays


def with_test(arrays: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The arrays, in memory, with a test split cut from train by `CUT_TEST_RULE`.

    Raises:
      InputError: labels without images, less than 5 examples, or another number of labels.
    """
    if "test_labels" in arrays:
        raise InputError(f"{name}: test_labels without test_images; it has {sorted(arrays)}")
    images, labels = arrays["train_images"], arrays.get("train_labels")
    if images.ndim == 0 or len(images) < 5:
        raise InputError(
            f"{name}: no array 'test_images', and train_images, of shape {images.shape}, has too "
            f"few examples to cut a fifth of them; it has {sorted(arrays)}"
        )
    if labels is not None and (labels.ndim == 0 or len(labels) != len(images)):
        raise InputError(
            f"{name}: train_labels has shape {labels.shape} for {len(images)} images; must be "
            f"[{len(images)}] or [{len(images)}, C]"
        )
    return {**arrays, **cut_test(images, labels, arrays.get("train_observed"))}


def complete_splits(
    rows: Mapping[str, np.ndarray],
    labels: np.ndarray | None,
    valid_fraction: float,
    *,
    given_rule: str,
    name: str,
    needs_test: bool = True,
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The rows [M] of each split, missing splits cut from train, and the rules as texts.

    Args:
      rows: the rows of train and of the given splits.
      labels: of all rows, [N] or [N, C], for `cut_test`.
      valid_fraction: see `cut_validation`.
      given_rule: the rule by which the given splits were made.
      name: name of the data set.
      needs_test: False: without rows of test, those of validation are its copy.

    Raises:
      InputError: train has too few rows.
    """
    rows = dict(rows)
    rules = {"test": given_rule, "validation": given_rule}

    def train_labels() -> np.ndarray | None:
        return None if labels is None else labels[rows["train"]]

    if "test" not in rows and needs_test:
        if len(rows["train"]) < MIN_ROWS:
            raise InputError(
                f"{name}: {len(rows['train'])} rows are of train and none of test; too few to cut "
                "a fifth of them"
            )
        cut = cut_test(rows["train"], train_labels())
        rows |= {split: cut[f"{split}_images"] for split in ("train", "test")}
        rules["test"] = CUT_TEST_RULE
    if "valid" not in rows:
        splits: dict[str, Any] = {"train": rows["train"]}
        rules["validation"] = cut_validation(splits, {"train": train_labels()}, valid_fraction)
        rows |= splits
    if "test" not in rows:
        rows["test"], rules["test"] = rows["valid"], COPY_RULE
    return {split: rows[split] for split in SPLITS}, rules


def cut_validation(
    splits: dict[str, Any],
    labels: dict[str, Any],
    fraction: float,
    observed: dict[str, Any] | None = None,
) -> str:
    """Move a fraction of train to valid, by the fixed shuffle; return the rule as text.

    Examples without a label, y = -1, stay in train. Without missing values, `observed` is empty.

    Raises:
      InputError: the fraction is out of range, or leaves no examples to one of the splits.
    """
    check_range(Argument("valid_fraction"), fraction, 0.0, MAX_VALID_FRACTION, open_low=True)
    n = len(splits["train"])
    shuffle, only_labeled = _candidates(n, labels["train"])
    num_valid = round(fraction * len(shuffle))
    if not 0 < num_valid < n:
        raise InputError(
            Argument("valid_fraction"),
            f" = {fraction:g}: leaves {num_valid} of {n} train examples for validation and the "
            "rest for training; both must have some",
        )
    is_valid = np.zeros(n, bool)
    is_valid[shuffle[:num_valid]] = True
    valid, train = np.flatnonzero(is_valid), np.flatnonzero(~is_valid)
    for arrays in (splits, labels, observed) if observed else (splits, labels):
        rows = arrays["train"]
        arrays["valid"] = None if rows is None else rows[valid]
        if isinstance(rows, HostRows):
            arrays["train"] = rows.select(train)
        elif rows is not None:
            arrays["train"] = rows[train]
    return (
        f"first {num_valid} of {len(shuffle)} train examples in the swap-or-not shuffle with seed "
        f"{SPLIT_SEED}{ONLY_LABELED if only_labeled else ''}"
    )
