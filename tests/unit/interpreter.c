/* SPDX-License-Identifier: Apache-2.0 */
#include "interpreter.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/macro.h"

int interpreters_list(struct interpreter *ret, size_t max) {
        char line[1024];
        size_t n = 0;
        FILE *f;

        f = popen("tests/setup/interpreters list", "re");
        if (!f)
                return -errno;
        while (n < max && fgets(line, sizeof(line), f))
                if (sscanf(line, "%63[^\t]\t%23[^\t]\t%15[^\t]\t%511[^\n]", ret[n].name, ret[n].version, ret[n].kind,
                           ret[n].command) == 4)
                        n++;
        return pclose(f) == 0 && n > 0 ? (int)n : -EIO;
}

int interpreter_start(const struct interpreter *i, const char *script, struct interpreter_process *ret) {
        int in[2], out[2];
        char command[600];
        pid_t pid;

        snprintf(command, sizeof(command), "exec %s \"$0\"", i->command);
        if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
                return -errno;
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                dup2(in[0], STDIN_FILENO);
                dup2(out[1], STDOUT_FILENO);
                execl("/bin/sh", "sh", "-c", command, script, NULL);
                _exit(127);
        }
        close(in[0]);
        close(out[1]);
        *ret = (struct interpreter_process){.pid = pid, .in = in[1], .out = fdopen(out[0], "r")};
        return ret->out ? 0 : -errno;
}

void interpreter_stop(struct interpreter_process *p) {
        if (p->pid <= 0)
                return;
        kill(p->pid, SIGKILL);
        waitpid(p->pid, NULL, 0);
        close(p->in);
        fclose(p->out);
        p->pid = 0;
}

int interpreter_image(pid_t pid, struct image *ret_image, uint64_t *ret_bias, char *ret_path, size_t path_size) {
        _cleanup_fclose_ FILE *f = NULL;
        char name[64], line[1024];

        snprintf(name, sizeof(name), "/proc/%d/maps", pid);
        f = fopen(name, "re");
        if (!f)
                return -errno;
        while (fgets(line, sizeof(line), f)) {
                char mode[8], path[512], full[600];
                _cleanup_close_ int fd = -1;
                uint64_t start, offset;

                if (sscanf(line, "%" SCNx64 "-%*x %7s %" SCNx64 " %*s %*d %511s", &start, mode, &offset, path) != 4 ||
                    mode[2] != 'x' || path[0] != '/')
                        continue;
                snprintf(full, sizeof(full), "/proc/%d/root%s", pid, path);
                fd = open(full, O_RDONLY | O_CLOEXEC);
                if (fd < 0 || image_read(fd, ret_image) < 0 || !ret_image->python)
                        continue;
                snprintf(ret_path, path_size, "%s", path);
                return image_bias(fd, start, offset, ret_bias);
        }
        return -ENOENT;
}
