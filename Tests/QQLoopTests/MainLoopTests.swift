import Foundation
import QQCore
import Synchronization
import Testing

@testable import QQLoop

/// Runs `body` on a main loop of its own, on a thread of its own.
private func onLoop<Value: Sendable>(_ body: @escaping @Sendable (MainLoop) async throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread {
            do {
                let loop = try MainLoop()
                let result: Result<Value, any Error>? = loop.run {
                    do { return .success(try await body(loop)) } catch { return .failure(error) }
                }
                continuation.resume(with: try #require(result, "the loop ended before its task"))
            } catch { continuation.resume(throwing: error) }
        }.start()
    }
}

/// Notes of several tasks.
private final class Notes<Value: Sendable>: Sendable {
    private let noted = Mutex<[Value]>([])

    var all: [Value] { noted.withLock { $0 } }

    func add(_ value: Value) { noted.withLock { $0.append(value) } }
}

/// Both ends of a pipe.
private final class Pipe: Sendable {
    let reading: CInt
    private let writing: Mutex<CInt>

    init() {
        var ends: [CInt] = [-1, -1]
        pipe(&ends)
        reading = ends[0]
        writing = Mutex(ends[1])
    }

    deinit {
        close(reading)
        hangUp()
    }

    func write() {
        var byte: UInt8 = 1
        _ = writing.withLock { Glibc.write($0, &byte, 1) }
    }

    func read() {
        var byte: UInt8 = 0
        _ = Glibc.read(reading, &byte, 1)
    }

    func hangUp() {
        writing.withLock {
            if $0 >= 0 { close($0) }
            $0 = -1
        }
    }
}

@Suite("A main loop", .timeLimit(.minutes(10)))
struct MainLoopTests {
    @Test("a loop returns the result of its task") func returnsResult() async throws {
        #expect(try await onLoop { _ in 42 } == 42)
    }

