"""What the augmenter reaches the world through."""
