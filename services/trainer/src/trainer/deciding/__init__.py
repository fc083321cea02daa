"""What the decider does: takes requests, starts trainings when they are due, follows jobs to their ends."""
