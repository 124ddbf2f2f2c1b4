"""manual: every example of the man pages, as it stands there."""

import re
import shlex

from harness import *

SOURCE = os.environ["ARENA_SOURCE"]
PAGES = ("tools/leash/leash.1", "tools/query/leash-query.1", "gatekeeper/gatekeeper.8",
         "gatekeeper/leash.conf.5")

tap = Tap()


def examples(page):
    """The commands of a page's EXAMPLES, and what is displayed whole."""
    text = open(os.path.join(SOURCE, page)).read()
    section = text.split(".Sh EXAMPLES\n")[1].split("\n.Sh ")[0]
    lines = [line[4:] for line in section.splitlines()
             if line.startswith(".Dl ")]
    blocks = re.findall(r"^\.Bd.*\n((?:.*\n)*?)\.Ed$", section, re.M)
    return lines, [block.replace("\\e", "\\") for block in blocks]


def run(command):
    # Not a pipe: a gatekeeper in the background keeps standard error open.
    with open("/mnt/said", "w+") as said:
        code = subprocess.run(shlex.split(command), stdout=said, stderr=said,
                              timeout=60, stdin=subprocess.DEVNULL).returncode
        said.seek(0)
        return code, said.read()


# leash.conf(5) is a configuration as it stands.
_, (conf,) = examples("gatekeeper/leash.conf.5")
write_config(conf)
code, said = run("gatekeeper --check --config /etc/leash.conf")
tap.check("leash.conf(5): the example is right", code == 0, said)

gatekeeper = Gatekeeper(conf)
os.makedirs("/srv/docs", exist_ok=True)
write_file("/srv/docs/manual.pdf", mode=0o644)
tap.equal("leash.conf(5): what it allows is allowed",
          as_user(PUPPY, lambda: open_close("/srv/docs/manual.pdf")), "ok")
write_file("/srv/other.pdf", mode=0o644)
tap.equal("leash.conf(5): what it does not is not",
          as_user(PUPPY, lambda: open_close("/srv/other.pdf")), "EPERM")
os.makedirs("/srv/project/.git", exist_ok=True)
write_file("/srv/project/.git/config", mode=0o644)
as_user(PUPPY, lambda: open_close("/srv/project/.git/config"))
run_as(PUPPY, ["/usr/bin/git", "--version"])
wait_rows("target = '/srv/other.pdf'")
wait_rows("target = '/srv/project/.git/config'")
wait_rows("kind = 'exec'")

commands, blocks = 0, 0
for page in PAGES[:2]:
    for command in examples(page)[0]:
        code, said = run(command)
        # 1 is an answer, too: refused, or nothing to learn.
        tap.check(f"{os.path.basename(page)}: {command}", code in (0, 1) and
                  said.strip() and "--help" not in said, f"{code}: {said}")
        commands += 1
        if "mode observe" in command:
            as_user(PUPPY, lambda: open_close("/srv/other.pdf"))
            wait_rows("target = '/srv/other.pdf' AND verdict = 'observe'")
tap.equal("leash(1): what was learned is allowed",
          as_user(PUPPY, lambda: open_close("/srv/other.pdf")), "ok")
tap.check("there are such examples", commands >= 8, commands)
tap.equal("it stops", gatekeeper.stop(), 0)

# gatekeeper(8) ends with a gatekeeper in the background.
_, (lines,) = examples("gatekeeper/gatekeeper.8")
for command in lines.splitlines():
    code, said = run(command)
    tap.check(f"gatekeeper.8: {command}", code == 0, said)
pid = int(json.loads(run("leash status --json")[1])["pid"])
tap.equal("gatekeeper(8): it runs", run("leash status")[0], 0)
os.kill(pid, signal.SIGTERM)
end = time.monotonic() + 10
while os.path.exists("/run/leash") and time.monotonic() < end:
    time.sleep(0.05)
tap.check("gatekeeper(8): SIGTERM ends it", not os.path.exists("/run/leash"))
tap.finish()
