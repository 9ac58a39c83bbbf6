import NIOCore

/// Bounds of the server. A client can use them up and thereby keep other clients waiting, but never more of this process.
struct Limits: Sendable {
    /// Bytes that a request can have.
    static let head = 8 * 1024
    /// Bytes that a client can send after its request before it is cut off.
    static let excess = 64 * 1024
    /// Connections that wait in the kernel to be accepted.
    static let backlog: CInt = 128

    /// Connections that are served at a time. When the last place is taken, the oldest that has not sent its request is cut, or else the oldest that has
    /// got its answer.
    var connections = 64
    /// Time from accepting a connection until its answer is written. Then it is closed.
    var answer = TimeAmount.seconds(5)
    /// Time that the client has after the answer to close its end. Closing before it has read everything could take the answer from it (RFC 9112, section 9.6).
    var linger = TimeAmount.seconds(1)
    /// Time without new connections after one could not be accepted for lack of descriptors or memory.
    var pause = TimeAmount.seconds(1)
}
