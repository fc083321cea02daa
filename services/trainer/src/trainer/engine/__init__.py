"""The training engine: `python -m trainer.engine SPEC.json` trains one detector on one folder.

contract.py    what goes in and what comes out

In the service's process, without torch:
process.py     runs the engine as a subprocess, and again after a failure that can be recovered from
recovering.py  what is changed after which failure
kills.py       whether the kernel killed it for want of memory
checkpoints.py checkpoints on disk: whole or not at all, the one before beside it
best.py        the best weights so far

In the engine:
__main__.py    its start
job.py         a training from the folder to the weights and their metrics
folder.py      the materialised dataset
plan.py        everything settled, as data
options.py     the recipe in ultralytics' words
devices.py     what it works on
fit.py         trains here, or by ranks.py and rank.py in a process for each of several accelerators
training.py    the training itself
state.py       what a checkpoint holds, and the randomness of an epoch
memory.py      how much it takes, and how the want of it is told
evaluation.py  the metrics on a split
"""
