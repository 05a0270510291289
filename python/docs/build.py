"""Writes the reference of the installed package: `python docs/build.py FOLDER`."""

from __future__ import annotations

import argparse
from pathlib import Path

import pdoc
import pdoc.render

import seekvl


def main() -> None:
    """Render all that is public, with Google's form of docstrings."""
    parser = argparse.ArgumentParser(description="Write the reference of the installed package.")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    for name in seekvl.__all__:
        # pdoc does not see what a module imports when it is asked for.
        getattr(seekvl, name)
    pdoc.render.configure(docformat="google")
    pdoc.pdoc("seekvl", output_directory=options.folder)


if __name__ == "__main__":
    main()
