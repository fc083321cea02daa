"""How good a detector is: average precision over matched boxes, with intervals. Needs numpy alone."""
