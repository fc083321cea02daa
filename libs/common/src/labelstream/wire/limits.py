"""How much one message may ask for: its receipt must fit into one frame of any broker, with room to spare.

A receipt repeats up to 110 bytes and the name of an input stream for each name, and 85 bytes for each
box, and tells of a few held messages. At these limits the largest stays under 950 kB as long as input streams'
names have at most 40 bytes.
"""

from __future__ import annotations

MAX_NAMES = 5_000  # in one bulk message; as many classes in a schema
MAX_NAMES_BYTES = 200_000  # of all names in a message together, in UTF-8; of all classes in a schema
MAX_BOXES = 5_000
MAX_TEXT = 512  # characters of a name and of a medium
MAX_CLASS = 200  # characters of a class's name
MAX_TAGS = 32
MAX_TAG = 64  # characters
MAX_KEY = 1024  # bytes of an object's key, as S3 has it
