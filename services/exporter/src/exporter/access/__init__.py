"""Who may have models: devices and people, and the grants that are made for them on request."""
