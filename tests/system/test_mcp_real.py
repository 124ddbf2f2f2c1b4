"""leash-mcp between the official client and real servers, from npm."""

import json
import os
import random
import shutil
import string
import subprocess

from harness import (Gatekeeper, PUPPY, Tap, become, config, wait_rows,
                     write_file)

random.seed(17)
SECRET = "ghp_" + "".join(random.choice(string.ascii_letters + string.digits)
                          for _ in range(36))
SOURCE = os.environ["ARENA_SOURCE"]
MODULES = f"{SOURCE}/build/npm/node_modules"
tap = Tap()
if not os.path.isdir(f"{MODULES}/@modelcontextprotocol/sdk") or \
        not shutil.which("node"):
    tap.skip("real MCP servers", "no node, or nothing to be had from npm")
    tap.finish()

shutil.copytree(MODULES, "/srv/mcp/node_modules", symlinks=True)
shutil.copy(f"{SOURCE}/tests/system/mcp_client.mjs", "/srv/mcp/client.mjs")
subprocess.run(["chmod", "-R", "a+rX", "/srv/mcp"], check=True)
write_file("/srv/project/note.txt", "remember the milk\n")
os.chmod("/srv/project", 0o777)
MAIN = "/srv/mcp/node_modules/@modelcontextprotocol/server-"
SERVERS = {
    "fs": ["node", f"{MAIN}filesystem/dist/index.js", "/srv"],
    "everything": ["node", f"{MAIN}everything/dist/index.js"],
    "memory": ["env", "MEMORY_FILE_PATH=/srv/project/memory.json", "node",
               f"{MAIN}memory/dist/index.js"],
}
NODE = os.path.dirname(os.path.realpath(shutil.which("node")))
POLICY = config(
    files=f'read = [ "/usr", "/etc", "/srv", "{NODE}", "/opt", "/proc", '
          '"/sys/fs/cgroup" ]; '
          'write = [ "/srv/project", "/tmp" ]; deny = [ "/srv/private" ];',
    programs=f'list = [ "/usr/bin", "{NODE}" ];', profiles='"base", "node"',
    extra="""tools = { allow = [ "mcp__*" ];
      deny = [ "mcp__fs__write_file", "mcp__fs__move_file" ];
      inspect = [ "secrets" ]; };""")
write_file("/srv/private/plan.txt", "nothing for agents\n", 0o644)
write_file("/srv/project/token.txt", f"token {SECRET}\n", 0o644)


def session(name, calls, judged=True):
    server = SERVERS[name]
    done = subprocess.run(
        ["node", "/srv/mcp/client.mjs", json.dumps(calls)] +
        (["leash-mcp", "--name", name, "--"] if judged else []) + server,
        capture_output=True, text=True, cwd="/srv/project", timeout=90,
        env={**os.environ, "HOME": "/home/puppy"},
        preexec_fn=lambda: become(PUPPY))
    if done.returncode:
        return {"failed": done.stdout + done.stderr, "results": [],
                "tools": []}
    return json.loads(done.stdout)


def text_of(result):
    return json.dumps(result)


gatekeeper = Gatekeeper(POLICY)
gatekeeper.wait_for("tool gate")

calls = [["read_text_file", {"path": "/srv/project/note.txt"}],
         ["list_directory", {"path": "/srv/project"}],
         ["get_file_info", {"path": "/srv/project/note.txt"}]]
plain, judged = session("fs", calls, False), session("fs", calls)
tap.check("filesystem: a session", "failed" not in judged and
          judged["server"] == plain["server"], judged)
tap.equal("filesystem: its results are the same", judged["results"],
          plain["results"])
tap.equal("filesystem: all tools but the denied", judged["tools"],
          [name for name in plain["tools"]
           if name not in ("write_file", "move_file")])
judged = session("fs", [
    ["write_file", {"path": "/srv/project/x", "content": "x"}],
    ["read_text_file", {"path": "/srv/private/plan.txt"}],
    ["read_text_file", {"path": "/srv/project/token.txt"}],
    ["create_directory", {"path": f"/srv/project/{SECRET}"}],
    ["create_directory", {"path": "/srv/project/made"}]])
denied = judged["results"]
tap.check("a denied tool, called anyway", len(denied) == 5 and
          denied[0].get("isError") and not
          os.path.exists("/srv/project/x"), judged)
tap.check("a file that the rules for files deny", denied[1].get("isError") and
          "Blocked by Leash" in text_of(denied[1]), denied[1])
tap.check("a result with a secret", denied[2].get("isError") and
          SECRET not in text_of(denied[2]), denied[2])
tap.check("an argument with one", denied[3].get("isError") and
          not os.path.exists(f"/srv/project/{SECRET}"), denied[3])
tap.check("and what is allowed is done", os.path.isdir("/srv/project/made"),
          denied[4])

calls = [["echo", {"message": "h\u00e9llo \U0001f600"}],
         ["get-sum", {"a": 2, "b": 40}], ["add", {"a": 2, "b": 40}],
         ["get-tiny-image", {}], ["getTinyImage", {}]]
plain = session("everything", calls, False)
judged = session("everything", calls)
tap.equal("everything: its results are the same", judged.get("results"),
          plain.get("results"))
tap.equal("everything: resources and prompts, too",
          (judged.get("resources"), judged.get("prompts")),
          (plain.get("resources"), plain.get("prompts")))
tap.check("everything: it is a server with something to say",
          len(plain["tools"]) > 5 and "42" in text_of(plain["results"]),
          plain)
tap.equal("everything: its tools", judged["tools"], plain["tools"])

calls = [["create_entities", {"entities": [
              {"name": "puppy", "entityType": "dog",
               "observations": ["is on a leash"]}]}],
         ["search_nodes", {"query": "leash"}],
         ["delete_entities", {"entityNames": ["puppy"]}],
         ["read_graph", {}]]
plain = session("memory", calls, False)
for left in os.listdir("/srv/project"):
    if left.startswith("memory"):
        os.unlink(f"/srv/project/{left}")
judged = session("memory", calls)
tap.equal("memory: its results are the same", judged.get("results"),
          plain.get("results"))
tap.check("memory: which say something", "is on a leash" in
          text_of(plain["results"]), plain)
found = wait_rows("kind = 'call' AND verdict = 'allow' AND "
                  "target = 'mcp__memory__search_nodes'")
tap.check("what was called is in the log", bool(found))
gatekeeper.stop()
tap.finish()
