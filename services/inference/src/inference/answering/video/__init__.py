"""Videos: a child process decodes them into shared memory, and the workers look at the frames where they lie."""
