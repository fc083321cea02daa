"""`labelstream annotate`: images that a model annotates, for people to validate."""
