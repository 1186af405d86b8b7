"""Package description; tool settings stand in pyproject.toml."""

import pathlib
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.*)"', (ROOT / "vae_jax" / "__init__.py").read_text(encoding="utf-8")
).group(1)
REQUIREMENTS = (ROOT / "requirements.txt").read_text(encoding="utf-8").split()
TEST = [
    "pytest>=8",
    "pytest-xdist>=3.6",
    "hypothesis>=6.100",
    "scipy>=1.11",
    "nbclient>=0.10",
    "nbformat>=5.10",
    "ipykernel>=6.29",
    "tensorboardX>=2.6.2",
]

setup(
    name="vae_jax",
    version=VERSION,
    description="Variational autoencoders in JAX: pure functions, explicit keys, numbers that can be cited",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["vae_jax", "vae_jax.*"]),
    package_data={"vae_jax.experiment.report": ["*.csv", "templates/*"]},
    install_requires=REQUIREMENTS,
    extras_require={
        "test": TEST,
        "dev": [*TEST, "ruff>=0.12", "pre-commit>=3.7"],
        "cuda": ["jax[cuda12]"],
        "tpu": ["jax[tpu]"],
    },
)
