# Takes all the memory there is. Deserves nothing.
hoard = []
while True:
    hoard.append(bytearray(b"x" * 50_000_000))
