# Takes memory in many processes, each with little. Deserves nothing.
import os
import time

for _ in range(60):
    if os.fork() == 0:
        hoard = bytearray(b"x" * 100_000_000)
        time.sleep(600)
time.sleep(600)
