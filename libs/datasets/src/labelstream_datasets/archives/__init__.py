"""Archives of variants: what is in them, and where their content went."""
