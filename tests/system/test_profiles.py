"""The tool chains' profiles, each with the real program, as far as it is
installed: go, cargo and node are tried where they are."""

import os

from harness import *

HOME = "/home/puppy"
ENVIRONMENT = {"HOME": HOME, "PATH": "/usr/bin:/bin", "GOPROXY": "off",
               "GOTMPDIR": f"{HOME}/go-tmp", "GOTOOLCHAIN": "local"}

tap = Tap()
gatekeeper = Gatekeeper(config(
    files='write = [ "~", "/tmp" ];',
    programs=f'list = [ "{HOME}/go-tmp", "{HOME}/rs/target", "{HOME}/p" ];',
    profiles='"base", "git", "c", "python", "node", "go", "rust"'))
os.makedirs(f"{HOME}/go-tmp", exist_ok=True)
os.chown(f"{HOME}/go-tmp", PUPPY, PUPPY)


def works(name, script, needs=None):
    if needs and not os.path.exists(needs):
        print(f"# {name}: {needs} is not installed")
        return
    out = run_as(PUPPY, ["sh", "-ec", f"cd; {script}; echo it worked"],
                 seconds=200, env=ENVIRONMENT)
    tap.check(f"{name} works", out.endswith("it worked"), out)


works("git", "git init -q r; cd r; echo x >f; git add f; git -c user.name=a "
      "-c user.email=b commit -qm x; cd; git clone -q r s; git -C s log")
works("gcc and make", "mkdir p; cd p; echo 'int main(void) { return 0; }' "
      ">m.c; echo 'all: m' >Makefile; make; ./m")
works("g++", "cd p; echo 'int main() {}' >n.cc; g++ n.cc -o n; ./n")
works("clang", "cd p; clang m.c -o o; ./o", "/usr/bin/clang")
works("cmake", "cd p; echo 'cmake_minimum_required(VERSION 3.0)\n"
      "project(x C)\nadd_executable(x m.c)' >CMakeLists.txt; cmake -B b; "
      "cmake --build b; b/x", "/usr/bin/cmake")
works("meson and ninja", "cd p; echo \"project('x', 'c')\n"
      "executable('x', 'm.c')\" >meson.build; meson setup d; ninja -C d; d/x")
works("python", "python3 -m venv --without-pip v; "
      "v/bin/python -c 'import ssl, json'")
works("pip", "python3 -m pip --version", "/usr/bin/pip3")
works("node and npm", "mkdir n; cd n; node -e 'console.log(1)'; npm init -y; "
      "npm ls", "/usr/bin/npm")
works("go", "mkdir g; cd g; echo 'package main\nfunc main() {}' >main.go; "
      "go mod init x; go run .; go vet; go build; go test",
      "/usr/bin/go")
works("cargo", "cargo init --offline --name rs rs; cd rs; "
      "cargo test --offline; cargo run --offline", "/usr/bin/cargo")
time.sleep(1)
# clang looks there for GPUs, meson calls a Perl script; both go on without.
tap.equal("and nothing else was refused",
          [(row["kind"], row["target"], row["program"])
           for row in rows("verdict = 'deny' AND target NOT IN "
                           "('/opt', '/usr/bin/dpkg-architecture')")], [])
tap.check("what no profile names is", run_as(PUPPY, ["/usr/bin/perl", "-v"])
          == "EPERM")
tap.equal("nor what the account builds elsewhere",
          run_as(PUPPY, ["sh", "-c", f"cp {HOME}/p/m {HOME}/m2; {HOME}/m2 "
                         "2>/dev/null || echo $?"]), "126")
tap.equal("stops cleanly", gatekeeper.stop(), 0)
tap.finish()
