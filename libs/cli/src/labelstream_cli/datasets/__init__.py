"""What `labelstream dataset` does: building, looking at, comparing and fetching the datasets of a project."""
