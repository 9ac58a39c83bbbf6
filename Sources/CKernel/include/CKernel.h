// System calls that Swift cannot reach directly: variadic fcntl, prctl, and headers that Glibc's module map leaves out.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/types.h>

/// Nanoseconds on CLOCK_BOOTTIME: monotonic, and runs through suspend.
uint64_t qq_boot_now(void);

/// Open-file-description locks (fcntl(2), F_OFD_*). `type` is F_RDLCK, F_WRLCK or F_UNLCK. Returns 0, or -1 with errno.
int qq_ofd_lock(int fd, int type, int64_t start, int64_t length);

/// Finds a lock in [start, start+length) that conflicts with `type`, not always the one with the lowest offset. Returns 1, *at (its first byte) and
/// *found_length if there is one, 0 if there is none, or -1 with errno. A length of 0 means to the end of the file, wherever that is.
int qq_ofd_find(int fd, int type, int64_t start, int64_t length, int64_t *at, int64_t *found_length);

/// Lets a thread that blocks in the kernel be cancelled.
struct qq_blocking_wait;

/// Blocks in F_OFD_SETLKW until the lock is granted (returns 0), `qq_blocking_wait_cancel` is called (-1 with ECANCELED), or an error occurs (-1 with
/// errno). Call this on a thread of its own.
int qq_ofd_lock_wait(struct qq_blocking_wait *wait, int fd, int type, int64_t start, int64_t length);
/// Blocks in poll(2) until the descriptor is readable (returns 0), the timeout has passed (-1 with ETIMEDOUT; negative: no timeout), or the wait is
/// cancelled (-1 with ECANCELED).
int qq_readable_wait(struct qq_blocking_wait *wait, int fd, int timeout_ms);
struct qq_blocking_wait *qq_blocking_wait_create(void);
/// Cancels the wait. Returns once the waiting thread has left it, so that the memory can be freed.
void qq_blocking_wait_cancel(struct qq_blocking_wait *wait);
void qq_blocking_wait_destroy(struct qq_blocking_wait *wait);

/// Starts a detached thread with a small stack and every signal blocked. Returns 0, or an errno.
int qq_thread_start(void *(*body)(void *), void *argument);

/// fcntl(F_DUPFD_CLOEXEC): a copy numbered at least `minimum`.
int qq_duplicate_above(int fd, int minimum);
int qq_set_cloexec(int fd, int on);
/// pipe2(O_CLOEXEC): the reading and the writing end. Returns 0, or -1 with errno.
int qq_pipe(int *reading, int *writing);

/// The arguments of this process as the kernel passed them, NULL-terminated. Swift's own search for them fails if a preloaded library (faketime,
/// sanitizers) has moved the environment before main.
char *const *qq_arguments(int *count);
/// The memory that the kernel shows as the environment of this process (proc_pid_environ(5)); NULL if there is none.
char *qq_environment_memory(size_t *room);

/// Whether a signal's disposition is SIG_IGN: 1 or 0.
int qq_signal_is_ignored(int number);

/// Occupies the numbers of standard streams that are closed, so that no file that qq opens gets them. Call this first.
void qq_reserve_standard_streams(void);

/// Makes all threads allocate from one heap. With few threads that rarely contend, separate heaps only cost memory and the time to make them.
void qq_use_one_heap(void);

/// Makes this process a subreaper: orphaned descendants become its children.
int qq_become_subreaper(void);

/// posix_spawn of `sh -c COMMAND` in a process group of its own, signals at their defaults, stdin from /dev/null, stdout to stderr.
int qq_spawn_shell(const char *command, char *const environment[], pid_t *pid);

/// posix_spawn of a program with signals at their defaults. It gets no descriptors but its standard streams, which become copies of `input` (-1: empty),
/// `output` and `errors`. Of the flags of `qq_spawn_job`, QQ_JOB_OWN_GROUP is known. Returns 0, or an errno.
int qq_spawn_program(
    const char *path, char *const arguments[], char *const environment[], int input, int output, int errors, int flags, pid_t *pid);

/// pidfd_open(2): a descriptor of a process. It still refers to that process after the pid was reused, and becomes readable when the process ends.
/// Returns -1 with errno on failure.
int qq_process_open(pid_t pid);
/// Sends SIGKILL through such a descriptor. Returns 0, or -1 with errno.
int qq_process_kill(int process);
/// Sends a signal through such a descriptor. Returns 0, or -1 with errno.
int qq_process_send(int process, int number);

/// A process as proc_pid_stat(5) shows it. Pid and start time together identify one process for as long as the machine runs.
struct qq_process {
    pid_t pid, parent, group;
    uint64_t started;  // start time, in clock ticks after the boot
    char name[16];
    unsigned char is_zombie, is_kernel, is_chosen, is_spared, is_denied;
};

/// A list of processes, sorted by pid once `qq_processes_read` has filled it.
struct qq_processes {
    struct qq_process *items;
    int count, room;
};

