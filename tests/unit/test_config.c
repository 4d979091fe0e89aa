/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration: what counts over what, and that what is wrong is refused with its place. Errors go to a file here. */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "config.h"

static void write_file(const char *name, const char *text) {
        _cleanup_fclose_ FILE *f = fopen(name, "we");

        assert(f);
        assert(fputs(text, f) >= 0);
}

/* What config_load() says, on stderr or stdout, is in `said` afterwards. */
static char said[4096];

static int load(struct config *c, char **argv) {
        _cleanup_close_ int fd = open("said", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        int saved[2] = {dup(1), dup(2)}, argc = 0, r;
        ssize_t n;

        assert(fd >= 0 && saved[0] >= 0 && saved[1] >= 0);
        fflush(NULL);
        assert(dup2(fd, 1) == 1 && dup2(fd, 2) == 2);
        while (argv[argc])
                argc++;
        r = config_load(argc, argv, c);
        fflush(NULL);
        assert(dup2(saved[0], 1) == 1 && dup2(saved[1], 2) == 2);
        close(saved[0]);
        close(saved[1]);
        n = pread(fd, said, sizeof(said) - 1, 0);
        said[MAX(n, 0)] = '\0';
        return r;
}

#define ARGV(...) ((char *[]){(char *)"pyprofd", __VA_ARGS__, NULL})
#define FILE_ONLY ARGV((char *)"--config", (char *)"test.conf")

static void test_defaults(void) {
        _cleanup_config_ struct config c = {};

        write_file("test.conf", "# nothing\n");
        assert(load(&c, FILE_ONLY) == 0);
        assert(c.rate == 99 && c.memory_max == UINT64_C(256) << 20 && c.log_level == LOG_INFO);
        assert(c.budget > 0.99 && c.budget < 1.01);
        assert(strcmp(c.socket, "/run/pyprofd/pyprofd.sock") == 0);
        assert(strcmp(c.state_dir, "/var/lib/pyprofd") == 0);
        assert(strcmp(c.proc_root, "/proc") == 0 && strcmp(c.group, "pyprof") == 0);
        assert(c.idle_n == 0 && !c.idle_reset);
}

/* Default < file < drop-ins in order < command line, also after the file was read again. */
static void test_precedence(void) {
        char **argv = ARGV((char *)"--config", (char *)"test.conf", (char *)"--budget", (char *)"3",
                           (char *)"--log-level=debug");
        _cleanup_config_ struct config c = {};

        write_file("test.conf", "[pyprofd]\nrate = 10\nmemory-max = 1G\nbudget = 2%\nsocket=/a/b\n");
        assert(mkdir("test.conf.d", 0755) == 0);
        write_file("test.conf.d/20-b.conf", "[pyprofd]\nrate = 30\n");
        write_file("test.conf.d/10-a.conf", "[pyprofd]\nrate = 20\nmemory-max = 64M\n");
        write_file("test.conf.d/README", "this is not read\n");
        assert(load(&c, argv) == 0);
        assert(c.rate == 30 && c.memory_max == UINT64_C(64) << 20 && c.budget > 2.99 && c.log_level == LOG_DEBUG);
        assert(strcmp(c.socket, "/a/b") == 0);

        write_file("test.conf.d/20-b.conf", "[pyprofd]\nrate = 40\nbudget = 9\n");
        assert(config_reload(&c) == 0);
        assert(c.rate == 40 && c.budget > 2.99 && c.budget < 3.01);

        write_file("test.conf.d/20-b.conf", "[pyprofd]\nrate = 5000\n");
        log_level = LOG_ERR - 1; /* it says so */
        assert(config_reload(&c) == -EINVAL);
        log_level = LOG_INFO;
        assert(c.rate == 40);
        assert(unlink("test.conf.d/20-b.conf") == 0 && unlink("test.conf.d/10-a.conf") == 0);
        assert(unlink("test.conf.d/README") == 0 && rmdir("test.conf.d") == 0);
}

static void test_idle(void) {
        {
                _cleanup_config_ struct config c = {};

                write_file("test.conf", "[pyprofd]\nidle = f@a.py\nidle = !g@b.py < h\n");
                assert(load(&c, FILE_ONLY) == 0);
                assert(!c.idle_reset && c.idle_n == 2 && strcmp(c.idle[0], "f@a.py") == 0 &&
                       strcmp(c.idle[1], "!g@b.py < h") == 0);
        }
        {
                _cleanup_config_ struct config c = {};

                write_file("test.conf", "[pyprofd]\nidle = x\nidle =\n  f@a.py\n  g@b.py\nrate = 7\n");
                assert(load(&c, FILE_ONLY) == 0);
                assert(c.idle_n == 2 && strcmp(c.idle[0], "f@a.py") == 0 && strcmp(c.idle[1], "g@b.py") == 0 &&
                       c.rate == 7);
        }
}

static void refuse_file(const char *text, const char *want) {
        struct config c = {};

        write_file("test.conf", text);
        assert(load(&c, FILE_ONLY) == -EINVAL);
        if (!strstr(said, want))
                fprintf(stderr, "said '%s', want '%s'\n", said, want);
        assert(strstr(said, want));
        assert(!c.socket);
}

static void test_bad_files(void) {
        char text[1024];

        refuse_file("[pyprofd]\n\nrate = 0\n", "test.conf:3: rate: '0'");
        refuse_file("[pyprofd]\nrate = 1000\n", "test.conf:2: rate");
        refuse_file("[pyprofd]\nrate = 9x\n", "test.conf:2: rate");
        refuse_file("[pyprofd]\nmemory-max = 1\n", "test.conf:2: memory-max");
        refuse_file("[pyprofd]\nmemory-max = 18446744073709551615G\n", "test.conf:2: memory-max");
        refuse_file("[pyprofd]\nmemory-max = -1G\n", "test.conf:2: memory-max");
        refuse_file("[pyprofd]\nbudget = nan\n", "test.conf:2: budget");
        refuse_file("[pyprofd]\nbudget = 101\n", "test.conf:2: budget");
        refuse_file("[pyprofd]\nlog-level = loud\n", "test.conf:2: log-level");
        refuse_file("[pyprofd]\nspeed = 1\n", "test.conf:2: there is no key 'speed'");
        refuse_file("[pyprofd]\nconfig = /x\n", "test.conf:2: there is no key 'config'");
        refuse_file("[pyprofd]\nhelp = 1\n", "test.conf:2: there is no key 'help'");
        refuse_file("[other]\nrate = 1\n", "test.conf:2: [other]");
        refuse_file("rate = 1\n", "test.conf:1: rate");
        refuse_file("[pyprofd]\nrate = 1\nnonsense\n", "test.conf:3:");
        refuse_file("[pyprofd\nrate = 1\n", "test.conf:1:");
        refuse_file("[pyprofd]\nrate = 1\n  budget = 2\n", "test.conf:3: rate: 'budget = 2'");
        refuse_file("[pyprofd]\nidle = @@ < < \n", "test.conf:2: idle");
        memset(text, 'a', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        memcpy(text, "[pyprofd]\nsocket = /", 20);
        refuse_file(text, "test.conf:2: the line is longer");
}

static void test_command_line(void) {
        struct config c = {};

        assert(load(&c, ARGV((char *)"--help")) == 1);
        assert(strstr(said, "--memory-max SIZE") && strstr(said, "--version") && !strstr(said, "--idle"));
        assert(load(&c, ARGV((char *)"--version")) == 1);
        assert(strcmp(said, "pyprofd " VERSION "\n") == 0);
        assert(load(&c, ARGV((char *)"--rate=0")) == -EINVAL);
        assert(strstr(said, "--rate: '0': want"));
        assert(load(&c, ARGV((char *)"--bogus")) == -EINVAL);
        assert(strstr(said, "--bogus"));
        assert(load(&c, ARGV((char *)"--rate")) == -EINVAL);
        assert(load(&c, ARGV((char *)"word")) == -EINVAL);
        assert(strstr(said, "'word'"));
        assert(load(&c, ARGV((char *)"--config", (char *)"missing.conf")) == -ENOENT);
        assert(strstr(said, "missing.conf: cannot read"));
        assert(load(&c, ARGV((char *)"--config", (char *)".")) == -EISDIR);
        assert(!c.socket);
}

int main(void) {
        char folder[] = "/tmp/test_config.XXXXXX";

        assert(mkdtemp(folder) && chdir(folder) == 0);
        unsetenv("JOURNAL_STREAM");
        test_defaults();
        test_precedence();
        test_idle();
        test_bad_files();
        test_command_line();
        assert(unlink("test.conf") == 0 && unlink("said") == 0 && rmdir(folder) == 0);
        puts("config: ok");
        return 0;
}
