"""The foreign edges of inference."""
