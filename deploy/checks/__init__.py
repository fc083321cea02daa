"""Checks what `deploy/k8s` renders to: against the schemas of the API, itself, and our settings and rights."""
