import CKernel
import Glibc
import QQCore
import Synchronization

/// One thread that runs every task of the program, waits for descriptors, timers and signals, and starts no other thread.
///
/// Swift's own executor starts worker threads, which costs a millisecond of a cold start and would forbid the fork that the guardian needs.
/// Tasks are put here by `Task(executorPreference:)`, and structured concurrency keeps them here.
public final class MainLoop: TaskExecutor {
    struct State {
        var jobs: [UnownedJob] = []
        var timers = TimerQueue()
        /// Time that the kernel's timer is set to; nil if it is not set.
        var alarm: BootInstant?
        var readers: [CInt: Waiter] = [:]
        var finished = false
        /// Whether the loop has already been woken since its last check for work: once is enough.
        var isWoken = false
        var nextWaiter: UInt64 = 0
    }

    /// A waiting task, and the number by which a cancellation finds it.
    struct Waiter {
        var id: UInt64
        var continuation: CheckedContinuation<Void, any Error>
    }

    let state = Mutex(State())
    let epoll: CInt
    let wake: CInt
    let timer: CInt
    let thread = pthread_self()

    /// - Throws: `SystemCallError` if the kernel refuses a descriptor.
    public init() throws(SystemCallError) {
        epoll = try SystemCallError.check("epoll_create1", epoll_create1(CInt(EPOLL_CLOEXEC)))
        wake = try SystemCallError.check("eventfd", eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK)))
        timer = try SystemCallError.check("timerfd_create", timerfd_create(CLOCK_BOOTTIME, CInt(TFD_CLOEXEC | TFD_NONBLOCK)))
        try watch(wake, once: false)
        try watch(timer, once: false)
    }

    deinit { for descriptor in [epoll, wake, timer] { close(descriptor) } }

    public func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        let mustWake = state.withLock { state in
            state.jobs.append(unowned)
            if isOwnThread || state.isWoken { return false }
            state.isWoken = true
            return true
        }
        if mustWake { wakeUp() }
    }

    /// Runs `body`, and every task that it starts, on the calling thread, which must be the one that made the loop.
    /// - Returns: the result of `body`.
    public func run<Success: Sendable>(_ body: @escaping @Sendable () async -> Success) -> Success? {
        state.withLock { $0.finished = false }
        let result = Mutex<Success?>(nil)
        let box = ResultBox(result)
        Task.detached(executorPreference: self) {
            let value = await body()
            box.result.withLock { $0 = value }
            self.state.withLock { $0.finished = true }
            self.wakeUp()
        }
        while true {
            runJobs()
            if state.withLock({ $0.finished && $0.jobs.isEmpty }) { break }
            waitForEvents()
        }
        return box.result.withLock { $0 }
    }

    private final class ResultBox<Value: Sendable>: Sendable {
        let result: Mutex<Value?>
        init(_ result: consuming Mutex<Value?>) { self.result = result }
    }

    var isOwnThread: Bool { pthread_equal(thread, pthread_self()) != 0 }

    func wakeUp() {
        var one: UInt64 = 1
        _ = write(wake, &one, 8)
    }

    /// Runs jobs that are ready, but a limited number of times: tasks that wake each other, or yield in a circle, must not keep timers and
    /// signals waiting.
    private func runJobs() {
        for _ in 0..<100 {
            let jobs = state.withLock { state in
                defer { state.jobs.removeAll(keepingCapacity: true) }
                return state.jobs
            }
            if jobs.isEmpty { return }
            for job in jobs { job.runSynchronously(on: asUnownedTaskExecutor()) }
        }
    }

    private func waitForEvents() {
        armTimer()
        var events = [epoll_event](repeating: epoll_event(), count: 32)
        let isIdle = state.withLock { state in
            guard state.jobs.isEmpty else { return false }
            state.isWoken = false
            return true
        }
        let count = epoll_wait(epoll, &events, CInt(events.count), isIdle ? -1 : 0)
        for event in events.prefix(Int(max(count, 0))) {
            let descriptor = event.data.fd
            if descriptor == wake || descriptor == timer {
                var ignored: UInt64 = 0
                _ = read(descriptor, &ignored, 8)
                if descriptor == timer { state.withLock { $0.alarm = nil } }
            } else if let waiter = state.withLock({ $0.readers.removeValue(forKey: descriptor) }) {
                waiter.continuation.resume()
            }
        }
        let due = state.withLock { $0.timers.removeDue(at: now()) }
        for waiter in due { waiter.continuation.resume() }
    }

    /// Arms the kernel timer for the next deadline, unless it is already armed for that time or an earlier one. An alarm left by a removed
    /// timer stays and causes one needless wake-up.
    private func armTimer() {
        let next = state.withLock { state -> BootInstant? in
            guard let next = state.timers.earliest, next < state.alarm ?? .distantFuture else { return nil }
            state.alarm = next
            return next
        }
        guard let next else { return }
        let at = max(next.nanoseconds, 1)
        var specification = itimerspec()
        specification.it_value = timespec(tv_sec: Int(at / 1_000_000_000), tv_nsec: Int(at % 1_000_000_000))
        timerfd_settime(timer, CInt(TFD_TIMER_ABSTIME), &specification, nil)
    }

    func watch(_ descriptor: CInt, _ events: UInt32 = EPOLLIN.rawValue, once: Bool) throws(SystemCallError) {
        var event = epoll_event()
        event.events = events | (once ? EPOLLONESHOT.rawValue : 0)
        event.data.fd = descriptor
        if epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event) == 0 { return }
        _ = try SystemCallError.check("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event))
    }
}
