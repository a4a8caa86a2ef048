"""Sphinx: Markdown pages through MyST. `sphinx-build -W docs docs/_build` builds them."""

project = "glassnet"
extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_title = project
