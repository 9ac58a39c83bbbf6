#define _GNU_SOURCE
#include "Internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LIVENESS_LOCK_MINIMUM = 100, LARGEST_ORDER = 64 * 1024, ORDERS_AT_ONCE = 1000 };

/// Progress of ending the command; it only moves forward. GONE: the guardian has no live descendants. It keeps running, and with it the liveness
/// lock, until qq has recorded the release of the lease (it closes the socket) or the lease has expired.
enum phase { WAITING, RUNNING, ENDING_SOFTLY, ENDING_HARD, GONE };

/// After this many rounds of SIGKILL the remaining processes sleep in the kernel or cannot be killed by this user: look less often.
enum { QUICK_ROUNDS = 200 };

/// A wall clock that jumped ahead by more than this (nanoseconds) may have been set after a pause of the whole machine, which CLOCK_BOOTTIME does not
/// count.
static const int64_t LARGEST_SLEW = 100000000;
/// Nanoseconds that a renewal has after such a pause to confirm that the lease is still held.
static const uint64_t CONFIRMATION = 1000000000;

struct guardian {
    char *const *arguments;
    char cgroup[QQ_CGROUP_PATH];  // the folder of the command's cgroup; empty if there is none
    int socket, children, timer, clock;
    int program;  // qq's own program
    int deputy;   // the deputy's words; -1 if the lease is not for a deputy to give up
    int policy;   // the scheduling policy and its parameters before the guardian was raised
    struct sched_param parameters;
    int failure;  // the pipe that delivers the result of exec; -1 once it is known
    enum phase phase;
    pid_t command;
    int command_ended, left_behind, survivor, rounds;
    uint64_t deadline, margin, grace;
    uint64_t kill_at;    // while ENDING_SOFTLY
    uint64_t jumped_at;  // when the wall clock was last seen to have jumped ahead; 0 once a renewal has confirmed the lease
    uint64_t jumped_by;
    uint64_t doubted_at;  // the same, but never reset
    int64_t wall_offset;
};

static uint64_t saturating_difference(uint64_t left, uint64_t right) { return left > right ? left - right : 0; }

static uint64_t saturating_sum(uint64_t left, uint64_t right) { return left > UINT64_MAX - right ? UINT64_MAX : left + right; }

