"""The export engine: `python -m exporter.engine SPEC.json` makes one format from trained weights and proves it.

contract.py      what goes in and what comes out
process.py       runs the engine as a subprocess (imports no torch)
capabilities.py  what this machine can build (imports no torch)
adapters/        one for each family of formats: builds a file, and runs it
rewriting/       ONNX to ONNX: what it takes, precision, suppression in the graph
feeding.py       images in the form that a file takes
calibration.py   the images that INT8 takes its ranges from
detecting.py     what a model finds, asked through ultralytics' own predictor
agreement.py     how far two answers are apart (pure)
reference.py     counts what the trained weights find, for those who serve the model
proving.py       asks both sides about the test images; picture.py draws the worst
job.py           puts them together
"""
