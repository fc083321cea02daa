"""`make audit`: secrets in the tracked files, and known weaknesses of the pinned packages."""
