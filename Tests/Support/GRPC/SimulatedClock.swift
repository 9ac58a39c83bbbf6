import Glibc
import QQCore
import SwiftProtobuf
import Synchronization

/// The clock of test servers, in nanoseconds since 1970. It is never stepped.
final class SimulatedClock: Sendable {
    private let start = ContinuousClock.now
    private let first: Int64
    /// Time that has passed by `pass`; nil if the time advances automatically.
    private let passed: Mutex<Int64>?

    /// - Parameter stands: whether time advances only by `pass`, so that nothing depends on how busy the machine is.
    init(stands: Bool = false) {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        first = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        passed = stands ? Mutex(0) : nil
    }

    var now: Int64 { first + (passed?.withLock { $0 } ?? (ContinuousClock.now - start).nanoseconds) }

    func pass(_ time: Duration) { passed?.withLock { $0 += time.nanoseconds } }
}

extension Google_Protobuf_Timestamp {
    /// nil becomes Go's zero time, the beginning of the year 1.
    package init(nanoseconds: Int64?) {
        guard let nanoseconds else {
            self.init(seconds: -62_135_596_800)
            return
        }
        self.init(seconds: nanoseconds / 1_000_000_000, nanos: Int32(nanoseconds % 1_000_000_000))
    }
}

extension Google_Protobuf_Duration {
    package init(nanoseconds: Int64) { self.init(seconds: nanoseconds / 1_000_000_000, nanos: Int32(nanoseconds % 1_000_000_000)) }

    /// Clamped to `Int64`, as in Go.
    package var nanoseconds: Int64 { (Duration.seconds(seconds) + .nanoseconds(Int64(nanos))).nanoseconds }

    /// The duration as the log of a RaftLock cluster keeps it (source: `types.Command`), in nanoseconds cut to whole milliseconds.
    package var logged: Int64 { nanoseconds / 1_000_000 * 1_000_000 }

    /// As Go prints it: `10m0s`, `1.5s`, `500ms`, `0s`.
    var goText: String {
        let count = nanoseconds
        if count == 0 { return "0s" }
        let (sign, size) = (count < 0 ? "-" : "", count.magnitude)
        for (unit, name) in [(1_000_000_000, ""), (1_000_000, "ms"), (1_000, "µs"), (1, "ns")] as [(UInt64, String)] where size >= unit {
            if !name.isEmpty { return sign + decimal(size, unit) + name }
            let (hours, minutes) = (size / unit / 3600, size / unit / 60 % 60)
            let seconds = decimal(size % (60 * unit), unit) + "s"
            return sign + (hours > 0 ? "\(hours)h\(minutes)m" : minutes > 0 ? "\(minutes)m" : "") + seconds
        }
        return "0s"
    }

    private func decimal(_ count: UInt64, _ unit: UInt64) -> String {
        guard count % unit > 0 else { return "\(count / unit)" }
        var digits = String(count % unit + unit).dropFirst()
        while digits.last == "0" { digits.removeLast() }
        return "\(count / unit).\(digits)"
    }
}
