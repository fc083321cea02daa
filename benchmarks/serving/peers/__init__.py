"""One server for each peer, in its documented best set-up on two cores; run in the environment of the peers.

All but ultralytics' do their work with `benchmarks.serving.bare`, on the same file. Each reads GRAPH, WORKERS and PORT.
"""
