"""What each command does; `cli` declares them and imports the work when it is asked for."""
