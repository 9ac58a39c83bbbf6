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

enum { WITNESS_MINIMUM = 100, LARGEST_ORDER = 64 * 1024, ORDERS_AT_ONCE = 1000 };

/// How far the end of the command has come. It only ever goes forward. GONE: nothing lives below us; we stay, and with us the witness, until qq
/// has written that the lease is given up (it closes the socket), or the lease has ended.
enum phase { WAITING, RUNNING, ENDING_SOFTLY, ENDING_HARD, GONE };

/// After this many rounds of SIGKILL what is left sleeps in the kernel or is not ours to kill: look less often.
enum { QUICK_ROUNDS = 200 };

/// A wall clock that went ahead by more than this may have been set after a pause of the whole machine, which CLOCK_BOOTTIME does not count.
static const int64_t LARGEST_SLEW = 100000000;
/// How long a renewal may take to show that the lease is still ours after such a pause.
static const uint64_t CONFIRMATION = 1000000000;

struct guardian {
    char *const *arguments;
    const char *cgroup_name, *mark;
    char cgroup[QQ_CGROUP_PATH];  // its folder; empty if there is none
    int socket, children, timer, clock;
    int failure;  // the pipe that tells whether the command could be run; -1 once that is known
    enum phase phase;
    pid_t command;
    int command_ended, left_behind, survivor, rounds;
    uint64_t deadline, margin, grace;
    uint64_t kill_at;    // while ENDING_SOFTLY
    uint64_t jumped_at;  // when the wall clock was last seen to have gone ahead; 0 once a renewal has shown that the lease is ours
    uint64_t jumped_by;
    uint64_t doubted_at;  // the same, and never forgotten
    int64_t wall_offset;
};

static uint64_t saturating_difference(uint64_t left, uint64_t right) { return left > right ? left - right : 0; }

static uint64_t saturating_sum(uint64_t left, uint64_t right) { return left > UINT64_MAX - right ? UINT64_MAX : left + right; }

