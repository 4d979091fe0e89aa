# SPDX-License-Identifier: Apache-2.0
"""A WSGI application for gunicorn. Each worker keeps, in $PREFORK_TRUTH/PID, when its first request came and how much CPU
its two handlers have used."""
import json
import os
import time

clock = time.thread_time
state = {"first_ns": 0, "requests": 0, "render_page": 0, "render_api": 0}


def render_page():
    begin = clock()
    while clock() < begin + 0.003:
        pass
    state["render_page"] += int((clock() - begin) * 1e9)
    return b"<p>page</p>\n"


def render_api():
    begin = clock()
    while clock() < begin + 0.001:
        pass
    state["render_api"] += int((clock() - begin) * 1e9)
    return b"{}\n"


def application(environ, start_response):
    if not state["requests"]:
        state["first_ns"] = time.monotonic_ns()
    state["requests"] += 1
    body = render_page() + render_api()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    if state["requests"] % 20 == 1:
        keep()
    return [body]


def keep():
    path = os.path.join(os.environ["PREFORK_TRUTH"], str(os.getpid()))
    with open(path + ".new", "w") as out:
        json.dump(dict(state, pid=os.getpid()), out)
    os.rename(path + ".new", path)
