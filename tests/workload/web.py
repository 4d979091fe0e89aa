# SPDX-License-Identifier: Apache-2.0
"""web.py SECONDS: what a small web service does, without a network: four handler threads that parse and write JSON, look into a
cache behind one lock, wait for a slow backend; two worker processes that render; and a pool that mostly waits."""
import concurrent.futures
import json
import multiprocessing
import queue
import random
import sys
import threading
import time

cache_lock = threading.Lock()
cache = {}


def parse_request(body):
    return json.loads(body)


def look_up(key):
    with cache_lock:
        if key not in cache:
            cache[key] = sorted(hash((key, i)) for i in range(3000))
        if len(cache) > 200:
            cache.clear()
        return cache.get(key, [])[:50]


def query_backend():
    time.sleep(random.uniform(0.001, 0.02))


def render(rows):
    return json.dumps([{"row": i, "value": v, "text": str(v) * 3} for i, v in enumerate(rows)])


def handle(body):
    request = parse_request(body)
    rows = look_up(request["key"])
    if request["key"] % 3 == 0:
        query_backend()
    return render(rows)


def serve(requests):
    while True:
        body = requests.get()
        if body is None:
            return
        handle(body)


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def report_worker(end):
    while time.monotonic() < end:
        fibonacci(16)
        time.sleep(0.03)


def main():
    end = time.monotonic() + float(sys.argv[1])
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=report_worker, args=(end,), name="report") for _ in range(2)]
    for worker in workers:
        worker.start()
    requests = queue.Queue(maxsize=20)
    handlers = [threading.Thread(target=serve, args=(requests,), name="handler-%d" % i) for i in range(4)]
    for handler in handlers:
        handler.start()
    with concurrent.futures.ThreadPoolExecutor(4, thread_name_prefix="mailer") as pool:
        while time.monotonic() < end:
            requests.put(json.dumps({"key": random.randrange(500), "tags": ["a", "b"] * 20}))
            if random.random() < 0.01:
                pool.submit(query_backend)
            time.sleep(0.002)
    for _ in handlers:
        requests.put(None)
    for thread in handlers + workers:
        thread.join()


if __name__ == "__main__":
    main()
