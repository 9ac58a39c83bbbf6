#pragma once

#include "CGuardian.h"

#include <CKernel.h>

/// Restores the signal dispositions and the mask that qq was started with.
void qq_signals_restore(void);

enum { QQ_CGROUP_PATH = 4096 };

/// Writes the folder of a process's cgroup to `path`. Returns 1, or 0 if the folder cannot be reached.
int qq_cgroup_path(pid_t pid, char *path, size_t room);
/// Makes a cgroup below this process's own. Returns 1 and its folder in `path` (QQ_CGROUP_PATH bytes), or 0 and an empty path if that is not
/// permitted.
int qq_cgroup_make(const char *name, char *path);
/// fork(2) into the cgroup with this folder, or into this process's own if the path is empty or the kernel refuses.
pid_t qq_cgroup_fork(const char *path);
/// Sends SIGKILL to everything in the cgroup. Returns 0, or -1 with errno.
int qq_cgroup_kill(const char *path);
int qq_cgroup_is_populated(const char *path);
/// Removes the cgroup if nothing is alive in it.
void qq_cgroup_remove(const char *path);

/// Makes /proc show another name and command line for this process, and an empty environment. Arguments and environment in use have to be copies.
void qq_take_title(const char *name, const char *title);
/// Makes /proc show NUL-separated entries as the whole environment of this process, or an empty environment if they do not fit.
void qq_show_environment(const char *entries, size_t length);

/// Copies all entries of the environment, so that their original memory can be overwritten. Ends the process if memory runs out.
void qq_environment_copy(void);
/// Sets environment variables from NUL-separated `NAME=VALUE` entries.
void qq_environment_add(char *entries, size_t length);
/// Runs in the guardian's child: becomes the command, or writes the errno of exec to `failure` and exits.
void qq_become_command(char *const *arguments, int liveness_lock, int takes_terminal, pid_t guardian, int failure);

/// Becomes the deputy with these words, or returns if that is not possible.
/// - program: a descriptor of qq's own program.
/// - end: the end of the lease, in nanoseconds on CLOCK_BOOTTIME.
void qq_become_deputy(int program, int words, uint64_t end);
