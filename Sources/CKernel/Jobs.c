// Programs that qq starts and waits for.
#define _GNU_SOURCE
#include "CKernel.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

/// No signal is blocked or ignored in a new program, whatever this process does with signals.
static void attributes_init(posix_spawnattr_t *attributes, int flags) {
    sigset_t none, all;
    short wanted = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(attributes);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    if (flags & QQ_JOB_OWN_GROUP) {
        wanted |= POSIX_SPAWN_SETPGROUP;
        posix_spawnattr_setpgroup(attributes, 0);
    }
    posix_spawnattr_setflags(attributes, wanted);
}

int qq_spawn_job(char *const arguments[], char *const environment[], int flags, int lifeline, pid_t *pid) {
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    attributes_init(&attributes, flags);
    posix_spawn_file_actions_init(&actions);
    int result = 0;
#if __GLIBC_PREREQ(2, 35)
    // Before the program checks who has the terminal.
    if (flags & QQ_JOB_TERMINAL) result = posix_spawn_file_actions_addtcsetpgrp_np(&actions, 0);
#endif
    if (flags & QQ_JOB_NO_INPUT) posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    // Duplicating the lifeline pipe to its own number clears close-on-exec, so it stays open.
    posix_spawn_file_actions_adddup2(&actions, lifeline, lifeline);
    if (result == 0) result = posix_spawn(pid, "/proc/self/exe", &actions, &attributes, arguments, environment);
#if !__GLIBC_PREREQ(2, 35)
    if (result == 0 && flags & QQ_JOB_TERMINAL) {
        setpgid(*pid, *pid);
        tcsetpgrp(0, *pid);
    }
#endif
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return result;
}

int qq_spawn_program(
    const char *path, char *const arguments[], char *const environment[], int input, int output, int errors, int flags, pid_t *pid) {
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    attributes_init(&attributes, flags);
    posix_spawn_file_actions_init(&actions);
    if (input < 0)
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    else
        posix_spawn_file_actions_adddup2(&actions, input, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_adddup2(&actions, errors, 2);
    // Descriptors that this process has inherited stay open across execve(2), as they should for a guarded command, but not for this program.
#if __GLIBC_PREREQ(2, 34)
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
#else
    for (int fd = 3; fd < 256; fd++) posix_spawn_file_actions_addclose(&actions, fd);
#endif
    int result = posix_spawn(pid, path, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return result;
}

int qq_job_stopped(pid_t pid) {
    siginfo_t information = {0};
    return waitid(P_PID, (id_t)pid, &information, WSTOPPED | WNOHANG) == 0 && information.si_pid == pid;
}
