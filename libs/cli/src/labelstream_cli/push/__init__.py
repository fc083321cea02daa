"""What `labelstream push` does: send what an importer read, and remember how far that came."""
