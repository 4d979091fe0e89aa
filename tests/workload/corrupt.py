# SPDX-License-Identifier: Apache-2.0
"""corrupt.py CHILDREN [SEED]: each child overwrites its own thread state, frames and code objects with rubbish, loops and
wild pointers, stays on the CPU in C for a while and dies of it. Prints how they ended."""
import ctypes
import os
import random
import resource
import signal
import sys

import truth

# PyDLL keeps the GIL, so that nothing but a profiler looks at the thread state until the call returns
memset = ctypes.PyDLL(None).memset
memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
memset.restype = ctypes.c_void_p
current = ctypes.pythonapi.PyThreadState_Get
current.restype = ctypes.c_void_p
memmove = ctypes.PyDLL(None).memmove
memmove.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
memmove.restype = ctypes.c_void_p
nanosleep = ctypes.PyDLL(None).usleep

BLOCK = 64 << 20


def rubbish(rng, targets):
    """One word: a wild pointer, a small number, or the address of something real but wrong."""
    return rng.choice([0, 1, rng.getrandbits(64), rng.getrandbits(47) & ~7, (1 << 64) - 8, 0xffff888000000000,
                       rng.choice(targets), rng.choice(targets) + 8 * rng.randrange(32)]) & ((1 << 64) - 1)


def main_child(seed):
    rng = random.Random(seed)
    frame = sys._getframe()
    state = current()
    targets = [state, id(frame), id(frame.f_code), id(frame.f_back), id(main_child.__code__), id("name" * seed), id(rng)]
    # what lies behind the first pointers of the thread state is reached too: cframe, interpreter, current frame
    words = (ctypes.c_uint64 * 40).from_address(state)
    spaces = [(target, 40) for target in targets[:5]]
    if seed % 3 == 0:
        spaces += [(word, 16) for word in words if 1 << 20 < word < 1 << 47 and word % 8 == 0][:4]
    address, length = spaces[seed % len(spaces)]
    block = ctypes.create_string_buffer(BLOCK)
    block_at = ctypes.addressof(block)
    damage = (ctypes.c_uint64 * length)()
    memmove(ctypes.addressof(damage), address, 8 * length)
    for _ in range(rng.choice([1, 2, 5, length])):
        damage[rng.randrange(1, length)] = rubbish(rng, targets + [address])
    memmove(address, ctypes.addressof(damage), 8 * length)
    for _ in range(3):
        memset(block_at, 0, BLOCK)
    nanosleep(20000)
    for _ in range(3):
        memset(block_at, 1, BLOCK)
    os.abort()


def main():
    ledger = truth.Ledger("mixed")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    ends = {}
    for index in range(int(sys.argv[1])):
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
            # whatever it hangs in: SIGALRM ends it
            signal.alarm(3)
            main_child(seed + index)
        status = os.waitpid(pid, 0)[1]
        end = "signal %d" % os.WTERMSIG(status) if os.WIFSIGNALED(status) else "exit %d" % os.WEXITSTATUS(status)
        ends[end] = ends.get(end, 0) + 1
    truth.leave({"processes": [ledger.facts()], "ends": ends})


main()