    @Test("a loop can run again") func runsAgain() async throws {
        let results = Notes<Int?>()
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            Thread {
                do {
                    let loop = try MainLoop()
                    for number in 0..<3 {
                        results.add(
                            loop.run {
                                await Task.yield()
                                return number
                            })
                    }
                    continuation.resume()
                } catch { continuation.resume(throwing: error) }
            }.start()
        }
        #expect(results.all == [0, 1, 2])
    }

    @Test("every task runs on the loop's own thread") func ownThread() async throws {
        let threads = try await onLoop { loop in
            await withTaskGroup(of: UInt.self) { group in
                for number in 0..<50 {
                    group.addTask {
                        if number % 2 == 0 { try? await loop.sleep(for: .milliseconds(1)) } else { await Task.yield() }
                        return UInt(pthread_self())
                    }
                }
                return await group.reduce(into: Set([UInt(pthread_self())])) { $0.insert($1) }
            }
        }
        #expect(threads.count == 1)
    }

    @Test("many tasks run together") func manyTasks() async throws {
        let sum = try await onLoop { loop in
            await withTaskGroup(of: Int.self) { group in
                for number in 0..<2000 {
                    group.addTask {
                        try? await loop.sleep(for: .microseconds((number * 7919) % 5000))
                        return number
                    }
                }
                return await group.reduce(0, +)
            }
        }
        #expect(sum == 1_999_000)
    }

    @Test("another thread wakes the loop") func wokenByAnotherThread() async throws {
        let value = try await onLoop { _ in
            var sum = 0
            for number in 0..<100 {
                sum += await withCheckedContinuation { continuation in
                    Thread { continuation.resume(returning: number) }.start()
                }
            }
            return sum
        }
        #expect(value == 4950)
    }

    // MARK: Timers

    @Test("sleepers wake in the order of their times") func orderOfTimes() async throws {
        let order = Notes<Int>()
        try await onLoop { loop in
            let start = loop.now()
            await withTaskGroup(of: Void.self) { group in
                for number in [7, 2, 9, 4, 1, 8, 3, 6, 5, 0] {
                    group.addTask {
                        try? await loop.sleep(until: start + .milliseconds(1000 + number))
                        order.add(number)
                    }
                }
            }
        }
        #expect(order.all == Array(0...9))
    }

    @Test("sleepers of the same time wake in their order of arrival") func orderOfArrival() async throws {
        let order = Notes<Int>()
        try await onLoop { loop in
            let moment = loop.now() + .seconds(1)
            await withTaskGroup(of: Void.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        try? await loop.sleep(until: moment)
                        order.add(number)
                    }
                }
            }
        }
        #expect(order.all == Array(0..<20))
    }

    @Test("no sleeper wakes early", arguments: [0, 1, 999, 5000])
    func notEarly(microseconds: Int) async throws {
        let (deadline, woken) = try await onLoop { loop in
            let deadline = loop.now() + .microseconds(microseconds)
            try await loop.sleep(until: deadline)
            return (deadline, loop.now())
        }
        #expect(woken >= deadline)
    }

    @Test("a sleep until a time that has passed ends immediately", arguments: [0, 1, 1_000_000_000])
    func past(nanoseconds: UInt64) async throws {
        try await onLoop { loop in try await loop.sleep(until: BootInstant(nanoseconds: nanoseconds)) }
    }

    @Test("a cancelled sleep ends") func cancelledSleep() async throws {
        let wasCancelled = try await onLoop { loop in
            await withTaskGroup(of: Bool.self) { group in
                group.addTask {
                    do {
                        try await loop.sleep(until: .distantFuture)
                        return false
                    } catch { return error is CancellationError }
                }
                try? await loop.sleep(for: .milliseconds(5))
                group.cancelAll()
                return await group.next() ?? false
            }
        }
        #expect(wasCancelled)
    }

    @Test("a cancelled task does not start to sleep") func sleepInCancelledTask() async throws {
        let wasCancelled = try await onLoop { loop in
            await withTaskGroup(of: Bool.self) { group in
                group.cancelAll()
                group.addTask { (try? await loop.sleep(until: .distantFuture)) == nil }
                return await group.next() ?? false
            }
        }
        #expect(wasCancelled)
    }

    @Test("the cancellation of one sleep leaves the others alone") func oneCancelledSleep() async throws {
        let order = Notes<String>()
        try await onLoop { loop in
            let moment = loop.now() + .seconds(2)
            await withTaskGroup(of: Void.self) { outer in
                outer.addTask {
                    try? await loop.sleep(until: moment)
                    order.add("slept")
                }
                await withTaskGroup(of: Void.self) { inner in
                    inner.addTask {
                        if (try? await loop.sleep(until: moment)) == nil { order.add("cancelled") }
                    }
                    await Task.yield()
                    inner.cancelAll()
                }
            }
        }
        #expect(order.all == ["cancelled", "slept"])
    }

    @Test("a sleeping task of another executor wakes") func taskOfAnotherExecutor() async throws {
        try await onLoop { loop in
            // On Swift's own threads, while the loop sleeps.
            let stranger = Task.detached { try await loop.sleep(for: .milliseconds(20)) }
            try await stranger.value
        }
    }

    @Test("timers fire while a task yields forever") func timersWhileYielding() async throws {
        try await onLoop { loop in
            await withTaskGroup(of: Void.self) { group in
                group.addTask { while !Task.isCancelled { await Task.yield() } }
                try? await loop.sleep(for: .milliseconds(5))
                group.cancelAll()
            }
        }
    }

    // MARK: Descriptors

    @Test("a waiting task resumes when its descriptor becomes readable") func readable() async throws {
        let pipe = Pipe()
        try await onLoop { loop in
            for _ in 0..<20 {
                Thread { pipe.write() }.start()
                try await loop.readable(pipe.reading)
                pipe.read()
            }
        }
    }

    @Test("a task resumes immediately if its descriptor is already readable") func alreadyReadable() async throws {
        let pipe = Pipe()
        pipe.write()
        try await onLoop { loop in try await loop.readable(pipe.reading) }
    }

    @Test("a waiting task resumes when the other end is closed") func otherEndClosed() async throws {
        let pipe = Pipe()
        try await onLoop { loop in
            Thread { pipe.hangUp() }.start()
            try await loop.readable(pipe.reading)
        }
    }

    @Test("a waiting task does not resume while its descriptor has nothing to read") func nothingToRead() async throws {
        let pipe = Pipe()
        let first = try await onLoop { loop in
            await withTaskGroup(of: String.self) { group in
                group.addTask { (try? await loop.readable(pipe.reading)) == nil ? "cancelled" : "readable" }
                group.addTask {
                    try? await loop.sleep(for: .milliseconds(10))
                    return "slept"
                }
                let first = await group.next()
                group.cancelAll()
                return first
            }
        }
        #expect(first == "slept")
    }

    @Test("a descriptor can be waited for again after a cancelled wait") func waitAgain() async throws {
        let pipe = Pipe()
        let cancelled = try await onLoop { loop in
            let cancelled = await withTaskGroup(of: Bool.self) { group in
                group.addTask {
                    do {
                        try await loop.readable(pipe.reading)
                        return false
                    } catch { return error is CancellationError }
                }
                await Task.yield()
                group.cancelAll()
                return await group.next() ?? false
            }
            Thread { pipe.write() }.start()
            try await loop.readable(pipe.reading)
            return cancelled
        }
        #expect(cancelled)
    }

    @Test("waiting for an invalid descriptor fails with the kernel's error") func invalidDescriptor() async throws {
        await #expect(throws: SystemCallError("epoll_ctl", code: EBADF)) {
            try await onLoop { loop in try await loop.readable(-1) }
        }
    }

    // MARK: Signals

    @Test("signals are read one by one") func signals() async throws {
        let seen = try await onLoop { loop in
            let signals = try SignalSource([SIGUSR1, SIGUSR2, SIGTERM], on: loop)
            var seen: [CInt] = []
            for signal in [SIGUSR2, SIGTERM, SIGUSR1, SIGTERM] {
                // To this thread, which has blocked them; a signal to the process could reach another thread.
                pthread_kill(pthread_self(), signal)
                seen.append(try await signals.next())
            }
            return seen
        }
        #expect(seen == [SIGUSR2, SIGTERM, SIGUSR1, SIGTERM])
    }

    @Test("a signal that arrives while the loop sleeps is read") func signalWhileAsleep() async throws {
        let seen = try await onLoop { loop in
            let signals = try SignalSource([SIGUSR1], on: loop)
            let thread = UInt(pthread_self())
            Thread { pthread_kill(pthread_t(thread), SIGUSR1) }.start()
            return try await signals.next()
        }
        #expect(seen == SIGUSR1)
    }

    @Test("a cancelled wait for signals ends") func cancelledSignals() async throws {
        let wasCancelled = try await onLoop { loop in
            let signals = try SignalSource([SIGUSR1], on: loop)
            return await withTaskGroup(of: Bool.self) { group in
                group.addTask { (try? await signals.next()) == nil }
                await Task.yield()
                group.cancelAll()
                return await group.next() ?? false
            }
        }
        #expect(wasCancelled)
    }
}