static void report_number(const struct guardian *self, uint32_t kind, int32_t value, uint64_t number) {
    struct qq_report message = {.kind = kind, .value = value, .number = number};
    // qq might not be listening any more, which must not stop the guardian.
    (void)send(self->socket, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void report(const struct guardian *self, uint32_t kind, int32_t value) { report_number(self, kind, value, 0); }

// Running the command

/// Shows the mark by which this guardian is found, and the pid of its qq, as the environment of this process.
static void show_mark(const char *mark) {
    char text[QQ_LONGEST_MARK + 32];
    int length = snprintf(text, sizeof text, "%s%cQQ_OF=%d", mark, 0, (int)getppid());
    if (length > 0 && (size_t)length < sizeof text) qq_show_environment(text, (size_t)length + 1);
}

static void close_standard_streams(void) {
    // The standard streams belong to the command: a reader of its output must see the end of file as soon as the command closes it.
    int null = open("/dev/null", O_RDWR);
    if (null < 0) return;
    for (int fd = 0; fd <= 2; fd++) dup2(null, fd);
    if (null > 2) close(null);
}

/// Raises the guardian to a real-time priority above the command's, so that it ends the command in time even on an overloaded machine; its work is
/// short. If that is not permitted, the priority stays as it is. Called only after the command was forked, because the command would inherit it.
static void go_before_command(struct guardian *self) {
    struct sched_param parameters;
    self->policy = sched_getscheduler(0);
    if (sched_getparam(0, &parameters) != 0) return;
    self->parameters = parameters;
    if (parameters.sched_priority < sched_get_priority_max(SCHED_RR)) parameters.sched_priority++;
    (void)sched_setscheduler(0, SCHED_RR, &parameters);
}

static void run(struct guardian *self, const struct qq_order *order, char *entries, size_t length, int liveness_lock) {
    int failure[2];
    size_t name_length = strnlen(entries, length) + 1;
    pid_t guardian = getpid();
    if (order->sent_ns < self->doubted_at || qq_boot_now() >= saturating_difference(self->deadline, self->margin)) {
        // The order took too long to arrive, because the guardian or the machine was stopped: no time is left to run under this lease.
        report(self, QQ_REPORT_DEADLINE, SIGKILL);
        report(self, QQ_REPORT_GONE, 0);
        self->phase = GONE;
        return;
    }
    if (name_length >= length) {
        // Without a mark the next holder could not find what is left behind.
        report(self, QQ_REPORT_NOT_RUN, EINVAL);
        self->phase = GONE;
        return;
    }
    const char *cgroup_name = entries;
    char *environment = entries + name_length;
    // Before anything carries the mark: whoever finds a marked process finds its guardian.
    show_mark(environment);
    qq_environment_add(environment, length - name_length);
    if (pipe2(failure, O_CLOEXEC | O_NONBLOCK) != 0) {
        report(self, QQ_REPORT_NOT_RUN, errno);
        self->phase = GONE;
        return;
    }
    qq_cgroup_make(cgroup_name, self->cgroup);
    pid_t pid = qq_cgroup_fork(self->cgroup);
    if (pid == 0) qq_become_command(self->arguments, liveness_lock, order->value & QQ_ORDER_TAKE_TERMINAL, guardian, failure[1]);
    int error = errno;
    close(failure[1]);
    if (pid < 0) {
        close(failure[0]);
        qq_cgroup_remove(self->cgroup);
        report(self, QQ_REPORT_NOT_RUN, error);
        self->phase = GONE;
        return;
    }
    setpgid(pid, pid);
    go_before_command(self);
    self->command = pid;
    self->phase = RUNNING;
    // exec can hang on a file system that does not answer. Its result is read later, because the deadline has to be observed until then.
    self->failure = failure[0];
}

/// Reads the result of exec: the pipe closes when exec succeeds, and delivers an errno when it fails.
static void take_outcome_of_exec(struct guardian *self) {
    int error;
    if (self->failure < 0) return;
    ssize_t got = read(self->failure, &error, sizeof error);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    close(self->failure);
    self->failure = -1;
    close_standard_streams();
    if (got != (ssize_t)sizeof error) {
        report(self, QQ_REPORT_STARTED, self->command);
        return;
    }
    report(self, QQ_REPORT_NOT_RUN, error);
    // The forked process exits on its own and is reaped like any other child.
    self->phase = GONE;
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
    self->kill_at = saturating_sum(qq_boot_now(), grace);
    qq_signal_descendants(SIGTERM, 0);
    qq_signal_descendants(SIGCONT, 0);
}

/// One round of SIGKILL, repeated until no descendant is left. Orphans of a killed parent become children of the guardian, so the next round finds
/// them.
static void kill_round(struct guardian *self) {
    self->rounds++;
    qq_cgroup_kill(self->cgroup);
    struct qq_below below = qq_signal_descendants(SIGKILL, 0);
    if (below.living < 0 && self->command && !self->command_ended) kill(-self->command, SIGKILL);
    // A process that is still alive after so many rounds hangs in the kernel or is frozen: report it as well.
    pid_t survivor = below.denied ? below.denied : self->rounds >= QUICK_ROUNDS ? below.first : 0;
    if (survivor && survivor != self->survivor) {
        self->survivor = survivor;
        report(self, QQ_REPORT_SURVIVOR, survivor);
    }
}

static void reap(struct guardian *self) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        if (pid != self->command) continue;
        // A command that could not be run may be reaped before its errno was read. Read that first, so that it is not reported as an exit.
        take_outcome_of_exec(self);
        if (!WIFSTOPPED(status)) self->command_ended = 1;
        if (self->phase == GONE) continue;
        if (WIFSTOPPED(status)) report(self, QQ_REPORT_STOPPED, WSTOPSIG(status)); else report(self, QQ_REPORT_EXITED, status);
    }
    if (pid < 0 && errno == ECHILD && self->phase > WAITING && self->phase < GONE && !qq_cgroup_is_populated(self->cgroup)) {
        qq_show_environment("", 0);
        report(self, QQ_REPORT_GONE, self->left_behind);
        self->phase = GONE;
    } else if (self->command_ended && self->phase == RUNNING) {
        int living = qq_signal_descendants(0, 0).living;
        self->left_behind = living > 0 ? living : 0;
        end_softly(self, self->grace);
    }
}

