"""The training engine: `python -m trainer.engine SPEC.json` trains one detector on one folder.

contract.py   what goes in and what comes out
process.py    runs the engine as a subprocess (imports no torch)
training.py   the training itself
evaluation.py the metrics on a split
folder.py     the materialised dataset
__main__.py   puts them together
"""
