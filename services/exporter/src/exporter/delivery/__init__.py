"""`exporter serve`: the public API. It holds no key that seals, opens or signs a model, and sees no weights."""
