# Prints gigabytes. Deserves nothing.
import os

while True:
    os.write(1, b"x" * 99_999 + b"\n")
