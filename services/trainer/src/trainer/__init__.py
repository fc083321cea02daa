"""The trainer: decides when a training is due, builds the dataset, trains and evaluates."""
