import QQCore

/// The time limit of a call, as it is sent to the server.
enum RequestTimeout {
    static let key = "grpc-timeout"

    /// At most eight digits, and a unit (grpc.io, "gRPC over HTTP2").
    static func text(_ timeout: Duration) -> String {
        // Rounded up: the caller gives up first.
        let milliseconds = max(timeout.nanoseconds, 1_000_000) / 1_000_000 + 1
        return milliseconds < 100_000_000 ? "\(milliseconds)m" : "\(min(milliseconds / 1000, 99_999_999))S"
    }
}
