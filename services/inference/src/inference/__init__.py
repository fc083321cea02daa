"""Inference: serves the proven model over HTTP."""
