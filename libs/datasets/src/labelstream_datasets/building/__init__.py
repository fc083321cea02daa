"""From annotations and batches to a dataset, as of a cut."""
