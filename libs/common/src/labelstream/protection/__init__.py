"""How a model travels: sealed with age, signed as a whole, split in two, granted to one device at a time."""
