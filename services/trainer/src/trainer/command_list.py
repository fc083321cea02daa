"""What the trainer adds to the command line."""

from labelstream_cli.later import Later

WEIGHTS = Later("weights", "trainer.weights_commands", "Weights: detectors to begin trainings with.")
