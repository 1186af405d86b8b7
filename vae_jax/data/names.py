"""Names of arrays: which array of a file is the images or labels of which split.

A name is a split and a role, in either order, in any case and with any separator: `x_train`,
`trainImages`, `val_labels`. Without a role it is images (`train`), without a split it belongs to
the training split (`X`, `labels`), from which a missing test split is cut. `observed`, before or
after the name of images, is for the array of their observed values: `train_observed`, `X_observed`.

>>> assign(["x_train", "y_train", "X_val", "images_mean"]).arrays
{'train_images': 'x_train', 'train_labels': 'y_train', 'valid_images': 'X_val'}
"""

import dataclasses
import logging
import re
from collections.abc import Collection, Iterable, Sequence

from vae_jax.errors import InputError, suggest

logger = logging.getLogger(__name__)

SPLIT_WORDS = {
    "train": ("train", "training", "trn", "tr"),
    "valid": ("valid", "validation", "val", "dev"),
    "test": ("test", "testing", "tst", "te"),
}
ROLE_WORDS = {
    "images": (
        *("images", "image", "imgs", "img", "x", "xs", "data", "inputs", "input", "samples"),
        *("features", "pixels", "pictures", "photos", "table", "rows", "counts", "examples"),
    ),
    "labels": (
        *("labels", "label", "lbls", "y", "ys", "targets", "target", "classes", "class"),
        *("factors", "latentsclasses"),
    ),
}
OBSERVED = "observed"
MASK_WORDS = ("mask", "missing", "isnan")  # in names of arrays that are probably meant
ROLES = (*ROLE_WORDS, OBSERVED)
CANONICAL = tuple(f"{split}_{role}" for split in SPLIT_WORDS for role in ROLES)
STREAMED_ARRAYS = tuple(f"train_{role}" for role in ROLES)
_COMMON = ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test", "images", "labels")
_SPLITS = {word: split for split, words in SPLIT_WORDS.items() for word in words}
_ROLES = {word: role for role, words in ROLE_WORDS.items() for word in words}
_NAME = re.compile(
    "(?P<first>{splits})?(?P<role>{roles})?(?P<last>{splits})?(?:split|set)?".format(
        splits="|".join(sorted(_SPLITS, key=len, reverse=True)),
        roles="|".join(sorted(_ROLES, key=len, reverse=True)),
    )
)


@dataclasses.dataclass(frozen=True)
class Assignment:
    """The name in the file of each array that is read, by canonical name; and the other names."""

    arrays: dict[str, str]
    unused: tuple[str, ...]


def canonical_name(name: str) -> tuple[str, str] | None:
    """The split ('' if unnamed) and the role of an array, or None if the name has neither."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    rest = plain.removeprefix(OBSERVED).removesuffix(OBSERVED)
    if rest == plain:
        return _split_and_role(plain)
    images = _split_and_role(rest) if rest else ("", "images")
    return (images[0], OBSERVED) if images is not None and images[1] == "images" else None


def _split_and_role(name: str) -> tuple[str, str] | None:
    match = _NAME.fullmatch(name)
    if match is None or (match["first"] and match["last"]):
        return None
    split = match["first"] or match["last"]
    if not split and not match["role"]:
        return None
    return _SPLITS.get(split or "", ""), _ROLES.get(match["role"] or "x", "images")


def assign(
    names: Iterable[str], where: Sequence[str] = ("arrays",), *, needs_train: bool = True
) -> Assignment:
    """Assign arrays to splits and roles by their names.

    The canonical name, such as `train_images`, takes precedence. A name without a split is for
    the training split, if no other array is. A file of one array, of any name, holds its images.
    `where` has the parts of a message's beginning, see `InputError`.

    Raises:
      InputError: two arrays could be the same, or none holds training images; if not
        `needs_train`, none holds images.
    """
    names = list(names)
    candidates: dict[str, list[str]] = {}
    without_split: dict[str, list[str]] = {}
    for name in names:
        split_and_role = canonical_name(name)
        if split_and_role is not None:
            split, role = split_and_role
            table = candidates if split else without_split
            table.setdefault(f"{split or 'train'}_{role}", []).append(name)
    candidates = without_split | candidates
    if not candidates and len(names) == 1:
        candidates = {"train_images": names}
    arrays = {}
    for key in CANONICAL:
        matches = candidates.get(key, [])
        if key in matches:
            matches = [key]
        if len(matches) > 1:
            raise InputError(
                *where,
                f": {' and '.join(map(repr, sorted(matches)))} could each be {key!r}; "
                "rename or remove all but one",
            )
        if matches:
            arrays[key] = matches[0]
    has_images = any(key.endswith("_images") for key in arrays)
    if not has_images or (needs_train and "train_images" not in arrays):
        raise InputError(
            *where,
            ": no array 'train_images'; it needs train_images and test_images, or names such as "
            f"{', '.join(_COMMON)}, and has {sorted(names)}",
        )
    return Assignment(arrays, tuple(name for name in names if name not in arrays.values()))


def warn_unused(unused: Collection[str], where: str) -> None:
    """Warn about each array that nothing reads, with the nearest name that would be read."""
    for name in sorted(unused):
        nearest = [candidate for candidate in (*CANONICAL, *_COMMON) if candidate != name]
        hint = suggest(name, nearest) or f"; names are such as {', '.join(_COMMON)}"
        if any(word in name.lower() for word in MASK_WORDS):
            hint = "; an array of observed values, 1 or 0, is named such as train_observed"
        if canonical_name(name) is not None:
            hint = "; another array is read in its place"
        logger.warning("%s: nothing reads the array %r%s", where, name, hint)
