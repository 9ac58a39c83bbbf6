// Becoming the guarded command.
#define _GNU_SOURCE
#include "Internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

extern char **environ;

void qq_environment_copy(void) {
    size_t count = 0;
    while (environ && environ[count]) count++;
    char **copy = calloc(count + 1, sizeof *copy);
    if (!copy) _exit(71);
    for (size_t i = 0; i < count; i++)
        if (!(copy[i] = strdup(environ[i]))) _exit(71);
    environ = copy;
}

void qq_environment_add(char *entries, size_t length) {
    for (size_t at = 0; at < length;) {
        char *entry = entries + at;
        at += strnlen(entry, length - at) + 1;
        if (at > length) return;
        char *equals = strchr(entry, '=');
        if (!equals) continue;
        *equals = 0;
        setenv(entry, equals + 1, 1);
    }
}

void qq_become_command(char *const *arguments, int liveness_lock, int takes_terminal, pid_t guardian, int failure) {
    setpgid(0, 0);
    if (takes_terminal) {
        int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
        signal(SIGTTOU, SIG_IGN);
        if (terminal >= 0) tcsetpgrp(terminal, getpid());
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != guardian) _exit(137);
    if (liveness_lock >= 0) qq_set_cloexec(liveness_lock, 0);
    qq_signals_restore();
    execvp(arguments[0], arguments);
    int error = errno;
    (void)!write(failure, &error, sizeof error);
    _exit(127);
}
