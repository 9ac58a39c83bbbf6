// The guardian: a small process between qq and the command that it guards.
//
// It is forked before qq has any thread, is the command's parent and the subreaper of everything that the command starts, and holds the lease's
// deadline, which each renewal moves by an order on a socket. It ends everything below it when the deadline comes near (SIGTERM early, SIGKILL in
// time), when it is told to, and at once when the socket closes, which is what SIGKILL of qq looks like. It knows nothing of any system. Its name and
// command line are its own, so that `pkill qq` and `killall qq` leave it to do its work.
//
// What each layer covers:
//   qq killed                 the socket closes: SIGKILL to the whole tree, at once
//   qq stopped or wedged      no order moves the deadline: SIGTERM, then SIGKILL, in time
//   guardian killed           the command dies by PDEATHSIG, orphans come to qq (a subreaper too), which kills them
//   guardian stopped          an order that is not obeyed in time is carried out by qq itself; its watchdog ends everything before the deadline
//   both killed or stopped    whoever is granted the election next on this machine ends what is left first (Leftovers.c)
// Not covered: both killed or stopped, and the next holder on another machine.
#pragma once

#include <stdint.h>
#include <sys/types.h>

enum qq_order_kind {
    QQ_ORDER_RUN = 1,        // start the command; `environment` follows, the witness descriptor is attached if there is one
    QQ_ORDER_DEADLINE = 2,   // the lease was extended
    QQ_ORDER_SIGNAL = 3,     // pass `value` on to the command's process group, unless it is past `deadline_ns`: then qq has done it
    QQ_ORDER_TERMINATE = 4,  // SIGTERM to everything, SIGKILL after `grace_ns` or at the deadline, whichever is first
    QQ_ORDER_KILL = 5,       // SIGKILL to everything, now
};

struct qq_order {
    uint32_t kind;
    int32_t value;
    uint64_t number;       // reported back when the order was taken; 0: nobody waits for that
    uint64_t deadline_ns;  // CLOCK_BOOTTIME: when the lease ends
    uint64_t sent_ns;      // CLOCK_BOOTTIME: when the request was sent that the lease was granted or extended by
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
    QQ_REPORT_OBEYED = 8,     // number: an order was taken
    QQ_REPORT_CLOCK = 9,      // value: milliseconds by which the wall clock went ahead of CLOCK_BOOTTIME; the lease has to be confirmed
};

struct qq_report {
    uint32_t kind;
    int32_t value;
    uint64_t number;
};

enum { QQ_ORDER_TAKE_TERMINAL = 1 };  // RUN's value: make the command's group the terminal's foreground group

/// The longest entry that marks a term, in bytes.
enum { QQ_LONGEST_MARK = 1024 };
/// Whether a guardian of this process would have room to show the mark.
int qq_guardian_shows(const char *mark);

/// What a guardian is started with.
struct qq_guardian_setup {
    char *const *arguments;  // the command, ended by NULL
    const char *title;       // the guardian's command line
    const char *mark;        // NAME=VALUE: the entry in the environment that marks the command's processes, and the guardian
    const char *cgroup;      // the name of the cgroup to make for the command, below our own
};

/// Forks the guardian. Call before the process has threads. Returns 0, the guardian's socket, and its pidfd; or -1 with errno.
int qq_guardian_start(const struct qq_guardian_setup *start, int *socket, int *process, pid_t *pid);

/// Sends an order; `environment` is NUL-separated `NAME=VALUE` entries, `witness` a descriptor or -1. 0, or -1 with errno.
int qq_guardian_send(int socket, const struct qq_order *order, const char *environment, size_t length, int witness);

/// 1 and a report, 0 at the end of the stream, -1 with errno (EAGAIN when there is none now).
int qq_guardian_receive(int socket, struct qq_report *report);

/// What lives below this process: how many, or -1 where that cannot be seen; one of them; and one that may not be signalled. Pids are 0 for none.
struct qq_below {
    int living;
    pid_t first, denied;
};

/// Sends `signal` (0: none, only count) to every process below this one but `except`, and to their process groups where those hold nothing else.
struct qq_below qq_signal_descendants(int signal, pid_t except);

/// Sends `signal` to the processes below this one that are in the group. Returns how many were reached.
int qq_signal_group_below(pid_t group, int signal);

/// Ends what lives in the cgroup of this name below our own, and removes it once nothing does. Does nothing where there is none.
void qq_cgroup_end(const char *name);

/// What to look for before work begins under an election: see Leftovers.c.
struct qq_leftovers {
    const char *variable;       // the name of the marking variable
    const char **exact;   // marks of this very election, as they begin; ended by NULL
    const char *loose;          // the part that elections of this name have in common
    int is_unsure;              // set where a process showed nothing of its environment, as between two programs: look again
};

/// A process that was found.
struct qq_leftover {
    pid_t pid;
    uint64_t started;  // as in qq_process
    int is_denied;     // it may not be killed from here
};

/// One round: SIGKILL to all that earlier terms of the election have left on this machine. Returns how many were found, the first `room` of them in
/// `found`, or -1 with errno.
int qq_leftovers_end(struct qq_leftovers *leftovers, struct qq_leftover *found, int room);
/// Whether a process that was found lives still.
int qq_leftover_lives(const struct qq_leftover *leftover);

/// How far the wall clock has moved on CLOCK_BOOTTIME from `before`, in nanoseconds; `before` becomes what it is now (0: not asked yet).
int64_t qq_clock_jump(int64_t *before);

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
