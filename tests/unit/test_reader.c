/* SPDX-License-Identifier: Apache-2.0 */
/* Reads through the helper: this process, one that is gone, and one whose page never comes. As root. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/macro.h"
#include "proc/clock.h"
#include "reader.h"

#define PAGE 4096u
#define CHECK(condition) check((condition), #condition, __LINE__)

static bool check(bool good, const char *what, int line) {
        if (!good)
                printf("test_reader.c:%d: %s: is not so\n", line, what);
        return good;
}

static bool read_is(struct reader *r, const void *address, size_t size) {
        _cleanup_free_ char *data = malloc(size);

        return data && reader_read(r, (uintptr_t)address, data, size) == 0 && memcmp(data, address, size) == 0;
}

static pid_t child_of(pid_t pid) {
        _cleanup_fclose_ FILE *f = NULL;
        char path[64];
        int child = 0;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
        f = fopen(path, "re");
        return f && fscanf(f, "%d", &child) == 1 ? child : 0;
}

static unsigned descriptors_of(pid_t pid) {
        struct dirent *e;
        unsigned n = 0;
        char path[64];
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/fd", pid);
        dir = opendir(path);
        while (dir && (e = readdir(dir)))
                n += e->d_name[0] != '.';
        if (dir)
                closedir(dir);
        return n;
}

static bool test_self(struct reader *r) {
        _cleanup_free_ uint8_t *data = malloc(100 * PAGE);
        volatile uint64_t word = 1;
        uint64_t read = 0;
        bool good = true;

        if (!data)
                return false;
        for (size_t i = 0; i < 100 * PAGE; i++)
                data[i] = (uint8_t)(i * 7 + i / PAGE);
        good &= CHECK(reader_read(r, (uintptr_t)data, &read, sizeof(read)) == -EBUSY); /* no job */
        reader_begin(r, (uint32_t)getpid(), UINT64_MAX);
        for (size_t i = 0; i < 2 * PAGE; i += 611)
                good &= CHECK(read_is(r, data + i, 1 + i / 3));
        good &= CHECK(read_is(r, data, 100 * PAGE));
        good &= CHECK(reader_read(r, 0x1000, &read, sizeof(read)) == -EFAULT);
        good &= CHECK(reader_read(r, UINT64_MAX - 3, &read, sizeof(read)) == -EFAULT);
        good &= CHECK(reader_error(r) == 0);

        /* What was read is kept for the job and no longer. */
        good &= CHECK(reader_read(r, (uintptr_t)&word, &read, sizeof(read)) == 0 && read == 1);
        word = 2;
        good &= CHECK(reader_read(r, (uintptr_t)&word, &read, sizeof(read)) == 0 && read == 1);
        reader_begin(r, (uint32_t)getpid(), UINT64_MAX);
        good &= CHECK(reader_read(r, (uintptr_t)&word, &read, sizeof(read)) == 0 && read == 2);

        reader_begin(r, (uint32_t)getpid(), clock_monotonic_ns());
        good &= CHECK(reader_read(r, (uintptr_t)data, &read, sizeof(read)) == -ETIME && reader_error(r) == -ETIME);
        reader_extend(r, UINT64_MAX);
        good &= CHECK(read_is(r, data, PAGE));
        return good;
}

static bool test_gone(struct reader *r) {
        uint64_t word;
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        waitpid(pid, NULL, 0);
        reader_begin(r, (uint32_t)pid, UINT64_MAX);
        return CHECK(reader_read(r, (uintptr_t)&word, &word, sizeof(word)) == -ESRCH);
}

/* The address of a page that nobody will ever fill, and one before it that is there. */
static uint8_t *page_never(void) {
        struct uffdio_api api = {.api = UFFD_API};
        struct uffdio_register area = {.mode = UFFDIO_REGISTER_MODE_MISSING};
        uint8_t *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

        if (pages == MAP_FAILED || fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0)
                return NULL;
        memset(pages, 7, PAGE);
        area.range = (struct uffdio_range){.start = (uintptr_t)(pages + PAGE), .len = PAGE};
        return ioctl(fd, UFFDIO_REGISTER, &area) < 0 ? NULL : pages + PAGE;
}

static pid_t hung_start(uint8_t **ret) {
        int fds[2];
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        pid = fork();
        if (pid == 0) {
                uint8_t *page = page_never();

                if (write(fds[1], &page, sizeof(page)) != sizeof(page))
                        _exit(1);
                for (;;)
                        pause();
        }
        close(fds[1]);
        if (pid < 0 || read(fds[0], ret, sizeof(*ret)) != sizeof(*ret))
                *ret = NULL;
        close(fds[0]);
        return pid;
}

