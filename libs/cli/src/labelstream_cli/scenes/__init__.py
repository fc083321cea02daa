"""Small scenes seen from above, drawn with a seed: the demo's own data."""
