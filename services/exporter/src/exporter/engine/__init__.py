"""The export engine: `python -m exporter.engine SPEC.json` makes ONNX from trained weights and measures it.

contract.py   what goes in and what comes out
process.py    runs the engine as a subprocess (imports no torch)
onnx.py       weights to ONNX
detecting.py  what a model finds, asked through ultralytics' own predictor
agreement.py  how far two answers are apart (pure)
job.py        puts them together
"""
