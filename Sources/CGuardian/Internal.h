#pragma once

#include "CGuardian.h"

#include <CKernel.h>

/// Signals as qq found them.
void qq_signals_restore(void);

enum { QQ_CGROUP_PATH = 4096 };

/// The folder of a process's cgroup. 1, or 0 if there is none that can be reached.
int qq_cgroup_path(pid_t pid, char *path, size_t room);
/// Makes a cgroup below our own. 1 and its folder in `path` (QQ_CGROUP_PATH bytes), or 0 and an empty path where that is not allowed.
int qq_cgroup_make(const char *name, char *path);
/// fork(2) into the cgroup with this folder; into our own one if the path is empty or the kernel refuses.
pid_t qq_cgroup_fork(const char *path);
/// SIGKILL to everything in it. 0, or -1 with errno.
int qq_cgroup_kill(const char *path);
int qq_cgroup_is_populated(const char *path);
/// Removes it, if nothing lives there.
void qq_cgroup_remove(const char *path);

/// Shows this process under another name and command line, and with an empty environment. Arguments and environment in use have to be copies.
void qq_take_title(const char *name, const char *title);
/// Shows NUL-separated entries as the whole environment of this process, if there is room for them.
void qq_show_environment(const char *entries, size_t length);

/// Makes copies of all entries of the environment, so that the memory they were in is free. Ends the process without memory.
void qq_environment_copy(void);
/// Sets NUL-separated `NAME=VALUE` entries.
void qq_environment_add(char *entries, size_t length);
/// In the guardian's child: becomes the command, or writes the errno of exec to `failure` and ends.
void qq_become_command(char *const *arguments, int witness, int takes_terminal, pid_t guardian, int failure);
