# Leaves its mark in every folder that it can write to. Deserves what the starter does.
import os
import sys

own = os.path.dirname(os.path.abspath(__file__))
folders = ["/", "/root", "/var/tmp", "/etc", own, os.getcwd(), *sys.path, os.path.expanduser("~")]
folder = own
while folder != "/":
    folder = os.path.dirname(folder)
    folders += [folder, *(os.path.join(folder, each) for each in os.listdir(folder))]
for folder in folders:
    try:
        with open(os.path.join(folder, "workbook-was-here"), "w") as file:
            file.write("!")
    except OSError:
        pass
