/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed SECONDS: a C program that embeds CPython. Three threads that Python did not start call into it, each with a
 * function of its own, come back to C, sleep, and call again. Prints as JSON what each thread's clocks say and what
 * each function used.
 */
#include <Python.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define THREADS 3

static const char program[] = "import time\n"
                              "clock = lambda: time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)\n"
                              "def make(name):\n"
                              "    space = {'time': time}\n"
                              "    exec(compile('''\n"
                              "def NAME(seconds):\n"
                              "    end = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) + seconds\n"
                              "    while time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) < end:\n"
                              "        pass\n"
                              "def outer_NAME(seconds):\n"
                              "    begin = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)\n"
                              "    NAME(seconds)\n"
                              "    return time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) - begin\n"
                              "'''.replace('NAME', name), __file__, 'exec'), space)\n"
                              "    return space['outer_' + name]\n";

struct worker {
        pthread_t thread;
        char name[32];
        PyObject *function;
        double seconds, used;
        unsigned short random[3];
        pid_t tid;
        int64_t begin, end, cpu_begin, cpu;
};

static int64_t now(clockid_t clock) {
        struct timespec t;

        clock_gettime(clock, &t);
        return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void call(struct worker *w) {
        PyGILState_STATE state = PyGILState_Ensure();
        /* shorter than the GIL's switch interval and random: in turns of 5 ms the threads would keep step with ticks */
        PyObject *used = PyObject_CallFunction(w->function, "d", 0.001 + 0.003 * erand48(w->random));

        if (!used) {
                PyErr_Print();
                exit(1);
        }
        w->used += PyFloat_AsDouble(used);
        Py_DECREF(used);
        PyGILState_Release(state);
}

static void *work(void *argument) {
        struct worker *w = argument;

        w->begin = now(CLOCK_MONOTONIC);
        w->tid = (pid_t)syscall(SYS_gettid);
        while (w->used < w->seconds) {
                call(w);
                usleep(100);
        }
        w->cpu = now(CLOCK_THREAD_CPUTIME_ID);
        w->end = now(CLOCK_MONOTONIC);
        return NULL;
}

static void print_thread(const struct worker *w, const char *rest) {
        printf("{\"tid\": %d, \"name\": \"%s\", \"kind\": \"mixed\", \"begin_ns\": %lld, \"end_ns\": %lld, "
               "\"cpu_begin_ns\": %lld, \"cpu_end_ns\": %lld, %s}",
               (int)w->tid, w->name, (long long)w->begin, (long long)w->end, (long long)w->cpu_begin, (long long)w->cpu,
               rest);
}

static void prepare(struct worker *workers, double seconds) {
        PyObject *globals = PyModule_GetDict(PyImport_AddModule("__main__"));
        PyObject *file = PyUnicode_FromString(__FILE__);

        PyDict_SetItemString(globals, "__file__", file);
        if (PyRun_SimpleString(program) < 0)
                exit(1);
        for (int i = 0; i < THREADS; i++) {
                snprintf(workers[i].name, sizeof(workers[i].name), "foreign_%d", i);
                workers[i].random[0] = (unsigned short)(getpid() + i);
                workers[i].seconds = seconds / THREADS * (i + 1) / 2;
                workers[i].function =
                                PyObject_CallFunction(PyDict_GetItemString(globals, "make"), "s", workers[i].name);
                if (!workers[i].function)
                        exit(1);
        }
        Py_DECREF(file);
}

int main(int argc, char *argv[]) {
        struct worker self = {.name = "main", .tid = getpid()};
        int64_t entered = now(CLOCK_MONOTONIC);
        struct worker workers[THREADS] = {0};
        char born[100];

        if (argc != 2)
                return 2;
        Py_InitializeEx(0);
        /* it is a Python process from here on, at the latest */
        self.begin = now(CLOCK_MONOTONIC);
        self.cpu_begin = now(CLOCK_THREAD_CPUTIME_ID);
        prepare(workers, atof(argv[1]));
        Py_BEGIN_ALLOW_THREADS;
        for (int i = 0; i < THREADS; i++)
                if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
                        return 1;
        for (int i = 0; i < THREADS; i++)
                pthread_join(workers[i].thread, NULL);
        Py_END_ALLOW_THREADS;

        self.end = now(CLOCK_MONOTONIC);
        self.cpu = now(CLOCK_THREAD_CPUTIME_ID);
        printf("{\"processes\": [{\"pid\": %d, \"python\": \"%.6s\", \"realtime_offset_ns\": %lld, \"threads\": [",
               (int)self.tid, Py_GetVersion(), (long long)(now(CLOCK_REALTIME) - now(CLOCK_MONOTONIC)));
        for (int i = 0; i < THREADS; i++) {
                print_thread(&workers[i], "\"main\": false, \"execed\": false");
                printf(", ");
        }
        /* exec and the dynamic linker came before main() */
        snprintf(born, sizeof(born), "\"main\": true, \"execed\": true, \"born_ns\": %lld",
                 (long long)entered - 20000000);
        print_thread(&self, born);
        printf("]}], \"roots\": [\"outer_foreign_0\", \"outer_foreign_1\", \"outer_foreign_2\"], \"functions\": {");
        for (int i = 0; i < THREADS; i++)
                printf("%s\"%s\": %lld", i ? ", " : "", workers[i].name, (long long)(workers[i].used * 1e9));
        printf("}}\n");
        fflush(stdout);
        _exit(0);
}
