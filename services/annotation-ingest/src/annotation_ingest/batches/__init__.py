"""Batches of messages on their way to their stored receipts."""
