"""Sphinx: the site is built by ``sphinx-build -W docs docs/_build/html``, without a network."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# A checkout wins over an installed copy: the pages are those of the code beside them.
CHECKOUT = [str(HERE.parent), str(HERE.parent / "backends")]
sys.path[:0] = [str(HERE / "_ext"), *CHECKOUT]
# So that the notebook's process finds the same.
os.environ["PYTHONPATH"] = os.pathsep.join([*CHECKOUT, os.environ.get("PYTHONPATH", "")])
# tqdm misses widgets that nobody sees here.
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"

import umapcore  # noqa: E402

project = "umapcore"
author = "umapcore contributors"
copyright = author  # noqa: A001
version = release = umapcore.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    # From _ext.
    "cli_reference",
    "mathml",
    "prose_returns",
]
exclude_patterns = ["_build", "data", "**/.ipynb_checkpoints"]
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# The notebook is stored with its results, for readers of the repository, and run anew for the site.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "mixed"
autosummary_generate = False
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_preprocess_types = False
maximum_signature_line_length = 72

html_theme = "furo"
html_title = f"umapcore {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
copybutton_exclude = ".linenos, .gp, .go"
