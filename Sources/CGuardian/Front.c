// The front process. A shell sees a job stop when the process that it started stops, but qq must keep renewing while its command is stopped. On a
// terminal, the process that the shell started is therefore only a front process: it stops and continues together with the command, and qq is its
// child.
#define _GNU_SOURCE
#include "Internal.h"

#include <CKernel.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

struct front_message {
    uint32_t kind;
    int32_t value;
};

struct front {
    pid_t qq, command;
    int socket, terminal, signals;
    int hands_over;   // the command was given the terminal once; it gets it back whenever the job is in the foreground
    int interrupted;
};

static void give_terminal(const struct front *self, pid_t group) { tcsetpgrp(self->terminal, group); }

static int in_foreground(const struct front *self) { return tcgetpgrp(self->terminal) == getpgrp(); }

/// Whether the command is in the terminal's foreground now.
static int is_handed_over(const struct front *self) {
    return self->command && tcgetpgrp(self->terminal) == self->command && getpgid(self->command) == self->command;
}

static void go_on(struct front *self) {
    if (self->command && self->hands_over && in_foreground(self)) give_terminal(self, self->command);
    kill(self->qq, SIGCONT);
}

/// Stops the whole process group, as the terminal does to its foreground group, so that the shell sees the job stop.
static void stop_with(int number) {
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, number);
    kill(0, number);
    sigprocmask(SIG_UNBLOCK, &one, NULL);  // stops here, until SIGCONT
    sigprocmask(SIG_BLOCK, &one, NULL);
}

static void command_stopped(struct front *self, int number) {
    int wants_terminal = number == SIGTTIN || number == SIGTTOU;
    // The command might have asked again before it got the terminal; that message can arrive after it has it.
    if (wants_terminal && (in_foreground(self) || is_handed_over(self))) {
        // In a pipeline the terminal stays with the whole job until the command asks for it.
        self->hands_over = 1;
        go_on(self);
        return;
    }
    if (tcgetpgrp(self->terminal) == self->command) give_terminal(self, getpgrp());
    stop_with(wants_terminal ? number : SIGTSTP);
    go_on(self);
}

static int take_message(struct front *self) {
    struct front_message message;
    ssize_t length = recv(self->socket, &message, sizeof message, MSG_DONTWAIT);
    if (length == 0) self->socket = -1;  // poll ignores this descriptor from now on; the end of qq arrives as SIGCHLD
    if (length != (ssize_t)sizeof message) return 0;
    switch (message.kind) {
        case QQ_FRONT_RUNNING: self->command = message.value; break;
        case QQ_FRONT_STOPPED: command_stopped(self, message.value); break;
        case QQ_FRONT_INTERRUPTED: self->interrupted = 1; break;
        default: break;
    }
    return 1;
}

/// Handles the end of qq. If qq was killed, its guardian is ending the command right now and becomes a child of this process: wait for it.
static void finish(struct front *self, int status) {
    if (WIFSIGNALED(status)) {
        // A process that cannot be killed must not keep the shell waiting forever.
        for (int rounds = 0; rounds < 20000 && (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD); rounds++) {
            if (rounds > 2000) qq_signal_descendants(SIGKILL, 0);
            usleep(1000);
        }
    }
    pid_t owner = tcgetpgrp(self->terminal);
    if (self->command && (owner == self->command || (owner > 0 && kill(-owner, 0) != 0 && errno == ESRCH))) give_terminal(self, getpgrp());
    if (self->interrupted) {
        sigset_t interrupt;
        sigemptyset(&interrupt);
        sigaddset(&interrupt, SIGINT);
        signal(SIGINT, SIG_DFL);
        kill(0, SIGINT);
        sigprocmask(SIG_UNBLOCK, &interrupt, NULL);
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void take_signal(struct front *self, int number) {
    int status;
    switch (number) {
        case SIGCHLD:
            while (waitpid(self->qq, &status, WNOHANG | WUNTRACED) > 0)
                if (!WIFSTOPPED(status)) {
                    while (take_message(self)) {}  // messages that qq sent before it ended
                    finish(self, status);
                }
            break;
        case SIGCONT: go_on(self); break;
        case SIGTTIN:
        case SIGTTOU: break;
        default: kill(self->qq, number); break;
    }
}

static void stand_in_front(struct front *self) {
    sigset_t all;
    prctl(PR_SET_NAME, "qq-front", 0, 0, 0);
    qq_become_subreaper();
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    self->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    signal(SIGTSTP, SIG_DFL);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2 && null >= 0; fd++) dup2(null, fd);
    for (;;) {
        struct pollfd items[] = {{.fd = self->socket, .events = POLLIN}, {.fd = self->signals, .events = POLLIN}};
        if (poll(items, 2, -1) < 0) continue;
        if (self->socket >= 0 && items[0].revents) take_message(self);
        struct signalfd_siginfo information;
        while (read(self->signals, &information, sizeof information) > 0) take_signal(self, (int)information.ssi_signo);
    }
}

int qq_front_start(int *socket, int *takes_terminal) {
    int ends[2];
    struct front self = {.terminal = open("/dev/tty", O_RDWR | O_CLOEXEC)};
    if (self.terminal < 0) return -1;
    // The command gets the terminal from the start only if nothing else of the job uses it.
    *takes_terminal = self.hands_over = isatty(0) && isatty(1) && in_foreground(&self);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        close(self.terminal);
        return -1;
    }
    self.qq = fork();
    if (self.qq == 0) {
        setpgid(0, 0);
        // This process group is in the background. If the terminal stops background processes that write (stty tostop), a message must not stop the
        // renewals.
        signal(SIGTTOU, SIG_IGN);
        close(self.terminal);
        close(ends[0]);
        *socket = ends[1];
        return 0;
    }
    close(ends[1]);
    if (self.qq < 0) {
        int error = errno;
        close(self.terminal);
        close(ends[0]);
        errno = error;
        return -1;
    }
    setpgid(self.qq, self.qq);
    self.socket = ends[0];
    stand_in_front(&self);
    return 0;
}

int qq_front_tell(int socket, uint32_t kind, int32_t value) {
    struct front_message message = {.kind = kind, .value = value};
    return send(socket, &message, sizeof message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}
