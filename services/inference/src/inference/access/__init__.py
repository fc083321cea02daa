"""Who may ask which project, and how often."""
