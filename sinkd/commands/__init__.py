"""What each command does: `run_command(settings, **options) -> exit code`, one module a command.

`cli` declares them and imports the work when it is asked for.
"""