static bool test_hung(struct reader *r) {
        uint8_t *page, data[16];
        pid_t pid = hung_start(&page);
        bool good = CHECK(pid > 0 && page);

        for (int i = 0; good && i < 5; i++) {
                uint64_t begin = clock_monotonic_ns(), took;

                reader_begin(r, (uint32_t)pid, UINT64_MAX);
                good &= CHECK(reader_read(r, (uintptr_t)page - 16, data, 16) == 0 && data[15] == 7);
                good &= CHECK(reader_read(r, (uintptr_t)page - 8, data, 16) == -ETIMEDOUT);
                took = clock_monotonic_ns() - begin;
                good &= CHECK(took >= READER_NS && took < 3 * NSEC_PER_SEC);
                good &= CHECK(reader_error(r) == -ETIMEDOUT);
                begin = clock_monotonic_ns();
                good &= CHECK(reader_read(r, (uintptr_t)page - 16, data, 16) == -ETIMEDOUT); /* the job is over */
                good &= CHECK(clock_monotonic_ns() - begin < READER_NS);

                reader_begin(r, (uint32_t)getpid(), UINT64_MAX);
                good &= CHECK(read_is(r, &good, sizeof(good)));
                printf("a page that never comes: given up after %.1f ms, next read after %.1f ms\n", took / 1e6,
                       (clock_monotonic_ns() - begin) / 1e6);
        }
        if (pid > 0) {
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
        }
        return good;
}

/* With another keeper or worker than those two; 0: any. */
static bool becomes_readable(struct reader *r, pid_t keeper, pid_t worker) {
        uint64_t until = clock_monotonic_ns() + 20 * NSEC_PER_SEC;
        uint64_t word = 5;

        while (clock_monotonic_ns() < until) {
                reader_begin(r, (uint32_t)getpid(), UINT64_MAX);
                if (read_is(r, &word, sizeof(word)) && child_of(getpid()) != keeper &&
                    child_of(child_of(getpid())) != worker)
                        return true;
                usleep(1000);
        }
        return false;
}

/* Each holds its socket and nothing else, once the one that was replaced is gone. */
static bool holds_its_socket(pid_t pid) {
        for (int i = 0; i < 1000; i++) {
                if (descriptors_of(pid) == 1)
                        return true;
                usleep(1000);
        }
        return false;
}

/* Whatever kills the helpers, others come; what they hold is their socket. */
static bool test_killed(struct reader *r) {
        pid_t keeper = child_of(getpid()), worker = child_of(keeper);
        bool good = CHECK(keeper > 0 && worker > 0);

        good &= CHECK(holds_its_socket(keeper) && holds_its_socket(worker));
        kill(keeper, SIGTERM);
        kill(worker, SIGTERM);
        good &= CHECK(becomes_readable(r, 0, 0) && child_of(getpid()) == keeper && child_of(keeper) == worker);
        kill(worker, SIGKILL);
        good &= CHECK(becomes_readable(r, 0, worker) && child_of(getpid()) == keeper);
        kill(keeper, SIGKILL);
        good &= CHECK(becomes_readable(r, keeper, worker));
        keeper = child_of(getpid());
        good &= CHECK(descriptors_of(keeper) == 1 && descriptors_of(child_of(keeper)) == 1);
        good &= CHECK(reader_cpu_ns(r) > 0);
        return good;
}

static void speed(struct reader *r) {
        const size_t n = 2048;
        uint8_t *data = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        uint64_t begin = clock_monotonic_ns();
        uint8_t byte;

        if (data == MAP_FAILED)
                return;
        reader_begin(r, (uint32_t)getpid(), UINT64_MAX);
        for (size_t i = 0; i < n; i++)
                (void)reader_read(r, (uintptr_t)(data + i * PAGE), &byte, 1);
        printf("a page takes %.1f us\n", (clock_monotonic_ns() - begin) / 1e3 / n);
        munmap(data, n * PAGE);
}

int main(void) {
        struct reader *r = NULL;
        bool good;

        good = CHECK(reader_new(&r) == 0);
        if (!good)
                return EXIT_FAILURE;
        good &= test_self(r);
        good &= test_gone(r);
        speed(r);
        good &= test_hung(r);
        good &= test_killed(r);
        reader_free(r);
        good &= CHECK(child_of(getpid()) == 0);
        printf("%s\n", good ? "passed" : "failed");
        return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
