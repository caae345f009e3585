"""The GPU as the host sees it: driver, compiler, memory, programs."""
