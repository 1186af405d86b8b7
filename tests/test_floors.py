"""The house: who may import whom, and how large a file may grow."""

import ast
import pathlib

PACKAGE = pathlib.Path(__file__).parents[1] / "vae_jax"
ORDER = [
    "types",
    "errors",
    "distributions",
    "schedules",
    "corruptions",
    "interpolation",
    "nets",
    "flows",
    "posteriors",
    "priors",
    "likelihoods",
    "quantizers",
    "models",
    "objectives",
    "train",
    "parallel",
    "processes",
    "memory",
    "data",
    "records",
    "environment",
    "evaluation",
    "config",
    "checks",
    "sweep",
    "lock",
    "workdir",
    "build",
    "checkpoint",
    "trained",
    "visualize",
    "suite",
    "run",
    "results",
    "report",
    "journal",
    "program",
    "interruption",
    "loop",
    "main",
]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vae_jax"):
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]


def test_imports_go_downwards():
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if name == "__init__":
            continue
        for imported in imports(path):
            assert imported == name or ORDER.index(imported) < ORDER.index(name), f"{path} imports {imported}"


def test_files_stay_small():
    lengths = {str(path): len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert max(lengths.values()) <= 300, lengths


def test_the_core_imports_little():
    text = (PACKAGE / "train.py").read_text()
    tops = {
        node.names[0].name if isinstance(node, ast.Import) else node.module
        for node in ast.parse(text).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert {top.split(".")[0] for top in tops} == {"functools", "collections", "typing", "jax", "optax", "flax", "vae_jax"}
