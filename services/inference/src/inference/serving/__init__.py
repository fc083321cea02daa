"""Which model answers: promotions are followed, bundles verified, opened and proven, and swapped in."""
