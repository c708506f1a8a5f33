"""The files of the project: what git tracks, or, outside of git, what lies in its folders."""
import os
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def files():
    try:
        listed = subprocess.run(["git", "-C", TOP, "ls-files", "-z"], check=True, capture_output=True)
        names = [os.fsdecode(n) for n in listed.stdout.split(b"\0") if n]
    except (OSError, subprocess.CalledProcessError):
        names = list(walked())
    return sorted(n for n in names if os.path.isfile(os.path.join(TOP, n)))


def walked():
    for folder, folders, names in os.walk(TOP):
        folders[:] = [f for f in folders if not f.startswith((".", "build", "run.d"))]
        for name in names:
            yield os.path.relpath(os.path.join(folder, name), TOP)


def read(name):
    with open(os.path.join(TOP, name), encoding="utf-8", errors="replace") as file:
        return file.read()
