/// The connection to a system. A system without one has nothing to add.
public protocol Connection: Sendable {
    /// Starts what takes time before the first request, such as connecting. Sends no request, and can start a thread.
    func prepare()

    /// Whether a request can make another program ask the user something on the terminal, to log in. Nothing else is then shown while it is waited for.
    var mayPrompt: Bool { get }

    /// Events of the connection, for one reader; ends immediately if there is no connection.
    var connectionEvents: AsyncStream<ConnectionEvent> { get }

    /// Closes connections, for a process that continues. Nothing is requested afterwards; leases stay as they are.
    func close() async
}

extension Connection {
    public func prepare() {}

    public var mayPrompt: Bool { false }

    public var connectionEvents: AsyncStream<ConnectionEvent> { AsyncStream { $0.finish() } }

    public func close() async {}
}
