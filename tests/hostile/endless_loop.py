# Runs on for ever before it has an app. Deserves nothing.
while True:
    pass
