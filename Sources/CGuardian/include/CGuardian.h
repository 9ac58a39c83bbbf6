// The guardian: a small process between qq and the command that it guards.
//
// The guardian is forked before qq has any thread. It is the command's parent and the subreaper of everything that the command starts. It holds the
// lease's deadline, which each renewal moves by an order on a socket. It ends all its descendants when the deadline comes near (SIGTERM early,
// SIGKILL in time), when it is ordered to, and immediately when the socket closes, as it does when qq gets SIGKILL. It knows nothing of any system.
// The guardian has its own name and command line, so that `pkill qq` and `killall qq` do not end it.
//
// Failures that each layer covers:
//   qq killed                 the socket closes: SIGKILL to the whole tree, immediately; then a deputy gives the lease up (Deputy.c)
//   qq stopped or wedged      no order moves the deadline: SIGTERM, then SIGKILL, in time
//   guardian killed           the command dies by PDEATHSIG; its orphans become children of qq (a subreaper too), which kills them
//   guardian stopped          qq itself carries out an order that is not obeyed in time; its watchdog ends everything before the deadline
//   both killed or stopped    the next holder on this machine first ends the survivors (Leftovers.c)
// Not covered: both killed or stopped, and the next holder on another machine.
#pragma once

#include <stdint.h>
#include <sys/types.h>

enum qq_order_kind {
    QQ_ORDER_RUN = 1,        // start the command; entries follow (see qq_guardian_send), the descriptor of the liveness lock or of the deputy's words can be attached
    QQ_ORDER_DEADLINE = 2,   // the lease was renewed
    QQ_ORDER_SIGNAL = 3,     // send the signal `value` to the command's process group, unless `deadline_ns` has passed: then qq has sent it
    QQ_ORDER_TERMINATE = 4,  // SIGTERM to everything, SIGKILL after `grace_ns` or at the deadline, whichever is first
    QQ_ORDER_KILL = 5,       // SIGKILL to everything, now
    QQ_ORDER_FORGET = 6,     // qq is about to end by itself, and has released the lease or wants it to expire: start no deputy
};

struct qq_order {
    uint32_t kind;
    int32_t value;
    uint64_t number;       // reported back when the order is taken; 0: not reported
    uint64_t deadline_ns;  // end of the lease, on CLOCK_BOOTTIME
    uint64_t sent_ns;      // when the request was sent that acquired or last renewed the lease, on CLOCK_BOOTTIME
    uint64_t margin_ns;    // SIGKILL is sent this long before the deadline
    uint64_t grace_ns;     // SIGTERM is sent this long before SIGKILL
};

enum qq_report_kind {
    QQ_REPORT_STARTED = 1,    // value: the command's pid
    QQ_REPORT_NOT_RUN = 2,    // value: errno of exec
    QQ_REPORT_STOPPED = 3,    // value: the signal that stopped the command
    QQ_REPORT_EXITED = 4,     // value: the command's wait status; its left-behind processes are being ended
    QQ_REPORT_DEADLINE = 5,   // value: the signal sent because the lease was not renewed in time
    QQ_REPORT_SURVIVOR = 6,   // value: the pid of a process that cannot be killed (EPERM) or survives many rounds of SIGKILL
    QQ_REPORT_GONE = 7,       // value: number of processes that the command left behind; the guardian has no live descendants any more
    QQ_REPORT_OBEYED = 8,     // number: the order that was taken
    QQ_REPORT_CLOCK = 9,      // value: milliseconds by which the wall clock jumped ahead of CLOCK_BOOTTIME; the lease has to be confirmed
};

struct qq_report {
    uint32_t kind;
    int32_t value;
    uint64_t number;
};

/// Bits of RUN's value.
enum {
    QQ_ORDER_TAKE_TERMINAL = 1,  // make the command's group the terminal's foreground group
    QQ_ORDER_HAS_DEPUTY = 2,     // the attached descriptor is that of the deputy's words, not that of a liveness lock
};

/// Length of the longest environment entry that marks a term, in bytes.
enum { QQ_LONGEST_MARK = 1024 };
/// Whether a guardian of this process would have room to show the mark.
int qq_guardian_shows(const char *mark);

/// Parameters of a new guardian.
struct qq_guardian_setup {
    char *const *arguments;  // the command, NULL-terminated
    const char *title;       // the guardian's command line
};

/// Forks the guardian. Call this before the process has threads. Returns 0, the guardian's socket, its pidfd and its pid; or -1 with errno.
int qq_guardian_start(const struct qq_guardian_setup *start, int *socket, int *process, pid_t *pid);

