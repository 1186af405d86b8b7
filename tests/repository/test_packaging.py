"""Packaging: dependencies, pinned tools, versions of hosted notebooks, deprecation warnings."""

import ast
import importlib.metadata
import json
import pathlib
import re
import runpy
import subprocess
import sys
import types
import warnings

import pytest

ROOT = pathlib.Path(__file__).parents[2]
CONSTRAINTS = ROOT / "colab" / "constraints.txt"
ACCELERATORS = ("cuda", "cuda12", "tpu", "k8s")
# Extras; without one, a message names it.
OPTIONAL = {"h5py", "pandas", "pyarrow", "rdkit", "selfies", "umap"}
IMPORTED_BY_OTHERS = {"importlib-resources"}  # by tensorflow-datasets, which doesn't declare it


def normalize(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(path):
    """{name: (operator, version)} of a requirements file."""
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    parts = [re.fullmatch(r"([\w-]+)(?:\[\w+\])?(>=|==)([\d.]+)", line).groups() for line in lines]
    return {normalize(name): (operator, version) for name, operator, version in parts}


@pytest.fixture
def setup_arguments(monkeypatch):
    """The arguments of `setuptools.setup` in setup.py."""
    fake, arguments = types.ModuleType("setuptools"), {}
    fake.setup, fake.find_packages = arguments.update, lambda **_: []
    monkeypatch.setitem(sys.modules, "setuptools", fake)
    runpy.run_path(str(ROOT / "setup.py"))
    return arguments


def test_requirements_are_the_imports():
    providers = importlib.metadata.packages_distributions()
    names = set()
    for path in (ROOT / "vae_jax").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module.split(".")[0])
    names -= {*sys.stdlib_module_names, "vae_jax", *OPTIONAL}
    files = requirements(ROOT / "requirements.txt")
    undeclared = {
        name for name in names if not {normalize(p) for p in providers.get(name, ())} & set(files)
    }
    assert not undeclared
    imported = {normalize(package) for name in names for package in providers[name]}
    assert set(files) - imported == IMPORTED_BY_OTHERS
    assert {operator for operator, _ in files.values()} == {">="}


def test_the_hook_and_ci_use_one_ruff(setup_arguments):
    hook = re.search(
        r"ruff-pre-commit\n *rev: v(\S+)", (ROOT / ".pre-commit-config.yaml").read_text()
    )
    assert f"ruff=={hook.group(1)}" in setup_arguments["extras_require"]["dev"]


def test_types_are_shipped(setup_arguments):
    assert "py.typed" in setup_arguments["package_data"]["vae_jax"]
    assert (ROOT / "vae_jax" / "py.typed").is_file()


def test_data_files_are_shipped(setup_arguments):
    """In the wheel by setup.py, in the sdist by MANIFEST.in."""
    manifest = (ROOT / "MANIFEST.in").read_text().splitlines()
    patterns = setup_arguments["package_data"]
    for path in (ROOT / "vae_jax").rglob("*.*"):
        if path.suffix in (".py", ".pyc") or not path.is_file():
            continue
        package = next(parent for parent in path.parents if (parent / "__init__.py").is_file())
        inside = path.relative_to(package)
        name = ".".join(package.relative_to(ROOT).parts)
        assert any(inside.match(pattern) for pattern in patterns.get(name, ())), path
        folder = package.relative_to(ROOT).as_posix()
        lines = [
            line.split() for line in manifest if line.startswith(f"recursive-include {folder}")
        ]
        included = [pattern for _, _, *found in lines for pattern in found]
        assert name == "vae_jax" or any(path.match(pattern) for pattern in included), path


def test_configs_are_shipped(setup_arguments):
    assert {"vae_jax.configs", "vae_jax.configs.published"} <= set(setup_arguments["packages"])
    assert setup_arguments["package_dir"] == {
        "": ".",
        "vae_jax.configs": "configs",
        "vae_jax.configs.published": "configs/published",
    }


def test_an_editable_install_is_a_folder_on_the_path(setup_arguments, monkeypatch):
    """Setuptools then writes a .pth file, and a folder vae_jax beside a script hides nothing."""
    monkeypatch.setattr(sys, "argv", ["setup.py", "editable_wheel"])
    runpy.run_path(str(ROOT / "setup.py"))
    assert setup_arguments["package_dir"] == {"": "."}
    assert "vae_jax.configs" not in setup_arguments["packages"]


def test_extras_are_those_of_jax(setup_arguments):
    extras = setup_arguments["extras_require"]
    names = {re.fullmatch(r"jax\[(.*)\]", extras[name][0]).group(1) for name in ACCELERATORS}
    assert names <= set(importlib.metadata.metadata("jax").get_all("Provides-Extra"))


def resolve(path, *arguments):
    """Resolve without installing; {name: version} of every package, or None if pip fails."""
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    report = path / "report.json"
    command = [*pip, "--retries=0", "--timeout=10", f"--report={report}", *map(str, arguments)]
    if subprocess.run(command, check=False).returncode:
        return None
    packages = [entry["metadata"] for entry in json.loads(report.read_text())["install"]]
    return {normalize(package["name"]): package["version"] for package in packages}


def test_a_hosted_notebook_keeps_its_versions(tmp_path):
    """Its image has jax, flax and numpy; installing this package must replace none of them."""
    image = {name: version for name, (_, version) in requirements(CONSTRAINTS).items()}
    if not resolve(tmp_path, "--no-deps", f"jax=={image['jax']}"):
        pytest.skip("no package registry can be reached")
    result = resolve(tmp_path, "-r", ROOT / "requirements.txt", "-c", CONSTRAINTS)
    assert result, "pip finds no set of versions"
    assert {name: result[name] for name in image} == image


@pytest.mark.parametrize("category", [DeprecationWarning, FutureWarning])
def test_deprecated_names_in_our_own_lines_are_errors(category):
    for module in ("vae_jax.nets.mlp", "configs.vae", __name__):
        with pytest.raises(category):
            warnings.warn_explicit("deprecated", category, "file.py", 1, module=module)
    with pytest.warns(category):
        warnings.warn_explicit("deprecated", category, "file.py", 1, module="jax.numpy")
