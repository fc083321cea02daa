"""Datasets: which archives hold what, building at a cut, laying out on disk."""
