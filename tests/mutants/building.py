"""building - one file of the product changed, and a program made with it

Everything comes from the build's own commands; only what a change concerns is
compiled and linked again.
"""

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def output(*command):
    return subprocess.run(command, check=True, capture_output=True,
                          text=True).stdout


def digest(bytes_):
    return hashlib.sha256(bytes_).hexdigest()


def source(path):
    with open(os.path.join(ROOT, path)) as file:
        return file.read()


class Build:
    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        self.work = os.path.join(os.path.dirname(self.folder), "mutants")
        os.makedirs(self.work, exist_ok=True)
        self.entries = {
            os.path.relpath(os.path.join(each["directory"], each["file"]),
                            ROOT): each
            for each in json.load(open(f"{self.folder}/compile_commands.json"))}

    def compile(self, path, text, made):
        """Compile the file as if that stood in it; False: it cannot be."""
        entry = self.entries[path]
        changed = os.path.join(self.work, os.path.basename(path))
        with open(changed, "w") as out:
            out.write(text)
        command, skips = [], False
        for word in shlex.split(entry["command"]):
            if skips:
                skips = False
            elif word in ("-o", "-MF", "-MQ", "-MT"):
                skips = True
            elif word not in ("-g", "-Werror", "-c", entry["file"], "-MD"):
                command.append(word)
        return subprocess.run(
            [*command, "-w", "-g0", "-c", changed, "-o", made],
            cwd=entry["directory"], capture_output=True).returncode == 0

    def link_command(self, program):
        commands = output("ninja", "-C", self.folder, "-t", "commands", "-s",
                          os.path.relpath(program, self.folder))
        return shlex.split(commands.splitlines()[-1])

    def link(self, command, changed, program):
        """Link program by that command, with each of changed, (path, object),
        in the place of what was made of that file."""
        tails = tuple(sign + re.sub(r"[^\w.]", "_", path) + ".o"
                      for path, _ in changed for sign in "/_")
        words = [word for word in command if not word.endswith(tails)]
        at = words.index("-o")
        words[at + 1] = program
        # Before the libraries: then theirs are not taken.
        words[at + 2:at + 2] = [made for _, made in changed]
        done = subprocess.run(words, cwd=self.folder, capture_output=True,
                              text=True)
        if done.returncode:
            sys.exit(f"cannot link {program}:\n{done.stderr}")