/// Reads at most `room - 1` bytes of a file of a process, and ends them with a NUL. Returns the length, or -1 with errno. `proc` is a descriptor of
/// /proc.
ssize_t qq_proc_read(int proc, pid_t pid, const char *file, char *buffer, size_t room);
/// The same, from any thread of the process that shows the file.
ssize_t qq_proc_read_any(int proc, pid_t pid, const char *file, char *buffer, size_t room);
/// Reads one process. Returns 1, or 0 if it does not exist.
int qq_process_read(int proc, pid_t pid, struct qq_process *process);
/// Appends a process if it exists. Returns 0 only if memory runs out.
int qq_processes_add(struct qq_processes *list, int proc, pid_t pid);
/// Reads every process of the machine. Returns 0, or -1 with errno.
int qq_processes_read(struct qq_processes *list);
void qq_processes_free(struct qq_processes *list);
/// The process with this pid, or NULL.
struct qq_process *qq_processes_find(const struct qq_processes *list, pid_t pid);
/// Chooses all descendants of `root` (0: none) and of the processes that are chosen already, except spared ones.
void qq_processes_choose_below(struct qq_processes *list, pid_t root);
/// The process name of guardians (Sources/CGuardian): at most 15 bytes, like any process name, and one that `pkill qq` and `killall qq` do not match.
extern const char qq_guardian_name[];
int qq_process_is_guardian(const struct qq_process *process);
/// Spares this process and its ancestors: they are not killed.
void qq_processes_spare_lineage(struct qq_processes *list);
/// Chooses the orphans that have become children of a chosen guardian's qq (but not that qq itself), and all descendants of chosen processes.
void qq_processes_choose_guarded(struct qq_processes *list, int proc);
/// Sends SIGKILL to the chosen processes, to guardians only once no other chosen process is alive. Returns how many were alive. Sets `is_denied` for
/// those that this process is not permitted to kill.
int qq_processes_kill(struct qq_processes *list);
/// Sends a signal (0: none) to the process that was read, but not to another one that has its pid now. Returns 0, or -1 with errno.
int qq_process_signal(const struct qq_process *process, int number);

/// The reason why this process cannot find and end others: /proc is missing, belongs to another pid namespace, or the kernel lacks pidfd_open(2).
enum { QQ_PROC_USABLE = 0, QQ_PROC_MISSING = 1, QQ_PROC_FOREIGN = 2, QQ_PROC_NO_DESCRIPTORS = 3 };
int qq_proc_problem(void);
/// Whether /proc hides the processes of other users from this one (proc(5), hidepid): 1 or 0.
int qq_proc_hides(void);

/// Returns 1 if the wait(2) status is an exit (or a signal's), with the exit code (or the signal) in *value; otherwise 0.
int qq_status_exited(int status, int *value);
int qq_status_signaled(int status, int *value);

/// fallocate(2) without changing the file's size, so that a full disk is noticed before anything is overwritten.
int qq_reserve(int fd, int64_t offset, int64_t length);
/// statfs(2)'s f_type.
int qq_file_system_type(int fd, int64_t *type);
/// TIOCGWINSZ: the number of columns, or 0 if this is not a terminal.
int qq_terminal_columns(int fd);
/// Whether this process is in the foreground of its terminal: its own process group is or, if it has a front process, that one's group.
int qq_terminal_is_ours(int fd, int has_front);
/// Sets whether stderr, a terminal, shows the progress line. Signals that end or stop this process then clear the line first, except signals that are
/// blocked, ignored or handled.
void qq_passing_line(int shown);

/// Flags of `qq_spawn_job`: the program gets its own process group, the terminal on stdin before it runs, or an empty stdin.
enum { QQ_JOB_OWN_GROUP = 1, QQ_JOB_TERMINAL = 2, QQ_JOB_NO_INPUT = 4 };
/// posix_spawn of this program, signals at their defaults, with a descriptor (the lifeline pipe) that it keeps open. Returns 0, or an errno.
int qq_spawn_job(char *const arguments[], char *const environment[], int flags, int lifeline, pid_t *pid);
/// Whether a child has been stopped since the last call: 1 or 0. Leaves its exit status for waitpid.
int qq_job_stopped(pid_t pid);

/// Whether this many bytes can be mapped in addition to the memory that the process has: 0, or an errno.
int qq_memory_room(size_t bytes);
/// Whether this many threads (at most 16), with stacks of the usual size, can run at the same time: 0, or an errno. They have ended on return.
int qq_thread_room(int count);

/// write(2) of as much as a descriptor accepts without blocking, even if its open file description, which other processes share, is in blocking mode.
/// Returns the number of bytes, or -1 with errno. EAGAIN means that it accepts nothing now, or that the kernel cannot tell.
int64_t qq_write_now(int fd, const void *bytes, size_t count);
