// What Glibc's module map does not show to Swift: GNU's extensions of posix_spawn, and terminals.
#pragma once

#include <spawn.h>
#include <sys/types.h>

/// A session of its own, signals at their defaults and none blocked.
int support_spawn_fresh(posix_spawnattr_t *attributes);
int support_spawn_folder(posix_spawn_file_actions_t *actions, const char *folder);

/// A pipe that no child inherits by accident.
int support_pipe(int ends[2]);

/// Opens a new terminal: its master, and its name in `name`. -1 with errno.
int support_terminal(int rows, int columns, char *name, size_t length);
int support_terminal_resize(int master, int rows, int columns);

/// A living process as /proc shows it; zombies are none.
struct support_process {
    pid_t pid, parent, group, session;
    char state, name[16];
};

/// 1 and the process, 0 where there is none.
int support_process_read(pid_t pid, struct support_process *process);

/// All processes, or those with `mark` in their environment where it is not NULL. How many were written to `list`. In C, because a container's
/// /proc can hold thousands of zombies, and is looked at often.
int support_processes(const char *mark, struct support_process *list, int room);

/// What is open in this process from this number on is not for the child.
int support_spawn_close_from(posix_spawn_file_actions_t *actions, int from);

/// A socket that belongs to another network namespace, such as /proc/PID/ns/net, or to a new one where that is NULL. -1 with errno.
int support_socket_in(const char *network, int domain, int type, int protocol);

/// Takes a lease on a file that nobody else has open, or gives it up. 0, or -1 with errno.
int support_lease(int fd, int taken);
