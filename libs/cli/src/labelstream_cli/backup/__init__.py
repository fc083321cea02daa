"""Backing up and restoring: the streams as files that replay, and the objects of the store."""
