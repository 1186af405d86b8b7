"""A folder of image files as arrays; subfolders are splits, classes, or classes of splits."""

import collections
import logging
import pathlib
from collections.abc import Sequence

import numpy as np

from vae_jax.data.names import SPLIT_WORDS
from vae_jax.errors import Argument, InputError
from vae_jax.memory import in_gigabytes, machine_memory

logger = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
KINDS = ", ".join(SUFFIXES)
GRAY = ("1", "L", "LA", "La", "F")  # modes without color
GRAY_DIFFERENCE = 8  # of the channels of a gray image stored in color, at most
SPLIT_FOLDERS = ("valid", "validation", "val", "test", "testing")  # hardly names of classes


def image_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """The image files below a folder, sorted, without hidden files."""
    return [path for path in _visible_files(folder) if path.suffix.lower() in SUFFIXES]


def _visible_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """All files below a folder, sorted, without hidden files."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _unread(folder: pathlib.Path) -> str:
    """What is below a folder besides images, such as "20 files .tif, 1 file .csv"; may be ''."""
    suffixes = (path.suffix.lower() for path in _visible_files(folder))
    counts = collections.Counter(suffix for suffix in suffixes if suffix not in SUFFIXES)
    return ", ".join(
        f"{number} file{'s' * (number > 1)} {suffix or 'without a suffix'}"
        for suffix, number in counts.most_common()
    )


def read_folder(folder: pathlib.Path, size: int = 0) -> dict[str, np.ndarray]:
    """Images and class names of a folder, as for `from_arrays`.

    Subfolders `train`, `val`, `test`, or other names of splits, are splits; without them, all is
    train. Below that, the first subfolder is the class; images next to subfolders are rejected.
    Files of other kinds are told in a warning.

    Args:
      folder: contains PNG, JPEG or WebP files.
      size: side of the images [size, size], to which each is resized along its shorter side and
        cropped around its center; 0 for images of one size, as they are.

    Raises:
      InputError: no images, in the folder or in that of a split, an unreadable one, unequal sizes,
        or more than the memory holds.
    """
    names = {word: split for split, words in SPLIT_WORDS.items() for word in words}
    files = image_files(folder)
    unread = _unread(folder)
    if not files:
        raise InputError.of(
            "path",
            str(folder),
            f"has no .npy file and no image ({KINDS}), but {unread or 'nothing'}",
        )
    if unread:
        logger.warning("%s: only images are read (%s), not %s", folder, KINDS, unread)
    tops = {path.relative_to(folder).parts[0].lower() for path in files}
    subfolders = [path for path in folder.iterdir() if path.is_dir()]
    has_splits = "train" in {names.get(path.name.lower()) for path in subfolders}
    if has_splits:
        _check_splits([path for path in subfolders if path.name.lower() in names])
    elif splits := tops.intersection(SPLIT_FOLDERS):
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


def _check_splits(folders: Sequence[pathlib.Path]) -> None:
    """Refuse the folder of a split without images: the split would be cut from another one."""
    for folder in folders:
        if not image_files(folder):
            unread = _unread(folder)
            raise InputError.of(
                "path",
                str(folder.parent),
                f"its folder {folder.name!r} has no image ({KINDS}), but {unread or 'nothing'}; "
                "must have images, or be removed",
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
