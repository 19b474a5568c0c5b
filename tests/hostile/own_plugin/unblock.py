# Brings a conftest.py, checks and modules of its own. Deserves what the starter does.
