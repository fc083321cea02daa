"""labelstream devices and labelstream users: who may fetch models."""
