"""The trainings of a platform: which there are, how each goes, what its worker says, and ending one."""
