"""The augmenter: validated annotations in, archives of seeded variants out."""
