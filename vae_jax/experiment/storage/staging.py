"""A local copy of the checkpoints in a bucket, which Orbax works on.

Orbax itself writes to gs:// only. With a local copy, every bucket works the same way: a checkpoint
is written locally and then uploaded, its metadata last, so a partial upload is never taken for a
checkpoint.
"""

import pathlib
import tempfile

from vae_jax.files import LEFTOVERS, Path

METADATA = "_CHECKPOINT_METADATA"  # a file of Orbax in every checkpoint


class Staging:
    """A temporary folder with the complete checkpoints of a bucket.

    Attributes:
      directory: the local folder, of `<step>/`.
    """

    def __init__(self, bucket: Path, *, for_writing: bool) -> None:
        """Download all complete checkpoints; for writing, also delete incomplete checkpoints."""
        self._bucket = bucket
        self._folder = tempfile.TemporaryDirectory(prefix="vae_jax-")
        LEFTOVERS.add(pathlib.Path(self._folder.name))
        self.directory = pathlib.Path(self._folder.name) / "checkpoints"
        self.directory.mkdir()
        for source in list(bucket.iterdir()) if bucket.is_dir() else []:
            if not source.name.isdigit():
                continue
            if (source / METADATA).exists():
                _copy_tree(source, self.directory / source.name)
            elif for_writing:
                source.rmtree()

    def upload(self, step: int) -> None:
        """Upload a checkpoint, its metadata last."""
        target = self._bucket / str(step)
        self.delete(step)
        _copy_tree(self.directory / str(step), target)

    def delete(self, step: int) -> None:
        """Delete a checkpoint in the bucket, its metadata first."""
        target = self._bucket / str(step)
        if target.is_dir():
            (target / METADATA).unlink(missing_ok=True)
            target.rmtree()

    def rename(self, step: int, name: str) -> None:
        """Rename a checkpoint in the bucket."""
        source = self._bucket / str(step)
        _copy_tree(source, self._bucket / name)
        source.rmtree()

    def close(self) -> None:
        """Delete the local copy."""
        LEFTOVERS.discard(pathlib.Path(self._folder.name))
        self._folder.cleanup()


def _copy_tree(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(source.iterdir(), key=lambda entry: entry.name == METADATA):
        if entry.is_dir():
            _copy_tree(entry, target / entry.name)
        else:
            (target / entry.name).write_bytes(entry.read_bytes())
