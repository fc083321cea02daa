"""What `labelstream parked` does: look at refused messages, send them again, put them away."""
