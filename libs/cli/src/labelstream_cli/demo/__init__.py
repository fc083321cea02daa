"""The demonstration: the whole path from annotations to served detections, with a report."""
