# Answers in place of the process that forks it. Deserves nothing, or what the starter does.
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
parent = os.getppid()
if libc.ptrace(16, parent, 0, 0) == 0:  # PTRACE_ATTACH: it stands still from now on
    os._exit(3)
