import NIOCore
import QQNetwork

/// The connections to one server, and the requests that wait for one.
///
/// `Sendable` is unchecked because everything but `init` is used only on the network thread.
final class ConnectionPool: @unchecked Sendable {
    /// Largest number of requests at a time, whose answers are streams; nil if they are calls.
    private let maximumStreams: Int?
    /// Number of streams.
    private var open = 0
    private let connector: Connector
    private let maximum: Int
    private var connections: [any HTTPConnection] = []
    private var attempts: [ConnectionAttempt] = []
    private var waiting: [Exchange] = []
    /// Whether the server has spoken HTTP/1.1, so that each waiting request needs a connection of its own.
    private var needsMany = false

    /// - Parameter maximum: the largest number of connections at a time.
    init(_ connector: Connector, maximum: Int, maximumStreams: Int? = nil) {
        self.connector = connector
        self.maximum = maximum
        self.maximumStreams = maximumStreams
    }

    /// Makes a connection if there is none.
    func prepare() { if connections.isEmpty, attempts.isEmpty { connect() } }

    /// Sends a request as soon as there is a connection for it.
    func start(_ exchange: Exchange) {
        guard !exchange.isOver else { return }
        if let maximumStreams {
            guard open < maximumStreams else { return refuse(exchange) }
            open += 1
            exchange.whenOver = { self.open -= 1 }
        }
        for connection in connections where connection.isStale { connection.retire() }
        if waiting.isEmpty, let connection = connections.first(where: { $0.hasRoom }) { return connection.send(exchange) }
        exchange.wait()
        waiting.append(exchange)
        grow()
        // Calls come to an end, so that others can follow them; streams might not.
        if maximumStreams != nil, attempts.isEmpty {
            waiting.removeAll { $0 === exchange }
            refuse(exchange)
        }
    }

    private func refuse(_ exchange: Exchange) {
        exchange.fail(.tooManyStreams, "qq watches as much on this server as it can at a time: \(open) requests")
    }

    /// Stops an exchange that did not end by itself.
    func stop(_ exchange: Exchange, _ kind: HTTPFailure.Kind, _ reason: String) {
        let place = exchange.place
        exchange.fail(kind, reason)
        switch place {
        case .waiting:
            waiting.removeAll { $0 === exchange }
            // The next request does not depend on attempts that bring nothing.
            if kind == .timedOut { for attempt in attempts { attempt.isSuspect = true } }
            grow()
        case .on(let connection):
            // If nothing else has come either, the connection is dead.
            if kind == .timedOut, connection.reads == exchange.readsBefore { connection.retire() }
            connection.abandon(exchange)
        case .new, .over: break
        }
    }

    /// Ends the connections, once their requests are answered, and all attempts to make one.
    func close() {
        if waiting.isEmpty { cancel(attempts) }
        for connection in connections { connection.retire() }
    }

    // MARK: Connections

    /// A connection has room for another request.
    func hasRoom(_ connection: any HTTPConnection) {
        while !waiting.isEmpty, connection.hasRoom { connection.send(waiting.removeFirst()) }
    }

    /// A connection takes no more requests.
    func ended(_ connection: any HTTPConnection) {
        let count = connections.count
        connections.removeAll { $0 === connection }
        if connections.count < count { grow() }
    }

    /// Makes as many connections as the waiting requests need.
    private func grow() {
        // Two attempts of which nothing is heard are enough to learn whether they are only slow.
        cancel(attempts.filter(\.isSuspect).dropLast(2))
        let wanted = min(waiting.count, needsMany ? maximum : 1)
        while attempts.count(where: { !$0.isSuspect }) < wanted, connections.count + attempts.count < maximum { connect() }
    }

    private func cancel(_ some: [ConnectionAttempt]) {
        attempts.removeAll { attempt in some.contains { $0 === attempt } }
        for attempt in some { attempt.cancel() }
    }

    private func connect() {
        let attempt = ConnectionAttempt(connector)
        attempts.append(attempt)
        attempt.start { [self] channel, isHTTP2, tls in
            isHTTP2
                ? HTTP2Connection.start(channel, tls, self, connector.settings).map { $0 as any HTTPConnection & Sendable }
                : channel.eventLoop.makeCompletedFuture {
                    try HTTP1Connection.start(channel, tls, self, tlsHint: connector.settings.tlsHint)
                }
        } completion: { [self] result in
            attempts.removeAll { $0 === attempt }
            switch result {
            case .success(let connection):
                needsMany = connection is HTTP1Connection
                connections.append(connection)
                hasRoom(connection)
                grow()
            case .failure(let failure): failed(failure)
            }
        }
    }

    /// Fails the requests for which there is no other connection to wait for.
    private func failed(_ failure: HTTPFailure) {
        guard attempts.allSatisfy(\.isSuspect) else { return }
        let left = connections.isEmpty || maximumStreams != nil ? waiting : []
        waiting.removeAll { exchange in left.contains { $0 === exchange } }
        for exchange in left { exchange.end(ExchangeFailure(failure: failure)) }
    }
}
