"""The worker's side of exports: loads weights, builds formats and proves them. Holds no keys."""
