"""What two datasets differ in, what became of one since it was built, and which of its images look alike."""
