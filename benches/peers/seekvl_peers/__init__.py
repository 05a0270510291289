"""Measures seekvl beside other engines: the same shapes, the same machine, one run."""
