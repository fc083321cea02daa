"""The decider's side of exports: what is ordered, what became of it, and what is published."""
