"""The worker that annotates images with a model: it asks an inference service, and loads no model itself."""
