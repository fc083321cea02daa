"""The real image decoder and the real parking lot."""
