"""What `labelstream erase` does: say what will go, ask for it, and wait until it is gone."""
