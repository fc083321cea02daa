"""Archives of variants, and the datasets that are made of them."""
