"""What the benchmarks of serving share.

pictures.py   drawn scenes, or annotated photographs, to train on and to ask about
model.py      one trained YOLO11n in several proved formats, as a signed bundle; kept for the next run
load.py       the load: a closed loop of raw HTTP, a program of its own
server.py     a server as a tree of processes: started, waited for, its memory and CPU watched, ended
bare.py       decode, letterbox, run and suppress without a server: the ceiling, and what peers are built of
peers/        one server for each peer, in an environment of their own
contestants.py, rounds.py, verdicts.py   who takes part, who is measured when, what came of it
clip.py, soaking.py                      what `video` and `soak` need beside
"""
