"""Compare what configurations mean with what stands in .expect files.

golden.py PROGRAM PROFILES [--write]: with --write the files are made anew;
read the difference before you keep it.
"""

import glob
import os
import shutil
import subprocess
import sys
import tempfile

program, profiles = sys.argv[1:3]
here = os.path.dirname(os.path.abspath(__file__))
folder = tempfile.mkdtemp()
count = failed = 0
for case in sorted(glob.glob(f"{here}/*/*.conf")):
    name = os.path.relpath(case, here)
    base = case[:-len(".conf")]
    copy = os.path.join(folder, "leash.conf")
    shutil.copy(case, copy)
    os.chmod(copy, 0o644)
    shutil.rmtree(f"{folder}/leash.d", ignore_errors=True)
    if os.path.isdir(base + ".d"):
        shutil.copytree(base + ".d", f"{folder}/leash.d")
        for drop_in in glob.glob(f"{folder}/leash.d/*"):
            os.chmod(drop_in, 0o644)
    questions = base + ".questions"
    asks = os.path.exists(questions)
    mode = "rules" if name.startswith("firewall/") else \
        "decide" if asks else "check"
    done = subprocess.run(
        [program, profiles, mode, copy],
        stdin=open(questions) if asks else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    have = done.stdout.decode(errors="backslashreplace")
    have = have.replace(folder + "/", "")
    # libconfig names an included file with or without its folder.
    have = have.replace(profiles + "/", "").replace(profiles, "PROFILES")
    if done.returncode:
        have += f"exit status {done.returncode}\n"
    if "--write" in sys.argv:
        with open(base + ".expect", "w") as out:
            out.write(have)
    want = open(base + ".expect").read() if os.path.exists(
        base + ".expect") else ""
    count += 1
    right = have == want
    print(f"{'ok' if right else 'not ok'} {count} - {name}")
    if not right:
        failed += 1
        for line in ("have:\n" + have + "want:\n" + want).splitlines():
            print("# " + line)
shutil.rmtree(folder)
print(f"1..{count}")
sys.exit(1 if failed else 0)
