"""A dataset on disk, as the folder that YOLO trainers read."""
