"""A folder of image files as arrays; subfolders are splits, classes, or classes of splits."""

import collections
import logging
import os
import pathlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from vae_jax.data.names import SPLIT_WORDS
from vae_jax.errors import Argument, InputError
from vae_jax.memory import in_gigabytes, machine_memory

logger = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
IMAGES = ", ".join(SUFFIXES)
SYSTEM = ("thumbs.db", "desktop.ini")  # files that Windows adds to folders
SHOWN = 3  # kinds of other files named in a message
GRAY = ("1", "L", "LA", "La", "F")  # modes without color
GRAY_DIFFERENCE = 8  # of the channels of a gray image stored in color, at most
SPLIT_FOLDERS = ("valid", "validation", "val", "test", "testing")  # hardly names of classes


def image_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """The image files below a folder, sorted, without hidden files."""
    return [path for path in _visible_files(folder) if path.suffix.lower() in SUFFIXES]


def _visible_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """All files below a folder and the folders that it links to, sorted, without hidden files."""
    files: list[pathlib.Path] = []
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        folders[:] = [name for name in folders if not _is_loop(folder, pathlib.Path(place, name))]
        files += [pathlib.Path(place, name) for name in names if not name.startswith(".")]
    return sorted(path for path in files if path.name.lower() not in SYSTEM and path.is_file())


def _is_loop(folder: pathlib.Path, path: pathlib.Path) -> bool:
    """True for a link to a folder on its own way from `folder`."""
    if not path.is_symlink():
        return False
    way = (parent for parent in path.parents if parent.is_relative_to(folder))
    return path.resolve() in {parent.resolve() for parent in way}


def _describe(files: Sequence[pathlib.Path]) -> str:
    """The numbers of files by suffix, such as "20 .tif files and 1 .csv file"."""
    counts = collections.Counter(path.suffix.lower() for path in files)
    shown = counts.most_common(SHOWN)
    texts = [
        f"{number} {suffix} file{'s' * (number > 1)}".replace("  ", " ") for suffix, number in shown
    ]
    if rest := len(files) - sum(number for _, number in shown):
        texts.append(f"{rest} other file{'s' * (rest > 1)}")
    return " and ".join((", ".join(texts[:-1]), texts[-1]) if len(texts) > 1 else texts)


def read_folder(folder: pathlib.Path, size: int = 0) -> dict[str, np.ndarray]:
    """Images and class names of a folder, as for `from_arrays`.

    Subfolders `train`, `val`, `test`, or other names of splits, are splits; without them, all is
    train. Below that, the first subfolder is the class; images next to subfolders are rejected.
    A warning counts files of other kinds.

    Args:
      folder: contains PNG, JPEG or WebP files.
      size: side of the images [size, size], to which each is resized along its shorter side and
        cropped around its center; 0 for images of one size, as they are.

    Raises:
      InputError: no images, or none of a split that has other files, an unreadable one, unequal
        sizes, or more than the memory holds.
    """
    names = {word: split for split, words in SPLIT_WORDS.items() for word in words}
    visible = _visible_files(folder)
    files = [path for path in visible if path.suffix.lower() in SUFFIXES]
    others = [path for path in visible if path.suffix.lower() not in SUFFIXES]
    if not files:
        raise InputError.of(
            "path",
            str(folder),
            f"has no .npy file at its top and no image ({IMAGES}) at any depth; it "
            + (f"has {_describe(others)}" if others else "is empty"),
        )
    tops = {path.relative_to(folder).parts[0].lower() for path in files}
    has_splits = "train" in {names.get(top) for top in tops}
    if tops <= set(names):
        _refuse_unread_split(folder, {names[top] for top in tops}, others, names)
    if others:
        logger.warning("%s: only images are read (%s), not %s", folder, IMAGES, _describe(others))
    if not has_splits and (splits := tops.intersection(SPLIT_FOLDERS)):
        logger.warning(
            "%s: without a folder 'train', %s read as training images of a class",
            folder,
            " and ".join(map(repr, sorted(splits))) + (" is" if len(splits) == 1 else " are"),
        )
    rows: dict[str, list[tuple[pathlib.Path, str | None]]] = {}
    for path in files:
        parts = path.relative_to(folder).parts
        split = "train"
        if has_splits:
            if parts[0].lower() not in names:
                raise InputError.of(
                    "path",
                    str(folder),
                    f"holds {parts[0]!r} next to folders of splits; must be train, val and test "
                    "only",
                )
            split, parts = names[parts[0].lower()], parts[1:]
        rows.setdefault(split, []).append((path, parts[0] if len(parts) > 1 else None))
    mode = _mode(rows["train"][0][0], files, size)
    arrays = {}
    for split, entries in rows.items():
        classes = [name for _, name in entries]
        arrays[f"{split}_images"] = _read([path for path, _ in entries], size, mode, folder)
        if any(classes):
            if None in classes:
                path = entries[classes.index(None)][0]
                raise InputError.of(
                    "path",
                    str(folder),
                    f"{path} is in no folder of a class; must be all images or none",
                )
            arrays[f"{split}_labels"] = np.array(classes)
    return arrays


