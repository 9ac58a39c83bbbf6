// Writes the time on CLOCK_BOOTTIME, in nanoseconds, to the file in its first argument. This is the command whose start is measured.
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **arguments) {
    struct timespec time;
    char text[32];
    clock_gettime(CLOCK_BOOTTIME, &time);
    int length = snprintf(text, sizeof text, "%lld%09ld\n", (long long)time.tv_sec, time.tv_nsec);
    int file = count > 1 ? open(arguments[1], O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    return file >= 0 && write(file, text, (size_t)length) == length ? 0 : 1;
}
