"""Package description; tool settings are in pyproject.toml."""

import pathlib
import re
import sys

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.*)"', (ROOT / "vae_jax" / "__init__.py").read_text(encoding="utf-8")
).group(1)
REQUIREMENTS = (ROOT / "requirements.txt").read_text(encoding="utf-8").split()
TABLES = ["pandas>=2.2.3", "pyarrow>=17"]  # Parquet files need pyarrow
MOLECULES = ["rdkit>=2025.3.1", "selfies>=2.2"]
EXPORT = ["safetensors>=0.5", "flatbuffers>=24.3.25"]  # jax.export serializes with flatbuffers
TEST = [
    "pytest>=8",
    "pytest-xdist>=3.6",
    "hypothesis>=6.100",
    "nbclient>=0.10",
    "nbformat>=5.10",
    "ipykernel>=6.29",
    "numpyro>=0.22",  # an independent implementation of the densities
    "tensorboardX>=2.6.2",
    "h5py>=3.10",
    *TABLES,
    *MOLECULES,
    *EXPORT,
]
# Pinned: linters and type checkers find other things in other versions.
LINT = ["ruff==0.17.6", "mypy==2.4.1"]
DOCS = ["sphinx>=9", "myst-parser>=5.2", "furo>=2025.12.19"]
PACKAGES = find_packages(include=["vae_jax", "vae_jax.*"])
FOLDERS = {"": "."}
# configs/ is installed inside the package, where --config=NAME finds it. An editable install finds
# it beside the package. Without a folder of another name it is a line of a .pth file; otherwise a
# folder named vae_jax beside a script, such as the copy of the repository, would hide the package.
if "editable_wheel" not in sys.argv:
    PACKAGES += ["vae_jax.configs", "vae_jax.configs.published"]
    FOLDERS |= {
        "vae_jax.configs": "configs",
        "vae_jax.configs.published": "configs/published",
    }

setup(
    name="vae_jax",
    version=VERSION,
    description="Variational autoencoders in JAX: pure functions, explicit keys, citable numbers",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=PACKAGES,
    package_dir=FOLDERS,
    package_data={
        "vae_jax": ["py.typed"],
        "vae_jax.data.tables": ["*.csv"],
        "vae_jax.data.text": ["*.smi", "*.txt", "*.md"],
        "vae_jax.experiment.report": ["*.csv", "templates/*"],
    },
    install_requires=REQUIREMENTS,
    extras_require={
        "test": TEST,
        "dev": [*TEST, *LINT, "build>=1.2", "pre-commit>=3.7"],
        "docs": [*DOCS, *TABLES],
        "h5": ["h5py>=3.10"],
        "tables": TABLES,
        "molecules": MOLECULES,
        "export": EXPORT,
        "wandb": ["wandb>=0.19"],
        "trackio": ["trackio>=0.2"],
        "umap": ["umap-learn>=0.5.7"],
        "cuda": ["jax[cuda13]"],
        "cuda12": ["jax[cuda12]"],
        "tpu": ["jax[tpu]"],
        "k8s": ["jax[k8s]"],
    },
)
