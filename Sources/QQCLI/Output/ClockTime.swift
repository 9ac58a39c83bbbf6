import Glibc
import QQCore

/// Times of day, for the live view and messages of a session.
enum ClockTime {
    /// `21:03:04`, in this machine's time zone.
    static func text(_ time: WallTime) -> String {
        var seconds = time_t(time.seconds)
        var parts = tm()
        localtime_r(&seconds, &parts)
        func two(_ number: CInt) -> String { (number < 10 ? "0" : "") + "\(number)" }
        return "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
    }
}