// Time

int64_t qq_clock_jump(int64_t *before) {
    struct timespec wall;
    uint64_t boot;
    // Both clocks have to be read at the same moment: a process that is stopped between the two reads would see a jump.
    for (int tries = 0; tries < 10; tries++) {
        boot = qq_boot_now();
        clock_gettime(CLOCK_REALTIME, &wall);
        if (qq_boot_now() - boot < 1000000) break;
    }
    int64_t now = (int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec - (int64_t)boot;
    int64_t jump = *before == 0 ? 0 : now - *before;
    *before = now == 0 ? 1 : now;
    return jump;
}

/// After a pause of the whole machine, such as a virtual machine's, the wall clock is set ahead, and CLOCK_BOOTTIME continues as if nothing had
/// happened. The lease is then assumed to be older by the size of the jump, until a renewal that was sent after the pause confirms its deadline.
static void look_at_wall_clock(struct guardian *self) {
    int64_t jump = qq_clock_jump(&self->wall_offset);
    if (jump < LARGEST_SLEW || self->phase > ENDING_SOFTLY) return;
    self->doubted_at = qq_boot_now();
    if (self->phase == WAITING) return;
    self->jumped_by = saturating_sum(self->jumped_at ? self->jumped_by : 0, (uint64_t)jump);
    self->jumped_at = self->doubted_at;
    report(self, QQ_REPORT_CLOCK, jump / 1000000 > INT32_MAX ? INT32_MAX : (int32_t)(jump / 1000000));
}

/// Asks the kernel to wake this process the next time the wall clock is set.
static void watch_wall_clock(struct guardian *self) {
    // timerfd_create(2): a timer on CLOCK_REALTIME that is cancelled by a discontinuous change. Its expiry time is never reached.
    struct itimerspec never = {.it_value = {.tv_sec = (time_t)1 << 40}};
    if (self->clock >= 0) timerfd_settime(self->clock, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

/// Time by which a renewal has to confirm that the lease is still held; 0 if none has to.
static uint64_t confirmation(const struct guardian *self) { return self->jumped_at ? saturating_sum(self->jumped_at, CONFIRMATION) : 0; }

/// Time at which SIGKILL is due. After a clock jump the lease is assumed to be older by the jump, but the renewal that confirms it always gets its
/// time, unless the lease ends before that.
static uint64_t hard_end(const struct guardian *self) {
    uint64_t end = saturating_difference(self->deadline, self->margin);
    if (!self->jumped_at) return end;
    uint64_t doubted = saturating_difference(end, self->jumped_by);
    if (doubted < confirmation(self)) doubted = confirmation(self);
    return doubted < end ? doubted : end;
}

/// Time at which SIGTERM is due.
static uint64_t soft_end(const struct guardian *self) {
    uint64_t end = hard_end(self), soft = saturating_difference(end, self->grace);
    if (soft < confirmation(self)) soft = confirmation(self);
    return soft < end ? soft : end;
}

/// Time at which something is due next; 0 if nothing is.
static uint64_t next_moment(const struct guardian *self) {
    uint64_t kill_at = hard_end(self);
    switch (self->phase) {
        case RUNNING: return soft_end(self);
        case ENDING_SOFTLY: return self->kill_at < kill_at ? self->kill_at : kill_at;
        case ENDING_HARD: return qq_boot_now() + (self->rounds < QUICK_ROUNDS ? 2000000u : 100000000u);
        case GONE: return self->deadline;
        default: return 0;
    }
}

/// - now: a time from before the waiting orders were read. A later one must not be used: if the guardian was stopped in between, a renewal may be
///   waiting.
static void look_at_clock(struct guardian *self, uint64_t now) {
    look_at_wall_clock(self);
    uint64_t kill_at = hard_end(self);
    if (self->phase == RUNNING && now >= soft_end(self) && now < kill_at) {
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

static void forget_deputy(struct guardian *self) {
    if (self->deputy >= 0) close(self->deputy);
    self->deputy = -1;
}

/// - attached: the descriptor that came with the order; -1 if there was none.
static void obey(struct guardian *self, const struct qq_order *order, char *entries, size_t length, int attached) {
    int liveness_lock = -1;
    if (order->kind == QQ_ORDER_RUN && order->value & QQ_ORDER_HAS_DEPUTY) {
        forget_deputy(self);
        self->deputy = attached;
    } else if (attached >= 0) {
        // A high number, so that it is not among those that scripts use.
        liveness_lock = qq_duplicate_above(attached, LIVENESS_LOCK_MINIMUM);
        if (liveness_lock < 0) liveness_lock = attached; else close(attached);
    }
    // If a signal order arrives late, qq has sent the signal itself.
    int is_late = order->kind == QQ_ORDER_SIGNAL && qq_boot_now() > order->deadline_ns;
    if (order->number != 0 && !is_late) report_number(self, QQ_REPORT_OBEYED, 0, order->number);
    switch (order->kind) {
        case QQ_ORDER_RUN:
        case QQ_ORDER_DEADLINE:
            // An answer to a request from before the pause of the machine says nothing about the lease now.
            if (order->sent_ns < self->doubted_at && self->phase != WAITING) break;
            self->jumped_at = 0;
            self->deadline = order->deadline_ns;
            self->margin = order->margin_ns;
            self->grace = order->grace_ns;
            if (order->kind == QQ_ORDER_RUN && self->phase == WAITING) run(self, order, entries, length, liveness_lock);
            break;
        case QQ_ORDER_SIGNAL:
            if (!is_late && self->command && !self->command_ended) kill(-self->command, order->value);
            break;
        case QQ_ORDER_TERMINATE: end_softly(self, order->grace_ns); break;
        case QQ_ORDER_KILL: end_hard(self); break;
        case QQ_ORDER_FORGET: forget_deputy(self); break;
        default: break;
    }
}

/// Takes one order. Returns 1 if there was one, 0 if none is waiting, -1 at the end of the stream.
static int take_order(struct guardian *self) {
    static char buffer[LARGEST_ORDER];
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec vector = {.iov_base = buffer, .iov_len = sizeof buffer - 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t length = recvmsg(self->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0) return errno == EAGAIN ? 0 : errno == EINTR ? 1 : -1;
    if ((size_t)length < sizeof(struct qq_order)) return -1;
    int attached = -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) memcpy(&attached, CMSG_DATA(header), sizeof attached);
    struct qq_order order;
    memcpy(&order, buffer, sizeof order);
    buffer[length] = 0;
    obey(self, &order, buffer + sizeof order, (size_t)length - sizeof order, attached);
    return 1;
}

static void prepare(struct guardian *self, const struct qq_guardian_setup *start) {
    sigset_t mask;
    int count = 0;
    // The arguments and environment of this process are about to be overwritten: copy whatever is still needed.
    while (start->arguments[count]) count++;
    char **arguments = calloc((size_t)count + 1, sizeof *arguments);
    for (int i = 0; arguments && i < count; i++)
        if (!(arguments[i] = strdup(start->arguments[i]))) _exit(71);
    if (!arguments) _exit(71);
    self->arguments = arguments;
    // The file might be replaced before a deputy is needed.
    self->program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    qq_environment_copy();
    qq_take_title(qq_guardian_name, start->title);
    // Leave qq's process group, so that signals meant for qq (Ctrl-C, kill of the group) do not reach the guardian.
    setpgid(0, 0);
    qq_become_subreaper();
    sigfillset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    self->children = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    self->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    self->clock = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    watch_wall_clock(self);
    qq_clock_jump(&self->wall_offset);
}

/// Gives the lease up in the place of a qq that was killed, now that nothing of the command lives: the next holder need not wait for its end.
static void give_up_lease(struct guardian *self) {
    if (self->deputy < 0 || self->program < 0 || qq_boot_now() >= self->deadline) return;
    close_standard_streams();
    (void)sched_setscheduler(0, self->policy, &self->parameters);
    qq_become_deputy(self->program, self->deputy, self->deadline);
}

static void guard(struct guardian *self) {
    if (self->children < 0 || self->timer < 0) _exit(71);
    while (self->phase != GONE || (self->socket >= 0 && qq_boot_now() < self->deadline)) {
        set_timer(self);
        struct pollfd items[] = {
            {.fd = self->socket, .events = POLLIN}, {.fd = self->children, .events = POLLIN}, {.fd = self->timer, .events = POLLIN},
            {.fd = self->clock, .events = POLLIN}, {.fd = self->failure, .events = POLLIN}};
        if (poll(items, sizeof items / sizeof *items, -1) < 0) continue;
        uint64_t now = qq_boot_now();
        struct signalfd_siginfo information;
        while (read(self->children, &information, sizeof information) > 0) {}
        uint64_t expirations;
        (void)!read(self->timer, &expirations, sizeof expirations);
        if (items[3].revents) {
            (void)!read(self->clock, &expirations, sizeof expirations);
            watch_wall_clock(self);
            // Look at the clock before the orders: a renewal that was requested before the clock was set may be among them.
            look_at_wall_clock(self);
        }
        // Take all orders before acting on the time: after a stop, the renewals that arrived during it decide.
        for (int i = 0, more = self->socket >= 0; i < ORDERS_AT_ONCE && more > 0; i++) {
            more = take_order(self);
            if (more >= 0) continue;
            close(self->socket);
            self->socket = -1;
            end_hard(self);
        }
        take_outcome_of_exec(self);
        reap(self);
        look_at_clock(self, now);
    }
    qq_cgroup_remove(self->cgroup);
    give_up_lease(self);
    _exit(0);
}

int qq_guardian_start(const struct qq_guardian_setup *start, int *socket, int *process, pid_t *pid) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return -1;
    *pid = fork();
    if (*pid == 0) {
        static struct guardian self;
        close(ends[0]);
        self = (struct guardian){.socket = ends[1], .failure = -1, .deputy = -1, .phase = WAITING};
        prepare(&self, start);
        guard(&self);
    }
    int error = errno;
    close(ends[1]);
    // A child keeps its pid until it is reaped, so this is the guardian.
    *process = *pid < 0 ? -1 : qq_process_open(*pid);
    if (*process >= 0) {
        *socket = ends[0];
        return 0;
    }
    if (*pid > 0) error = errno;
    // A guardian that was forked, but for which there is no descriptor, sees the end of its socket and exits.
    close(ends[0]);
    errno = error;
    return -1;
}

int qq_guardian_send(int socket, const struct qq_order *order, const char *entries, size_t length, int attached) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec vectors[] = {
        {.iov_base = (void *)order, .iov_len = sizeof *order}, {.iov_base = (void *)entries, .iov_len = length}};
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = length > 0 ? 2 : 1};
    if (attached >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &attached, sizeof attached);
    }
    if (sizeof *order + length >= LARGEST_ORDER) {
        errno = EMSGSIZE;
        return -1;
    }
    ssize_t sent;
    // A guardian that takes no orders is stopped. The watchdog of qq deals with that; the caller must not block here.
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
