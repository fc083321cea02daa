"""labelstream models: what there is, which of them serves, and fetching one."""
