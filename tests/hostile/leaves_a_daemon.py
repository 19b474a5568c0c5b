# Leaves a process that nobody is the parent of. Deserves what the starter does, and an end.
import os
import signal
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(1, 32):
            try:
                signal.signal(number, signal.SIG_IGN)
            except OSError:
                pass
        os.environ["workbook-was-here"] = "1"
        while True:
            time.sleep(1)
    os._exit(0)
os.wait()
