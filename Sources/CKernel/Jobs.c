// Programs that a session starts and waits for.
#define _GNU_SOURCE
#include "CKernel.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

int qq_spawn_job(char *const arguments[], char *const environment[], int flags, int lifeline, pid_t *pid) {
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    sigset_t none, all;
    short wanted = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawn_file_actions_init(&actions);
    if (flags & QQ_JOB_OWN_GROUP) {
        wanted |= POSIX_SPAWN_SETPGROUP;
        posix_spawnattr_setpgroup(&attributes, 0);
    }
    posix_spawnattr_setflags(&attributes, wanted);
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

int qq_job_stopped(pid_t pid) {
    siginfo_t information = {0};
    return waitid(P_PID, (id_t)pid, &information, WSTOPPED | WNOHANG) == 0 && information.si_pid == pid;
}
