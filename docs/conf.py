"""Sphinx: pages in Markdown, the API from docstrings, the table of fields from the config.

    pip install -e '.[docs]' && sphinx-build -W --keep-going -b html docs docs/_build

Imports the package, but starts no backend of JAX and needs no display.
"""

import os
import sys

os.environ.setdefault("MPLBACKEND", "agg")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, os.path.join(ROOT, "docs", "_ext")]

import vae_jax  # noqa: E402

project = "vae_jax"
author = "the vae_jax authors"
release = version = vae_jax.__version__
copyright = author

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "docstrings",
    "config_fields",
]
exclude_patterns = ["_build"]
myst_heading_anchors = 3  # links to a heading of another page are checked

default_role = "code"
autodoc_typehints_format = "short"
add_module_names = False  # the page names the module
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_mock_imports = ["rdkit", "selfies", "umap"]
napoleon_use_ivar = True
napoleon_use_rtype = False
suppress_warnings = ["ref.python"]  # a type of one name in two modules

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_title = f"vae_jax {release}"
