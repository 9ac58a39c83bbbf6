#define _GNU_SOURCE
#include "Internal.h"

#include <CKernel.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { WITNESS_MINIMUM = 100, LARGEST_ORDER = 64 * 1024 };

/// How far the end of the command has come. It only ever goes forward. GONE: nothing lives below us; we stay, and with us the witness, until qq
/// has written that the lease is given up (it closes the socket), or the lease has ended.
enum phase { WAITING, RUNNING, ENDING_SOFTLY, ENDING_HARD, GONE };

/// After this many rounds of SIGKILL what is left sleeps in the kernel or is not ours to kill: look less often.
enum { QUICK_ROUNDS = 200 };

struct guardian {
    char *const *arguments;
    int socket, children, timer;
    enum phase phase;
    pid_t command;
    int command_ended, left_behind, survivor, rounds;
    uint64_t deadline, margin, grace;
    uint64_t kill_at;  // while ENDING_SOFTLY
};

static uint64_t saturating_difference(uint64_t left, uint64_t right) { return left > right ? left - right : 0; }

static void report(const struct guardian *self, uint32_t kind, int32_t value) {
    struct qq_report message = {.kind = kind, .value = value};
    // Nobody may be listening: that is no reason to stop.
    (void)send(self->socket, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// Running the command

static void add_environment(char *entries, size_t length) {
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

static void become_command(char *const *arguments, int witness, int take_terminal, pid_t guardian, int failure) {
    setpgid(0, 0);
    if (take_terminal) {
        int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
        signal(SIGTTOU, SIG_IGN);
        if (terminal >= 0) tcsetpgrp(terminal, getpid());
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != guardian) _exit(137);
    if (witness >= 0) qq_set_cloexec(witness, 0);
    qq_signals_restore();
    execvp(arguments[0], arguments);
    int error = errno;
    (void)!write(failure, &error, sizeof error);
    _exit(127);
}

static void close_standard_streams(void) {
    // They are the command's own: who reads its output must see the end of it when the command closes it.
    int null = open("/dev/null", O_RDWR);
    if (null < 0) return;
    for (int fd = 0; fd <= 2; fd++) dup2(null, fd);
    if (null > 2) close(null);
}

/// A machine that has too much to do must not keep us from ending the command in time, so we go before it, at a real-time priority: what we do is short.
/// Where this is not allowed we wait for our turn as everybody does. Only once the command is there, for it would inherit this.
static void go_before_command(void) {
    struct sched_param parameters;
    if (sched_getparam(0, &parameters) != 0) return;
    if (parameters.sched_priority < sched_get_priority_max(SCHED_RR)) parameters.sched_priority++;
    (void)sched_setscheduler(0, SCHED_RR, &parameters);
}

static void run(struct guardian *self, const struct qq_order *order, char *environment, size_t length, int witness) {
    int failure[2], error = 0;
    pid_t guardian = getpid();
    if (qq_boot_now() >= saturating_difference(self->deadline, self->margin)) {
        // The order was long under way, as when we were stopped: there is no time left to run under this lease.
        report(self, QQ_REPORT_DEADLINE, SIGKILL);
        report(self, QQ_REPORT_GONE, 0);
        self->phase = GONE;
        return;
    }
    add_environment(environment, length);
    if (pipe2(failure, O_CLOEXEC) != 0) {
        report(self, QQ_REPORT_NOT_RUN, errno);
        self->phase = GONE;
        return;
    }
    pid_t pid = fork();
    if (pid == 0) become_command(self->arguments, witness, order->value & QQ_ORDER_TAKE_TERMINAL, guardian, failure[1]);
    error = pid < 0 ? errno : 0;
    close(failure[1]);
    if (pid > 0) {
        setpgid(pid, pid);
        go_before_command();
        ssize_t got;
        do got = read(failure[0], &error, sizeof error);
        while (got < 0 && errno == EINTR);
        if (got != (ssize_t)sizeof error) error = 0;
    }
    close(failure[0]);
    if (error != 0) {
        if (pid > 0) waitpid(pid, NULL, 0);
        report(self, QQ_REPORT_NOT_RUN, error);
        self->phase = GONE;
        return;
    }
    self->command = pid;
    self->phase = RUNNING;
    close_standard_streams();
    report(self, QQ_REPORT_STARTED, pid);
}

// Ending everything

static void end_hard(struct guardian *self) {
    if (self->phase == WAITING) self->phase = GONE;
    if (self->phase < ENDING_HARD) self->phase = ENDING_HARD;
}

static void end_softly(struct guardian *self, uint64_t grace) {
    if (self->phase == WAITING) self->phase = GONE;
    if (self->phase != RUNNING) return;
    self->phase = ENDING_SOFTLY;
    self->kill_at = qq_boot_now() + grace;
    qq_signal_descendants(SIGTERM, NULL);
    qq_signal_descendants(SIGCONT, NULL);
}

/// SIGKILL until nothing is left. What a killed parent leaves comes back to us as a child, so the round after sees it.
static void kill_round(struct guardian *self) {
    pid_t denied = 0;
    self->rounds++;
    int living = qq_signal_descendants(SIGKILL, &denied);
    if (living < 0 && self->command && !self->command_ended) kill(-self->command, SIGKILL);
    if (denied && denied != self->survivor) {
        self->survivor = denied;
        report(self, QQ_REPORT_SURVIVOR, denied);
    }
}

static void reap(struct guardian *self) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        if (pid != self->command) continue;
        if (WIFSTOPPED(status)) {
            report(self, QQ_REPORT_STOPPED, WSTOPSIG(status));
        } else {
            self->command_ended = 1;
            report(self, QQ_REPORT_EXITED, status);
        }
    }
    if (pid < 0 && errno == ECHILD && self->phase > WAITING && self->phase < GONE) {
        report(self, QQ_REPORT_GONE, self->left_behind);
        self->phase = GONE;
    } else if (self->command_ended && self->phase == RUNNING) {
        self->left_behind = qq_signal_descendants(0, NULL);
        end_softly(self, self->grace);
    }
}

// Time

/// The next moment at which something is due, 0 if nothing is.
static uint64_t next_moment(const struct guardian *self) {
    uint64_t kill_at = saturating_difference(self->deadline, self->margin);
    switch (self->phase) {
        case RUNNING: return saturating_difference(kill_at, self->grace);
        case ENDING_SOFTLY: return self->kill_at < kill_at ? self->kill_at : kill_at;
        case ENDING_HARD: return qq_boot_now() + (self->rounds < QUICK_ROUNDS ? 2000000u : 100000000u);
        case GONE: return self->deadline;
        default: return 0;
    }
}

static void look_at_clock(struct guardian *self) {
    uint64_t now = qq_boot_now();
    uint64_t kill_at = saturating_difference(self->deadline, self->margin);
    if (self->phase == RUNNING && now >= saturating_difference(kill_at, self->grace) && now < kill_at) {
        report(self, QQ_REPORT_DEADLINE, SIGTERM);
        end_softly(self, kill_at - now);
    }
    if ((self->phase == RUNNING || self->phase == ENDING_SOFTLY) && now >= kill_at) {
        report(self, QQ_REPORT_DEADLINE, SIGKILL);
        end_hard(self);
    }
    if (self->phase == ENDING_SOFTLY && now >= self->kill_at) end_hard(self);
    if (self->phase == ENDING_HARD) kill_round(self);
}

static void set_timer(const struct guardian *self) {
    uint64_t at = next_moment(self);
    if (at == 0 && self->phase != WAITING) at = 1;
    struct itimerspec timer = {.it_value = {.tv_sec = (time_t)(at / 1000000000u), .tv_nsec = (long)(at % 1000000000u)}};
    timerfd_settime(self->timer, TFD_TIMER_ABSTIME, &timer, NULL);
}

// Orders

static void obey(struct guardian *self, const struct qq_order *order, char *environment, size_t length, int witness) {
    switch (order->kind) {
        case QQ_ORDER_RUN:
        case QQ_ORDER_DEADLINE:
            self->deadline = order->deadline_ns;
            self->margin = order->margin_ns;
            self->grace = order->grace_ns;
            if (order->kind == QQ_ORDER_RUN && self->phase == WAITING) run(self, order, environment, length, witness);
            break;
        case QQ_ORDER_SIGNAL:
            if (self->command && !self->command_ended) kill(-self->command, order->value);
            break;
        case QQ_ORDER_TERMINATE: end_softly(self, order->grace_ns); break;
        case QQ_ORDER_KILL: end_hard(self); break;
        default: break;
    }
}

/// 0 at the end of the stream.
static int take_order(struct guardian *self) {
    static char buffer[LARGEST_ORDER];
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec vector = {.iov_base = buffer, .iov_len = sizeof buffer - 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t length = recvmsg(self->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0) return errno == EAGAIN || errno == EINTR;
    if ((size_t)length < sizeof(struct qq_order)) return 0;
    int witness = -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        int received;
        memcpy(&received, CMSG_DATA(header), sizeof received);
        // High, so that it is not among the numbers that scripts use.
        witness = qq_duplicate_above(received, WITNESS_MINIMUM);
        if (witness < 0) witness = received; else close(received);
    }
    struct qq_order order;
    memcpy(&order, buffer, sizeof order);
    buffer[length] = 0;
    obey(self, &order, buffer + sizeof order, (size_t)length - sizeof order, witness);
    return 1;
}

static void prepare(struct guardian *self) {
    sigset_t mask;
    prctl(PR_SET_NAME, "qq-guardian", 0, 0, 0);
    // Out of qq's process group, so that what is meant for qq (Ctrl-C, kill of the group) leaves the guardian to do its work.
    setpgid(0, 0);
    qq_become_subreaper();
    sigfillset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    self->children = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    self->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
}

static void guard(struct guardian *self) {
    prepare(self);
    if (self->children < 0 || self->timer < 0) _exit(71);
    while (self->phase != GONE || (self->socket >= 0 && qq_boot_now() < self->deadline)) {
        set_timer(self);
        struct pollfd items[] = {
            {.fd = self->socket, .events = POLLIN}, {.fd = self->children, .events = POLLIN}, {.fd = self->timer, .events = POLLIN}};
        if (poll(items, 3, -1) < 0) continue;
        struct signalfd_siginfo information;
        while (read(self->children, &information, sizeof information) > 0) {}
        uint64_t expirations;
        (void)!read(self->timer, &expirations, sizeof expirations);
        if (self->socket >= 0 && items[0].revents && !take_order(self)) {
            close(self->socket);
            self->socket = -1;
            end_hard(self);
        }
        reap(self);
        look_at_clock(self);
    }
    _exit(0);
}

pid_t qq_guardian_start(char *const argv[], int *socket) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return -1;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        struct guardian self = {.arguments = argv, .socket = ends[1], .phase = WAITING};
        guard(&self);
    }
    close(ends[1]);
    if (pid < 0) {
        int error = errno;
        close(ends[0]);
        errno = error;
        return -1;
    }
    *socket = ends[0];
    return pid;
}

int qq_guardian_send(int socket, const struct qq_order *order, const char *environment, size_t length, int witness) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec vectors[] = {
        {.iov_base = (void *)order, .iov_len = sizeof *order}, {.iov_base = (void *)environment, .iov_len = length}};
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = length > 0 ? 2 : 1};
    if (witness >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &witness, sizeof witness);
    }
    if (sizeof *order + length >= LARGEST_ORDER) {
        errno = EMSGSIZE;
        return -1;
    }
    ssize_t sent;
    // A guardian that takes no orders is stopped: qq's watchdog sees to that, and must not be made to wait here.
    do sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

int qq_guardian_receive(int socket, struct qq_report *report) {
    ssize_t length = recv(socket, report, sizeof *report, MSG_DONTWAIT);
    if (length == 0) return 0;
    if (length < 0) return errno == EINTR ? (errno = EAGAIN, -1) : -1;
    return length == (ssize_t)sizeof *report;
}
