"""holds_leases FOLDER COUNT SECONDS - hold write leases on files of one's own
while others of one's own open them: the kernel would have such an open wait
for the holder, up to 45 s."""

import fcntl
import os
import signal
import sys
import time

FOLDER, COUNT, SECONDS = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
HOLD_S = 0.35  # longer than a gate may stand still

signal.signal(signal.SIGIO, signal.SIG_IGN)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
end = time.monotonic() + SECONDS


def hold(path):
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError:
        time.sleep(0.01)
        return
    if os.fork() == 0:
        try:
            os.close(os.open(path, os.O_RDONLY))
        except OSError:
            pass
        os._exit(0)
    time.sleep(HOLD_S)
    os.close(fd)
    try:
        os.unlink(path)
    except OSError:
        pass


for number in range(COUNT):
    if os.fork() == 0:
        turn = 0
        while time.monotonic() < end and os.getppid() != 1:
            hold(f"{FOLDER}/lease.{number}.{turn}")
            turn += 1
        os._exit(0)
time.sleep(SECONDS)
