import QQCore

/// How long a call may take, as its server is told.
enum RequestTimeout {
    static let key = "grpc-timeout"

    /// At most eight digits, and a unit (grpc.io, "gRPC over HTTP2").
    static func text(_ timeout: Duration) -> String {
        // Rounded up: the caller is the one who gives up.
        let milliseconds = max(timeout.nanoseconds, 1_000_000) / 1_000_000 + 1
        return milliseconds < 100_000_000 ? "\(milliseconds)m" : "\(min(milliseconds / 1000, 99_999_999))S"
    }
}
