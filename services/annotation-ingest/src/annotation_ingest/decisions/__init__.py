"""What `domain` decides with: trust, messages that came too early, class schemas, erasures."""
