"""Datasets: the split of each medium, the manifest of samples, and what a dataset says of itself."""
