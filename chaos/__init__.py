"""Lets the whole embedded stack run under a load while faults come at random, and judges what it did.

    python -m chaos [--minutes 20] [--seed N] [--json] [--keep]

`schedule` says which faults come, `faults` does and heals them, `stage` is the stack with proxies in front of its
servers, `story` and `producing` push annotations, `asking` asks for predictions, `streams` and `vitals` note what the
streams and the services say, `judges` find what must not be, `replay` is the same course without any fault.
docs/chaos.md says what is promised and what a run gave.
"""
