"""The shelf on the disk, the exporter and the model bucket."""
