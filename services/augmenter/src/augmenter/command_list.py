"""What the augmenter adds to the command line."""

from labelstream_cli.later import Later

RECIPE = Later("recipe", "augmenter.commands", "Recipes: how the variants of an image are made.")
