/* SPDX-License-Identifier: Apache-2.0 */
/* The rules that are shipped. Frames as CPython 3.6-3.13 and the named packages have them. */
#include "idle.h"

#define QUEUE_GET "wait@*/threading.py < get@*/queue.py"
#define MP_RECV_BYTES                                                                            \
        "_recv@*/multiprocessing/connection.py < _recv_bytes@*/multiprocessing/connection.py < " \
        "recv_bytes@*/multiprocessing/connection.py < get@*/multiprocessing/queues.py"
#define MP_RECV                                                                                  \
        "_recv@*/multiprocessing/connection.py < _recv_bytes@*/multiprocessing/connection.py < " \
        "recv@*/multiprocessing/connection.py"
/* All workers of a pool but one wait for the lock of the queue's reading end. */
#define MP_LOCK "__enter__@*/multiprocessing/synchronize.py < get@*/multiprocessing/queues.py"
#define MP_WAIT "select@*/selectors.py < wait@*/multiprocessing/connection.py"
#define BILLIARD_RECV_BYTES \
        "_recv@*/billiard/connection.py < _recv_bytes@*/billiard/connection.py < recv_bytes@*/billiard/connection.py"

const char *const idle_default_rules[] = {
                /* Event loops */
                "select@*/selectors.py < _run_once@*/asyncio/base_events.py",
                "select@*/selectors.py < serve_forever@*/socketserver.py",
                "poll*@*/asyncore.py < loop@*/asyncore.py",

                /* Loops in C, uvloop above all: the frame that entered the loop is the leaf. */
                "run@*/asyncio/runners.py",
                "run@*/uvloop/__init__.py",
                "run@*/uvicorn/server.py",
                "run@*/uvicorn/main.py",
                "run@*/uvicorn/workers.py",
                "run_app@*/aiohttp/web.py",
                "start@*/tornado/platform/asyncio.py",
                "start@*/tornado/ioloop.py",

                /* concurrent.futures: 3.6 waits in queue.Queue, later ones in the C SimpleQueue */
                QUEUE_GET " < _worker@*/concurrent/futures/thread.py",
                "_worker@*/concurrent/futures/thread.py",
                MP_RECV_BYTES " < _process_worker@*/concurrent/futures/process.py",
                MP_LOCK " < _process_worker@*/concurrent/futures/process.py",
                MP_WAIT " < _queue_management_worker@*/concurrent/futures/process.py",
                MP_WAIT " < wait_result_broken_or_wakeup@*/concurrent/futures/process.py",

                /* multiprocessing: workers of both kinds of pool, the pool's own threads, queues, managers */
                MP_RECV_BYTES " < worker@*/multiprocessing/pool.py",
                MP_LOCK " < worker@*/multiprocessing/pool.py",
                QUEUE_GET " < worker@*/multiprocessing/pool.py",
                "worker@*/multiprocessing/pool.py",
                "_handle_workers@*/multiprocessing/pool.py",
                "_wait_for_updates@*/multiprocessing/pool.py < _handle_workers@*/multiprocessing/pool.py",
                MP_WAIT " < _wait_for_updates@*/multiprocessing/pool.py",
                "_handle_tasks@*/multiprocessing/pool.py",
                QUEUE_GET " < _handle_tasks@*/multiprocessing/pool.py",
                "_handle_results@*/multiprocessing/pool.py",
                QUEUE_GET " < _handle_results@*/multiprocessing/pool.py",
                MP_RECV " < _handle_results@*/multiprocessing/pool.py",
                "wait@*/threading.py < _feed@*/multiprocessing/queues.py",
                "wait@*/threading.py < wait@*/threading.py < serve_forever@*/multiprocessing/managers.py",
                MP_RECV " < serve_client@*/multiprocessing/managers.py",
                "accept@*/socket.py < accept@*/multiprocessing/connection.py < accept@*/multiprocessing/connection.py "
                "< "
                "accepter@*/multiprocessing/managers.py",
                "select@*/selectors.py < main@*/multiprocessing/forkserver.py",
                "main@*/multiprocessing/resource_tracker.py",
                "main@*/multiprocessing/semaphore_tracker.py",

                /* gunicorn */
                "sleep@*/gunicorn/arbiter.py",
                "wait@*/gunicorn/workers/sync.py",
                "select@*/selectors.py < run@*/gunicorn/workers/gthread.py",
                "sleep@*/gevent/hub.py < run@*/gunicorn/workers/ggevent.py",

                /* Celery: the consumer's event loop, the prefork pool's workers */
                "poll@*/kombu/utils/eventio.py < create_loop@*/kombu/async*/hub.py",
                "create_loop@*/kombu/async*/hub.py",
                BILLIARD_RECV_BYTES " < get@*/billiard/queues.py < _recv@*/billiard/pool.py",
                BILLIARD_RECV_BYTES " < get_payload@*/billiard/queues.py < _recv@*/billiard/pool.py",
                "__enter__@*/billiard/synchronize.py < get*@*/billiard/queues.py < _recv@*/billiard/pool.py",

                /* Others */
                "poll*@*/waitress/wasyncore.py < loop@*/waitress/wasyncore.py",
                "wait@*/threading.py < handler_thread@*/waitress/task.py",
                QUEUE_GET " < run@*/cheroot/workers/threadpool.py",
                "run@*/gevent/hub.py",
                "do_poll@*/eventlet/hubs/*.py < wait@*/eventlet/hubs/*.py < run@*/eventlet/hubs/hub.py",
                "wait@*/eventlet/hubs/*.py < run@*/eventlet/hubs/hub.py",
                "doPoll@*/twisted/internet/*reactor.py",
                "doSelect@*/twisted/internet/selectreactor.py",
                QUEUE_GET " < work@*/twisted/_threads/_threadworker.py",
                NULL,
};
