// System calls that Swift cannot reach by itself: variadic fcntl, prctl, and headers that Glibc's module map leaves out.
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

/// Open-file-description locks (fcntl(2), F_OFD_*). `type` is F_RDLCK, F_WRLCK or F_UNLCK. 0, or -1 with errno.
int qq_ofd_lock(int fd, int type, int64_t start, int64_t length);

/// Finds a lock in [start, start+length) that conflicts with `type`, not always the one with the smallest bytes. 1, *at (its first byte) and
/// *found_length if there is one, 0 if none, -1 with errno. A length of 0 means to the end of the file, whatever that is.
int qq_ofd_find(int fd, int type, int64_t start, int64_t length, int64_t *at, int64_t *found_length);

/// A thread that blocks in the kernel on our behalf can be told to stop.
struct qq_blocking_wait;

/// Blocks in F_OFD_SETLKW until the lock is granted (0), or `qq_blocking_wait_cancel` (-1 with ECANCELED), or an error (-1 with errno).
/// Call it on a thread of its own.
int qq_ofd_lock_wait(struct qq_blocking_wait *wait, int fd, int type, int64_t start, int64_t length);
/// Blocks in poll(2) until the descriptor is readable (0), the time is over (-1 with ETIMEDOUT), or cancelled (-1 with ECANCELED).
int qq_readable_wait(struct qq_blocking_wait *wait, int fd, int timeout_ms);
struct qq_blocking_wait *qq_blocking_wait_create(void);
/// Returns once the waiting thread has noticed, so that the memory may go.
void qq_blocking_wait_cancel(struct qq_blocking_wait *wait);
void qq_blocking_wait_destroy(struct qq_blocking_wait *wait);

/// Starts a detached thread with a small stack and every signal blocked. 0, or an errno.
int qq_thread_start(void *(*body)(void *), void *argument);

/// fcntl(F_DUPFD_CLOEXEC): a copy numbered at least `minimum`.
int qq_duplicate_above(int fd, int minimum);
int qq_set_cloexec(int fd, int on);

/// The arguments of this process, as the kernel gave them, ended by NULL. Swift's own search for them goes astray where a preloaded library (faketime,
/// sanitizers) has moved the environment before main.
char *const *qq_arguments(int *count);
/// The memory that the kernel shows as the environment of this process (proc_pid_environ(5)); NULL where there is none.
char *qq_environment_memory(size_t *room);

/// Whether a signal's disposition is SIG_IGN: 1 or 0.
int qq_signal_is_ignored(int number);

/// Takes the numbers of standard streams that are closed, so that no file of ours gets them. Call first.
void qq_reserve_standard_streams(void);

/// Has all threads allocate from one heap. With few threads that rarely meet, heaps of their own only cost time to make, and memory.
void qq_use_one_heap(void);

/// Makes this process the one that orphans below it come back to.
int qq_become_subreaper(void);

/// posix_spawn of `sh -c COMMAND` in a process group of its own, signals at their defaults, stdin from /dev/null, stdout to stderr.
int qq_spawn_shell(const char *command, char *const environment[], pid_t *pid);

/// pidfd_open(2): a descriptor of a process, which stays that process's when its number is another's, and becomes readable when it ends; -1 with errno.
int qq_process_open(pid_t pid);
/// SIGKILL through such a descriptor. 0, or -1 with errno.
int qq_process_kill(int process);
/// Any signal through such a descriptor. 0, or -1 with errno.
int qq_process_send(int process, int number);

/// A process as proc_pid_stat(5) shows it. The number and the start together name one process for as long as the machine runs.
struct qq_process {
    pid_t pid, parent, group;
    uint64_t started;  // clock ticks after the boot
    char name[16];
    unsigned char is_zombie, is_kernel, is_chosen, is_spared, is_denied;
};

/// Processes, sorted by their numbers once `qq_processes_read` has filled the list.
struct qq_processes {
    struct qq_process *items;
    int count, room;
};

