"""What the benchmarks of serving share.

pictures.py       drawn scenes, or annotated photographs, to train on and to ask about
model.py          one trained YOLO11n in several proved formats; kept for the next run
bundling.py       its signed bundle, promotion and grant, as a device pulls them
load.py           the load: a closed loop of raw HTTP, a program of its own; connection.py is one of its connections
server.py         a server as a tree of processes: started, waited for, its memory and CPU watched, ended
bare.py           decode, letterbox, run and suppress without a server: the ceiling, and what peers are built of
peers/            one server for each peer, in an environment of their own
contestants.py    who takes part
rounds.py         who is measured when
verdicts.py       what came of it, and what was wanted
streamed.py       a video sent to a server, and how its answers compare with another's
cells.py          the smallest detector
replica.py        a whole replica that serves it and swaps it
soaking.py        requests of many kinds, the bad ones among them
"""
