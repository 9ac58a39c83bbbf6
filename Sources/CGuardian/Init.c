// Process 1 of a container. The kernel drops every signal that process 1 leaves at its default action, so SIGTERM would not end `qq status` there, and
// makes it the parent of every orphan of the container, also of those that qq knows nothing of (`kubectl exec`). Process 1 is therefore only this small
// init: it passes signals on and reaps, and qq is its child, an ordinary process. When init ends, the kernel kills everything that is left in the
// container (pid_namespaces(7)).
#define _GNU_SOURCE
#include "Internal.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/// Reaps every child that has ended. Exits as qq did, once qq is among them: if it was killed, the kernel ends its command now.
static void reap(pid_t qq) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == qq) _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/// Whether qq, which is in the same process group, has got the signal as well. The terminal sends to the group, and so does the front process when it
/// stops with its command. At a hangup the terminal sends also to the leader of the session, which is process 1 alone.
static int is_for_group(const siginfo_t *signal) {
    switch (signal->si_signo) {
        case SIGHUP: return 0;
        case SIGTSTP:
        case SIGTTIN:
        case SIGTTOU: return 1;
        default: return signal->si_code == SI_KERNEL;
    }
}

static void be_init(pid_t qq, const sigset_t *all) {
    // The credentials among the arguments and variables, which qq hides, must not show here.
    qq_take_title("qq-init", "qq-init");
    // A reader of the output must see the end of file as soon as the command closes it.
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2 && null >= 0; fd++) dup2(null, fd);
    // The signal of a child of an earlier program of this process that ended before signals were blocked is lost.
    reap(qq);
    for (;;) {
        siginfo_t signal;
        if (sigwaitinfo(all, &signal) < 0) continue;
        if (signal.si_signo == SIGCHLD) reap(qq); else if (!is_for_group(&signal)) kill(qq, signal.si_signo);
    }
}

void qq_init_start(void) {
    sigset_t all, before;
    if (getpid() != 1) return;
    // A blocked signal is kept even for process 1.
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    // If SIGCHLD was ignored, the kernel would reap qq, and its status would be lost.
    void (*child_action)(int) = signal(SIGCHLD, SIG_DFL);
    pid_t qq = fork();
    if (qq > 0) be_init(qq, &all);
    // In qq, and in process 1 if there can be no other process.
    signal(SIGCHLD, child_action);
    sigprocmask(SIG_SETMASK, &before, NULL);
}
