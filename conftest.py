"""Gives every test of the repository the fixtures of the embedded stack."""

pytest_plugins = ["labelstream_local.testing"]