def _refuse_unread_split(
    folder: pathlib.Path,
    filled: Collection[str],
    others: Sequence[pathlib.Path],
    names: Mapping[str, str],
) -> None:
    """Refuse a split all of whose files are of other kinds: it would be cut from another one."""
    for top in sorted({path.relative_to(folder).parts[0] for path in others}):
        split = names.get(top.lower())
        if split and split not in filled:
            found = _describe([path for path in others if path.relative_to(folder).parts[0] == top])
            raise InputError.of(
                "path",
                str(folder),
                f"its folder {top!r} has no image ({IMAGES}) but {found}; must have images, or be "
                "removed",
            )


def _mode(first: pathlib.Path, files: Sequence[pathlib.Path], size: int) -> str:
    """The mode of Pillow for all images: gray or color, as the first training image.

    "1", black and white as bool, only if all images are and none is resized.
    """
    mode = _read_mode(first)
    if mode == "1" and not size and all(_read_mode(path) == "1" for path in files):
        return "1"
    if mode in ("1", "L"):
        return "L"
    return "I;16" if mode.startswith("I") else "RGB"


def _read_mode(path: pathlib.Path) -> str:
    with _open(path) as image:
        return image.mode


def _read(files: Sequence[pathlib.Path], size: int, mode: str, folder: pathlib.Path) -> np.ndarray:
    """The images of files as one array [N, H, W] or [N, H, W, 3], bool if black and white."""
    images: list[np.ndarray] = []
    colored: list[str] = []
    for path in files:
        image, is_colored = _convert(path, size, mode)
        colored += [path.name] * is_colored
        if images and image.shape != images[0].shape:
            raise InputError.of(
                "path",
                str(folder),
                f"{path.name} is {image.shape[1]} wide and {image.shape[0]} high, {files[0].name} "
                f"{images[0].shape[1]} and {images[0].shape[0]}; must be equal, or set ",
                Argument("image_size"),
                " to resize and crop them",
            )
        if not images and image.nbytes * len(files) > machine_memory():
            raise InputError.of(
                "path",
                str(folder),
                f"{len(files)} images of {image.shape} would take more than the "
                f"{in_gigabytes(machine_memory())} of this machine; set a smaller ",
                Argument("image_size"),
            )
        images.append(image)
    if colored:
        logger.warning(
            "%s: %d of %d images are in color, such as %s, and are read as gray, as the first "
            "training image is",
            *(folder, len(colored), len(files), colored[0]),
        )
    return np.stack(images)


def _convert(path: pathlib.Path, size: int, mode: str) -> tuple[np.ndarray, bool]:
    """One image, in its upright orientation, resized and cropped to a square of `size` if any.

    And True if it loses its color in the mode "L".
    """
    from PIL import Image, ImageOps

    is_colored = False
    try:
        with _open(path) as file:
            image = ImageOps.exif_transpose(file)
        if mode != "I;16" and image.mode.startswith("I"):
            raise InputError(
                f"{path}: has mode {image.mode}, more than 8 bits, and the first training image 8; "
                "must be equal"
            )
        if mode != "I;16" and image.mode != mode:
            if "A" in image.mode or "transparency" in image.info:  # transparent parts are white
                image = image.convert("RGBA")
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image)
            is_colored = mode == "L" and _has_color(image)
            image = image.convert(mode)
        elif mode == "I;16" and not image.mode.startswith("I"):
            raise InputError(f"{path}: has mode {image.mode}, not 16 bits; must be equal")
        if size and mode == "I;16":
            raise InputError(
                f"{path}: images of 16 bits can't be resized; ",
                Argument("image_size"),
                " must be 0",
            )
        if size:
            image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
        array = np.asarray(image)
    except (OSError, ValueError, SyntaxError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: the image cannot be read ({error})") from error
    return array.astype(np.uint16) if mode == "I;16" else array, is_colored


def _has_color(image) -> bool:  # noqa: ANN001 - Pillow is imported when needed
    """True if the channels of an image differ by more than compression makes gray ones differ."""
    if image.mode in GRAY:
        return False
    return bool(np.ptp(np.asarray(image.convert("RGB")), axis=-1).max() > GRAY_DIFFERENCE)


def _open(path: pathlib.Path):  # noqa: ANN202 - Pillow is imported when needed
    from PIL import Image

    try:
        return Image.open(path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: the image cannot be read ({error})") from error
