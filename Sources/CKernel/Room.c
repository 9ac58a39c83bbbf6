// Checks for the memory and threads that a command needs. A library that cannot get them crashes the process; a check beforehand allows an error
// message instead.
#define _GNU_SOURCE
#include "CKernel.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>

int qq_memory_room(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return errno;
    munmap(memory, bytes);
    return 0;
}

static void *wait_for_end(void *argument) {
    while (sem_wait(argument) != 0) {}
    return NULL;
}

int qq_thread_room(int count) {
    enum { MOST = 16 };
    pthread_t threads[MOST];
    sem_t end;
    sigset_t all, before;
    int started = 0, result = 0;
    if (sem_init(&end, 0, 0) != 0) return errno;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    while (started < count && started < MOST && (result = pthread_create(&threads[started], NULL, wait_for_end, &end)) == 0) started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    for (int i = 0; i < started; i++) sem_post(&end);
    for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
    sem_destroy(&end);
    return result;
}