/// Sends an order; `attached` is a descriptor to send along, or -1. Returns 0, or -1 with errno.
///
/// `entries` are texts that end with a NUL each, for RUN: the name of the cgroup to make for the command, below this process's own; the environment
/// entry `NAME=VALUE` that marks the term, which the command inherits and the guardian shows; and further environment entries. The mark comes with this
/// order because only the grant tells which election it is of. Before the order there is nothing to mark: no process, and no cgroup.
int qq_guardian_send(int socket, const struct qq_order *order, const char *entries, size_t length, int attached);

/// Returns a descriptor of a file in memory with the words with which a guardian becomes a deputy (Deputy.c), or -1 with errno. The words are
/// NUL-terminated; the first `arguments` of them are the deputy's arguments, the others its environment.
int qq_deputy_words(const char *words, size_t length, uint32_t arguments);

/// Gives this process, a deputy, the name of qq: the kernel names a program that was run by a descriptor after its number.
void qq_deputy_name(void);

/// The variable in which a deputy finds the end of the lease: nanoseconds on CLOCK_BOOTTIME.
#define QQ_DEPUTY_END "QQ_DEPUTY_END"

/// Returns 1 and a report, 0 at the end of the stream, or -1 with errno (EAGAIN if no report is waiting).
int qq_guardian_receive(int socket, struct qq_report *report);

/// Live descendants of this process: their number, or -1 if they cannot be listed; the pid of one; and the pid of one that this process is not
/// permitted to signal. A pid is 0 if there is none.
struct qq_below {
    int living;
    pid_t first, denied;
};

/// Sends `signal` (0: none, only count) to all descendants of this process except `except`, and to their process groups if those hold only
/// descendants.
struct qq_below qq_signal_descendants(int signal, pid_t except);

/// Sends `signal` to the descendants of this process that are in the group. Returns how many were reached.
int qq_signal_group_below(pid_t group, int signal);

/// Kills everything in the cgroup of this name below this process's own, and removes the cgroup if it is empty. Does nothing if there is none.
void qq_cgroup_end(const char *name);

/// Survivors to look for before work begins under an election: see Leftovers.c.
struct qq_leftovers {
    const char *variable;       // name of the variable that holds the marks
    const char **exact;         // prefixes of the marks of exactly this election, NULL-terminated
    const char *loose;          // the part of the marks that all elections of this name share
    int is_unsure;              // set if a process showed an empty environment, as between two programs: look again
};

/// A survivor.
struct qq_leftover {
    pid_t pid;
    uint64_t started;  // as in qq_process
    int is_denied;     // this process is not permitted to kill it
};

/// Runs one round: sends SIGKILL to all survivors of earlier terms of the election on this machine. Returns how many were found, the first `room` of
/// them in `found`, or -1 with errno.
int qq_leftovers_end(struct qq_leftovers *leftovers, struct qq_leftover *found, int room);
/// Whether the survivor is still alive.
int qq_leftover_lives(const struct qq_leftover *leftover);

/// Nanoseconds by which the wall clock has moved against CLOCK_BOOTTIME since `before`, the difference at the last call (0: none yet), which is
/// updated.
int64_t qq_clock_jump(int64_t *before);

/// Makes this process the front process, which the shell sees. Forks: returns 0 in the child, which continues as qq and reaches the front process by
/// `*socket`. Never returns in the parent, which passes signals on, stops and continues with the command as a shell's job does, and exits as the
/// child does.
/// *takes_terminal: the command should become the terminal's foreground group. Returns -1 with errno if there is no terminal or fork(2) fails.
int qq_front_start(int *socket, int *takes_terminal);

enum qq_front_kind {
    QQ_FRONT_RUNNING = 1,     // value: the command's process group
    QQ_FRONT_STOPPED = 2,     // value: the signal that stopped the command
    QQ_FRONT_INTERRUPTED = 3, // the command died of SIGINT: the shell should see the same of the front process
};
/// Sends a message to the front process. Returns 0, or -1 with errno.
int qq_front_tell(int socket, uint32_t kind, int32_t value);

/// Remembers the signal dispositions and the mask that the process started with, for the command to inherit (nohup, trap '' INT). Call this
/// before any signal is changed.
void qq_signals_remember(void);

/// If this is process 1 (of a container), forks: returns in the child, which continues as qq. Never returns in the parent, which passes signals on to
/// the child, reaps orphans, and exits as the child does. Returns in every other process, and if fork(2) fails. Call this first.
void qq_init_start(void);
