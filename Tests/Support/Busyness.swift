import Foundation
import Glibc
import Synchronization

/// How much a busy machine holds this process up. Tests of how quickly something happens add it to their limits: otherwise the limits would have to be so
/// wide that they show nothing on a machine that has time.
///
/// A thread repeatedly sleeps, and then needs the processor for a moment. Whatever this takes longer than it should, others had the machine.
public enum Busyness {
    private struct State {
        /// The ends of late turns, in nanoseconds of the boot clock, and how late they were.
        var late: [(end: UInt64, by: UInt64)] = []
    }

    private static let state = Mutex(State())
    private static let pause: UInt64 = 20_000_000
    private static let work: UInt64 = 200_000
    /// A turn is a little late on any machine.
    private static let usual: UInt64 = 1_000_000
    /// A program takes many turns to do something, each of which is held up.
    private static let factor: UInt64 = 10

    private static let isMeasured: Bool = {
        Thread.detachNewThread {
            while true {
                let began = bootNow()
                usleep(UInt32(pause / 1000))
                let worked = workingTime()
                while workingTime() - worked < work {}
                let end = bootNow()
                let took = end - began
                guard took > pause + work + usual else { continue }
                state.withLock { $0.late.append((end, took - pause - work)) }
            }
        }
        return true
    }()

    /// Begins to measure. Every sandbox does this.
    static func measure() { _ = isMeasured }

    private static func workingTime() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    fileprivate static func allowance(since begin: UInt64) -> UInt64 {
        state.withLock { state in state.late.lazy.reversed().prefix { $0.end > begin }.reduce(0) { $0 + $1.by } } * factor
    }
}

/// The time to allow for a busy machine in what has happened since `begin`: zero if it was not busy.
/// - Parameter begin: on the clock of the stamps, in nanoseconds.
public func busyTime(since begin: UInt64) -> UInt64 { Busyness.allowance(since: begin) }

/// The time to allow for a busy machine in what has happened since `begin`: zero if it was not busy.
public func busyTime(since begin: ContinuousClock.Instant) -> Duration {
    let (seconds, attoseconds) = (ContinuousClock.now - begin).components
    let elapsed = UInt64(max(seconds, 0)) * 1_000_000_000 + UInt64(max(attoseconds, 0) / 1_000_000_000)
    let now = bootNow()
    return .nanoseconds(Busyness.allowance(since: now - min(now, elapsed)))
}