static void report_number(const struct guardian *self, uint32_t kind, int32_t value, uint64_t number) {
    struct qq_report message = {.kind = kind, .value = value, .number = number};
    // Nobody may be listening: that is no reason to stop.
    (void)send(self->socket, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void report(const struct guardian *self, uint32_t kind, int32_t value) { report_number(self, kind, value, 0); }

// Running the command

/// Shows by what marks this guardian is found, and whose guardian it is.
static void show_mark(const struct guardian *self) {
    char text[QQ_LONGEST_MARK + 32];
    int length = snprintf(text, sizeof text, "%s%cQQ_OF=%d", self->mark, 0, (int)getppid());
    if (length > 0 && (size_t)length < sizeof text) qq_show_environment(text, (size_t)length + 1);
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
    int failure[2];
    pid_t guardian = getpid();
    if (order->sent_ns < self->doubted_at || qq_boot_now() >= saturating_difference(self->deadline, self->margin)) {
        // The order was long under way, as when we were stopped, or the machine was: there is no time left to run under this lease.
        report(self, QQ_REPORT_DEADLINE, SIGKILL);
        report(self, QQ_REPORT_GONE, 0);
        self->phase = GONE;
        return;
    }
    qq_environment_add(environment, length);
    show_mark(self);
    if (pipe2(failure, O_CLOEXEC | O_NONBLOCK) != 0) {
        report(self, QQ_REPORT_NOT_RUN, errno);
        self->phase = GONE;
        return;
    }
    qq_cgroup_make(self->cgroup_name, self->cgroup);
    pid_t pid = qq_cgroup_fork(self->cgroup);
    if (pid == 0) qq_become_command(self->arguments, witness, order->value & QQ_ORDER_TAKE_TERMINAL, guardian, failure[1]);
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
    go_before_command();
    self->command = pid;
    self->phase = RUNNING;
    // An exec can hang, on a file system that does not answer. It is not waited for: the deadline counts meanwhile.
    self->failure = failure[0];
}

/// Whether the command could be run: the pipe closes with exec, or brings an errno.
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
    // Its process ends by itself, and is reaped as any child of ours.
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

/// SIGKILL until nothing is left. What a killed parent leaves comes back to us as a child, so the round after sees it.
static void kill_round(struct guardian *self) {
    self->rounds++;
    qq_cgroup_kill(self->cgroup);
    struct qq_below below = qq_signal_descendants(SIGKILL, 0);
    if (below.living < 0 && self->command && !self->command_ended) kill(-self->command, SIGKILL);
    // What still lives after so many rounds hangs in the kernel, or is frozen: it is told of as well.
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
        // A command that could not be run has ended by the time that its errno is read.
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
    // Both at one moment: a process that is stopped in between would see a jump.
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

/// A machine that was paused as a whole, as virtual machines are, finds its wall clock set ahead when it goes on, and CLOCK_BOOTTIME as if nothing had
/// been. The lease is then taken to be older by as much, until a renewal that was sent after the pause says how long it lasts.
static void look_at_wall_clock(struct guardian *self) {
    int64_t jump = qq_clock_jump(&self->wall_offset);
    if (jump < LARGEST_SLEW || self->phase > ENDING_SOFTLY) return;
    self->doubted_at = qq_boot_now();
    if (self->phase == WAITING) return;
    self->jumped_by = saturating_sum(self->jumped_at ? self->jumped_by : 0, (uint64_t)jump);
    self->jumped_at = self->doubted_at;
    report(self, QQ_REPORT_CLOCK, jump / 1000000 > INT32_MAX ? INT32_MAX : (int32_t)(jump / 1000000));
}

/// Asks the kernel to wake us when the wall clock is set, once.
static void watch_wall_clock(struct guardian *self) {
    // timerfd_create(2): a timer on CLOCK_REALTIME that is cancelled by a discontinuous change. The moment itself never comes.
    struct itimerspec never = {.it_value = {.tv_sec = (time_t)1 << 40}};
    if (self->clock >= 0) timerfd_settime(self->clock, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

/// When a renewal has to have shown that the lease is still ours; 0 where none has to.
static uint64_t confirmation(const struct guardian *self) { return self->jumped_at ? saturating_sum(self->jumped_at, CONFIRMATION) : 0; }

/// When SIGKILL is due. A lease in doubt is older by as much as the clock went ahead, but there is always time for the renewal that settles that.
static uint64_t hard_end(const struct guardian *self) {
    uint64_t end = saturating_difference(self->deadline, self->margin);
    if (!self->jumped_at) return end;
    uint64_t doubted = saturating_difference(end, self->jumped_by);
    if (doubted < confirmation(self)) doubted = confirmation(self);
    return doubted < end ? doubted : end;
}

/// When SIGTERM is due.
static uint64_t soft_end(const struct guardian *self) {
    uint64_t end = hard_end(self), soft = saturating_difference(end, self->grace);
    if (soft < confirmation(self)) soft = confirmation(self);
    return soft < end ? soft : end;
}

/// The next moment at which something is due, 0 if nothing is.
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

/// - now: a moment before the orders were read that have come. A guardian that was stopped since then must not act on a later one: an extension may wait.
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

static void obey(struct guardian *self, const struct qq_order *order, char *environment, size_t length, int witness) {
    // A signal that comes late has been sent by qq itself.
    int is_late = order->kind == QQ_ORDER_SIGNAL && qq_boot_now() > order->deadline_ns;
    if (order->number != 0 && !is_late) report_number(self, QQ_REPORT_OBEYED, 0, order->number);
    switch (order->kind) {
        case QQ_ORDER_RUN:
        case QQ_ORDER_DEADLINE:
            // An answer to what was asked before the machine was paused says nothing about now.
            if (order->sent_ns < self->doubted_at && self->phase != WAITING) break;
            self->jumped_at = 0;
            self->deadline = order->deadline_ns;
            self->margin = order->margin_ns;
            self->grace = order->grace_ns;
            if (order->kind == QQ_ORDER_RUN && self->phase == WAITING) run(self, order, environment, length, witness);
            break;
        case QQ_ORDER_SIGNAL:
            if (!is_late && self->command && !self->command_ended) kill(-self->command, order->value);
            break;
        case QQ_ORDER_TERMINATE: end_softly(self, order->grace_ns); break;
        case QQ_ORDER_KILL: end_hard(self); break;
        default: break;
    }
}

/// 1 if an order was taken, 0 if there is none now, -1 at the end of the stream.
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

static void prepare(struct guardian *self, const struct qq_guardian_setup *start) {
    sigset_t mask;
    int count = 0;
    // What we were started with is written over, so all that is still needed is copied.
    while (start->arguments[count]) count++;
    char **arguments = calloc((size_t)count + 1, sizeof *arguments);
    for (int i = 0; arguments && i < count; i++)
        if (!(arguments[i] = strdup(start->arguments[i]))) _exit(71);
    if (!arguments) _exit(71);
    self->arguments = arguments;
    self->cgroup_name = start->cgroup;
    self->mark = start->mark;
    qq_environment_copy();
    qq_take_title(qq_guardian_name, start->title);
    // Out of qq's process group, so that what is meant for qq (Ctrl-C, kill of the group) leaves the guardian to do its work.
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
            // Before the orders: an extension that was asked for before the clock was set may be among them.
            look_at_wall_clock(self);
        }
        // All orders come before what the clock says: after a stop, the extensions that have come meanwhile decide.
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
    _exit(0);
}

int qq_guardian_start(const struct qq_guardian_setup *start, int *socket, int *process, pid_t *pid) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return -1;
    *pid = fork();
    if (*pid == 0) {
        static struct guardian self;
        close(ends[0]);
        self = (struct guardian){.socket = ends[1], .failure = -1, .phase = WAITING};
        prepare(&self, start);
        guard(&self);
    }
    int error = errno;
    close(ends[1]);
    // A child that has not been reaped keeps its number, so this is the guardian.
    *process = *pid < 0 ? -1 : qq_process_open(*pid);
    if (*process >= 0) {
        *socket = ends[0];
        return 0;
    }
    if (*pid > 0) error = errno;
    // One that was forked and cannot be named sees the end of its socket, and ends.
    close(ends[0]);
    errno = error;
    return -1;
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
