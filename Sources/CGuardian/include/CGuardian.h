// The guardian: a small process between qq and the command that it guards.
//
// It is forked before qq has any thread, is the command's parent and the subreaper of everything that the command starts, and holds the lease's
// deadline, which each renewal moves by an order on a socket. It ends everything below it when the deadline comes near (SIGTERM early, SIGKILL in
// time), when it is told to, and at once when the socket closes, which is what SIGKILL of qq looks like. It knows nothing of any system.
//
// What each layer covers:
//   qq killed                 the socket closes: SIGKILL to the whole tree, at once
//   qq stopped or wedged      no order moves the deadline: SIGTERM, then SIGKILL, in time
//   guardian killed           the command dies by PDEATHSIG, orphans come to qq (a subreaper too), which kills them
//   guardian stopped          qq's own watchdog kills it before the deadline: as above
// Not covered: qq and the guardian both killed in the same instant leave grandchildren; where a system can tell (a lease file's lock, which the
// tree inherits), the election is not granted to another until they are gone.
#pragma once

#include <stdint.h>
#include <sys/types.h>

enum qq_order_kind {
    QQ_ORDER_RUN = 1,        // start the command; `environment` follows, the witness descriptor is attached if there is one
    QQ_ORDER_DEADLINE = 2,   // the lease was extended
    QQ_ORDER_SIGNAL = 3,     // pass `value` on to the command's process group
    QQ_ORDER_TERMINATE = 4,  // SIGTERM to everything, SIGKILL after `grace_ns` or at the deadline, whichever is first
    QQ_ORDER_KILL = 5,       // SIGKILL to everything, now
};

struct qq_order {
    uint32_t kind;
    int32_t value;
    uint64_t deadline_ns;  // CLOCK_BOOTTIME: when the lease ends
    uint64_t margin_ns;    // SIGKILL is sent this long before the deadline
    uint64_t grace_ns;     // SIGTERM is sent this long before SIGKILL
};

enum qq_report_kind {
    QQ_REPORT_STARTED = 1,    // value: the command's pid
    QQ_REPORT_NOT_RUN = 2,    // value: errno of exec
    QQ_REPORT_STOPPED = 3,    // value: the signal that stopped the command
    QQ_REPORT_EXITED = 4,     // value: the command's wait status; what it left behind is being ended
    QQ_REPORT_DEADLINE = 5,   // value: the signal sent because the lease was not renewed in time
    QQ_REPORT_SURVIVOR = 6,   // value: a pid that may not be killed (EPERM)
    QQ_REPORT_GONE = 7,       // value: how many processes the command left behind; nothing lives below the guardian any more
};

struct qq_report {
    uint32_t kind;
    int32_t value;
};

enum { QQ_ORDER_TAKE_TERMINAL = 1 };  // RUN's value: make the command's group the terminal's foreground group

/// Forks the guardian for `argv`. Call before the process has threads. `mask` is the signal mask to give to the command. Returns its pid and the
/// socket, or -1 with errno.
pid_t qq_guardian_start(char *const argv[], int *socket);

/// Sends an order; `environment` is NUL-separated `NAME=VALUE` entries, `witness` a descriptor or -1. 0, or -1 with errno.
int qq_guardian_send(int socket, const struct qq_order *order, const char *environment, size_t length, int witness);

/// 1 and a report, 0 at the end of the stream, -1 with errno (EAGAIN when there is none now).
int qq_guardian_receive(int socket, struct qq_report *report);

/// Sends `signal` (0: none, only count) to every process below this one, and to their process groups where those hold nothing else.
/// Returns how many there are, or -1 with errno when /proc cannot be read. *denied is a pid that may not be signalled, or 0.
int qq_signal_descendants(int signal, pid_t *denied);

/// The process on the terminal, which the shell sees. Forks: returns 0 in the child, which goes on as qq with `*socket` to it; never returns in the
/// parent, which passes signals on, stops and goes on with the command as a shell's job does, and exits as the child does.
/// *takes_terminal: the command is to be the terminal's foreground group. -1 with errno where there is no terminal or no fork.
int qq_front_start(int *socket, int *takes_terminal);

enum qq_front_kind {
    QQ_FRONT_RUNNING = 1,     // value: the command's process group
    QQ_FRONT_STOPPED = 2,     // value: the signal that stopped the command
    QQ_FRONT_INTERRUPTED = 3, // the command died of SIGINT: the shell is to see the same of us
};
/// Tells the front process; 0, or -1 with errno.
int qq_front_tell(int socket, uint32_t kind, int32_t value);

/// Remembers how signals were set when the process began, for the command to inherit (nohup, trap '' INT). Call first.
void qq_signals_remember(void);
