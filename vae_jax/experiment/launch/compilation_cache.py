"""Compiled programs on disk, so that the next run of the same config starts without compiling."""

import contextlib
import hashlib
import os
import pathlib
import platform
import sys
import tempfile

import jax

MAX_BYTES = 2 * 2**30  # maximum size; beyond it, the oldest files are deleted down to half


def set_up(*, enabled: bool = True) -> pathlib.Path | None:
    """Keep compiled programs in the user's cache directory; return the folder if it is used.

    The folder is `vae_jax` in the cache directory of the platform, with a subfolder for each kind
    of processor, since compiled programs use all its instructions. If the user has set
    JAX_COMPILATION_CACHE_DIR, JAX's own settings are unchanged.

    For the command line only: it changes JAX's settings for the whole process. A folder that cannot
    be written is no error.
    """
    if not enabled:
        jax.config.update("jax_enable_compilation_cache", False)
    if jax.config.jax_compilation_cache_dir or not jax.config.jax_enable_compilation_cache:
        return None
    try:
        folder = user_folder() / _processor()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        _prune(folder, MAX_BYTES)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home directory
        print(f"compiled programs are not kept: {error}", file=sys.stderr)
        return None
    jax.config.update("jax_compilation_cache_dir", os.fspath(folder))
    # A run has about a hundred small programs, which together take as long as a large one.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder


def user_folder() -> pathlib.Path:
    """Return the folder `vae_jax` in the user's cache directory, by the platform's convention.

    XDG_CACHE_HOME has precedence on every platform.

    Raises:
      RuntimeError: there is no home directory.
    """
    root = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(root):  # the specification ignores a relative path
        return pathlib.Path(root) / "vae_jax"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (pathlib.Path(local) if local else pathlib.Path.home() / "AppData/Local") / "vae_jax"
    parts = "Library/Caches" if sys.platform == "darwin" else ".cache"
    return pathlib.Path.home() / parts / "vae_jax"


def _processor() -> str:
    """A name for the kind of processor: the architecture, and a hash of its features if known."""
    features = platform.processor()
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:12]}"


def _prune(folder: pathlib.Path, max_bytes: int) -> None:
    """Delete the oldest files of a folder larger than `max_bytes` until half is left."""
    with os.scandir(folder) as entries:
        files = [(entry.stat(), entry.path) for entry in entries if entry.is_file()]
    files.sort(key=lambda file: file[0].st_mtime, reverse=True)
    total = sum(stat.st_size for stat, _ in files)
    if total <= max_bytes:
        return
    while files and total > max_bytes // 2:
        stat, path = files.pop()
        with contextlib.suppress(FileNotFoundError):  # another process prunes too
            os.remove(path)
        total -= stat.st_size
