#define _GNU_SOURCE
#include "CSupport.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

// A network namespace belongs to a thread. A separate thread therefore makes the socket in another namespace, which affects no other thread.
struct visit {
    const char *path;
    int domain, type, protocol, result, problem;
};

static void *visit(void *argument) {
    struct visit *visit = argument;
    int namespace = visit->path ? open(visit->path, O_RDONLY | O_CLOEXEC) : -1;
    if (visit->path ? namespace < 0 || setns(namespace, CLONE_NEWNET) != 0 : unshare(CLONE_NEWNET) != 0) {
        visit->result = -1;
        visit->problem = errno;
    } else {
        visit->result = socket(visit->domain, visit->type | SOCK_CLOEXEC, visit->protocol);
        visit->problem = errno;
    }
    if (namespace >= 0) close(namespace);
    return NULL;
}

int support_socket_in(const char *network, int domain, int type, int protocol) {
    struct visit plan = {.path = network, .domain = domain, .type = type, .protocol = protocol};
    pthread_t thread;
    errno = pthread_create(&thread, NULL, visit, &plan);
    if (errno != 0) return -1;
    pthread_join(thread, NULL);
    errno = plan.problem;
    return plan.result;
}

int support_lease(int fd, int taken) {
    // The kernel reports with this signal that another process wants the file. The signal would end a process that does not expect it.
    signal(SIGIO, SIG_IGN);
    return fcntl(fd, F_SETLEASE, taken ? F_WRLCK : F_UNLCK);
}
