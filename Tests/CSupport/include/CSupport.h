// Functions that Glibc's module map hides from Swift: GNU's extensions of posix_spawn, and terminals.
#pragma once

#include <spawn.h>
#include <sys/types.h>

/// Gives the child a session of its own, with signals at their defaults and none blocked.
int support_spawn_fresh(posix_spawnattr_t *attributes);
int support_spawn_folder(posix_spawn_file_actions_t *actions, const char *folder);

/// Makes a pipe that no child inherits by accident.
int support_pipe(int ends[2]);

/// Opens a new terminal. Returns its master, and its name in `name`; or -1 with errno.
int support_terminal(int rows, int columns, char *name, size_t length);
int support_terminal_resize(int master, int rows, int columns);

/// A live process as /proc shows it; zombies do not count.
struct support_process {
    pid_t pid, parent, group, session;
    char state, name[16];
};

/// Reads a process. Returns 1, or 0 if there is none.
int support_process_read(pid_t pid, struct support_process *process);

/// Lists all processes, or those with `mark` in their environment if it is not NULL. Returns how many were written to `list`. In C, because a
/// container's /proc can contain thousands of zombies, and is read often.
int support_processes(const char *mark, struct support_process *list, int room);

/// Closes all descriptors from this number on in the child.
int support_spawn_close_from(posix_spawn_file_actions_t *actions, int from);

/// Makes a socket in another network namespace, such as /proc/PID/ns/net, or in a new one if that is NULL. Returns -1 with errno on failure.
int support_socket_in(const char *network, int domain, int type, int protocol);

/// Takes a file lease (fcntl(2)) on a file that no other process has open, or releases it. Returns 0, or -1 with errno.
int support_lease(int fd, int taken);
