"""Input streams: following one, doubting it, and reading it no faster than its quota allows."""
