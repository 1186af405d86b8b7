"""Apply stated mutations one at a time, and run the tests that must notice them.

    python tests/mutations/run.py                  # all, in half an hour or less
    python tests/mutations/run.py flows/ 'DIP I'   # those with one of the words in name or file

The package and its tests are copied to a temporary folder, so the checkout stays as it is. First
all selections run without a mutation: what fails anyway kills nothing. Then each mutation is
applied, its selection runs until the first failure, and the file is restored. A text that is no
longer found, a selection without tests, and tests that cannot be collected are errors of this list,
not kills. The exit status is 0 if at least 95 % are killed.
"""

import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

from table import MUTATIONS, Mutation

ROOT = pathlib.Path(__file__).parents[2]
COPIED = ("vae_jax", "tests", "configs", "pyproject.toml")
SHARE = 0.95
TIMEOUT = 600  # seconds; a selection takes a few
RESULTS = {0: "survived", 1: "killed"}  # pytest's exit status; anything else is an error


def mutate(root: pathlib.Path, mutation: Mutation) -> tuple[pathlib.Path, str]:
    """Return the file and its text with the mutation. Raises SystemExit if it is out of date."""
    path = root / "vae_jax" / mutation.file
    text = path.read_text(encoding="utf-8")
    count = text.count(mutation.old)
    if count != 1:
        raise SystemExit(
            f"{mutation.name!r}: vae_jax/{mutation.file} has its text {count} times, not once; "
            f"update tests/mutations/table.py: {mutation.old!r}"
        )
    return path, text.replace(mutation.old, mutation.new)


def selection(mutation: Mutation) -> list[str]:
    """The arguments of pytest."""
    path, *options = shlex.split(mutation.tests)
    return [f"tests/{path}", *options]


def run_tests(root: pathlib.Path, arguments: list[str]) -> tuple[int, str]:
    """The exit status and the end of the output of pytest in the copy."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "JAX_COMPILATION_CACHE_DIR": os.environ.get(
            "JAX_COMPILATION_CACHE_DIR", str(root / "cache")
        ),
    }
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(
        command,
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    return done.returncode, done.stdout[-2_000:]


def check_without_mutations(root: pathlib.Path, mutations: list[Mutation]) -> None:
    """Raises SystemExit if the selections of a file fail or have no test as the code is."""
    words: dict[str, list[str]] = {}
    for mutation in mutations:
        path, *options = selection(mutation)
        words.setdefault(path, []).append(f"({options[-1]})" if options else "test")
    for path, choices in words.items():
        status, output = run_tests(root, [path, "-k", " or ".join(dict.fromkeys(choices))])
        if status:
            raise SystemExit(f"without a mutation, {path} ends with status {status}:\n{output}")


def run(mutations: list[Mutation]) -> dict[str, str]:
    """Results by the names of the mutations."""
    results = {}
    with tempfile.TemporaryDirectory(prefix="vae_jax_mutations_") as folder:
        root = pathlib.Path(folder)
        for name in COPIED:
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, root / name)
        for mutation in mutations:
            mutate(root, mutation)
        check_without_mutations(root, mutations)
        for mutation in mutations:
            path, text = mutate(root, mutation)
            original = path.read_text(encoding="utf-8")
            path.write_text(text, encoding="utf-8")
            start = time.monotonic()
            try:
                status, output = run_tests(root, selection(mutation))
            finally:
                path.write_text(original, encoding="utf-8")
            result = results[mutation.name] = RESULTS.get(status, "error")
            seconds = time.monotonic() - start
            print(f"{result:8} {seconds:4.0f} s  {mutation.file}: {mutation.name}", flush=True)
            if result == "error":
                print(output, flush=True)
    return results


def main(words: list[str]) -> int:
    mutations = [
        m for m in MUTATIONS if not words or any(word in m.name + m.file for word in words)
    ]
    if not mutations:
        raise SystemExit(f"{words}: no mutation has any of these in its name or file")
    results = list(run(mutations).values())
    killed, errors = results.count("killed"), results.count("error")
    print(
        f"{killed} of {len(results)} killed ({killed / len(results):.1%}), "
        f"{results.count('survived')} survived, {errors} errors"
    )
    return 0 if not errors and killed >= SHARE * len(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
