"""Runs a program in a terminal of 80 columns and prints what it showed and how it ended, as JSON.

Arguments: the program's words. TERMINAL_ANSWERS, if it is set, is a JSON list of pairs: what is waited for, and what is typed then.
"""
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
answers = json.loads(os.environ.get("TERMINAL_ANSWERS", "[]"))
shown = b""
seen = 0
while True:
    try:
        part = os.read(terminal, 65536)
    except OSError:  # how Linux says that the other side is closed
        break
    if not part:
        break
    shown += part
    if answers and (at := shown.find(answers[0][0].encode(), seen)) >= 0:
        seen = at + len(answers[0][0])
        os.write(terminal, answers.pop(0)[1].encode())
_, status = os.waitpid(pid, 0)
print(json.dumps({"shown": shown.decode(), "status": os.waitstatus_to_exitcode(status)}))
