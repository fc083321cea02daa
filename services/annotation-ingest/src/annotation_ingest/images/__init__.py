"""Images: what a file is, which forms are taken, and how one comes into the store."""
