"""labelstream gc: which objects nothing refers to, and removing them."""
