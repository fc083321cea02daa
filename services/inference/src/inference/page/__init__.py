"""The try-it page: drop an image, see boxes, move the confidence slider. Loads nothing from elsewhere."""
