"""What the command can do, a verb each."""
