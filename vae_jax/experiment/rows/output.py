"""The file of the answers: its path, and its format."""

import os
import pathlib

from vae_jax.config import Config
from vae_jax.config.fields import TABLE_SETS, TEXT_SETS
from vae_jax.data.tables.reading import PARQUET, is_table
from vae_jax.data.text.named import choose_alphabet
from vae_jax.data.text.tokens import MOLECULES
from vae_jax.errors import InputError
from vae_jax.experiment.rows.options import RowOptions
from vae_jax.experiment.rows.writing import check_output
from vae_jax.files import as_path, is_local


def choose_output(
    mode: str, workdir: str | os.PathLike, options: RowOptions, config: Config
) -> pathlib.Path:
    """The path of the output: by default of the format of the data, as far as it has it.

    Raises:
      InputError: it cannot be written, is the file of the data, or has an unknown format.
    """
    path = options.output
    is_text = config.data.name in TEXT_SETS
    if path is None:
        folder = as_path(workdir)
        if not is_local(folder):
            raise InputError("output: missing; the workdir is in a bucket, so give a local path")
        data = options.data or config.data.path
        suffix = default_suffix(mode, data, options, config)
        path = os.fspath(folder / f"{mode}{suffix}")
    output = pathlib.Path(os.path.expanduser(path))
    if options.data and not os.path.exists(os.path.expanduser(options.data)):
        raise InputError(f"data = {options.data!r}: no such file")
    if options.data and output.exists() and output.samefile(os.path.expanduser(options.data)):
        raise InputError(f"output = {path!r}: is the file of the data")
    lines = is_text and mode in ("reconstruct", "sample")
    return check_output(path, overwrite=options.overwrite, lines=lines)


def default_suffix(mode: str, data: str, options: RowOptions, config: Config) -> str:
    """The suffix of the output for rows of a file, or for those of the run."""
    c = config.data
    if c.name in TEXT_SETS:
        is_molecules = choose_alphabet(c.name, c.path, c.alphabet) in MOLECULES
        return ".csv" if mode != "sample" else ".smi" if is_molecules else ".txt"
    if is_table(data) or (not options.data and c.name in TABLE_SETS):
        return ".parquet" if data.lower().endswith(PARQUET) else ".csv"
    return ".npz"


def has_format(path: str, output: pathlib.Path) -> bool:
    """True if a table is Parquet as the output, or neither is."""
    is_parquet = path.lower().endswith(PARQUET)
    return is_table(path) and is_parquet == (output.suffix.lower() == ".parquet")