/// Reads a file of a process, of which at most `room - 1` bytes, and ends it with a NUL. The length, or -1 with errno. `proc` is /proc.
ssize_t qq_proc_read(int proc, pid_t pid, const char *file, char *buffer, size_t room);
/// The same by whichever of its threads shows it.
ssize_t qq_proc_read_any(int proc, pid_t pid, const char *file, char *buffer, size_t room);
/// Reads one process. 1, or 0 if there is none.
int qq_process_read(int proc, pid_t pid, struct qq_process *process);
/// Appends a process, if there is one. 0 only without memory.
int qq_processes_add(struct qq_processes *list, int proc, pid_t pid);
/// Every process of the machine. 0, or -1 with errno.
int qq_processes_read(struct qq_processes *list);
void qq_processes_free(struct qq_processes *list);
/// The process with this number, or NULL.
struct qq_process *qq_processes_find(const struct qq_processes *list, pid_t pid);
/// Chooses everything below `root` (0: none) and below what is chosen already, but for what is spared.
void qq_processes_choose_below(struct qq_processes *list, pid_t root);
/// The name of guardians (Sources/CGuardian), at most 15 bytes as any name of a process: none that `pkill qq` or `killall qq` looks for.
extern const char qq_guardian_name[];
int qq_process_is_guardian(const struct qq_process *process);
/// Spares this process and all that are above it: they are not ended from here.
void qq_processes_spare_lineage(struct qq_processes *list);
/// Chooses what has come to the qq of a chosen guardian as orphans (but not that qq itself), and everything below what is chosen.
void qq_processes_choose_guarded(struct qq_processes *list, int proc);
/// SIGKILL to what is chosen; to guardians once nothing else of it lives. Returns how many lived; those that may not be killed are denied.
int qq_processes_kill(struct qq_processes *list);
/// Sends a signal (0: none) to the process that was read, and to no other that has its number now. 0, or -1 with errno.
int qq_process_signal(const struct qq_process *process, int number);

/// What keeps this process from finding and ending others: /proc is missing, belongs to another pid namespace, or the kernel has no pidfd_open(2).
enum { QQ_PROC_USABLE = 0, QQ_PROC_MISSING = 1, QQ_PROC_FOREIGN = 2, QQ_PROC_NO_DESCRIPTORS = 3 };
int qq_proc_problem(void);
/// Whether /proc hides the processes of other users from this one (proc(5), hidepid): 1 or 0.
int qq_proc_hides(void);

/// 1 if the wait(2) status says so, and the number in *value.
int qq_status_exited(int status, int *value);
int qq_status_signaled(int status, int *value);

/// fallocate(2) without changing the file's size: so that a full disk is met before anything is overwritten.
int qq_reserve(int fd, int64_t offset, int64_t length);
/// statfs(2)'s f_type.
int qq_file_system_type(int fd, int64_t *type);
/// TIOCGWINSZ: columns, or 0 when this is no terminal.
int qq_terminal_columns(int fd);
/// Whether we are in the foreground of our terminal: our own process group is, or with a process in front of us that one's.
int qq_terminal_is_ours(int fd, int has_front);
/// Whether stderr, a terminal, shows a line that is to go when we do: signals that end or stop us clear it first, but for those that are blocked,
/// ignored or handled.
void qq_passing_line(int shown);

/// How `qq_spawn_job` starts: in a process group of its own; with the terminal on stdin from its first moment; with nothing on stdin.
enum { QQ_JOB_OWN_GROUP = 1, QQ_JOB_TERMINAL = 2, QQ_JOB_NO_INPUT = 4 };
/// posix_spawn of this program, signals at their defaults, with a descriptor that it keeps open. 0, or an errno.
int qq_spawn_job(char *const arguments[], char *const environment[], int flags, int lifeline, pid_t *pid);
/// Whether a child has been stopped since this was last asked: 1 or 0. Leaves its end for waitpid.
int qq_job_stopped(pid_t pid);

/// Whether this many bytes can be mapped beside what the process has: 0, or an errno.
int qq_memory_room(size_t bytes);
/// Whether this many threads (at most 16), with stacks of the usual size, can run at the same time: 0, or an errno. They have ended when it returns.
int qq_thread_room(int count);

/// write(2) of what a descriptor takes without waiting, also where its open file description, which other processes share, would wait: the number of
/// bytes, or -1 with errno. EAGAIN says that it takes nothing now, or that this kernel cannot tell.
int64_t qq_write_now(int fd, const void *bytes, size_t count);
