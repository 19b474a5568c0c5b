# Makes folders too deep for any path, and ones that nobody may enter. Deserves nothing.
import os
import tempfile

here = os.getcwd()
os.chdir(tempfile.gettempdir())
os.makedirs("locked/in")
os.chmod("locked", 0)
for _ in range(1500):
    os.mkdir("deeper" * 10)
    os.chdir("deeper" * 10)
os.chdir(here)
