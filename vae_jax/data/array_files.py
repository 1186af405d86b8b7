"""Arrays of files: .npz, .npy, HDF5, and folders of .npy files or of images."""

import logging
import os
import pathlib
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from vae_jax.data.image_folder import SUFFIXES, image_files, read_folder
from vae_jax.data.names import STREAMED_ARRAYS, assign, warn_unused
from vae_jax.data.rows import NpyRows, check_no_objects, open_npy, open_npz
from vae_jax.errors import Argument, InputError
from vae_jax.files import check_file
from vae_jax.memory import in_gigabytes, machine_memory

logger = logging.getLogger(__name__)


def read_path(
    path: str, *, streaming: bool = False, image_size: int = 0, needs_train: bool = True
) -> Mapping[str, Any]:
    """The arrays of a file or folder, for `from_arrays`, without executing pickles.

    An .npz, .npy or HDF5 file, a folder of .npy files, or one of images. Only arrays that are used
    are read, see `names`. With `streaming`, the training arrays stay on disk. Without
    `needs_train`, arrays of any split will do.

    Raises:
      InputError: it cannot be read, or not in this way.
    """
    if not path:
        raise InputError.of(
            "path",
            path,
            "the data set 'npz' needs the path of an .npz, .npy or .h5 file, of a folder of .npy "
            "files, or of one of images",
        )
    streamed = STREAMED_ARRAYS if streaming else ()
    if os.path.isdir(path):
        files = {
            file.stem: os.fspath(file)
            for file in sorted(pathlib.Path(path).glob("*.npy"))
            if file.is_file()
        }
        folder = pathlib.Path(path)
        if not files:
            if streaming and image_files(folder):
                raise InputError.of(
                    "streaming",
                    streaming,
                    f"{path!r} is a folder of images, which are read into memory; must be False",
                )
            return read_folder(folder, image_size)
        _check_no_size(image_size)
        _warn_of_images(folder)
        names = _assign(files, path, needs_train)
        return {key: _npy(files[name], key in streamed) for key, name in names.items()}
    check_file("path", path)
    _check_no_size(image_size)
    if path.lower().endswith((".h5", ".hdf5")):
        return _hdf5(path, streaming, needs_train)
    if path.lower().endswith(".npy"):
        return {"train_images": _npy(path, streaming)}
    if not _is_archive(path):
        raise InputError.of("path", path, _reason_of(path))
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {
                info.filename.removesuffix(".npy"): info.file_size for info in archive.infolist()
            }
        names = _assign(sizes, path, needs_train)
        in_memory = {key: name for key, name in names.items() if key not in streamed}
        if sum(sizes[name] for name in in_memory.values()) > machine_memory():
            raise ValueError(
                "unpacked, its arrays would take more than the "
                f"{in_gigabytes(machine_memory())} of this machine"
            )
        with np.load(path, allow_pickle=False) as file:
            for name in in_memory.values():
                check_no_objects(file.zip, name)
            arrays = {key: file[name] for key, name in in_memory.items()}
        return arrays | {key: open_npz(path, names[key]) for key in names if key not in in_memory}
    except InputError:
        raise
    except Exception as error:  # numpy, zipfile and decompressors raise many types
        reason = str(error) or type(error).__name__
        raise InputError.of(
            "path", path, f"not a readable .npz of plain arrays ({reason})"
        ) from error


def _warn_of_images(folder: pathlib.Path) -> None:
    """Warn of images beside .npy files, or in the folders beside them."""
    patterns = ("[!.]*", "[!.]*/[!.]*")  # without hidden ones
    entries = (path for pattern in patterns for path in folder.glob(pattern))
    for path in entries:
        if path.suffix.lower() in SUFFIXES:
            logger.warning("%s: only its .npy files are read, not images such as %s", folder, path)
            return


def _assign(names: Iterable[str], path: str, needs_train: bool) -> dict[str, str]:
    """The name in the file of each canonical name; warns of those that nothing reads."""
    assignment = assign(names, (Argument("path"), f" = {path!r}"), needs_train=needs_train)
    warn_unused(assignment.unused, repr(path))
    return assignment.arrays


def _is_archive(path: str) -> bool:
    """True if it is a zip file from its first byte on; numpy reads any other file as a pickle."""
    with open(path, "rb") as file:
        return file.read(2) == b"PK" and zipfile.is_zipfile(path)


def _reason_of(path: str) -> str:
    """Why a file is not read as an .npz file."""
    from vae_jax.data.tables.reading import is_table
    from vae_jax.data.text.lines import is_text

    if is_text(path):
        return "a text, which the data set 'text' reads, not 'npz'"
    if is_table(path):
        return "a table, which the data set 'table' reads, not 'npz'"
    if path.lower().endswith(SUFFIXES):
        return "an image; must be the folder that contains it"
    return "damaged, or not an .npz file; must be written by numpy.savez"


def _npy(path: str, streaming: bool) -> np.ndarray | NpyRows:
    if streaming:
        return open_npy(path)
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise InputError.of(
            "path", path, f"not a readable .npy of plain numbers ({reason})"
        ) from error


def _check_no_size(image_size: int) -> None:
    if image_size:
        raise InputError.of(
            "image_size",
            image_size,
            "only images of a folder are resized; must be 0 for arrays",
        )


def _hdf5(path: str, streaming: bool, needs_train: bool) -> Mapping[str, Any]:
    """The arrays at any depth of an HDF5 file; a group's name and its array's are one name."""
    if streaming:
        raise InputError.of(
            "streaming",
            streaming,
            f"{path!r} is an HDF5 file, which is read into memory; must be False, or save its "
            "arrays as .npy files in a folder",
        )
    try:
        import h5py
    except ImportError as error:
        raise InputError.of(
            "path", path, "needs h5py, which is not installed (pip install h5py)"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            found: list[str] = []
            file.visititems(
                lambda name, entry: found.append(name) if isinstance(entry, h5py.Dataset) else None
            )
            names = _assign(found, path, needs_train)
            size = sum(file[name].nbytes for name in names.values())
            if size > machine_memory():
                raise ValueError(
                    f"its arrays would take more than the {in_gigabytes(machine_memory())} of "
                    "this machine"
                )
            arrays = {key: np.asarray(file[name][()]) for key, name in names.items()}
    except InputError:
        raise
    except Exception as error:  # h5py raises many types
        raise InputError.of("path", path, f"not a readable HDF5 file ({error})") from error
    return {key: _decode(array) for key, array in arrays.items()}


def _decode(array: np.ndarray) -> np.ndarray:
    """Texts of HDF5, which are objects of bytes, as an array of texts."""
    if array.dtype != object or not all(isinstance(text, bytes) for text in array.reshape(-1)):
        return array
    return np.array([text.decode() for text in array.reshape(-1)]).reshape(array.shape)
