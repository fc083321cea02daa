"""The worker: takes trainings from the queue, one at a time, and sees each through whatever happens to the machine."""
