"""Services that look names up for whoever asks: systemd-resolved and nscd.

Both are Debian's own, taken from their packages (build/debs, which ./check
fetches) without being installed.
"""

import glob

from names_bed import *

VARLINK = "/run/systemd/resolve/io.systemd.Resolve"
NSCD = "/run/nscd/socket"
tap = Tap()
packages = {name: glob.glob(f"{os.environ['ARENA_SOURCE']}/build/debs/{name}_*")
            for name in ("nscd", "systemd-resolved")}
missing = [name for name, found in packages.items() if not found]
if missing:
    tap.skip("services", f"no packages of {', '.join(missing)} to be had")
    tap.finish()

names_bed()
start_resolver()
for found in packages.values():
    sh(f"dpkg --fsys-tarfile {found[0]} | tar x -C / --keep-directory-symlink")
sh("useradd --system --no-create-home systemd-resolve 2>/dev/null; "
   "mkdir -p /run/systemd /run/nscd /run/dbus /var/cache/nscd "
   "/etc/systemd && "
   "[ -e /var/run/nscd ] || ln -sfn /run/nscd /var/run/nscd", check=False)
with open("/etc/systemd/resolved.conf", "w") as out:
    out.write(f"[Resolve]\nDNS={RESOLVER}\nDomains=~.\nLLMNR=no\n"
              "MulticastDNS=no\nDNSSEC=no\nCache=no\n")
resolved = subprocess.Popen(["/lib/systemd/systemd-resolved"],
                            stderr=open("/mnt/resolved.log", "w"))
nscd = subprocess.Popen(["/usr/sbin/nscd", "-F"],
                        stderr=open("/mnt/nscd.log", "w"))
bus = socket.socket(socket.AF_UNIX)
bus.bind("/run/dbus/system_bus_socket")
bus.listen()
os.chmod("/run/dbus/system_bus_socket", 0o666)
for path in (VARLINK, NSCD):
    for _ in range(500):
        if os.path.exists(path):
            break
        time.sleep(0.02)
time.sleep(0.5)
ports = 'allow = ( { host = "web.example"; }, { host = "*.wild.example"; } );'
text = config(
    files='default = "allow";', programs='mode = "ban"; list = [ ];',
    profiles="", extra=f"""network = {{ {ports}
        resolvers = [ "{RESOLVER}", "127.0.0.53" ]; }};""")


def varlink(name):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(VARLINK)
        client.sendall(json.dumps({
            "method": "io.systemd.Resolve.ResolveHostname",
            "parameters": {"name": name}}).encode() + b"\0")
        return "addresses" in client.recv(65536).decode()


def connect(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def stub(name):
    with open("/etc/resolv.conf", "w") as out:
        out.write("nameserver 127.0.0.53\n")
    try:
        return as_user(PUPPY, lookup, name)
    finally:
        with open("/etc/resolv.conf", "w") as out:
            out.write(f"nameserver {RESOLVER}\n")


tap.check("varlink answers the account, without Leash",
          as_user(PUPPY, varlink, "secret.example") is True)
tap.equal("nscd answers the account, without Leash",
          run_as(PUPPY, ["getent", "ahostsv4", "secret.example"]).split()[0],
          WEB)
gatekeeper = Gatekeeper(text)
tap.equal("varlink is closed to the account",
          as_user(PUPPY, varlink, "secret.example"), "EACCES")
tap.equal("and open to another user",
          as_user(KITTEN, varlink, "secret.example"), True)
tap.equal("the bus is closed to the account",
          as_user(PUPPY, connect, "/run/dbus/system_bus_socket"), "EACCES")
tap.equal("and open to another user",
          as_user(KITTEN, connect, "/run/dbus/system_bus_socket"), "ok")
# In nscd's cache by now, thanks to another user.
tap.equal("nscd answers another user",
          run_as(KITTEN, ["getent", "ahostsv4", "secret.example"]).split()[0],
          WEB)
tap.equal("nscd does not answer the account",
          run_as(PUPPY, ["getent", "ahostsv4", "secret.example"]), "")
tap.equal("which asks for itself",
          run_as(PUPPY, ["getent", "ahostsv4", "web.example"]).split()[0], WEB)

found, ms = stub("web.example")
tap.equal("the stub: allowed", found, sorted(NAMES["web.example"]))
found, ms = stub("secret.example")
tap.check("the stub: refused, at once",
          found == socket.EAI_NONAME and ms < AT_ONCE_MS, f"{found} {ms}")
tap.equal("the stub: believed for what was asked",
          as_user(PUPPY, tcp, WEB, 9001)[0], "woof")
tap.equal("the stub: what another user asked is not the account's",
          (as_user(KITTEN, varlink, "elsewhere.example"),
           as_user(PUPPY, tcp, OTHER_WEB, 9001)[0]), (True, "ECONNREFUSED"))

# Another resolver, and nobody said so but the system.
gatekeeper.reload(text.replace(f'resolvers = [ "{RESOLVER}", "127.0.0.53" ];',
                               ""))
with open("/etc/resolv.conf", "w") as out:
    out.write(f"nameserver {RESOLVER6}\n")
gatekeeper.wait_for("resolvers; reloading")
gatekeeper.generation += 1
gatekeeper.wait_for(f"generation {gatekeeper.generation} live")
found, ms = as_user(PUPPY, lookup, "web.example")
tap.equal("the system's new resolver", found, sorted(NAMES["web.example"]))
out = run_as(PUPPY, ["dig", "+tries=1", "+time=1", f"@{RESOLVER}",
                     "web.example"])
tap.check("is the only one", "refused" in out or "no servers" in out, out)
gatekeeper.reload(text)

# A service that starts again makes a new socket.
os.unlink("/run/dbus/system_bus_socket")
bus = socket.socket(socket.AF_UNIX)
bus.bind("/run/dbus/system_bus_socket")
bus.listen()
os.chmod("/run/dbus/system_bus_socket", 0o666)
time.sleep(3)
tap.equal("a new socket is closed, too",
          as_user(PUPPY, connect, "/run/dbus/system_bus_socket"), "EACCES")
gatekeeper.reload(text.replace('"puppy"', '"kitten"'))
tap.equal("whoever is leashed no more is let in again",
          as_user(PUPPY, connect, "/run/dbus/system_bus_socket"), "ok")
tap.equal("and whoever is now is not",
          as_user(KITTEN, varlink, "secret.example"), "EACCES")
gatekeeper.reload(text)
tap.equal("stops cleanly", gatekeeper.stop(), 0)
for path in (VARLINK, "/run/dbus/system_bus_socket"):
    tap.check(f"{path}: as it was", "puppy" not in sh(f"getfacl -c {path}")
              and "kitten" not in sh(f"getfacl -c {path}"),
              sh(f"getfacl -c {path}"))

sh(f"setfacl -m u:puppy:rw {VARLINK}")
gatekeeper = Gatekeeper(text)
tap.equal("an administrator's own entry stands",
          as_user(PUPPY, varlink, "secret.example"), True)
gatekeeper.stop()
tap.check("to the end", "user:puppy:rw-" in sh(f"getfacl -c {VARLINK}"))
resolved.kill()
nscd.kill()
tap.finish()
