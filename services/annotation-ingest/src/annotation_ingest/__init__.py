"""annotation-ingest: gives every annotation message one receipt and stores its image once."""
