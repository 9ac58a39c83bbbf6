// Threads that sleep in the kernel until a lock is granted or a descriptor is readable. A signal without SA_RESTART wakes them when they are
// cancelled.
#define _GNU_SOURCE
#include "CKernel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct qq_blocking_wait {
    atomic_int cancelled;
    pthread_mutex_t mutex;  // held while `inside` changes and while the thread is signalled, so that the thread still exists
    int inside;
    pthread_t thread;
};

#define WAKE_SIGNAL (SIGRTMIN + 2)

static void woken(int number) { (void)number; }

static void install_handler(void) {
    struct sigaction action = {.sa_handler = woken};
    sigemptyset(&action.sa_mask);
    sigaction(WAKE_SIGNAL, &action, NULL);
}

struct qq_blocking_wait *qq_blocking_wait_create(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install_handler);
    struct qq_blocking_wait *wait = calloc(1, sizeof(struct qq_blocking_wait));
    if (wait) pthread_mutex_init(&wait->mutex, NULL);
    return wait;
}

void qq_blocking_wait_destroy(struct qq_blocking_wait *wait) {
    pthread_mutex_destroy(&wait->mutex);
    free(wait);
}

static void set_inside(struct qq_blocking_wait *wait, int inside) {
    pthread_mutex_lock(&wait->mutex);
    wait->inside = inside;
    pthread_mutex_unlock(&wait->mutex);
}

static void enter(struct qq_blocking_wait *wait) {
    sigset_t wake;
    sigemptyset(&wake);
    sigaddset(&wake, WAKE_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &wake, NULL);
    wait->thread = pthread_self();
    set_inside(wait, 1);
}

static int leave(struct qq_blocking_wait *wait, int result) {
    int error = errno;
    set_inside(wait, 0);
    errno = error;
    return result;
}

int qq_ofd_lock_wait(struct qq_blocking_wait *wait, int fd, int type, int64_t start, int64_t length) {
    struct flock lock = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    enter(wait);
    for (;;) {
        if (atomic_load(&wait->cancelled)) {
            errno = ECANCELED;
            return leave(wait, -1);
        }
        if (fcntl(fd, F_OFD_SETLKW, &lock) == 0) return leave(wait, 0);
        if (errno != EINTR) return leave(wait, -1);
    }
}

int qq_readable_wait(struct qq_blocking_wait *wait, int fd, int timeout_ms) {
    struct pollfd item = {.fd = fd, .events = POLLIN};
    uint64_t end = qq_boot_now() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms) * 1000000u;
    enter(wait);
    for (;;) {
        if (atomic_load(&wait->cancelled)) {
            errno = ECANCELED;
            return leave(wait, -1);
        }
        int left = -1;
        if (timeout_ms >= 0) {
            uint64_t now = qq_boot_now();
            left = now >= end ? 0 : (int)((end - now + 999999u) / 1000000u);
        }
        int count = poll(&item, 1, left);
        if (count > 0) return leave(wait, 0);
        if (count == 0) {
            errno = ETIMEDOUT;
            return leave(wait, -1);
        }
        if (errno != EINTR) return leave(wait, -1);
    }
}

void qq_blocking_wait_cancel(struct qq_blocking_wait *wait) {
    // A signal that arrives between the thread's check of `cancelled` and its system call wakes nothing, so it is sent until the thread has left. A
    // thread that has not entered yet sees `cancelled` first.
    atomic_store(&wait->cancelled, 1);
    for (;;) {
        pthread_mutex_lock(&wait->mutex);
        int inside = wait->inside;
        if (inside) pthread_kill(wait->thread, WAKE_SIGNAL);
        pthread_mutex_unlock(&wait->mutex);
        if (!inside) return;
        struct timespec pause = {.tv_nsec = 200000};
        nanosleep(&pause, NULL);
    }
}

int qq_thread_start(void *(*body)(void *), void *argument) {
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int result = pthread_create(&thread, &attributes, body, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return result;
}
