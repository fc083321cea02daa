"""labelstream devices, users and keys: who may fetch models, and who may ask them."""
