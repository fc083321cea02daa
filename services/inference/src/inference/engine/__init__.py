"""From an image to detections: backends that run a network, the choice between them, and the numeric ends of it."""
