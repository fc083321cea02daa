"""What producers say: the native form and the Azaion wire, both read into one `Submission`."""
