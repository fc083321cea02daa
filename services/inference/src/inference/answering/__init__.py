"""The HTTP API: requests in, boxes out, never more than there is room for."""
