"""Programs that nobody has read, run apart from everything they could harm (Linux).

`jail` shuts a process in, `exchange` is what runs inside, `run` starts it, waits and tells what came of it.
"""
