"""The annotation view: what `annotation-events` says of every annotation, now and as of any past offset.

It is rebuilt from the stream and can be thrown away.
"""

from labelstream.view.annotations import AnnotationView
from labelstream.view.entry import Entry, HeldMessage, Home, Status, ToErase

__all__ = ["AnnotationView", "Entry", "HeldMessage", "Home", "Status", "ToErase"]
