"""What the trainer and the exporter agree on about YOLO.

engine.py              the protocol between a service and its subprocess: results, failures, exit codes
child.py               starts such a subprocess, follows it and ends it (imports no torch)
torchvision_shim.py    makes torchvision import beside a torch whose operators it lacks
offline.py             prepares ultralytics to run without network
architecture.py        what a network is, as data
weights.py             networks to and from safetensors, never pickle
"""
