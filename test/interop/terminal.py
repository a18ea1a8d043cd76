"""Runs a program in a terminal of 80 columns and prints what it showed and how it ended, as JSON. Arguments: the program's words."""
import fcntl
import json
import os
import pty
import struct
import sys
import termios

pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
shown = b""
while True:
    try:
        part = os.read(terminal, 65536)
    except OSError:  # how Linux says that the other side is closed
        break
    if not part:
        break
    shown += part
_, status = os.waitpid(pid, 0)
print(json.dumps({"shown": shown.decode(), "status": os.waitstatus_to_exitcode(status)}))
