# SPDX-License-Identifier: Apache-2.0
"""check_clients.py: connections that say nothing, half a request, rubbish, or do not read their answer; meanwhile others get
theirs within a second."""
import os
import socket
import time

from client import ctl, expect, finish

PATH = os.environ["PYPROFD_SOCKET"]


def connect():
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(5)
    one.connect(PATH)
    return one


def send(data):
    one = connect()
    try:
        one.sendall(data)
    except OSError:
        pass
    return one


def answered(what):
    begin = time.monotonic()
    ctl("status", "--json")
    passed = time.monotonic() - begin
    expect(passed < 1, "%s: another client waited %.2f s", what, passed)
    print("%s: another client waited %.0f ms" % (what, passed * 1000))


held = []
held.append(connect())
answered("one that says nothing")
held.append(send(b"GET /v1/wall?by=stack"))
answered("half a request")
held += [send(b"GET /v1/wall?by=stack,thread&n=0&since=-10min HTTP/1.1\r\nHost: x\r\n\r\n" * 20) for _ in range(3)]
answered("ones that do not read")
for rubbish in (b"\0" * 5000, os.urandom(5000), b"GET " + b"a" * 200000 + b" HTTP/1.1\r\n\r\n",
                b"POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nx",
                b"GET /v1/wall?by=" + b"function," * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /v1/wall?function=" + b"(" * 3000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /v1/wall?function=((" + b"(a|b)*" * 80 + b"){1,1000})* HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /v1/wall?function=((a|ab|b?)*){1,1000}c HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /v1/threads/99999999999999999999 HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"):
    held.append(send(rubbish))
answered("rubbish")
crowd = []
for _ in range(500):
    try:
        crowd.append(connect())
    except OSError:
        break
for one in crowd:
    one.close()
answered("a crowd of %d that came and went" % len(crowd))
for one in held:
    one.close()
answered("all gone")
finish()
