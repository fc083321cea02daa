"""The events that the services say to each other, one module a stream; `catalogue` lists them all."""
