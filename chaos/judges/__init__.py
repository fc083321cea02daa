"""What must never be, as functions of what was seen: each returns a sentence for everything that is wrong."""
